//! Which values are secret, and how they are shown.

/// What stands where a secret was.
const MASK: &str = "***";

/// Words in a key whose value nobody may see.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "key.pem",
    "ssl_key",
    "api_key",
    "api.key",
    "access.key",
    "access_key",
    "private.key",
    "private_key",
    "user.info",
    "user_info",
    "jaas",
];

/// Properties under `sasl.` that are no secret; all others there are taken for one.
const OPEN_SASL: &[&str] = &["sasl.mechanism", "sasl.mechanisms"];

/// Whether the value of this key is a secret as a whole.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let sasl = key.split_once("sasl.").is_some_and(|(_, rest)| !OPEN_SASL.contains(&format!("sasl.{rest}").as_str()));
    sasl || SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// A value as it may be shown: secrets are masked, credentials inside of URLs too.
pub(crate) fn mask(key: &str, value: &str) -> String {
    if is_secret(key) && !value.is_empty() {
        return MASK.to_owned();
    }
    mask_query(&mask_user_info(value))
}

/// `scheme://user:password@host` becomes `scheme://***@host`, wherever it stands in the text.
fn mask_user_info(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let authority = after.find(['/', '?', '#', ',', ' ']).unwrap_or(after.len());
        // A password may hold a `/` that nobody escaped: look for the `@` up to the next separator of a list.
        let reach = after.find([',', ' ']).unwrap_or(after.len());
        rest = match after[..reach].rfind('@') {
            Some(at) if at < authority || !after[..at].contains('?') => {
                shown.push_str(MASK);
                &after[at..]
            }
            _ => after,
        };
    }
    shown.push_str(rest);
    shown
}

/// `?password=x&a=b` becomes `?password=***&a=b`.
fn mask_query(value: &str) -> String {
    let Some((before, query)) = value.split_once('?') else {
        return value.to_owned();
    };
    let shown: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{before}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::{is_secret, mask};

    #[test]
    fn secrets_are_masked_by_key() {
        for key in [
            "global_config.sasl.password",
            "sasl.username",
            "ssl.key.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
            "DB_PASSWORD",
            "topic_variables.api_token",
            "value.converter.basic.auth.user.info",
            "aws.access.key.id",
            "snowflake.private.key",
        ] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["sasl.mechanism", "global_config.sasl.mechanisms", "ssl.key.location", "client_id", "key_offset"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        let check = |value, expected: &str| assert_eq!(mask("database_url", value), expected);
        check("postgres://me:pa@ss@host/db", "postgres://***@host/db");
        check("postgres://me:pa/ss@host/db", "postgres://***@host/db");
        check("postgres://host/db?user=me&password=x&a=b", "postgres://host/db?user=me&password=***&a=b");
        check("http://host/a?mail=a@b", "http://host/a?mail=a@b");
        check("http://a:b@h1,http://c:d@h2", "http://***@h1,http://***@h2");
        check("sqlite://shop.sqlite3", "sqlite://shop.sqlite3");
    }
}
