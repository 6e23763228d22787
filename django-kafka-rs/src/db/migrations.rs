//! Migrations: our own tables, then the user's.
//!
//! Ours are recorded in a table of their own. In Diesel's table they would be the last ones applied, and
//! `diesel migration revert` in the user's project would stop at a version that it cannot find.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Database, DbConn, transaction};
use crate::error::BoxError;

const OURS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

diesel::table! {
    django_kafka_migration (version) {
        version -> Text,
    }
}

/// A migration that did not run.
#[derive(Debug, thiserror::Error)]
#[error("migration `{name}`: {source}")]
pub(crate) struct MigrationFailed {
    name: String,
    #[source]
    source: BoxError,
}

/// Runs what is not applied yet, ours first, and gives the names of what ran.
///
/// # Errors
/// A migration failed; those before it stay applied, itself is rolled back (unless it says it wants no
/// transaction).
pub(crate) fn run(database: &Database, user: Option<&EmbeddedMigrations>) -> Result<Vec<String>, MigrationFailed> {
    let mut writer = database.writer().map_err(failed("the connection"))?;
    let conn = &mut *writer;
    let mut ran = run_ours(conn)?;
    let DbConn::Sqlite(sqlite) = conn;
    let Some(user) = user else { return Ok(ran) };
    for migration in sqlite.pending_migrations(Borrowed(user)).map_err(failed("the list of migrations"))? {
        let name = migration.name().to_string();
        sqlite.run_migration(&*migration).map_err(failed(&name))?;
        ran.push(name);
    }
    Ok(ran)
}

/// The names of what [`run`] would run.
///
/// # Errors
/// The database does not answer.
pub(crate) fn pending(database: &Database, user: Option<&EmbeddedMigrations>) -> Result<Vec<String>, MigrationFailed> {
    let mut writer = database.writer().map_err(failed("the connection"))?;
    let conn = &mut *writer;
    let mut names: Vec<_> = pending_of_ours(conn)?.iter().map(|m| m.name().to_string()).collect();
    let DbConn::Sqlite(sqlite) = conn;
    if let Some(user) = user {
        let of_user = sqlite.pending_migrations(Borrowed(user)).map_err(failed("the list of migrations"))?;
        names.extend(of_user.iter().map(|m| m.name().to_string()));
    }
    Ok(names)
}

fn run_ours(conn: &mut DbConn) -> Result<Vec<String>, MigrationFailed> {
    let mut ran = Vec::new();
    for migration in pending_of_ours(conn)? {
        let name = migration.name().to_string();
        transaction::begin_write(conn).map_err(failed(&name))?;
        let done = apply(conn, &*migration).and_then(|()| Ok(transaction::commit(conn)?));
        if let Err(source) = done {
            // Where this fails too, the connection is given up with its transaction.
            let _ = transaction::rollback_to(conn, 0);
            return Err(failed(&name)(source));
        }
        ran.push(name);
    }
    Ok(ran)
}

fn apply(conn: &mut DbConn, migration: &dyn Migration<Sqlite>) -> Result<(), BoxError> {
    let version = migration.name().version().to_string();
    let DbConn::Sqlite(sqlite) = conn;
    // Another process may have been first while this one waited for the lock.
    let known = django_kafka_migration::table.find(&version).count().get_result::<i64>(sqlite)?;
    if known == 0 {
        migration.run(sqlite)?;
        diesel::insert_into(django_kafka_migration::table)
            .values(django_kafka_migration::version.eq(version))
            .execute(sqlite)?;
    }
    Ok(())
}

fn pending_of_ours(conn: &mut DbConn) -> Result<Vec<Box<dyn Migration<Sqlite>>>, MigrationFailed> {
    let DbConn::Sqlite(sqlite) = conn;
    without_applied(sqlite).map_err(failed("the list of our own migrations"))
}

fn without_applied(sqlite: &mut SqliteConnection) -> Result<Vec<Box<dyn Migration<Sqlite>>>, BoxError> {
    sqlite.batch_execute(
        "CREATE TABLE IF NOT EXISTS django_kafka_migration (\
         version TEXT NOT NULL PRIMARY KEY, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )?;
    let applied: Vec<String> = django_kafka_migration::table.select(django_kafka_migration::version).load(sqlite)?;
    let mut all = MigrationSource::<Sqlite>::migrations(&OURS)?;
    all.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    all.retain(|migration| !applied.contains(&migration.name().version().to_string()));
    Ok(all)
}

fn failed<E: Into<BoxError>>(name: &str) -> impl FnOnce(E) -> MigrationFailed {
    let name = name.to_owned();
    move |source| MigrationFailed { name, source: source.into() }
}

/// `EmbeddedMigrations` is neither `Clone` nor a source by reference.
struct Borrowed<'a>(&'a EmbeddedMigrations);

impl MigrationSource<Sqlite> for Borrowed<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<Sqlite>>>> {
        self.0.migrations()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::DatabaseSettings;

    fn open() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let database = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        (folder, database)
    }

    fn execute(database: &Database, sql: &str) -> QueryResult<usize> {
        let DbConn::Sqlite(conn) = &mut *database.writer().unwrap();
        diesel::sql_query(sql).execute(conn)
    }

    const NAME: &str = "djangokafka-0001_canary";

    #[test]
    fn our_own_run_once() {
        let (_folder, database) = open();
        assert_eq!(pending(&database, None).unwrap(), [NAME]);
        assert_eq!(run(&database, None).unwrap(), [NAME]);
        assert_eq!(pending(&database, None).unwrap(), [""; 0]);
        assert_eq!(run(&database, None).unwrap(), [""; 0]);
        execute(&database, "INSERT INTO django_kafka_canary VALUES (1)").unwrap();
    }

    #[test]
    fn the_users_run_after_ours_and_stay_revertible() {
        // Any embedded migrations serve as a user's; these are at hand.
        const USERS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
        let user = USERS;
        let (_folder, database) = open();
        run(&database, None).unwrap();
        execute(&database, "DROP TABLE django_kafka_canary").unwrap();
        assert_eq!(pending(&database, Some(&user)).unwrap(), [NAME]);
        assert_eq!(run(&database, Some(&user)).unwrap(), [NAME]);
        assert_eq!(run(&database, Some(&user)).unwrap(), [""; 0]);
        {
            let DbConn::Sqlite(sqlite) = &mut *database.writer().unwrap();
            sqlite.revert_last_migration(Borrowed(&user)).unwrap();
        }
        assert_eq!(pending(&database, Some(&user)).unwrap(), [NAME]);
    }

    #[test]
    fn a_failure_names_the_migration_and_changes_nothing() {
        let (_folder, database) = open();
        execute(&database, "CREATE TABLE django_kafka_canary (x)").unwrap();
        let text = run(&database, None).unwrap_err().to_string();
        assert!(text.contains(NAME) && text.contains("already exists"), "{text}");
        assert_eq!(pending(&database, None).unwrap(), [NAME]);
        execute(&database, "BEGIN").unwrap();
    }
}
