//! The tracker's table, a module's worth for each database.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};
use diesel::{QueryResult, RunQueryDsl, sql_query};

use super::decide::{Latest, Seen};
use crate::db::DbConn;

/// A key's row: its identity, and what is known of it.
#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    key: Vec<u8>,
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    offset: i64,
}

/// When a row moves: forward in its partition. One whose offset is not below `high`, the partition's end, is of an
/// earlier life of the topic and begins anew. A key that has changed its partition goes by time, where times are known.
macro_rules! moves {
    ($high:literal) => {
        concat!(
            "ON CONFLICT (topic, key) DO UPDATE SET partition = excluded.partition, \"offset\" = excluded.\"offset\", ",
            "create_time = excluded.create_time, log_append_time = excluded.log_append_time ",
            "WHERE CASE WHEN t.partition = excluded.partition ",
            "THEN t.\"offset\" < excluded.\"offset\" OR t.\"offset\" >= ",
            $high,
            " ELSE coalesce(coalesce(excluded.log_append_time, excluded.create_time) >= ",
            "coalesce(t.log_append_time, t.create_time), TRUE) END"
        )
    };
}

/// Keys in one statement at most, on SQLite, which takes 32 766 values.
#[cfg(feature = "sqlite")]
const CHUNK: usize = 1_000;

/// Notes what was seen of one partition; gives how many rows moved. `high`: the partition's end, where it is known.
pub(super) fn note(
    conn: &mut DbConn,
    topic: &str,
    partition: i32,
    seen: &[Seen<'_>],
    high: Option<i64>,
) -> QueryResult<usize> {
    let high = high.unwrap_or(i64::MAX);
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => note_postgres(pg, topic, partition, seen, high),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => {
            seen.chunks(CHUNK).map(|chunk| note_sqlite(sqlite, topic, partition, chunk, high)).sum()
        }
    }
}

/// What is known of these keys of a topic.
pub(super) fn read(conn: &mut DbConn, topic: &str, keys: &[&[u8]]) -> QueryResult<Vec<(Vec<u8>, Latest)>> {
    let rows = match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => read_postgres(pg, topic, keys)?,
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => {
            let mut rows = Vec::new();
            for chunk in keys.chunks(CHUNK) {
                rows.extend(read_sqlite(sqlite, topic, chunk)?);
            }
            rows
        }
    };
    Ok(rows.into_iter().map(|row| (row.key, Latest { partition: row.partition, offset: row.offset })).collect())
}

/// Whether the table is there: reads nothing of it.
pub(super) fn look(conn: &mut DbConn) -> QueryResult<()> {
    read(conn, "", &[b""]).map(drop)
}

#[cfg(feature = "postgres")]
fn note_postgres(
    pg: &mut diesel::PgConnection,
    topic: &str,
    partition: i32,
    seen: &[Seen<'_>],
    high: i64,
) -> QueryResult<usize> {
    use diesel::sql_types::Array;
    // In the order of keys: two partitions' batches cannot wait for each other's rows in a circle.
    const SQL: &str = concat!(
        "INSERT INTO django_kafka_key_offset_tracker AS t ",
        "(topic, key, partition, \"offset\", create_time, log_append_time) ",
        "SELECT $1, s.key, $2, s.\"offset\", to_timestamp(s.create_ms / 1000.0), to_timestamp(s.append_ms / 1000.0) ",
        "FROM unnest($3, $4, $5, $6) AS s (key, \"offset\", create_ms, append_ms) ORDER BY s.key ",
        moves!("$7")
    );
    let keys: Vec<&[u8]> = seen.iter().map(|seen| seen.key).collect();
    let offsets: Vec<i64> = seen.iter().map(|seen| seen.offset).collect();
    let created: Vec<Option<i64>> = seen.iter().map(|seen| seen.create_ms).collect();
    let appended: Vec<Option<i64>> = seen.iter().map(|seen| seen.log_append_ms).collect();
    sql_query(SQL)
        .bind::<Text, _>(topic)
        .bind::<Integer, _>(partition)
        .bind::<Array<Binary>, _>(keys)
        .bind::<Array<BigInt>, _>(offsets)
        .bind::<Array<Nullable<BigInt>>, _>(created)
        .bind::<Array<Nullable<BigInt>>, _>(appended)
        .bind::<BigInt, _>(high)
        .execute(pg)
}

#[cfg(feature = "postgres")]
fn read_postgres(pg: &mut diesel::PgConnection, topic: &str, keys: &[&[u8]]) -> QueryResult<Vec<Row>> {
    use diesel::sql_types::Array;
    sql_query(
        "SELECT key, partition, \"offset\" FROM django_kafka_key_offset_tracker WHERE topic = $1 AND key = ANY ($2)",
    )
    .bind::<Text, _>(topic)
    .bind::<Array<Binary>, _>(keys)
    .load(pg)
}

#[cfg(feature = "sqlite")]
fn note_sqlite(
    sqlite: &mut diesel::SqliteConnection,
    topic: &str,
    partition: i32,
    seen: &[Seen<'_>],
    high: i64,
) -> QueryResult<usize> {
    if seen.is_empty() {
        return Ok(0);
    }
    let time = |column: &str| format!("strftime('%Y-%m-%d %H:%M:%f', {column} / 1000.0, 'unixepoch')");
    // Without the `WHERE`, SQLite would take `ON` for a join's.
    let sql = format!(
        "INSERT INTO django_kafka_key_offset_tracker AS t \
         (topic, key, partition, \"offset\", create_time, log_append_time) \
         SELECT ?1, column1, ?2, column2, {}, {} FROM (VALUES {}) WHERE TRUE {}",
        time("column3"),
        time("column4"),
        placeholders("(?, ?, ?, ?)", seen.len()),
        moves!("?"),
    );
    let mut query = sql_query(sql).into_boxed().bind::<Text, _>(topic).bind::<Integer, _>(partition);
    for seen in seen {
        query = query
            .bind::<Binary, _>(seen.key)
            .bind::<BigInt, _>(seen.offset)
            .bind::<Nullable<BigInt>, _>(seen.create_ms)
            .bind::<Nullable<BigInt>, _>(seen.log_append_ms);
    }
    query.bind::<BigInt, _>(high).execute(sqlite)
}

#[cfg(feature = "sqlite")]
fn read_sqlite(sqlite: &mut diesel::SqliteConnection, topic: &str, keys: &[&[u8]]) -> QueryResult<Vec<Row>> {
    let sql = format!(
        "SELECT key, partition, \"offset\" FROM django_kafka_key_offset_tracker WHERE topic = ? AND key IN ({})",
        placeholders("?", keys.len()),
    );
    let mut query = sql_query(sql).into_boxed().bind::<Text, _>(topic);
    for key in keys {
        query = query.bind::<Binary, _>(*key);
    }
    query.load(sqlite)
}

#[cfg(feature = "sqlite")]
fn placeholders(one: &str, count: usize) -> String {
    vec![one; count].join(", ")
}
