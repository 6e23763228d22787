//! The guard's table. Each backend has its own module: PostgreSQL locks rows and takes many in one statement, SQLite has
//! one writer and costs no round trips.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::borrow::Cow;

use chrono::NaiveDateTime;
use diesel::QueryResult;
use diesel::prelude::*;

use crate::db::DbConn;

diesel::table! {
    django_kafka_key_version (group, topic, partition, key) {
        group -> Text,
        topic -> Text,
        partition -> Integer,
        key -> Binary,
        offset -> BigInt,
        state -> Text,
        purge_after -> Nullable<Timestamp>,
    }
}

/// The keys of one partition of a topic, as one group has read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    pub partition: i32,
}

/// A key's row.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = django_kafka_key_version)]
pub(super) struct Stored {
    pub group: String,
    pub topic: String,
    pub partition: i32,
    /// See [`stored_key`].
    pub key: Vec<u8>,
    pub offset: i64,
    pub state: String,
    pub purge_after: Option<NaiveDateTime>,
}

/// Rows that one statement takes at most.
const ROWS_MAX: usize = 1_000;

/// Keys that are stored as they are, at most, in bytes: an index of PostgreSQL takes no more than 2700.
const KEY_BYTES_MAX: usize = 1_024;

/// A key as it is stored: itself, or where it is long its beginning and a hash of it all.
pub(super) fn stored_key(key: &[u8]) -> Cow<'_, [u8]> {
    if key.len() < KEY_BYTES_MAX {
        return Cow::Borrowed(key);
    }
    let hash = fnv1a_128(key).to_be_bytes();
    Cow::Owned([&key[..KEY_BYTES_MAX - hash.len()], &hash].concat())
}

/// A hash that is the same in every version of everything. Nobody gains by two keys that share one.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// The first keys that have a row, `limit` at most, of one partition or of all: each with its partition.
pub(super) fn first_keys(
    conn: &mut DbConn,
    (group, topic): (&str, &str),
    partition: Option<i32>,
    limit: i64,
) -> QueryResult<Vec<(i32, Vec<u8>)>> {
    use django_kafka_key_version as t;
    let all = t::table.filter(t::group.eq(group).and(t::topic.eq(topic))).select((t::partition, t::key)).limit(limit);
    // Two statements, each with a text of its own, so that both are prepared once.
    match (conn, partition) {
        #[cfg(feature = "postgres")]
        (DbConn::Pg(conn), Some(partition)) => all.filter(t::partition.eq(partition)).load(conn),
        #[cfg(feature = "postgres")]
        (DbConn::Pg(conn), None) => all.load(conn),
        #[cfg(feature = "sqlite")]
        (DbConn::Sqlite(conn), Some(partition)) => all.filter(t::partition.eq(partition)).load(conn),
        #[cfg(feature = "sqlite")]
        (DbConn::Sqlite(conn), None) => all.load(conn),
    }
}

/// The rows of these keys, which are ascending, locked until the transaction's end.
pub(super) fn load(conn: &mut DbConn, scope: Scope<'_>, keys: &[&[u8]]) -> QueryResult<Vec<Stored>> {
    let mut rows = Vec::new();
    for keys in keys.chunks(ROWS_MAX) {
        rows.extend(match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(conn) => postgres::load(conn, scope, keys)?,
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(conn) => sqlite::load(conn, scope, keys)?,
        });
    }
    Ok(rows)
}

/// Adds rows, which are ascending; gives how many there were not yet. The others stay as they are.
pub(super) fn add(conn: &mut DbConn, rows: &[Stored]) -> QueryResult<usize> {
    let mut added = 0;
    for rows in rows.chunks(ROWS_MAX) {
        added += match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(conn) => postgres::add(conn, rows)?,
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(conn) => sqlite::add(conn, rows)?,
        };
    }
    Ok(added)
}

/// Writes rows, which are ascending.
pub(super) fn put(conn: &mut DbConn, rows: &[Stored]) -> QueryResult<()> {
    for rows in rows.chunks(ROWS_MAX) {
        match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(conn) => postgres::put(conn, rows)?,
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(conn) => sqlite::put(conn, rows)?,
        }
    }
    Ok(())
}

/// Deletes rows of a topic whose time has come, a bounded number of them; gives how many.
pub(super) fn purge(conn: &mut DbConn, (group, topic): (&str, &str), now: NaiveDateTime) -> QueryResult<usize> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(conn) => postgres::purge(conn, group, topic, now),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(conn) => sqlite::purge(conn, group, topic, now),
    }
}

/// Rows that one purge takes at most, so that no batch pays for all of them.
const PURGED_MAX: i64 = 1_000;

/// Whether the table is there.
pub(super) fn exists(conn: &mut DbConn) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Exists {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        there: bool,
    }
    let found: Exists = match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(conn) => {
            diesel::sql_query("SELECT to_regclass('django_kafka_key_version') IS NOT NULL AS there").get_result(conn)?
        }
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(conn) => diesel::sql_query(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'django_kafka_key_version') AS there",
        )
        .get_result(conn)?,
    };
    Ok(found.there)
}
