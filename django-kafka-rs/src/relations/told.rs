//! News as other processes are told of them. Pure.

use serde::{Deserialize, Serialize};

use super::message::Awaited;
use super::wake::News;

/// Of a text at most. PostgreSQL takes 7,999 in the database's own encoding, where it may be longer by a third.
const BYTES_MAX: usize = 5_000;

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Told {
    /// Who tells it.
    by: String,
    rows: Vec<Awaited>,
    gone: bool,
    all: bool,
}

/// What is to be told, as text. More than a text holds is told as "look at everything".
pub(crate) fn text(by: &str, news: &News) -> String {
    let told = |rows: Vec<Awaited>, all| {
        let told = Told { by: by.to_owned(), rows, gone: news.gone, all };
        // Strings and booleans: always JSON.
        serde_json::to_string(&told).unwrap_or_default()
    };
    // A row takes more than this, whatever it is: the rest need not be written out to see that it is too long.
    let is_short = news.rows.len() < BYTES_MAX / 32;
    let text = if is_short { told(news.rows.iter().cloned().collect(), news.all) } else { String::new() };
    if text.is_empty() || text.len() > BYTES_MAX { told(Vec::new(), true) } else { text }
}

/// What somebody else tells; `None`: it was told by `own`. A text that is not understood, of another version's, says that
/// there is something.
#[cfg(any(test, feature = "postgres"))]
pub(crate) fn read(own: &str, text: &str) -> Option<News> {
    match serde_json::from_str::<Told>(text) {
        Ok(Told { by, .. }) if by == own => None,
        Ok(Told { rows, gone, all, .. }) if !rows.is_empty() || gone || all => {
            Some(News { rows: rows.into_iter().collect(), gone, all, ..News::default() })
        }
        _ => Some(News { all: true, ..News::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> News {
        let row = |n| Awaited { model_key: "müller".to_owned(), field: "id".to_owned(), value: format!("\u{0}{n}") };
        News { rows: (0..count).map(row).collect(), ..News::default() }
    }

    #[test]
    fn news_are_told_to_others_as_they_are() {
        let gone = News { gone: true, ..rows(20) };
        assert_eq!(read("b", &text("a", &gone)), Some(gone.clone()));
        assert_eq!(read("a", &text("a", &gone)), None);
    }

    #[test]
    fn what_is_too_long_is_told_in_short() {
        for count in [100, 10_000] {
            let short = text("a", &News { gone: true, ..rows(count) });
            assert!(short.len() < 100, "{short}");
            assert_eq!(read("b", &short), Some(News { all: true, gone: true, ..News::default() }));
        }
        assert!(text("a", &rows(80)).len() <= BYTES_MAX);
    }

    #[test]
    fn a_text_of_another_version_says_that_there_is_something() {
        let all = Some(News { all: true, ..News::default() });
        for text in ["", "x", "{}", r#"{"by":"c","more":[1]}"#] {
            assert_eq!(read("b", text), all, "{text}");
        }
    }
}
