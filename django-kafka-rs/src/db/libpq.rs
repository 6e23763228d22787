//! libpq's connection strings: what we add to them, and what of them may be shown. Pure.

/// Words that a `key=value` string can begin with; what begins otherwise is no such string.
const WORDS: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "service",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslpassword",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What is added where neither the string nor the environment says it: a server that is silent must not hold a
/// partition for the hours that TCP waits. Seconds, but for `tcp_user_timeout` (milliseconds).
#[cfg(feature = "postgres")]
const ADDED: &[(&str, &str, &str)] = &[
    ("connect_timeout", "10", "PGCONNECT_TIMEOUT"),
    ("keepalives_idle", "30", ""),
    ("keepalives_interval", "10", ""),
    ("keepalives_count", "3", ""),
    ("tcp_user_timeout", "60000", ""),
    ("fallback_application_name", "django-kafka-rs", ""),
];

/// Whether it is a `postgres://` or `postgresql://` URL.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether it is a `key=value …` string of libpq's.
pub(super) fn is_pairs(text: &str) -> bool {
    text.split_once('=').is_some_and(|(word, _)| WORDS.contains(&word.trim()))
}

/// The string with our timeouts, where it says nothing of them.
#[cfg(feature = "postgres")]
pub(super) fn with_timeouts(text: &str, environment: impl Fn(&str) -> bool) -> String {
    let said: Vec<String> = if is_url(text) {
        let query = text.split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect()
    } else {
        pairs(text).into_iter().map(|(word, _)| word).collect()
    };
    let missing = ADDED.iter().filter(|(word, _, variable)| {
        !said.iter().any(|s| s == word) && (variable.is_empty() || !environment(variable))
    });
    let mut full = text.to_owned();
    for (word, value, _) in missing {
        full.push(match (is_url(text), full.contains('?')) {
            (false, _) => ' ',
            (true, false) => '?',
            (true, true) => '&',
        });
        full.extend([word, "=", value]);
    }
    full
}

/// A `key=value` string as it may be shown: where to, and as whom.
pub(super) fn masked_pairs(text: &str) -> String {
    const SHOWN: &[&str] = &["host", "hostaddr", "port", "dbname", "user", "sslmode", "service"];
    let shown: Vec<_> = pairs(text)
        .into_iter()
        .map(|(word, value)| {
            let value = if SHOWN.contains(&word.as_str()) { value } else { "***".to_owned() };
            format!("{word}={value}")
        })
        .collect();
    shown.join(" ")
}

/// What libpq says, without what it repeats of the connection string: a mistake there is told in words that may hold
/// the password.
#[cfg(feature = "postgres")]
pub(super) fn masked_error(said: &str) -> String {
    let about_the_string = ["connection info string", "connection string", "URI", "percent-encoded"];
    if about_the_string.iter().any(|words| said.contains(words)) {
        return "libpq does not understand `database_url`; in a URL, write the special characters of user and password \
                as %XX; in a `key=value` string, put values with blanks in single quotes"
            .to_owned();
    }
    said.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The words and values of a `key=value` string, by libpq's rules. What is no pair is left out.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let word: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        if chars.next().is_none() {
            return pairs;
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '\'' if quoted => break,
                '\\' => value.extend(chars.next()),
                c => value.push(c),
            }
        }
        pairs.push((word.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        assert!(is_url("postgres://h/d") && is_url("postgresql://h/d") && !is_url("sqlite://x"));
        assert!(is_pairs("host=/tmp dbname = shop") && is_pairs("dbname=shop"));
        assert!(!is_pairs("what=this.sqlite3") && !is_pairs("rows.sqlite3"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn timeouts_are_added_where_nothing_is_said() {
        let url = with_timeouts("postgres://h/d?connect_timeout=3", |_| false);
        assert!(url.starts_with("postgres://h/d?connect_timeout=3&keepalives_idle=30&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
        let url = with_timeouts("postgres://h/d", |variable| variable == "PGCONNECT_TIMEOUT");
        assert!(url.starts_with("postgres://h/d?keepalives_idle=30&") && !url.contains("connect_timeout"), "{url}");
        let text = with_timeouts("host=h keepalives_idle='5'", |_| false);
        assert!(text.starts_with("host=h keepalives_idle='5' connect_timeout=10 keepalives_interval=10 "), "{text}");
    }

    #[test]
    fn pairs_are_read_as_libpq_does() {
        let text = r"host=h  password = 'it\'s a = b' user=me\ too options='-c a=b'";
        let read: Vec<_> = pairs(text);
        let read: Vec<_> = read.iter().map(|(word, value)| (word.as_str(), value.as_str())).collect();
        assert_eq!(read, [("host", "h"), ("password", "it's a = b"), ("user", "me too"), ("options", "-c a=b")]);
        assert_eq!(masked_pairs(text), "host=h password=*** user=me too options=***");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn errors_about_the_string_are_not_repeated() {
        let text = masked_error("missing \"=\" after \"secret\" in connection info string\n");
        assert!(!text.contains("secret") && text.contains("%XX"), "{text}");
        assert_eq!(
            masked_error("connection to server failed:\n\tIs it running?\n"),
            "connection to server failed: Is it running?"
        );
    }
}
