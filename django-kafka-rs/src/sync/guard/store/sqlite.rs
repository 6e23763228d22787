//! SQLite: one writer, so nothing has to be locked; rows are written one by one, since that costs no round trips.

use chrono::NaiveDateTime;
use diesel::SqliteConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};
use diesel::upsert::excluded;

use super::django_kafka_key_version as t;
use super::{PURGED_MAX, Scope, Stored};

pub(super) fn load(conn: &mut SqliteConnection, scope: Scope<'_>, keys: &[&[u8]]) -> QueryResult<Vec<Stored>> {
    t::table
        .filter(t::group.eq(scope.group).and(t::topic.eq(scope.topic)).and(t::partition.eq(scope.partition)))
        .filter(t::key.eq_any(keys))
        .select(Stored::as_select())
        .load(conn)
}

pub(super) fn add(conn: &mut SqliteConnection, rows: &[Stored]) -> QueryResult<usize> {
    rows.iter().map(|row| diesel::insert_into(t::table).values(row).on_conflict_do_nothing().execute(conn)).sum()
}

pub(super) fn put(conn: &mut SqliteConnection, rows: &[Stored]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(t::table)
            .values(row)
            .on_conflict((t::group, t::topic, t::partition, t::key))
            .do_update()
            .set((
                t::offset.eq(excluded(t::offset)),
                t::state.eq(excluded(t::state)),
                t::purge_after.eq(excluded(t::purge_after)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

pub(super) fn purge(conn: &mut SqliteConnection, group: &str, topic: &str, now: NaiveDateTime) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM django_kafka_key_version WHERE (\"group\", topic, \"partition\", key) IN (
            SELECT \"group\", topic, \"partition\", key FROM django_kafka_key_version
            WHERE \"group\" = ? AND topic = ? AND purge_after < ? LIMIT ?)",
    )
    .bind::<Text, _>(group)
    .bind::<Text, _>(topic)
    .bind::<Timestamp, _>(now)
    .bind::<BigInt, _>(PURGED_MAX)
    .execute(conn)
}
