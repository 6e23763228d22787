//! A database of this run's own, dropped at its end.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::{Failure, KEYS};

const TABLE: &str = "
create table accounts (
    id bigint primary key,
    name text not null,
    email text,
    active boolean not null,
    score double precision not null,
    version bigint not null,
    born date not null,
    updated timestamp not null
)";

/// An owner for each account that may come: rows that the messages' relations refer to.
const OWNERS: &str = "
create table owners (id bigint primary key);
insert into owners select * from generate_series(0, {keys});
analyze owners";

/// For who writes dates and times as the numbers that messages have.
const RAW_TABLE: &str = "
create table raw_accounts (
    id bigint primary key,
    name text not null,
    email text,
    active boolean not null,
    score double precision not null,
    version bigint not null,
    born integer not null,
    updated bigint not null
)";

/// The same rows.
const OF_RAW: &str = "(select id, name, email, active, score, version, date '1970-01-01' + born as born,
    timestamp '1970-01-01' + updated * interval '1 microsecond' as updated from raw_accounts)";

pub(crate) struct Database {
    name: String,
    /// Of a database that is there already.
    server: String,
    url: String,
}

impl Database {
    pub(crate) fn create(server: &str, name: &str) -> Result<Self, Failure> {
        let (host, _) = server.rsplit_once('/').ok_or("DATABASE_URL names no database")?;
        PgConnection::establish(server)?.batch_execute(&format!("create database {name}"))?;
        let database = Self { name: name.to_owned(), server: server.to_owned(), url: format!("{host}/{name}") };
        database.connect()?.batch_execute(&format!("{TABLE};{RAW_TABLE}"))?;
        database.connect()?.batch_execute(&OWNERS.replace("{keys}", &KEYS.to_string()))?;
        Ok(database)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Empties the tables, and lets the server put away what earlier runs left to it.
    pub(crate) fn empty(&self) -> Result<(), Failure> {
        Ok(self.connect()?.batch_execute("truncate accounts, raw_accounts; checkpoint")?)
    }

    pub(crate) fn execute(&self, statements: &str) -> Result<(), Failure> {
        Ok(self.connect()?.batch_execute(statements)?)
    }

    /// The number that a query gives as `rows`.
    pub(crate) fn count(&self, query: &str) -> Result<u64, Failure> {
        #[derive(QueryableByName)]
        struct Found {
            #[diesel(sql_type = BigInt)]
            rows: i64,
        }
        let found: Found = diesel::sql_query(query).get_result(&mut self.connect()?)?;
        Ok(u64::try_from(found.rows)?)
    }

    /// How many rows there are, and a hash over all of them. `raw`: of the other table, as if they were in this one.
    pub(crate) fn rows(&self, raw: bool) -> Result<(u64, String), Failure> {
        #[derive(QueryableByName)]
        struct Found {
            #[diesel(sql_type = BigInt)]
            rows: i64,
            #[diesel(sql_type = Text)]
            hash: String,
        }
        let table = if raw { OF_RAW } else { "accounts" };
        let query = format!(
            "select count(*) as rows, coalesce(sum(hashtextextended(a::text, 0)), 0)::text as hash from {table} a"
        );
        let found: Found = diesel::sql_query(query).get_result(&mut self.connect()?)?;
        Ok((u64::try_from(found.rows)?, found.hash))
    }

    fn connect(&self) -> Result<PgConnection, Failure> {
        Ok(PgConnection::establish(&self.url)?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = PgConnection::establish(&self.server)
            .map_err(Failure::from)
            .and_then(|mut conn| Ok(conn.batch_execute(&format!("drop database {} with (force)", self.name))?));
        if let Err(error) = dropped {
            eprintln!("bench: the database {} is left: {error}", self.name);
        }
    }
}
