//! Databases: one of its own for each test, asked by `psql`, and the replica that a service writes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::address;

/// A database on the stack's PostgreSQL, dropped at the end.
pub(crate) struct Postgres {
    name: String,
    server: String,
}

impl Postgres {
    /// A new, empty database of this name.
    pub(crate) fn create(name: &str) -> Self {
        Self::create_on(&address("DATABASE_URL"), name)
    }

    /// The same on another server, named by the URL of one of its databases.
    pub(crate) fn create_on(server: &str, name: &str) -> Self {
        psql(server, &format!("create database {name}")).unwrap();
        Self { name: name.to_owned(), server: server.to_owned() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// The stack's superuser, host and port, as Debezium wants them.
    pub(crate) fn parts(&self) -> [(&'static str, String); 5] {
        let url = self.url();
        let (login, place) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (host, port) = place.split_once('/').unwrap().0.split_once(':').unwrap();
        [
            ("database.hostname", host.to_owned()),
            ("database.port", port.to_owned()),
            ("database.dbname", self.name.clone()),
            ("database.user", user.to_owned()),
            ("database.password", password.to_owned()),
        ]
    }

    /// Runs the statements; gives what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.try_sql(statements).unwrap()
    }

    pub(crate) fn try_sql(&self, statements: &str) -> Result<String, String> {
        psql(&self.url(), statements)
    }

    /// The table's rows as PostgreSQL writes them out, one text each, by the first column. Two tables are equal, to
    /// the last bit of each value, when these are.
    pub(crate) fn rows(&self, table: &str, columns: &str) -> Vec<String> {
        let text = self.sql(&format!("copy (select {columns} from {table} order by 1) to stdout"));
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A slot outlives its connector, and holds its database.
        let _ = self.try_sql(&format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '{}'",
            self.name
        ));
        let _ = psql(&self.server, &format!("drop database {} with (force)", self.name));
    }
}

pub(crate) fn psql(url: &str, statements: &str) -> Result<String, String> {
    // Debian keeps the server's own programs out of PATH, but not this one.
    let mut command = Command::new("psql");
    command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]).arg(url).env("PGCONNECT_TIMEOUT", "5");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Closed at once, so that psql sees the end.
    child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Where a service keeps its rows.
pub(crate) enum Replica {
    Sqlite { file: PathBuf },
    Postgres(Postgres),
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

impl Replica {
    /// A file in this folder.
    pub(crate) fn sqlite(folder: &Path) -> Self {
        Self::Sqlite { file: folder.join("replica.sqlite3") }
    }

    /// A database beside the one of this name, on the stack's PostgreSQL.
    pub(crate) fn postgres(name: &str) -> Self {
        Self::postgres_on(&address("DATABASE_URL"), name)
    }

    /// The same on another server.
    pub(crate) fn postgres_on(server: &str, name: &str) -> Self {
        Self::Postgres(Postgres::create_on(server, &format!("{name}_replica")))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite { file } => format!("sqlite://{}", file.display()),
            Self::Postgres(database) => database.url(),
        }
    }

    /// Runs statements that both databases understand.
    pub(crate) fn sql(&self, statements: &str) {
        match self {
            Self::Sqlite { .. } => self.connect().batch_execute(statements).unwrap(),
            Self::Postgres(database) => drop(database.sql(statements)),
        }
    }

    /// As [`Postgres::rows`]; SQLite's values are written as PostgreSQL writes them, for integers, text and null.
    pub(crate) fn rows(&self, table: &str, columns: &[&str]) -> Vec<String> {
        match self {
            Self::Postgres(database) => database.rows(table, &columns.join(", ")),
            Self::Sqlite { .. } => {
                let line: Vec<String> =
                    columns.iter().map(|column| format!("coalesce(replace({column}, '\\', '\\\\'), '\\N')")).collect();
                let line = line.join(" || char(9) || ");
                let query = format!("select {line} as line from {table} order by {}", columns[0]);
                let lines: QueryResult<Vec<Line>> = diesel::sql_query(query).load(&mut self.connect());
                lines.unwrap().into_iter().map(|line| line.line).collect()
            }
        }
    }

    fn connect(&self) -> SqliteConnection {
        let Self::Sqlite { file } = self else { panic!("not a SQLite replica") };
        let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        connection.batch_execute("pragma busy_timeout = 5000").unwrap();
        connection
    }
}
