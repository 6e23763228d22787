//! PostgreSQL: rows are locked in the order of their keys, so that two transactions cannot wait for each other.

use chrono::NaiveDateTime;
use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};
use diesel::upsert::excluded;

use super::django_kafka_key_version as t;
use super::{PURGED_MAX, Scope, Stored};

pub(super) fn load(conn: &mut PgConnection, scope: Scope<'_>, keys: &[&[u8]]) -> QueryResult<Vec<Stored>> {
    t::table
        .filter(t::group.eq(scope.group).and(t::topic.eq(scope.topic)).and(t::partition.eq(scope.partition)))
        .filter(t::key.eq_any(keys))
        .order(t::key)
        .for_update()
        .select(Stored::as_select())
        .load(conn)
}

pub(super) fn add(conn: &mut PgConnection, rows: &[Stored]) -> QueryResult<usize> {
    diesel::insert_into(t::table).values(rows).on_conflict_do_nothing().execute(conn)
}

pub(super) fn put(conn: &mut PgConnection, rows: &[Stored]) -> QueryResult<()> {
    diesel::insert_into(t::table)
        .values(rows)
        .on_conflict((t::group, t::topic, t::partition, t::key))
        .do_update()
        .set((
            t::offset.eq(excluded(t::offset)),
            t::state.eq(excluded(t::state)),
            t::purge_after.eq(excluded(t::purge_after)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Passes over rows that another transaction works with.
pub(super) fn purge(conn: &mut PgConnection, group: &str, topic: &str, now: NaiveDateTime) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM django_kafka_key_version WHERE (\"group\", topic, \"partition\", key) IN (
            SELECT \"group\", topic, \"partition\", key FROM django_kafka_key_version
            WHERE \"group\" = $1 AND topic = $2 AND purge_after < $3 LIMIT $4 FOR UPDATE SKIP LOCKED)",
    )
    .bind::<Text, _>(group)
    .bind::<Text, _>(topic)
    .bind::<Timestamp, _>(now)
    .bind::<BigInt, _>(PURGED_MAX)
    .execute(conn)
}
