//! Connections to PostgreSQL.

use diesel::connection::SimpleConnection;
use diesel::{Connection, ConnectionError, PgConnection, RunQueryDsl};

use super::super::{DbConn, libpq};

/// Limits of a session where neither the server, the role, the database nor the URL has set one. A statement that
/// waits for ever would hold its partition; a process that was stopped in a transaction would hold its locks.
const LIMITS: &str = "
SELECT set_config(s.name, v.value, false)
FROM (VALUES ('lock_timeout', '10s'), ('statement_timeout', '60s'), ('idle_in_transaction_session_timeout', '60s'))
    AS v (name, value) JOIN pg_settings s USING (name)
WHERE s.setting = '0'";

/// Opens connections.
pub(super) struct Opener {
    /// What libpq takes, with timeouts.
    url: String,
}

impl Opener {
    pub(super) fn new(url: &str) -> Self {
        let url = libpq::with_timeouts(url, |variable| std::env::var_os(variable).is_some());
        Self { url }
    }

    /// Opens a connection, or says why not.
    pub(super) fn open(&self) -> Result<DbConn, String> {
        let mut conn = PgConnection::establish(&self.url).map_err(|error| match error {
            ConnectionError::BadConnection(said) => libpq::masked_error(&said),
            // Of the URL's bytes or of the session's first statements.
            other => libpq::masked_error(&other.to_string()),
        })?;
        diesel::sql_query(LIMITS).execute(&mut conn).map_err(|error| error.to_string())?;
        // Errors are told apart by their words (Diesel drops their codes), and the words are the server's language.
        // Where this role may not choose it, the server's own must do.
        let _ = conn.batch_execute("SET lc_messages = 'C'");
        Ok(DbConn::Pg(conn))
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::Text;

    use super::super::super::{DatabaseSettings, migrations, scratch::Scratch};
    use super::super::Database;
    use super::*;

    fn setting(conn: &mut DbConn, name: &str) -> String {
        let DbConn::Pg(pg) = conn else { panic!("PostgreSQL was asked for") };
        diesel::select(diesel::dsl::sql::<Text>(&format!("current_setting('{name}')"))).get_result(pg).unwrap()
    }

    #[test]
    fn sessions_have_limits_and_the_urls_go_before_ours() {
        let Some(schema) = Scratch::new() else { return };
        let url = format!("{}%20-cstatement_timeout%3D7s", schema.url());
        let database = Database::open(&DatabaseSettings::new(url)).unwrap();
        let mut conn = database.writer().unwrap();
        let said = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "application_name"]
            .map(|name| setting(&mut conn, name));
        assert_eq!(said, ["10s", "7s", "1min", "django-kafka-rs"]);
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_named_without_its_password() {
        for url in [
            "postgres://me:s3cret@127.0.0.1:1/db",
            "host=127.0.0.1 port=1 user=me password=s3cret dbname=db",
            "postgres://me:s3cret%zz@127.0.0.1:1/db",
        ] {
            let text = Database::open(&DatabaseSettings::new(url)).unwrap_err().to_string();
            assert!(
                text.contains("cannot be opened") && text.contains("127.0.0.1") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }

    #[test]
    fn transactions_run_side_by_side_up_to_the_pools_size() {
        let Some(schema) = Scratch::new() else { return };
        let settings = DatabaseSettings { pool_size: 2, ..DatabaseSettings::new(schema.url()) };
        let database = Database::open(&settings).unwrap();
        let (first, second) = (database.begin().unwrap(), database.begin().unwrap());
        let waiting = database.clone();
        let third = std::thread::spawn(move || waiting.begin().map(drop).is_ok());
        drop(first);
        assert!(third.join().unwrap());
        drop(second);
        database.ping().unwrap();
    }

    #[test]
    fn programs_that_start_together_migrate_once() {
        let Some(schema) = Scratch::new() else { return };
        let database = Database::open(&DatabaseSettings::new(schema.url())).unwrap();
        let ours = migrations::pending(&database, None).unwrap().len();
        let all: Vec<_> = (0..4)
            .map(|_| {
                let database = database.clone();
                std::thread::spawn(move || migrations::run(&database, None).unwrap().len())
            })
            .collect();
        let ran: usize = all.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(ran, ours);
        assert_eq!(migrations::pending(&database, None).unwrap(), [""; 0]);
    }
}
