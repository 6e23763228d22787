//! The default store: a table beside the models'.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use serde_json::Value;

use super::sql::{
    AWAITED_COLUMNS, AwaitedRow, CHAIN_COLUMNS, CHANNEL, COLUMNS, CountRow, Dialect, IdRow, MessageRow, ParkedRow,
    TABLE, awaited_json, chain_json, groups_json, heads, is_chain, list, on, parking_json, same_chain, with,
};
use super::{Claim, Count, MessageProcessor, ParkedKey, Presence, Still, Which};
use crate::db::DbConn;
use crate::relations::message::{Awaited, Chain, Parking, WaitingMessage};

/// The default: a table in the models' database.
#[derive(Debug, Default, Clone, Copy)]
pub struct TableProcessor;

impl MessageProcessor for TableProcessor {
    fn presence(&self, conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence> {
        super::presence::presence(conn, group, topics, models)
    }

    fn parked(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<Vec<(Chain, ParkedKey)>> {
        let d = Dialect::of(conn);
        let columns: Vec<_> = CHAIN_COLUMNS.into_iter().chain([("place", "bigint")]).collect();
        let sql = d.numbered(&format!(
            "SELECT m.place AS place, max(CASE WHEN NOT w.deletion THEN w.\"offset\" END) AS rows_upto, \
             max(CASE WHEN w.deletion THEN w.\"offset\" END) AS deletion, \
             max(CASE WHEN w.claimed_until_ms >= {} THEN 1 ELSE 0 END) = 1 AS resolving \
             FROM {} JOIN {TABLE} w ON {} GROUP BY m.place",
            d.now_ms,
            d.objects(1, &columns),
            is_chain(&d, 2)
        ));
        let asked = list(chains.iter().enumerate().map(|(place, chain)| with(chain_json(chain), "place", place)));
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str()).bind::<Text, _>(asked.as_str()).bind::<Text, _>(group),
            load::<ParkedRow>
        )?;
        let of = |row: ParkedRow| {
            let chain = *chains.get(usize::try_from(row.place).ok()?)?;
            let parked = ParkedKey { rows: row.rows_upto, deletion: row.deletion, resolving: row.resolving };
            Some((chain.clone(), parked))
        };
        Ok(rows.into_iter().filter_map(of).collect())
    }

    fn lock(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<()> {
        let d = Dialect::of(conn);
        // SQLite has one writer.
        if chains.is_empty() || !d.is_pg {
            return Ok(());
        }
        let sql = format!(
            "SELECT w.id FROM {} JOIN {TABLE} w ON {} ORDER BY w.id {}",
            d.objects(1, &CHAIN_COLUMNS),
            is_chain(&d, 2),
            d.lock
        );
        let rows = list(chains.iter().map(|chain| chain_json(chain)));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(rows.as_str()).bind::<Text, _>(group), load::<IdRow>)
            .map(drop)
    }

    fn park(&self, conn: &mut DbConn, group: &str, messages: &[Parking]) -> QueryResult<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let d = Dialect::of(conn);
        let columns: Vec<_> = CHAIN_COLUMNS
            .into_iter()
            .chain([
                ("partition", "integer"),
                ("offset", "bigint"),
                ("value", "text"),
                ("headers", "text"),
                ("timestamp_ms", "bigint"),
                ("status", "text"),
                ("deletion", "boolean"),
                ("full_row", "boolean"),
                ("model", "text"),
                ("field", "text"),
                ("id", "text"),
                ("relation", "text"),
                ("attempts", "integer"),
            ])
            .collect();
        let sql = d.numbered(&format!(
            "INSERT INTO {TABLE} (consumer_group, topic, partition, \"offset\", chain, key, value, headers, \
             timestamp_ms, status, deletion, full_row, relation_model_key, relation_id_field, relation_id_value, \
             serialized_relation, attempts, parked_at_ms) \
             SELECT $2, m.topic, m.partition, m.\"offset\", m.chain, {key}, {value}, m.headers, m.timestamp_ms, \
             m.status, m.deletion, m.full_row, m.model, m.field, m.id, m.relation, m.attempts, {now} FROM {m} \
             WHERE true ON CONFLICT (consumer_group, topic, partition, \"offset\") DO NOTHING",
            key = d.bytes("m.key"),
            value = d.bytes("m.value"),
            now = d.now_ms,
            m = d.objects(1, &columns),
        ));
        let rows = list(messages.iter().map(parking_json));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(rows.as_str()).bind::<Text, _>(group), execute)
            .map(drop)
    }

    fn forget(&self, conn: &mut DbConn, group: &str, chains: &[(&Chain, i64)]) -> QueryResult<()> {
        if chains.is_empty() {
            return Ok(());
        }
        let d = Dialect::of(conn);
        let columns: Vec<_> = CHAIN_COLUMNS.into_iter().chain([("upto", "bigint")]).collect();
        let sql = d.numbered(&format!(
            "DELETE FROM {TABLE} WHERE id IN (SELECT w.id FROM {} JOIN {TABLE} w ON {} AND w.\"offset\" <= m.upto \
             ORDER BY w.id {})",
            d.objects(1, &columns),
            is_chain(&d, 2),
            d.lock,
        ));
        let rows = list(chains.iter().map(|(chain, upto)| with(chain_json(chain), "upto", *upto)));
        let gone =
            on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(rows.as_str()).bind::<Text, _>(group), execute)?;
        if gone == 0 {
            return Ok(());
        }
        // What is newer than a late deletion was judged together with what is gone.
        let chains: Vec<&Chain> = chains.iter().map(|(chain, _)| *chain).collect();
        self.judge_anew(conn, group, &chains)
    }

    fn judge_anew(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<()> {
        if chains.is_empty() {
            return Ok(());
        }
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "UPDATE {TABLE} AS w SET status = CASE w.status WHEN 'WAITING' THEN 'BEHIND' ELSE w.status END, \
             relation_model_key = NULL, relation_id_field = NULL, relation_id_value = NULL FROM {} WHERE {} AND NOT \
             w.deletion",
            d.objects(1, &CHAIN_COLUMNS),
            is_chain(&d, 2)
        ));
        let rows = list(chains.iter().map(|chain| chain_json(chain)));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(rows.as_str()).bind::<Text, _>(group), execute)
            .map(drop)
    }

    fn awaited(&self, conn: &mut DbConn, rows: &[Awaited]) -> QueryResult<Vec<Awaited>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT m.model AS relation_model_key, m.field AS relation_id_field, m.id AS relation_id_value FROM {} \
             WHERE EXISTS (SELECT 1 FROM {TABLE} w WHERE w.relation_model_key = m.model AND w.relation_id_field = \
             m.field AND w.relation_id_value = m.id AND NOT w.deletion)",
            d.objects(1, &AWAITED_COLUMNS)
        ));
        let rows = list(rows.iter().map(awaited_json));
        let rows = on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(rows.as_str()), load::<AwaitedRow>)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn relations(
        &self,
        conn: &mut DbConn,
        groups: &[String],
        after: Option<&Awaited>,
        limit: i64,
    ) -> QueryResult<Vec<Awaited>> {
        let d = Dialect::of(conn);
        let behind = "(w.relation_model_key, w.relation_id_field, w.relation_id_value) > ($1, $2, $3)";
        let sql = d.numbered(&format!(
            "SELECT DISTINCT w.relation_model_key, w.relation_id_field, w.relation_id_value FROM {TABLE} w \
             WHERE {behind} AND w.consumer_group IN {} AND NOT w.deletion \
             ORDER BY w.relation_model_key, w.relation_id_field, w.relation_id_value LIMIT $5",
            d.texts(4)
        ));
        let (model, field, value) =
            after.map_or(("", "", ""), |after| (&*after.model_key, &*after.field, &*after.value));
        let groups = groups_json(groups);
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str())
                .bind::<Text, _>(model)
                .bind::<Text, _>(field)
                .bind::<Text, _>(value)
                .bind::<Text, _>(groups.as_str())
                .bind::<BigInt, _>(limit),
            load::<AwaitedRow>
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn claim(&self, conn: &mut DbConn, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<WaitingMessage>> {
        let d = Dialect::of(conn);
        let heads = heads(conn, &d, which, claim)?;
        if heads.is_empty() {
            return Ok(Vec::new());
        }
        let heads = list(heads.into_iter().map(Value::from));
        // The chain as a whole: its followers too, which came after what it was found by.
        let take = d.numbered(&format!(
            "UPDATE {TABLE} AS w SET status = 'RESOLVING', claim_token = $1, claimed_until_ms = {} + $2 \
             FROM {TABLE} h WHERE h.id IN {} AND {}",
            d.now_ms,
            d.integers(3),
            same_chain("w", "h")
        ));
        on!(
            conn,
            diesel::sql_query(take.as_str())
                .bind::<Text, _>(claim.token)
                .bind::<BigInt, _>(claim.lease_ms)
                .bind::<Text, _>(heads.as_str()),
            execute
        )?;
        // What the token has, and nothing else, is looked at: a table that has just grown is one whose statistics say
        // nothing yet, and a join with itself may take any plan there.
        let load = d.numbered(&format!(
            "SELECT {COLUMNS} FROM (SELECT w.*, max(CASE WHEN w.full_row THEN w.\"offset\" END) \
             OVER (PARTITION BY w.consumer_group, w.topic, w.chain, w.key, w.partition) AS whole_from \
             FROM {TABLE} w WHERE w.claim_token = $1) w \
             WHERE w.deletion OR w.\"offset\" >= COALESCE(w.whole_from, w.\"offset\") \
             ORDER BY w.topic, w.partition, w.\"offset\" LIMIT $2"
        ));
        let rows = on!(
            conn,
            diesel::sql_query(load.as_str()).bind::<Text, _>(claim.token).bind::<BigInt, _>(claim.messages_max),
            load::<MessageRow>
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn held(&self, conn: &mut DbConn, token: &str, ids: &[i64]) -> QueryResult<HashSet<i64>> {
        let d = Dialect::of(conn);
        // Whole chains, and all in one order, as a lane that forgets a chain locks them: neither stops the other half-way.
        let sql = d.numbered(&format!(
            "SELECT w.id FROM {TABLE} w WHERE w.id IN (SELECT e.id FROM {TABLE} h JOIN {TABLE} e ON {} WHERE h.id IN {}) \
             AND w.claim_token = $2 ORDER BY w.id {}",
            same_chain("e", "h"),
            d.integers(1),
            d.lock
        ));
        let asked: HashSet<i64> = ids.iter().copied().collect();
        let ids = list(ids.iter().copied().map(Value::from));
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str()).bind::<Text, _>(ids.as_str()).bind::<Text, _>(token),
            load::<IdRow>
        )?;
        Ok(rows.into_iter().map(|row| row.id).filter(|id| asked.contains(id)).collect())
    }

    fn renew(&self, conn: &mut DbConn, token: &str, lease_ms: i64) -> QueryResult<()> {
        let d = Dialect::of(conn);
        // What a transaction of the daemon's own has locked is not taken by anybody meanwhile, and not waited for.
        let sql = d.numbered(&format!(
            "UPDATE {TABLE} SET claimed_until_ms = {} + $1 WHERE id IN (SELECT w.id FROM {TABLE} w WHERE w.claim_token = \
             $2 {})",
            d.now_ms, d.lock_free
        ));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<BigInt, _>(lease_ms).bind::<Text, _>(token), execute).map(drop)
    }

    fn still(&self, conn: &mut DbConn, group: &str, token: &str, chains: &[Still]) -> QueryResult<()> {
        if chains.is_empty() {
            return Ok(());
        }
        let d = Dialect::of(conn);
        let columns: Vec<_> = CHAIN_COLUMNS
            .into_iter()
            .chain([("model", "text"), ("field", "text"), ("id", "text"), ("now_ms", "bigint")])
            .collect();
        // A deletion keeps what it waits for: the rows that refer to its own.
        let sql = d.numbered(&format!(
            "UPDATE {TABLE} AS w SET \
             status = CASE WHEN EXISTS (SELECT 1 FROM {TABLE} e WHERE {} AND e.\"offset\" < w.\"offset\") \
             THEN 'BEHIND' ELSE 'WAITING' END, claim_token = NULL, claimed_until_ms = 0, \
             due_ms = CASE WHEN w.deletion THEN m.now_ms ELSE 0 END, \
             relation_model_key = CASE WHEN w.deletion THEN w.relation_model_key ELSE m.model END, \
             relation_id_field = CASE WHEN w.deletion THEN w.relation_id_field ELSE m.field END, \
             relation_id_value = CASE WHEN w.deletion THEN w.relation_id_value ELSE m.id END \
             FROM {} WHERE {} AND w.claim_token = $3",
            same_chain("e", "w"),
            d.objects(1, &columns),
            is_chain(&d, 2)
        ));
        let rows = list(chains.iter().map(|still| {
            let part = |part: fn(&Awaited) -> &String| still.relation.as_ref().map(|r| part(r).clone());
            let object = with(chain_json(&still.chain), "model", part(|r| &r.model_key));
            let object = with(with(object, "field", part(|r| &r.field)), "id", part(|r| &r.value));
            with(object, "now_ms", still.now_ms)
        }));
        on!(
            conn,
            diesel::sql_query(sql.as_str())
                .bind::<Text, _>(rows.as_str())
                .bind::<Text, _>(group)
                .bind::<Text, _>(token),
            execute
        )
        .map(drop)
    }

    fn failed(&self, conn: &mut DbConn, id: i64, attempts: u32, error: &str, due_ms: i64) -> QueryResult<()> {
        let d = Dialect::of(conn);
        let attempts = i32::try_from(attempts).unwrap_or(i32::MAX);
        let message = d.numbered(&format!("UPDATE {TABLE} SET attempts = $1, last_error = $2 WHERE id = $3"));
        on!(
            conn,
            diesel::sql_query(message.as_str())
                .bind::<Integer, _>(attempts)
                .bind::<Text, _>(error)
                .bind::<BigInt, _>(id),
            execute
        )?;
        let chain = d.numbered(&format!(
            "UPDATE {TABLE} AS w SET due_ms = $1 FROM {TABLE} h WHERE h.id = $2 AND {}",
            same_chain("w", "h")
        ));
        on!(conn, diesel::sql_query(chain.as_str()).bind::<BigInt, _>(due_ms).bind::<BigInt, _>(id), execute).map(drop)
    }

    fn release(&self, conn: &mut DbConn, token: &str) -> QueryResult<()> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "UPDATE {TABLE} SET status = CASE WHEN relation_model_key IS NULL THEN 'BEHIND' ELSE 'WAITING' END, \
             claim_token = NULL, claimed_until_ms = 0 WHERE claim_token = $1"
        ));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(token), execute).map(drop)
    }

    fn is_claimed(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<bool> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT w.id FROM {TABLE} w WHERE w.consumer_group IN {} AND w.claimed_until_ms >= {} LIMIT 1",
            d.texts(1),
            d.now_ms
        ));
        let groups = groups_json(groups);
        let rows = on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(groups.as_str()), load::<IdRow>)?;
        Ok(!rows.is_empty())
    }

    fn list(&self, conn: &mut DbConn, groups: &[String], after: i64, limit: i64) -> QueryResult<Vec<WaitingMessage>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT {COLUMNS} FROM {TABLE} w WHERE w.consumer_group IN {} AND w.id > $2 ORDER BY w.id LIMIT $3",
            d.texts(1)
        ));
        let groups = groups_json(groups);
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str())
                .bind::<Text, _>(groups.as_str())
                .bind::<BigInt, _>(after)
                .bind::<BigInt, _>(limit),
            load::<MessageRow>
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn counts(&self, conn: &mut DbConn, groups: &[String], limit: i64) -> QueryResult<Vec<Count>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT w.relation_model_key, w.relation_id_field, w.relation_id_value, w.deletion, count(*) AS messages, \
             min(w.parked_at_ms) AS oldest_ms FROM {TABLE} w WHERE w.consumer_group IN {} \
             GROUP BY w.relation_model_key, w.relation_id_field, w.relation_id_value, w.deletion \
             ORDER BY count(*) DESC, min(w.parked_at_ms), w.relation_model_key, w.relation_id_field, \
             w.relation_id_value LIMIT $2",
            d.texts(1)
        ));
        let groups = groups_json(groups);
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str()).bind::<Text, _>(groups.as_str()).bind::<BigInt, _>(limit),
            load::<CountRow>
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn totals(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<Vec<Count>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT w.relation_model_key, w.relation_id_field, '' AS relation_id_value, w.deletion, \
             count(*) AS messages, min(w.parked_at_ms) AS oldest_ms FROM {TABLE} w WHERE w.consumer_group IN {} \
             GROUP BY w.relation_model_key, w.relation_id_field, w.deletion",
            d.texts(1)
        ));
        let groups = groups_json(groups);
        let rows = on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(groups.as_str()), load::<CountRow>)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn find(&self, conn: &mut DbConn, id: i64) -> QueryResult<Option<WaitingMessage>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!("SELECT {COLUMNS} FROM {TABLE} w WHERE w.id = $1"));
        let row = on!(conn, diesel::sql_query(sql.as_str()).bind::<BigInt, _>(id), get_result::<MessageRow>);
        Ok(row.optional()?.map(Into::into))
    }

    fn channel(&self) -> Option<&str> {
        Some(CHANNEL)
    }

    fn notify(&self, conn: &mut DbConn, text: &str) -> QueryResult<()> {
        #[cfg(not(feature = "postgres"))]
        let _ = text;
        match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(pg) => diesel::sql_query("SELECT pg_notify($1, $2)")
                .bind::<Text, _>(CHANNEL)
                .bind::<Text, _>(text)
                .execute(pg)
                .map(drop),
            // Other processes look by themselves.
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => Ok(()),
        }
    }

    fn discard(&self, conn: &mut DbConn, ids: &[i64]) -> QueryResult<usize> {
        if ids.is_empty() {
            return Ok(0);
        }
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!("DELETE FROM {TABLE} WHERE id IN {}", d.integers(1)));
        let ids = list(ids.iter().copied().map(Value::from));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<Text, _>(ids.as_str()), execute)
    }
}
