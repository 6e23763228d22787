//! Migrations: our own tables, then the user's.
//!
//! Ours are recorded in a table of their own. In Diesel's table they would be the last ones applied, and
//! `diesel migration revert` in the user's project would stop at a version that it cannot find.

use diesel::backend::Backend;
#[cfg(feature = "postgres")]
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Database, DbConn};
use crate::error::BoxError;

diesel::table! {
    django_kafka_migration (version) {
        version -> Text,
    }
}

/// The list of ours that ran. Understood by both.
const LIST: &str = "CREATE TABLE IF NOT EXISTS django_kafka_migration (\
    version TEXT NOT NULL PRIMARY KEY, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

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
    let mut conn = database.writer().map_err(failed("the connection"))?;
    let ran = match &mut *conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => run_on(pg, user),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => run_on(sqlite, user),
    };
    // Its limits and its lock are not the next one's.
    conn.close();
    ran
}

/// The names of what [`run`] would run.
///
/// # Errors
/// The database does not answer.
pub(crate) fn pending(database: &Database, user: Option<&EmbeddedMigrations>) -> Result<Vec<String>, MigrationFailed> {
    let mut conn = database.writer().map_err(failed("the connection"))?;
    let names = match &mut *conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => pending_on(pg, user),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => pending_on(sqlite, user),
    };
    conn.close();
    names
}

fn run_on<C: Migrated>(conn: &mut C, user: Option<&EmbeddedMigrations>) -> Result<Vec<String>, MigrationFailed>
where
    EmbeddedMigrations: MigrationSource<C::Backend>,
{
    conn.migrate_alone().map_err(failed("the connection"))?;
    let mut ran = Vec::new();
    for migration in pending_of_ours(conn)? {
        let name = migration.name().to_string();
        conn.apply(&*migration).map_err(failed(&name))?;
        ran.push(name);
    }
    let Some(user) = user else { return Ok(ran) };
    for migration in conn.pending_migrations(Borrowed(user)).map_err(failed("the list of migrations"))? {
        let name = migration.name().to_string();
        conn.run_migration(&*migration).map_err(failed(&name))?;
        ran.push(name);
    }
    Ok(ran)
}

fn pending_on<C: Migrated>(conn: &mut C, user: Option<&EmbeddedMigrations>) -> Result<Vec<String>, MigrationFailed>
where
    EmbeddedMigrations: MigrationSource<C::Backend>,
{
    conn.migrate_alone().map_err(failed("the connection"))?;
    let mut names: Vec<_> = pending_of_ours(conn)?.iter().map(|m| m.name().to_string()).collect();
    if let Some(user) = user {
        let of_user = conn.pending_migrations(Borrowed(user)).map_err(failed("the list of migrations"))?;
        names.extend(of_user.iter().map(|m| m.name().to_string()));
    }
    Ok(names)
}

/// A database's migrations that are not applied yet.
type Pending<C> = Vec<Box<dyn Migration<<C as Connection>::Backend>>>;

fn pending_of_ours<C: Migrated>(conn: &mut C) -> Result<Pending<C>, MigrationFailed>
where
    EmbeddedMigrations: MigrationSource<C::Backend>,
{
    let list = |conn: &mut C| -> Result<Pending<C>, BoxError> {
        conn.batch_execute(LIST)?;
        let applied = conn.applied()?;
        let mut all = MigrationSource::<C::Backend>::migrations(&C::OURS)?;
        all.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
        all.retain(|migration| !applied.contains(&migration.name().version().to_string()));
        Ok(all)
    };
    list(conn).map_err(failed("the list of our own migrations"))
}

/// What differs between the databases. Diesel's own bounds, for the same queries on any of them, fill a page.
trait Migrated: MigrationHarness<Self::Backend> + Connection {
    /// Our own migrations.
    const OURS: EmbeddedMigrations;

    /// Makes this connection the only one that migrates, for as long as it is open.
    fn migrate_alone(&mut self) -> QueryResult<()>;

    /// The versions of ours that ran.
    fn applied(&mut self) -> QueryResult<Vec<String>>;

    /// Runs one of ours in a transaction, and remembers it.
    fn apply(&mut self, migration: &dyn Migration<Self::Backend>) -> Result<(), BoxError>;
}

#[cfg(feature = "postgres")]
impl Migrated for PgConnection {
    const OURS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

    fn migrate_alone(&mut self) -> QueryResult<()> {
        // `CREATE TABLE IF NOT EXISTS` does not bear two at the same time. The lock's number is this library's own; it
        // ends with the connection. A migration takes the time that it takes.
        self.batch_execute(
            "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
             SELECT pg_advisory_lock(7236845901273648)",
        )
    }

    fn applied(&mut self) -> QueryResult<Vec<String>> {
        django_kafka_migration::table.select(django_kafka_migration::version).load(self)
    }

    fn apply(&mut self, migration: &dyn Migration<Self::Backend>) -> Result<(), BoxError> {
        let version = migration.name().version().to_string();
        self.transaction(|conn| {
            migration.run(conn)?;
            remember(version).execute(conn)?;
            Ok(())
        })
    }
}

#[cfg(feature = "sqlite")]
impl Migrated for SqliteConnection {
    const OURS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

    /// Nothing has to be done: each transaction is alone.
    fn migrate_alone(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn applied(&mut self) -> QueryResult<Vec<String>> {
        django_kafka_migration::table.select(django_kafka_migration::version).load(self)
    }

    fn apply(&mut self, migration: &dyn Migration<Self::Backend>) -> Result<(), BoxError> {
        let version = migration.name().version().to_string();
        self.immediate_transaction(|conn| {
            // Another process may have been first while this one waited for the lock.
            if django_kafka_migration::table.find(&version).count().get_result::<i64>(conn)? == 0 {
                migration.run(conn)?;
                remember(version).execute(conn)?;
            }
            Ok(())
        })
    }
}

/// `INSERT INTO django_kafka_migration …`
fn remember(
    version: String,
) -> diesel::query_builder::InsertStatement<
    django_kafka_migration::table,
    <diesel::dsl::Eq<django_kafka_migration::version, String> as Insertable<django_kafka_migration::table>>::Values,
> {
    diesel::insert_into(django_kafka_migration::table).values(django_kafka_migration::version.eq(version))
}

fn failed<E: Into<BoxError>>(name: &str) -> impl FnOnce(E) -> MigrationFailed {
    let name = name.to_owned();
    move |source| MigrationFailed { name, source: source.into() }
}

/// `EmbeddedMigrations` is neither `Clone` nor a source by reference.
struct Borrowed<'a>(&'a EmbeddedMigrations);

impl<DB: Backend> MigrationSource<DB> for Borrowed<'_>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        self.0.migrations()
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
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
        let mut writer = database.writer().unwrap();
        let conn = writer.sqlite();
        diesel::sql_query(sql).execute(conn)
    }

    const NAME: &str = "djangokafka-0001_canary";

    /// All of ours, in the order in which they run.
    fn ours() -> Vec<Box<dyn Migration<diesel::sqlite::Sqlite>>> {
        let mut all = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SqliteConnection::OURS).unwrap();
        all.sort_by_key(|migration| migration.name().version().to_string());
        all
    }

    fn names() -> Vec<String> {
        ours().iter().map(|migration| migration.name().to_string()).collect()
    }

    #[test]
    fn our_own_run_once() {
        let (_folder, database) = open();
        assert_eq!(names()[0], NAME);
        assert_eq!(pending(&database, None).unwrap(), names());
        assert_eq!(run(&database, None).unwrap(), names());
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
        for migration in ours().iter().rev() {
            migration.revert(&mut *database.writer().unwrap().sqlite()).unwrap();
        }
        assert_eq!(pending(&database, Some(&user)).unwrap(), names());
        assert_eq!(run(&database, Some(&user)).unwrap(), names());
        assert_eq!(run(&database, Some(&user)).unwrap(), [""; 0]);
        {
            let mut writer = database.writer().unwrap();
            let sqlite = writer.sqlite();
            sqlite.revert_last_migration(Borrowed(&user)).unwrap();
        }
        assert_eq!(pending(&database, Some(&user)).unwrap(), names()[names().len() - 1..]);
    }

    #[test]
    fn a_failure_names_the_migration_and_changes_nothing() {
        let (_folder, database) = open();
        execute(&database, "CREATE TABLE django_kafka_canary (x)").unwrap();
        let text = run(&database, None).unwrap_err().to_string();
        assert!(text.contains(NAME) && text.contains("already exists"), "{text}");
        assert_eq!(pending(&database, None).unwrap(), names());
        execute(&database, "BEGIN").unwrap();
    }
}
