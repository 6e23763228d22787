//! Where the database is and how it is opened.

use std::time::Duration;

use super::{DatabaseError, libpq};

/// How the database is opened.
#[derive(Clone)]
pub(crate) struct DatabaseSettings {
    /// `postgres://…`, libpq's `key=value …`, `sqlite://path`, `sqlite:path`, `file:path?…` or a plain path.
    pub url: String,
    /// Connections at most; above 0, 4 by default. On SQLite for reading: writing has one more of its own.
    pub pool_size: u32,
    /// How long SQLite waits for another process's lock. 5 s by default.
    pub busy_timeout: Duration,
    /// What a commit waits for.
    pub synchronous: Synchronous,
}

/// SQLite's `PRAGMA synchronous`: what a power failure may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// A power failure can lose rows whose offsets were committed to Kafka.
    Normal,
    /// Nothing committed is lost. The default: with offsets in Kafka a row that was lost after its offset was
    /// committed would never come again.
    #[default]
    Full,
}

impl Synchronous {
    /// As the settings and SQLite write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

impl DatabaseSettings {
    /// The defaults with this URL.
    #[cfg(test)]
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 4,
            busy_timeout: Duration::from_secs(5),
            synchronous: Synchronous::default(),
        }
    }
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("url", &masked(&self.url))
            .field("pool_size", &self.pool_size)
            .field("busy_timeout", &self.busy_timeout)
            .field("synchronous", &self.synchronous)
            .finish()
    }
}

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// What libpq takes.
    #[cfg(feature = "postgres")]
    Pg(String),
    /// What `sqlite3_open` takes: a path, or a `file:` URI where the URL has parameters.
    #[cfg(feature = "sqlite")]
    Sqlite(String),
}

/// Reads a URL.
///
/// # Errors
/// It names nothing, a database in memory, or a backend that this build does not have.
pub(super) fn target(url: &str) -> Result<Target, DatabaseError> {
    let url = url.trim();
    let wrong = |text: String| Err(DatabaseError::Settings(text));
    if url.is_empty() {
        return wrong(format!("`database_url` is empty; {FORMS}"));
    }
    if libpq::is_url(url) || libpq::is_pairs(url) {
        return postgres(url);
    }
    if let Some((scheme, _)) = url.split_once("://")
        && scheme != "sqlite"
    {
        return wrong(format!(
            "`database_url` names a kind of database that is not known: `{scheme}` (in `{}`); {FORMS}",
            masked(url)
        ));
    }
    sqlite(url)
}

#[cfg(feature = "postgres")]
#[expect(clippy::unnecessary_wraps, reason = "as the other backends' functions")]
fn postgres(url: &str) -> Result<Target, DatabaseError> {
    Ok(Target::Pg(url.to_owned()))
}

#[cfg(not(feature = "postgres"))]
fn postgres(url: &str) -> Result<Target, DatabaseError> {
    Err(DatabaseError::Settings(format!(
        "`database_url` names PostgreSQL (`{}`), which this build does not have: turn on the feature `postgres` of \
         `django-kafka-rs`; {FORMS}",
        masked(url)
    )))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(url: &str) -> Result<Target, DatabaseError> {
    Err(DatabaseError::Settings(format!(
        "`database_url` names an SQLite database (`{}`), which this build does not have: turn on the feature `sqlite` \
         of `django-kafka-rs`; {FORMS}",
        masked(url)
    )))
}

#[cfg(feature = "sqlite")]
fn sqlite(url: &str) -> Result<Target, DatabaseError> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    let in_memory = path.is_empty()
        || path.strip_prefix("file:").unwrap_or(path).starts_with(":memory:")
        || path.contains("mode=memory");
    if in_memory {
        return Err(DatabaseError::Settings(
            "`database_url` names a database in memory: each connection would see another, empty one; name a file, \
             for a throw-away database one in a temporary folder"
                .to_owned(),
        ));
    }
    // A plain `?` is a legal character of a file's name; in a URL it begins the parameters.
    let is_url = path.len() < url.len();
    Ok(Target::Sqlite(if is_url && path.contains('?') && !path.starts_with("file:") {
        format!("file:{path}")
    } else {
        path.to_owned()
    }))
}

const FORMS: &str = match (cfg!(feature = "postgres"), cfg!(feature = "sqlite")) {
    (true, true) => {
        "write `postgres://user:password@host/database`, `sqlite://path/to/file.sqlite3`, or the path of an SQLite file"
    }
    (true, false) => "write `postgres://user:password@host/database`",
    (false, _) => "write `sqlite://path/to/file.sqlite3`, or the path alone",
};

/// The URL without what could be a password, for messages.
pub(crate) fn masked(url: &str) -> String {
    if libpq::is_pairs(url) {
        return libpq::masked_pairs(url);
    }
    let (head, parameters) = url.split_once('?').map_or((url, None), |(head, p)| (head, Some(p)));
    let mut shown = match head.split_once("://") {
        Some((scheme, rest)) => {
            // The last `@` before the path: passwords contain `@` more often than hosts do.
            let authority_end = rest.find('/').unwrap_or(rest.len());
            match rest[..authority_end].rsplit_once('@') {
                Some((user, host)) => {
                    let user = user.split_once(':').map_or(user, |(name, _)| name);
                    format!("{scheme}://{user}:***@{host}{}", &rest[authority_end..])
                }
                // A password with a `/` in it is no legal URL; nothing after the scheme is safe to show then.
                None if rest.contains('@') => format!("{scheme}://***"),
                None => head.to_owned(),
            }
        }
        None => head.to_owned(),
    };
    if let Some(parameters) = parameters {
        shown.push('?');
        let all: Vec<_> = parameters.split('&').map(masked_parameter).collect();
        shown.push_str(&all.join("&"));
    }
    shown
}

/// SQLite's own parameters are shown, the values of all others are not.
fn masked_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if !["mode", "cache", "vfs", "nolock", "immutable"].contains(&name) => format!("{name}=***"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "sqlite")]
    #[test]
    fn every_form_of_a_path_is_understood() {
        let check = |url, path: &str| assert_eq!(target(url).unwrap(), Target::Sqlite(path.to_owned()));
        check("sqlite://rows.sqlite3", "rows.sqlite3");
        check("sqlite:///var/rows.sqlite3", "/var/rows.sqlite3");
        check("sqlite:rows.sqlite3", "rows.sqlite3");
        check(" rows.sqlite3 ", "rows.sqlite3");
        check("sqlite://rows.sqlite3?cache=private", "file:rows.sqlite3?cache=private");
        check("file:rows.sqlite3?cache=private", "file:rows.sqlite3?cache=private");
        check("what?.sqlite3", "what?.sqlite3");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn every_form_of_a_server_is_understood() {
        for url in ["postgres://me@host/db", "postgresql:///db?host=/tmp", "host=/tmp dbname=db"] {
            assert_eq!(target(url).unwrap(), Target::Pg(url.to_owned()));
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn memory_is_refused_with_the_reason() {
        for url in [":memory:", "sqlite://:memory:", "file::memory:?cache=shared", "file:x?mode=memory", "sqlite:"] {
            let text = target(url).unwrap_err().to_string();
            assert!(text.contains("each connection would see another"), "{url}: {text}");
        }
    }

    #[test]
    fn other_databases_are_refused_with_the_forms_there_are() {
        let text = target("mysql://me:secret@host/db").unwrap_err().to_string();
        assert!(text.contains("`mysql`") && text.contains("write `") && !text.contains("secret"), "{text}");
        assert!(target("").unwrap_err().to_string().contains("is empty"));
    }

    #[cfg(not(feature = "postgres"))]
    #[test]
    fn a_build_without_postgresql_says_so() {
        let text = target("postgres://me:secret@host/db").unwrap_err().to_string();
        assert!(text.contains("PostgreSQL (`postgres://me:***@host/db`)"), "{text}");
        assert!(text.contains("feature `postgres`"), "{text}");
    }

    #[test]
    fn no_password_is_shown() {
        assert_eq!(masked("postgres://me:se@cret@host:5432/db"), "postgres://me:***@host:5432/db");
        assert_eq!(
            masked("postgres://host/db?user=me&password=x&mode=ro"),
            "postgres://host/db?user=***&password=***&mode=ro"
        );
        assert_eq!(masked("postgres://me:se/cr@et@host/db"), "postgres://***");
        assert_eq!(masked("host=h password='se cret' dbname=db"), "host=h password=*** dbname=db");
        assert_eq!(masked("sqlite://rows.sqlite3"), "sqlite://rows.sqlite3");
        assert_eq!(masked("rows.sqlite3"), "rows.sqlite3");
        assert!(!format!("{:?}", DatabaseSettings::new("postgres://me:secret@host/db")).contains("secret"));
    }
}
