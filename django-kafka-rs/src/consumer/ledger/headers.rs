//! A message's headers as text: JSON, values in base64, so that they survive the table whatever they hold. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::error::BoxError;
use crate::record::Headers;

type Pairs<'a> = Vec<(std::borrow::Cow<'a, str>, Option<String>)>;

/// `[["name", "dmFsdWU="], ["other", null]]`
pub(super) fn to_text(headers: &Headers) -> String {
    let pairs: Pairs<'_> =
        headers.iter().map(|(name, value)| (name.into(), value.map(|bytes| BASE64_STANDARD.encode(bytes)))).collect();
    serde_json::to_string(&pairs).expect("texts and nulls have a JSON form")
}

/// The way back.
///
/// # Errors
/// The text is none of ours.
pub(super) fn from_text(text: &str) -> Result<Headers, BoxError> {
    let pairs: Pairs<'_> = serde_json::from_str(text)?;
    let mut headers = Headers::new();
    for (name, value) in pairs {
        headers.push(name, value.map(|text| BASE64_STANDARD.decode(text)).transpose()?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_headers_come_back_as_they_were(
            pairs in proptest::collection::vec((".{0,12}", proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20))), 0..6),
        ) {
            let mut headers = Headers::new();
            for (name, value) in pairs {
                headers.push(name, value);
            }
            prop_assert_eq!(from_text(&to_text(&headers)).unwrap(), headers);
        }
    }

    #[test]
    fn what_is_none_of_ours_is_refused() {
        assert!(from_text("{}").is_err());
        assert!(from_text(r#"[["a", "no base64!"]]"#).is_err());
    }
}
