//! The ledger's tables, statement by statement. Each runs in the transaction that its caller has begun.

use std::collections::HashSet;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};

use super::super::event::PartitionId;
use super::headers;
use crate::db::DbConn;
use crate::producer::Outgoing;
use crate::record::Origin;

diesel::table! {
    django_kafka_offset (group, topic, partition) {
        group -> Text,
        topic -> Text,
        partition -> Integer,
        offset -> BigInt,
        epoch -> BigInt,
    }
}
diesel::table! {
    django_kafka_outgoing (group, topic, partition, offset) {
        group -> Text,
        topic -> Text,
        partition -> Integer,
        offset -> BigInt,
        target_topic -> Text,
        key -> Nullable<Binary>,
        value -> Nullable<Binary>,
        headers -> Text,
    }
}
diesel::table! {
    django_kafka_settled (group, topic, partition, offset) {
        group -> Text,
        topic -> Text,
        partition -> Integer,
        offset -> BigInt,
    }
}

/// Rows in one statement at most: SQLite takes 32,766 values.
const ROWS_MAX: usize = 1_000;

/// The same Diesel code for each backend: what `MultiConnection` has no form for.
macro_rules! with_backend {
    ($conn:expr, |$inner:ident| $body:expr) => {
        match $conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg($inner) => $body,
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite($inner) => $body,
        }
    };
}

/// A message on its way to a topic, and the offset of the message that it was.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) offset: i64,
    pub(crate) message: Outgoing,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
#[diesel(table_name = django_kafka_offset)]
pub(super) struct Standing {
    /// The next offset to handle.
    pub(super) offset: i64,
    pub(super) epoch: i64,
}

/// The position of each partition of a group.
pub(super) fn positions(conn: &mut DbConn, group: &str) -> QueryResult<Vec<(PartitionId, i64)>> {
    use self::django_kafka_offset as t;
    let query = t::table.filter(t::group.eq(group)).select((t::topic, t::partition, t::offset));
    let rows: Vec<(String, i32, i64)> = with_backend!(conn, |conn| query.load(conn))?;
    Ok(rows.into_iter().map(|(topic, partition, offset)| ((Arc::from(topic), partition), offset)).collect())
}

/// Takes a partition over: raises its epoch. One that has no row gets it, at `start`.
pub(super) fn claim(conn: &mut DbConn, group: &str, id: &PartitionId, start: i64) -> QueryResult<Standing> {
    // Both backends number their values alike.
    const CLAIM: &str = r#"
        INSERT INTO django_kafka_offset ("group", topic, partition, "offset", epoch) VALUES ($1, $2, $3, $4, 1)
        ON CONFLICT ("group", topic, partition) DO UPDATE SET epoch = django_kafka_offset.epoch + 1
        RETURNING "offset", epoch"#;
    let claim = diesel::sql_query(CLAIM)
        .bind::<Text, _>(group)
        .bind::<Text, _>(&*id.0)
        .bind::<Integer, _>(id.1)
        .bind::<BigInt, _>(start);
    with_backend!(conn, |conn| claim.get_result(conn))
}

/// Where a partition stands; `None`: it has no row.
pub(super) fn standing(conn: &mut DbConn, group: &str, id: &PartitionId) -> QueryResult<Option<Standing>> {
    use self::django_kafka_offset as t;
    let query = t::table.find((group, &*id.0, id.1)).select((t::offset, t::epoch));
    let found: Option<(i64, i64)> = with_backend!(conn, |conn| query.first(conn).optional())?;
    Ok(found.map(|(offset, epoch)| Standing { offset, epoch }))
}

/// Moves a position on, if it is where it was left, and nobody else has taken the partition over.
pub(super) fn advance(conn: &mut DbConn, group: &str, id: &PartitionId, from: Standing, to: i64) -> QueryResult<bool> {
    use self::django_kafka_offset as t;
    let mine = t::table.find((group, &*id.0, id.1)).filter(t::epoch.eq(from.epoch)).filter(t::offset.eq(from.offset));
    let moved = with_backend!(conn, |conn| diesel::update(mine).set(t::offset.eq(to)).execute(conn))?;
    Ok(moved == 1)
}

/// Notes messages that leave.
pub(super) fn put_outgoing(conn: &mut DbConn, group: &str, id: &PartitionId, leaving: &[Leaving]) -> QueryResult<()> {
    use self::django_kafka_outgoing as t;
    for chunk in leaving.chunks(ROWS_MAX) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|Leaving { offset, message }| {
                (
                    (t::group.eq(group), t::topic.eq(&*id.0), t::partition.eq(id.1), t::offset.eq(offset)),
                    (t::target_topic.eq(&message.topic), t::headers.eq(headers::to_text(&message.headers))),
                    (t::key.eq(message.key.as_deref()), t::value.eq(message.value.as_deref())),
                )
            })
            .collect();
        with_backend!(conn, |conn| diesel::insert_into(t::table).values(&rows).execute(conn))?;
    }
    Ok(())
}

/// The partition's messages that left and are not known to have arrived, in order.
pub(super) fn outgoing(conn: &mut DbConn, group: &str, id: &PartitionId) -> QueryResult<Vec<Leaving>> {
    use self::django_kafka_outgoing as t;
    type Row = (i64, String, Option<Vec<u8>>, Option<Vec<u8>>, String);
    let query = t::table
        .filter(t::group.eq(group))
        .filter(t::topic.eq(&*id.0))
        .filter(t::partition.eq(id.1))
        .order(t::offset)
        .select((t::offset, t::target_topic, t::key, t::value, t::headers));
    let rows: Vec<Row> = with_backend!(conn, |conn| query.load(conn))?;
    let leaving = |(offset, topic, key, value, text): Row| {
        let headers = headers::from_text(&text).map_err(diesel::result::Error::DeserializationError)?;
        Ok(Leaving { offset, message: Outgoing { topic, partition: None, timestamp_ms: None, key, value, headers } })
    };
    rows.into_iter().map(leaving).collect()
}

/// Forgets messages that have arrived: those of offsets up to and with `upto`.
pub(super) fn delete_outgoing(conn: &mut DbConn, group: &str, id: &PartitionId, upto: i64) -> QueryResult<()> {
    use self::django_kafka_outgoing as t;
    let arrived = t::table
        .filter(t::group.eq(group))
        .filter(t::topic.eq(&*id.0))
        .filter(t::partition.eq(id.1))
        .filter(t::offset.le(upto));
    with_backend!(conn, |conn| diesel::delete(arrived).execute(conn)).map(drop)
}

/// Which of these messages are done with.
pub(super) fn settled(conn: &mut DbConn, group: &str, origins: &[Origin]) -> QueryResult<HashSet<Origin>> {
    use self::django_kafka_settled as t;
    let mut partitions: Vec<(&Arc<str>, i32)> = origins.iter().map(|o| (&o.topic, o.partition)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    let mut found = HashSet::new();
    for (topic, partition) in partitions {
        let offsets: Vec<i64> =
            origins.iter().filter(|o| o.topic == *topic && o.partition == partition).map(|o| o.offset).collect();
        for chunk in offsets.chunks(ROWS_MAX) {
            let query = t::table
                .filter(t::group.eq(group))
                .filter(t::topic.eq(&**topic))
                .filter(t::partition.eq(partition))
                .filter(t::offset.eq_any(chunk))
                .select(t::offset);
            let rows: Vec<i64> = with_backend!(conn, |conn| query.load(conn))?;
            found.extend(rows.into_iter().map(|offset| Origin { topic: topic.clone(), partition, offset }));
        }
    }
    Ok(found)
}

/// Notes messages as done with; `false`: somebody has been first with one of them.
pub(super) fn settle(conn: &mut DbConn, group: &str, origins: &[Origin]) -> QueryResult<bool> {
    use self::django_kafka_settled as t;
    // In one order everywhere, so that two of these wait for each other in one direction only.
    let mut origins: Vec<&Origin> = origins.iter().collect();
    origins.sort_unstable_by_key(|o| (&o.topic, o.partition, o.offset));
    for chunk in origins.chunks(ROWS_MAX) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|o| (t::group.eq(group), t::topic.eq(&*o.topic), t::partition.eq(o.partition), t::offset.eq(o.offset)))
            .collect();
        let inserted = with_backend!(conn, |conn| diesel::insert_into(t::table)
            .values(&rows)
            .on_conflict_do_nothing()
            .execute(conn))?;
        if inserted < chunk.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Forgets at most `rows_max` settled messages of a group that are older than this; gives how many.
pub(super) fn purge(conn: &mut DbConn, group: &str, older_than_secs: i64, rows_max: i64) -> QueryResult<usize> {
    let age = match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(_) => "CURRENT_TIMESTAMP - $2 * INTERVAL '1 second'",
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(_) => "datetime('now', '-' || $2 || ' seconds')",
    };
    let purge = diesel::sql_query(format!(
        r#"DELETE FROM django_kafka_settled WHERE ("group", topic, partition, "offset") IN (
            SELECT "group", topic, partition, "offset" FROM django_kafka_settled
            WHERE "group" = $1 AND settled_at < {age} ORDER BY settled_at LIMIT $3)"#
    ))
    .bind::<Text, _>(group)
    .bind::<BigInt, _>(older_than_secs)
    .bind::<BigInt, _>(rows_max);
    with_backend!(conn, |conn| purge.execute(conn))
}

/// Forgets all of a group: `reader` is the group whose positions they are, `group` that of the settled messages.
pub(super) fn forget(conn: &mut DbConn, reader: &str, group: &str) -> QueryResult<()> {
    use self::{django_kafka_offset as o, django_kafka_outgoing as g, django_kafka_settled as s};
    with_backend!(conn, |conn| {
        diesel::delete(o::table.filter(o::group.eq(reader))).execute(conn)?;
        diesel::delete(g::table.filter(g::group.eq(reader))).execute(conn)?;
        diesel::delete(s::table.filter(s::group.eq(group))).execute(conn).map(drop)
    })
}

/// Whether the tables are there.
pub(super) fn look(conn: &mut DbConn) -> QueryResult<()> {
    const TABLES: [&str; 3] = [
        r#"SELECT "group", topic, partition, "offset", epoch FROM django_kafka_offset LIMIT 0"#,
        r#"SELECT "group", topic, partition, "offset", headers FROM django_kafka_outgoing LIMIT 0"#,
        r#"SELECT "group", topic, partition, "offset" FROM django_kafka_settled LIMIT 0"#,
    ];
    for table in TABLES {
        with_backend!(&mut *conn, |conn| diesel::sql_query(table).execute(conn))?;
    }
    Ok(())
}
