//! Where waiting messages are kept: `django_kafka_waiting_message`.
//!
//! One text of SQL serves both databases. Lists go as one parameter in JSON, which both take apart; what differs is in
//! [`Dialect`].

use std::collections::HashSet;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text};
use serde_json::{Value, json};

use super::message::{Awaited, Chain, Parking, WaitingMessage, WaitingStatus, headers_of, headers_text, hex, retried};
use crate::db::DbConn;
use crate::record::RawRecord;

const TABLE: &str = "django_kafka_waiting_message";

/// Where PostgreSQL tells other processes.
#[cfg(feature = "postgres")]
pub(crate) const CHANNEL: &str = "django_kafka_relations";

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
struct Dialect {
    /// Milliseconds since 1970 by the database's clock.
    now_ms: &'static str,
    /// Locks rows that another daemon has not.
    lock_free: &'static str,
    lock: &'static str,
    is_pg: bool,
}

impl Dialect {
    fn of(conn: &DbConn) -> Self {
        match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(_) => Self {
                now_ms: "(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
                lock_free: "FOR UPDATE OF w SKIP LOCKED",
                lock: "FOR UPDATE",
                is_pg: true,
            },
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => {
                Self { now_ms: "CAST(unixepoch('subsec') * 1000 AS INTEGER)", lock_free: "", lock: "", is_pg: false }
            }
        }
    }

    /// Parameters by their number: SQLite's `$1` is a name, and its number that of its first appearance.
    fn numbered(&self, sql: &str) -> String {
        if self.is_pg { sql.to_owned() } else { sql.replace('$', "?") }
    }

    /// The rows of a list of texts that is parameter `n`.
    fn texts(&self, n: u8) -> String {
        if self.is_pg {
            format!("(SELECT v FROM json_array_elements_text(${n}::json) AS j(v))")
        } else {
            format!("(SELECT value FROM json_each(${n}))")
        }
    }

    /// The rows of a list of integers that is parameter `n`.
    fn integers(&self, n: u8) -> String {
        if self.is_pg {
            format!("(SELECT v::bigint FROM json_array_elements_text(${n}::json) AS j(v))")
        } else {
            format!("(SELECT value FROM json_each(${n}))")
        }
    }

    /// The table of a list of objects that is parameter `n`, as `m`; `columns`: names with PostgreSQL's types.
    fn objects(&self, n: u8, columns: &[(&str, &str)]) -> String {
        if self.is_pg {
            let columns: Vec<_> = columns.iter().map(|(name, ty)| format!("\"{name}\" {ty}")).collect();
            format!("json_to_recordset(${n}::json) AS m({})", columns.join(", "))
        } else {
            let columns: Vec<_> = columns.iter().map(|(name, _)| format!("value ->> '{name}' AS \"{name}\"")).collect();
            format!("(SELECT {} FROM json_each(${n})) AS m", columns.join(", "))
        }
    }

    fn bytes(&self, column: &str) -> String {
        if self.is_pg { format!("decode({column}, 'hex')") } else { format!("unhex({column})") }
    }
}

/// Whether there is anything that a batch has to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// Messages of the batch's topics wait.
    pub parked: bool,
    /// A row of the batch's models is awaited.
    pub awaited: bool,
    /// A deletion waits for rows of the batch's models to go, or may.
    pub blocked: bool,
}

/// What waits of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParkedKey {
    /// Messages that write a row.
    pub rows: bool,
    /// A deletion that waits for the rows to go that refer to its row.
    pub deletion: bool,
    /// A daemon has some of them in hand.
    pub resolving: bool,
}

/// Which messages a daemon takes.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those that wait for one of these rows.
    Relations(&'a [Awaited]),
    /// Followers that came since their chain was looked at last, and followers that have lost their head.
    Unseen,
    /// Deletions that other rows blocked.
    Blocked,
    /// Those that failed, and are due again.
    Failed,
    /// By their numbers.
    Ids(&'a [i64]),
}

/// A daemon's claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The groups whose messages it resolves.
    pub groups: &'a [String],
    /// Its token, which nobody else has.
    pub token: &'a str,
    /// How long nobody else may take them. Milliseconds.
    pub lease_ms: i64,
    /// The consumers' time.
    pub now_ms: i64,
    /// Chains at most.
    pub chains_max: i64,
    /// Messages at most.
    pub messages_max: i64,
}

/// What becomes of a message that a daemon could not resolve.
#[derive(Debug, Clone)]
pub struct Still {
    /// Its chain.
    pub chain: Chain,
    /// What the chain waits for now.
    pub relation: Option<Awaited>,
}

/// Keeps the messages that wait. The default keeps them in a table beside the models'; what takes its place has to
/// keep them in the same database, because they are parked in the transaction of the batch that they come from.
///
/// # Errors
/// All methods fail as the database does.
#[expect(clippy::missing_errors_doc, reason = "said once for all of them, above")]
pub trait MessageProcessor: Send + Sync + 'static {
    /// Whether anything waits that concerns these topics of the group, or these models.
    fn presence(&self, conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence>;
    /// What waits of these keys; those of which nothing does are left out.
    fn parked(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<Vec<(Chain, ParkedKey)>>;
    /// Parks messages. One that is parked already stays as it is.
    fn park(&self, conn: &mut DbConn, group: &str, messages: &[Parking]) -> QueryResult<()>;
    /// Forgets what waits of these keys, up to an offset each; waits for a daemon's transaction that has it in hand.
    fn forget(&self, conn: &mut DbConn, group: &str, chains: &[(&Chain, i64)]) -> QueryResult<()>;
    /// Which of these rows are awaited.
    fn awaited(&self, conn: &mut DbConn, rows: &[Awaited]) -> QueryResult<Vec<Awaited>>;
    /// Rows that are awaited, in order, behind `after`.
    fn relations(
        &self,
        conn: &mut DbConn,
        groups: &[String],
        after: Option<&Awaited>,
        limit: i64,
    ) -> QueryResult<Vec<Awaited>>;
    /// Takes messages in whole chains, in the order of topic, partition and offset; messages of a chain before the
    /// last one that says the whole row are left out.
    fn claim(&self, conn: &mut DbConn, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<WaitingMessage>>;
    /// Which of these messages are still this token's; they stay so until the transaction's end.
    fn held(&self, conn: &mut DbConn, token: &str, ids: &[i64]) -> QueryResult<HashSet<i64>>;
    /// Lengthens a claim.
    fn renew(&self, conn: &mut DbConn, token: &str, lease_ms: i64) -> QueryResult<()>;
    /// Chains that still wait, and for what; they are free again.
    fn still(&self, conn: &mut DbConn, group: &str, token: &str, chains: &[Still]) -> QueryResult<()>;
    /// A message failed, and its chain is due again at this time.
    fn failed(&self, conn: &mut DbConn, id: i64, attempts: u32, error: &str, due_ms: i64) -> QueryResult<()>;
    /// Frees what this token still has.
    fn release(&self, conn: &mut DbConn, token: &str) -> QueryResult<()>;
    /// Whether a daemon has messages of these groups in hand.
    fn is_claimed(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<bool>;
    /// Messages in order, behind the number `after`.
    fn list(&self, conn: &mut DbConn, groups: &[String], after: i64, limit: i64) -> QueryResult<Vec<WaitingMessage>>;
    /// One message.
    fn find(&self, conn: &mut DbConn, id: i64) -> QueryResult<Option<WaitingMessage>>;
    /// Tells other processes, when the transaction is committed, that rows came which are awaited.
    fn notify(&self, conn: &mut DbConn) -> QueryResult<()>;
    /// Forgets messages by their numbers; how many there were.
    fn discard(&self, conn: &mut DbConn, ids: &[i64]) -> QueryResult<usize>;
}

/// The default: a table in the models' database.
#[derive(Debug, Default, Clone, Copy)]
pub struct TableProcessor;

#[derive(QueryableByName)]
struct PresenceRow {
    #[diesel(sql_type = Bool)]
    parked: bool,
    #[diesel(sql_type = Bool)]
    awaited: bool,
    #[diesel(sql_type = Bool)]
    blocked: bool,
}

#[derive(QueryableByName)]
struct ParkedRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = Bool)]
    has_rows: bool,
    #[diesel(sql_type = Bool)]
    has_deletion: bool,
    #[diesel(sql_type = Bool)]
    resolving: bool,
}

#[derive(QueryableByName)]
struct AwaitedRow {
    #[diesel(sql_type = Text)]
    relation_model_key: String,
    #[diesel(sql_type = Text)]
    relation_id_field: String,
    #[diesel(sql_type = Text)]
    relation_id_value: String,
}

impl From<AwaitedRow> for Awaited {
    fn from(row: AwaitedRow) -> Self {
        Self { model_key: row.relation_model_key, field: row.relation_id_field, value: row.relation_id_value }
    }
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct MessageRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    consumer_group: String,
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    offset: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    value: Option<Vec<u8>>,
    #[diesel(sql_type = Text)]
    headers: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    timestamp_ms: Option<i64>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Bool)]
    deletion: bool,
    #[diesel(sql_type = Nullable<Text>)]
    relation_model_key: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    relation_id_field: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    relation_id_value: Option<String>,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
    #[diesel(sql_type = BigInt)]
    parked_at_ms: i64,
}

const COLUMNS: &str = "w.id, w.consumer_group, w.topic, w.partition, w.\"offset\" AS \"offset\", w.key, w.value, \
                       w.headers, w.timestamp_ms, w.status, w.deletion, w.relation_model_key, w.relation_id_field, \
                       w.relation_id_value, w.attempts, w.last_error, w.parked_at_ms";

impl From<MessageRow> for WaitingMessage {
    fn from(row: MessageRow) -> Self {
        let topic: Arc<str> = row.topic.into();
        let attempts = u32::try_from(row.attempts).unwrap_or(0);
        let relation = match (row.relation_model_key, row.relation_id_field, row.relation_id_value) {
            (Some(model_key), Some(field), Some(value)) => Some(Awaited { model_key, field, value }),
            _ => None,
        };
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
fn same_chain(a: &str, b: &str) -> String {
    format!(
        "{a}.consumer_group = {b}.consumer_group AND {a}.topic = {b}.topic AND {a}.chain = {b}.chain AND {a}.key IS NOT \
         DISTINCT FROM {b}.key"
    )
}

/// The chains of a list of objects, and the columns that they have there.
const CHAIN_COLUMNS: [(&str, &str); 3] = [("topic", "text"), ("chain", "bigint"), ("key", "text")];

fn chain_json(chain: &Chain) -> Value {
    json!({ "topic": &*chain.topic, "chain": chain.hash, "key": chain.key.as_deref().map(hex) })
}

fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    object[name] = value.into();
    object
}

/// `w` is the chain `m` of the group that is parameter `n`.
fn is_chain(dialect: &Dialect, n: u8) -> String {
    format!(
        "w.consumer_group = ${n} AND w.topic = m.topic AND w.chain = m.chain AND w.key IS NOT DISTINCT FROM {}",
        dialect.bytes("m.key")
    )
}

fn list(items: impl IntoIterator<Item = Value>) -> String {
    Value::Array(items.into_iter().collect()).to_string()
}

fn groups_json(groups: &[String]) -> String {
    list(groups.iter().map(|group| Value::from(group.as_str())))
}

impl MessageProcessor for TableProcessor {
    fn presence(&self, conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT EXISTS (SELECT 1 FROM {TABLE} w WHERE w.consumer_group = $1 AND w.topic IN {}) AS parked, \
             EXISTS (SELECT 1 FROM {TABLE} w WHERE w.relation_model_key IN {} AND NOT w.deletion) AS awaited, \
             EXISTS (SELECT 1 FROM {TABLE} w WHERE w.deletion) AS blocked",
            d.texts(2),
            d.texts(3)
        ));
        let text = |items: &[&str]| list(items.iter().map(|item| Value::from(*item)));
        let (topics, models) = (text(topics), text(models));
        let row = on!(
            conn,
            diesel::sql_query(sql.as_str())
                .bind::<Text, _>(group)
                .bind::<Text, _>(topics.as_str())
                .bind::<Text, _>(models.as_str()),
            get_result::<PresenceRow>
        )?;
        Ok(Presence { parked: row.parked, awaited: row.awaited, blocked: row.blocked })
    }

    fn parked(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<Vec<(Chain, ParkedKey)>> {
        let d = Dialect::of(conn);
        let columns: Vec<_> = CHAIN_COLUMNS.into_iter().chain([("place", "bigint")]).collect();
        let sql = d.numbered(&format!(
            "SELECT m.place AS place, max(CASE WHEN w.deletion THEN 0 ELSE 1 END) = 1 AS has_rows, \
             max(CASE WHEN w.deletion THEN 1 ELSE 0 END) = 1 AS has_deletion, \
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
            let parked = ParkedKey { rows: row.has_rows, deletion: row.has_deletion, resolving: row.resolving };
            Some((chain.clone(), parked))
        };
        Ok(rows.into_iter().filter_map(of).collect())
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
            "DELETE FROM {TABLE} WHERE id IN (SELECT w.id FROM {} JOIN {TABLE} w ON {} AND w.\"offset\" <= m.upto)",
            d.objects(1, &columns),
            is_chain(&d, 2)
        ));
        let rows = list(chains.iter().map(|(chain, upto)| with(chain_json(chain), "upto", *upto)));
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
        let load = d.numbered(&format!(
            "SELECT {COLUMNS} FROM {TABLE} h JOIN {TABLE} w ON {} WHERE h.id IN {} AND w.\"offset\" >= COALESCE((SELECT \
             max(f.\"offset\") FROM {TABLE} f WHERE {} AND f.partition = w.partition AND f.full_row), w.\"offset\") \
             ORDER BY w.topic, w.partition, w.\"offset\" LIMIT $2",
            same_chain("w", "h"),
            d.integers(1),
            same_chain("f", "w")
        ));
        let rows = on!(
            conn,
            diesel::sql_query(load.as_str()).bind::<Text, _>(heads.as_str()).bind::<BigInt, _>(claim.messages_max),
            load::<MessageRow>
        )?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    fn held(&self, conn: &mut DbConn, token: &str, ids: &[i64]) -> QueryResult<HashSet<i64>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!(
            "SELECT w.id FROM {TABLE} w WHERE w.id IN {} AND w.claim_token = $2 ORDER BY w.id {}",
            d.integers(1),
            d.lock
        ));
        let ids = list(ids.iter().copied().map(Value::from));
        let rows = on!(
            conn,
            diesel::sql_query(sql.as_str()).bind::<Text, _>(ids.as_str()).bind::<Text, _>(token),
            load::<IdRow>
        )?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    fn renew(&self, conn: &mut DbConn, token: &str, lease_ms: i64) -> QueryResult<()> {
        let d = Dialect::of(conn);
        let sql =
            d.numbered(&format!("UPDATE {TABLE} SET claimed_until_ms = {} + $1 WHERE claim_token = $2", d.now_ms));
        on!(conn, diesel::sql_query(sql.as_str()).bind::<BigInt, _>(lease_ms).bind::<Text, _>(token), execute).map(drop)
    }

    fn still(&self, conn: &mut DbConn, group: &str, token: &str, chains: &[Still]) -> QueryResult<()> {
        if chains.is_empty() {
            return Ok(());
        }
        let d = Dialect::of(conn);
        let columns: Vec<_> =
            CHAIN_COLUMNS.into_iter().chain([("model", "text"), ("field", "text"), ("id", "text")]).collect();
        // A deletion keeps what it waits for: the rows that refer to its own.
        let sql = d.numbered(&format!(
            "UPDATE {TABLE} AS w SET \
             status = CASE WHEN EXISTS (SELECT 1 FROM {TABLE} e WHERE {} AND e.\"offset\" < w.\"offset\") \
             THEN 'BEHIND' ELSE 'WAITING' END, claim_token = NULL, claimed_until_ms = 0, \
             due_ms = CASE WHEN w.deletion THEN {} ELSE 0 END, \
             relation_model_key = CASE WHEN w.deletion THEN w.relation_model_key ELSE m.model END, \
             relation_id_field = CASE WHEN w.deletion THEN w.relation_id_field ELSE m.field END, \
             relation_id_value = CASE WHEN w.deletion THEN w.relation_id_value ELSE m.id END \
             FROM {} WHERE {} AND w.claim_token = $3",
            same_chain("e", "w"),
            d.now_ms,
            d.objects(1, &columns),
            is_chain(&d, 2)
        ));
        let rows = list(chains.iter().map(|still| {
            let part = |part: fn(&Awaited) -> &String| still.relation.as_ref().map(|r| part(r).clone());
            let object = with(chain_json(&still.chain), "model", part(|r| &r.model_key));
            with(with(object, "field", part(|r| &r.field)), "id", part(|r| &r.value))
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

    fn find(&self, conn: &mut DbConn, id: i64) -> QueryResult<Option<WaitingMessage>> {
        let d = Dialect::of(conn);
        let sql = d.numbered(&format!("SELECT {COLUMNS} FROM {TABLE} w WHERE w.id = $1"));
        let row = on!(conn, diesel::sql_query(sql.as_str()).bind::<BigInt, _>(id), get_result::<MessageRow>);
        Ok(row.optional()?.map(Into::into))
    }

    fn notify(&self, conn: &mut DbConn) -> QueryResult<()> {
        match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(pg) => diesel::sql_query(format!("NOTIFY {CHANNEL}")).execute(pg).map(drop),
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

/// The first rows of the chains that are free; on PostgreSQL they are locked, so that no two daemons take one chain.
fn heads(conn: &mut DbConn, d: &Dialect, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<i64>> {
    let awaited = d.objects(1, &AWAITED_COLUMNS);
    let (from, condition, list_of) = match which {
        Which::Relations(rows) => (
            format!(
                "{awaited} JOIN {TABLE} c ON c.relation_model_key = m.model AND c.relation_id_field = m.field AND \
                 c.relation_id_value = m.id AND NOT c.deletion"
            ),
            "c.due_ms <= $3".to_owned(),
            list(rows.iter().map(awaited_json)),
        ),
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
    let sql = d.numbered(&format!(
        "SELECT w.id FROM {TABLE} w WHERE w.id IN (SELECT (SELECT min(e.id) FROM {TABLE} e WHERE {chain}) FROM {from} \
         WHERE {condition} AND c.consumer_group IN {groups} AND c.claimed_until_ms < {now} \
         ORDER BY c.due_ms, c.id LIMIT $4) AND w.claimed_until_ms < {now} ORDER BY w.id {lock}",
        chain = same_chain("e", "c"),
        groups = d.texts(2),
        now = d.now_ms,
        lock = d.lock_free,
    ));
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

/// Rows that are awaited, in a list of objects.
const AWAITED_COLUMNS: [(&str, &str); 3] = [("model", "text"), ("field", "text"), ("id", "text")];

fn awaited_json(row: &Awaited) -> Value {
    json!({ "model": row.model_key, "field": row.field, "id": row.value })
}

fn parking_json(parking: &Parking) -> Value {
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
