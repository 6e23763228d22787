//! The store's SQL, as far as it is said more than once.
//!
//! One text of SQL serves both databases. Lists go as one parameter in JSON, which both take apart; what differs is in
//! [`Dialect`].

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};
use serde_json::{Value, json};

use super::{Claim, Count, Which};
use crate::db::DbConn;
use crate::record::RawRecord;
use crate::relations::message::{
    Awaited, Chain, Parking, WaitingMessage, WaitingStatus, headers_of, headers_text, hex, retried,
};

pub(super) const TABLE: &str = "django_kafka_waiting_message";

/// Where PostgreSQL tells other processes.
pub(super) const CHANNEL: &str = "django_kafka_relations";

/// Runs the same query on either database.
macro_rules! on {
    ($conn:expr, $query:expr, $run:ident $(::<$row:ty>)?) => {
        match $conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(pg) => $query.$run$(::<$row>)?(pg),
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(sqlite) => $query.$run$(::<$row>)?(sqlite),
        }
    };
}

/// What differs between the databases.
pub(super) struct Dialect {
    /// Milliseconds since 1970 by the database's clock.
    pub(super) now_ms: &'static str,
    /// Locks rows that another daemon has not.
    pub(super) lock_free: &'static str,
    pub(super) lock: &'static str,
    pub(super) is_pg: bool,
}

impl Dialect {
    pub(super) fn of(conn: &DbConn) -> Self {
        match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(_) => Self {
                now_ms: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                lock_free: "FOR UPDATE OF w SKIP LOCKED",
                lock: "FOR UPDATE OF w",
                is_pg: true,
            },
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => {
                Self { now_ms: "CAST(unixepoch('subsec') * 1000 AS INTEGER)", lock_free: "", lock: "", is_pg: false }
            }
        }
    }

    /// Parameters by their number: SQLite's `$1` is a name, and its number that of its first appearance.
    pub(super) fn numbered(&self, sql: &str) -> String {
        if self.is_pg { sql.to_owned() } else { sql.replace('$', "?") }
    }

    /// The rows of a list of texts that is parameter `n`.
    pub(super) fn texts(&self, n: u8) -> String {
        if self.is_pg {
            format!("(SELECT v FROM json_array_elements_text(${n}::json) AS j(v))")
        } else {
            format!("(SELECT value FROM json_each(${n}))")
        }
    }

    /// The rows of a list of integers that is parameter `n`.
    pub(super) fn integers(&self, n: u8) -> String {
        if self.is_pg {
            format!("(SELECT v::bigint FROM json_array_elements_text(${n}::json) AS j(v))")
        } else {
            format!("(SELECT value FROM json_each(${n}))")
        }
    }

    /// The table of a list of objects that is parameter `n`, as `m`; `columns`: names with PostgreSQL's types.
    pub(super) fn objects(&self, n: u8, columns: &[(&str, &str)]) -> String {
        if self.is_pg {
            let columns: Vec<_> = columns.iter().map(|(name, ty)| format!("\"{name}\" {ty}")).collect();
            format!("json_to_recordset(${n}::json) AS m({})", columns.join(", "))
        } else {
            let columns: Vec<_> = columns.iter().map(|(name, _)| format!("value ->> '{name}' AS \"{name}\"")).collect();
            format!("(SELECT {} FROM json_each(${n})) AS m", columns.join(", "))
        }
    }

    pub(super) fn bytes(&self, column: &str) -> String {
        if self.is_pg { format!("decode({column}, 'hex')") } else { format!("unhex({column})") }
    }
}

#[derive(QueryableByName)]
pub(super) struct ParkedRow {
    #[diesel(sql_type = BigInt)]
    pub(super) place: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) rows_upto: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) deletion: Option<i64>,
    #[diesel(sql_type = Bool)]
    pub(super) resolving: bool,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_field_names, reason = "the columns' names")]
pub(super) struct AwaitedRow {
    #[diesel(sql_type = Text)]
    pub(super) relation_model_key: String,
    #[diesel(sql_type = Text)]
    pub(super) relation_id_field: String,
    #[diesel(sql_type = Text)]
    pub(super) relation_id_value: String,
}

impl From<AwaitedRow> for Awaited {
    fn from(row: AwaitedRow) -> Self {
        Self { model_key: row.relation_model_key, field: row.relation_id_field, value: row.relation_id_value }
    }
}

#[derive(QueryableByName)]
pub(super) struct IdRow {
    #[diesel(sql_type = BigInt)]
    pub(super) id: i64,
}

#[derive(QueryableByName)]
pub(super) struct MessageRow {
    #[diesel(sql_type = BigInt)]
    pub(super) id: i64,
    #[diesel(sql_type = Text)]
    pub(super) consumer_group: String,
    #[diesel(sql_type = Text)]
    pub(super) topic: String,
    #[diesel(sql_type = Integer)]
    pub(super) partition: i32,
    #[diesel(sql_type = BigInt)]
    pub(super) offset: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    pub(super) key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub(super) value: Option<Vec<u8>>,
    #[diesel(sql_type = Text)]
    pub(super) headers: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) timestamp_ms: Option<i64>,
    #[diesel(sql_type = Text)]
    pub(super) status: String,
    #[diesel(sql_type = Bool)]
    pub(super) deletion: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) relation_model_key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) relation_id_field: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) relation_id_value: Option<String>,
    #[diesel(sql_type = Integer)]
    pub(super) attempts: i32,
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) last_error: Option<String>,
    #[diesel(sql_type = BigInt)]
    pub(super) parked_at_ms: i64,
}

#[derive(QueryableByName)]
pub(super) struct CountRow {
    #[diesel(sql_type = Nullable<Text>)]
    relation_model_key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    relation_id_field: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    relation_id_value: Option<String>,
    #[diesel(sql_type = Bool)]
    deletion: bool,
    #[diesel(sql_type = BigInt)]
    messages: i64,
    #[diesel(sql_type = BigInt)]
    oldest_ms: i64,
}

impl From<CountRow> for Count {
    fn from(row: CountRow) -> Self {
        let CountRow { deletion, messages, oldest_ms, .. } = row;
        let relation = relation(row.relation_model_key, row.relation_id_field, row.relation_id_value);
        Self { relation, deletion, messages, oldest_ms }
    }
}

fn relation(model_key: Option<String>, field: Option<String>, value: Option<String>) -> Option<Awaited> {
    Some(Awaited { model_key: model_key?, field: field?, value: value? })
}

pub(super) const COLUMNS: &str = "w.id, w.consumer_group, w.topic, w.partition, w.\"offset\" AS \"offset\", w.key, w.value, \
                       w.headers, w.timestamp_ms, w.status, w.deletion, w.relation_model_key, w.relation_id_field, \
                       w.relation_id_value, w.attempts, w.last_error, w.parked_at_ms";

impl From<MessageRow> for WaitingMessage {
    fn from(row: MessageRow) -> Self {
        let topic: Arc<str> = row.topic.into();
        let attempts = u32::try_from(row.attempts).unwrap_or(0);
        let relation = relation(row.relation_model_key, row.relation_id_field, row.relation_id_value);
        let record = RawRecord {
            partition: row.partition,
            offset: row.offset,
            timestamp_ms: row.timestamp_ms,
            key: row.key,
            value: row.value,
            headers: headers_of(&row.headers),
            retried: retried(&topic, row.partition, row.offset, attempts),
            topic,
            ..RawRecord::default()
        };
        Self {
            id: row.id,
            group: row.consumer_group,
            record: Arc::new(record),
            status: WaitingStatus::of(&row.status),
            deletion: row.deletion,
            relation,
            attempts,
            last_error: row.last_error,
            parked_at_ms: row.parked_at_ms,
        }
    }
}

/// The same chain in two aliases of the table.
pub(super) fn same_chain(a: &str, b: &str) -> String {
    format!(
        "{a}.consumer_group = {b}.consumer_group AND {a}.topic = {b}.topic AND {a}.chain = {b}.chain AND {a}.key IS NOT \
         DISTINCT FROM {b}.key"
    )
}

/// The chains of a list of objects, and the columns that they have there.
pub(super) const CHAIN_COLUMNS: [(&str, &str); 3] = [("topic", "text"), ("chain", "bigint"), ("key", "text")];

pub(super) fn chain_json(chain: &Chain) -> Value {
    json!({ "topic": &*chain.topic, "chain": chain.hash, "key": chain.key.as_deref().map(hex) })
}

pub(super) fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

/// `w` is the chain `m` of the group that is parameter `n`.
pub(super) fn is_chain(dialect: &Dialect, n: u8) -> String {
    format!(
        "w.consumer_group = ${n} AND w.topic = m.topic AND w.chain = m.chain AND w.key IS NOT DISTINCT FROM {}",
        dialect.bytes("m.key")
    )
}

pub(super) fn list(items: impl IntoIterator<Item = Value>) -> String {
    Value::Array(items.into_iter().collect()).to_string()
}

pub(super) fn groups_json(groups: &[String]) -> String {
    list(groups.iter().map(|group| Value::from(group.as_str())))
}

/// The first rows of the chains that are free; on PostgreSQL they are locked, so that no two daemons take one chain.
pub(super) fn heads(conn: &mut DbConn, d: &Dialect, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<i64>> {
    let awaited = d.objects(1, &AWAITED_COLUMNS);
    let (from, condition, list_of) = match which {
        Which::Relations(rows) => {
            (of_relations(d, &awaited), "c.due_ms <= $3".to_owned(), list(rows.iter().map(awaited_json)))
        }
        Which::Ids(ids) => (
            format!("{TABLE} c"),
            format!("c.id IN {} AND $3 IS NOT NULL", d.integers(1)),
            list(ids.iter().copied().map(Value::from)),
        ),
        others => {
            let condition = match others {
                Which::Blocked => "c.deletion",
                Which::Failed => "c.due_ms > 0 AND NOT c.deletion",
                _ => "c.relation_model_key IS NULL",
            };
            (format!("{TABLE} c"), format!("{condition} AND c.due_ms <= $3 AND $1 IS NOT NULL"), list([]))
        }
    };
    // What came behind a message that is to be tried later does not make that time come sooner.
    let due = if matches!(which, Which::Ids(_)) { "" } else { "AND w.due_ms <= $3 " };
    let sql = d.numbered(&format!(
        "SELECT w.id FROM {TABLE} w WHERE w.id IN (SELECT (SELECT min(e.id) FROM {TABLE} e WHERE {chain}) FROM {from} \
         WHERE {condition} AND c.consumer_group IN {groups} AND c.claimed_until_ms < {now} \
         ORDER BY c.due_ms, c.id LIMIT $4) AND w.claimed_until_ms < {now} {due}ORDER BY w.id {lock}",
        chain = same_chain("e", "c"),
        groups = d.texts(2),
        now = d.now_ms,
        lock = d.lock_free,
    ));
    without_compiling(conn)?;
    let groups = groups_json(claim.groups);
    let rows = on!(
        conn,
        diesel::sql_query(sql.as_str())
            .bind::<Text, _>(list_of.as_str())
            .bind::<Text, _>(groups.as_str())
            .bind::<BigInt, _>(claim.now_ms)
            .bind::<BigInt, _>(claim.chains_max),
        load::<IdRow>
    )?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// The messages `c` that wait for the rows `m`, as candidates: of each row no more than a claim takes, so that a claim costs
/// its own size, however many wait. Those that failed and are due again are found by [`Which::Failed`].
fn of_relations(d: &Dialect, awaited: &str) -> String {
    let columns = ["relation_model_key", "relation_id_field", "relation_id_value"];
    if !d.is_pg {
        let [model, field, id] = columns;
        return format!(
            "{awaited} JOIN {TABLE} c ON c.{model} = m.model AND c.{field} = m.field AND c.{id} = m.id AND NOT c.deletion"
        );
    }
    // Said as a range of the index: else the planner may as well go through the table by its key, and find nothing.
    let place = columns.map(|column| format!("x.{column}")).join(", ");
    format!(
        "{awaited} CROSS JOIN LATERAL (SELECT * FROM {TABLE} x WHERE ({place}, x.id) > (m.model, m.field, m.id, 0) \
         AND ({place}, x.id) <= (m.model, m.field, m.id, {max}) AND NOT x.deletion AND x.due_ms = 0 \
         AND x.consumer_group IN {groups} AND x.claimed_until_ms < {now} ORDER BY {place}, x.id LIMIT $4) c",
        max = i64::MAX,
        groups = d.texts(2),
        now = d.now_ms,
    )
}

/// PostgreSQL takes the lists of a claim for long, and would compile the statement for a quarter of a second.
fn without_compiling(conn: &mut DbConn) -> QueryResult<()> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => diesel::sql_query("SET LOCAL jit = off").execute(pg).map(drop),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(_) => Ok(()),
    }
}

/// Rows that are awaited, in a list of objects.
pub(super) const AWAITED_COLUMNS: [(&str, &str); 3] = [("model", "text"), ("field", "text"), ("id", "text")];

pub(super) fn awaited_json(row: &Awaited) -> Value {
    json!({ "model": row.model_key, "field": row.field, "id": row.value })
}

pub(super) fn parking_json(parking: &Parking) -> Value {
    let record = &parking.record;
    let origin = record.origin();
    let relation = parking.relation.as_ref();
    let mut object = chain_json(&parking.chain);
    object["partition"] = origin.partition.into();
    object["offset"] = origin.offset.into();
    object["value"] = record.value.as_deref().map(hex).into();
    object["headers"] = headers_text(&record.headers).into();
    object["timestamp_ms"] = record.timestamp_ms.into();
    object["status"] = parking.status.as_str().into();
    object["deletion"] = parking.deletion.into();
    object["full_row"] = parking.full_row.into();
    object["model"] = relation.map(|r| r.model_key.clone()).into();
    object["field"] = relation.map(|r| r.field.clone()).into();
    object["id"] = relation.map(|r| r.value.clone()).into();
    object["relation"] = relation.and_then(|r| serde_json::to_string(r).ok()).into();
    object["attempts"] = record.retry_number().into();
    object
}

pub(super) use on;
