//! The service of the `stack` tests: tables of PostgreSQL, by Debezium, and plain loads. Each consumer is one test's.

use std::io::Write as _;
use std::process::ExitCode;

use diesel::pg::Pg;
use diesel::serialize::{IsNull, Output, ToSql};
use django_kafka_rs::prelude::*;

mod schema {

    diesel::table! {
        people (id) {
            id -> BigInt,
            name -> Text,
            email -> Nullable<Text>,
            active -> Bool,
            small -> Nullable<SmallInt>,
            ratio -> Nullable<Double>,
            born -> Nullable<Date>,
            big -> Nullable<Text>,
        }
    }
    diesel::table! {
        use diesel::sql_types::{
            Array, BigInt, Binary, Bool, Bpchar, Date, Double, Jsonb, Nullable, Numeric, SmallInt, Text, Time, Timestamp,
            Timestamptz, Uuid, Varchar,
        };
        use crate::MoodType;
        full_people (id) {
            id -> BigInt,
            name -> Text,
            email -> Nullable<Varchar>,
            active -> Bool,
            small -> Nullable<SmallInt>,
            ratio -> Nullable<Double>,
            balance -> Nullable<Numeric>,
            free -> Nullable<Numeric>,
            born -> Nullable<Date>,
            seen -> Nullable<Timestamptz>,
            made -> Nullable<Timestamp>,
            made_ms -> Nullable<Timestamp>,
            opens -> Nullable<Time>,
            gap -> Nullable<BigInt>,
            uid -> Nullable<Uuid>,
            meta -> Nullable<Jsonb>,
            tags -> Nullable<Array<Nullable<Text>>>,
            raw -> Nullable<Binary>,
            code -> Nullable<Bpchar>,
            mood -> Nullable<MoodType>,
            big -> Nullable<Text>,
        }
    }
    diesel::table! { items (id) { id -> BigInt, name -> Text, version -> BigInt, } }
    diesel::table! { documents (id) { id -> BigInt, version -> BigInt, body -> Text, } }
    diesel::table! { customers (id) { id -> BigInt, name -> Text, version -> BigInt, } }
    diesel::table! { categories (id) { id -> BigInt, parent_id -> Nullable<BigInt>, name -> Text, version -> BigInt, } }
    diesel::table! {
        orders (id) { id -> BigInt, customer_id -> BigInt, referrer_id -> Nullable<BigInt>, total -> BigInt, version -> BigInt, }
    }
    diesel::table! {
        order_lines (id) { id -> BigInt, order_id -> BigInt, category_id -> Nullable<BigInt>, amount -> BigInt, version -> BigInt, }
    }
    diesel::table! { pairs (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }
    diesel::table! { north_notes (id) { id -> BigInt, note -> Nullable<Text>, } }
    diesel::table! { south_notes (id) { id -> BigInt, note -> Nullable<Text>, extra -> Nullable<Integer>, } }
}

/// The columns that SQLite has types for; the message's other fields are ignored.
#[topic(name = "${prefix}.public.people")]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = schema::people)]
struct Person {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    small: Option<i16>,
    ratio: Option<f64>,
    born: Option<chrono::NaiveDate>,
    big: Option<String>,
}

#[consumer(group = "${prefix}-people", topics(Person), config("auto.offset.reset" = "earliest"))]
struct People;

/// The type `mood` of PostgreSQL.
#[derive(Debug, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(name = "mood"))]
pub struct MoodType;

#[derive(Debug, Clone, Copy, serde::Deserialize, diesel::expression::AsExpression)]
#[serde(rename_all = "lowercase")]
#[diesel(sql_type = MoodType)]
enum Mood {
    Glad,
    Sad,
}

impl ToSql<MoodType, Pg> for Mood {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        out.write_all(match self {
            Self::Glad => b"glad",
            Self::Sad => b"sad",
        })?;
        Ok(IsNull::No)
    }
}

/// Every column, for PostgreSQL.
#[topic(name = "${prefix}.public.people")]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::full_people)]
struct FullPerson {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    small: Option<i16>,
    ratio: Option<f64>,
    #[sync(as = dbz::Decimal(2))]
    balance: Option<bigdecimal::BigDecimal>,
    #[sync(as = dbz::Decimal(0))]
    free: Option<bigdecimal::BigDecimal>,
    born: Option<chrono::NaiveDate>,
    seen: Option<chrono::DateTime<chrono::Utc>>,
    made: Option<chrono::NaiveDateTime>,
    #[sync(as = dbz::Timestamp)]
    made_ms: Option<chrono::NaiveDateTime>,
    opens: Option<chrono::NaiveTime>,
    gap: Option<i64>,
    uid: Option<uuid::Uuid>,
    meta: Option<serde_json::Value>,
    tags: Option<Vec<Option<String>>>,
    raw: Option<Vec<u8>>,
    code: Option<String>,
    mood: Option<Mood>,
    big: Option<String>,
}

#[consumer(group = "${prefix}-full", topics(FullPerson), config("auto.offset.reset" = "earliest"))]
struct FullPeople;

/// A row of a load, which a test produces itself.
#[topic(name = "${prefix}.items")]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = schema::items)]
struct Item {
    id: i64,
    name: String,
    version: i64,
}

#[consumer(group = "${prefix}-items", topics(Item), config("auto.offset.reset" = "earliest"))]
struct Items;

/// The same for static members: their names have to differ, so each is told its own.
#[consumer(
    group = "${prefix}-items",
    topics(Item),
    config("auto.offset.reset" = "earliest", "group.instance.id" = env("MIRROR_INSTANCE"))
)]
struct StaticItems;

/// Tables of two schemas in one topic.
#[topic(name = "${prefix}.notes")]
#[derive(DbzConsumer)]
#[reroute("north.notes" => NorthNote, "south.notes" => SouthNote)]
struct AllNotes;

#[derive(Queryable, Selectable, SyncModel)]
#[diesel(table_name = schema::north_notes)]
struct NorthNote {
    id: i64,
    note: Option<String>,
}

#[derive(Queryable, Selectable, SyncModel)]
#[diesel(table_name = schema::south_notes)]
struct SouthNote {
    id: i64,
    note: Option<String>,
    extra: Option<i32>,
}

#[consumer(group = "${prefix}-notes", topics(AllNotes), config("auto.offset.reset" = "earliest"))]
struct Notes;

/// Large rows.
#[topic(name = "${prefix}.documents")]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = schema::documents)]
struct Document {
    id: i64,
    version: i64,
    body: String,
}

#[consumer(group = "${prefix}-documents", topics(Document), config("auto.offset.reset" = "earliest"))]
struct Documents;

/// A message that adds one to the number of its visits, and one to that of its partition: handled twice, it shows. One of
/// `fails` fails at first, after its work.
#[topic(name = "${prefix}.visits", retry(max_retries = 5, delay = "100ms", blocking = false))]
struct Visits;

impl TopicConsumer for Visits {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let (id, fails): (i64, bool) = match record.value()?.split_once(' ') {
            Some((id, _)) => (id.parse()?, true),
            None => (record.value()?.parse()?, false),
        };
        let partition = record.origin().partition;
        cx.pg(move |conn: &mut PgConnection| {
            diesel::sql_query(
                "insert into visits values ($1, 1) on conflict (id) do update set visits = visits.visits + 1",
            )
            .bind::<diesel::sql_types::BigInt, _>(id)
            .execute(conn)
        })
        .await?;
        if fails && record.attempt() == 0 {
            return Err("told to fail".into());
        }
        // A second piece of work in the same transaction.
        cx.pg(move |conn: &mut PgConnection| {
            diesel::sql_query(
                "insert into totals values ($1, 1) on conflict (partition) do update set visits = totals.visits + 1",
            )
            .bind::<diesel::sql_types::Integer, _>(partition)
            .execute(conn)
        })
        .await?;
        Ok(())
    }
}

#[consumer(
    group = "${prefix}-visits",
    topics(Visits),
    config("auto.offset.reset" = "earliest"),
    offsets = "database"
)]
struct Counter;

/// A shop whose tables refer to each other, and to themselves.
#[topic(name = "${prefix}.public.customers")]
#[derive(Queryable, Identifiable, DbzConsumer)]
#[diesel(table_name = schema::customers)]
struct Customer {
    id: i64,
    name: String,
    version: i64,
}

#[topic(name = "${prefix}.public.categories")]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = schema::categories, belongs_to(Category, foreign_key = parent_id))]
#[sync(relations(auto))]
struct Category {
    id: i64,
    parent_id: Option<i64>,
    name: String,
    version: i64,
}

#[topic(name = "${prefix}.public.orders")]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = schema::orders, belongs_to(Customer))]
#[sync(relations(auto))]
struct Order {
    id: i64,
    customer_id: i64,
    // Diesel knows one association of two models, and no more.
    #[sync(relation(Customer))]
    referrer_id: Option<i64>,
    total: i64,
    version: i64,
}

#[topic(name = "${prefix}.public.order_lines")]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = schema::order_lines, belongs_to(Order), belongs_to(Category))]
#[sync(relations(auto))]
struct OrderLine {
    id: i64,
    order_id: i64,
    category_id: Option<i64>,
    amount: i64,
    version: i64,
}

#[consumer(
    group = "${prefix}-shop",
    topics(Customer, Category, Order, OrderLine),
    config("auto.offset.reset" = "earliest", "group.instance.id" = env("MIRROR_INSTANCE"))
)]
struct Shop;

#[consumer(
    group = "${prefix}-shop",
    topics(Customer, Category, Order, OrderLine),
    config("auto.offset.reset" = "earliest", "group.instance.id" = env("MIRROR_INSTANCE")),
    offsets = "database"
)]
struct ExactShop;

/// One of two databases that keep each other in step; the topic is the other's.
#[topic(name = "${prefix}.public.pairs")]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::pairs)]
struct Pair {
    id: i64,
    name: String,
    kafka_skip: KafkaSkip,
}

#[consumer(group = "${prefix}-pairs", topics(Pair), config("auto.offset.reset" = "earliest"), suppress)]
struct Pairs;

/// Every topic below the prefix, which is the group's name too: so the names of its own retry and dead letter topics
/// match it.
#[topic(name = r"^${prefix}\..*", retry(max_retries = 1, delay = "10ms"))]
struct Anything;

impl TopicConsumer for Anything {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        say("pattern", record.topic(), &record.value()?)
    }
}

#[topic(name = "${prefix}.exact")]
struct Exact;

impl TopicConsumer for Exact {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        say("exact", record.topic(), &record.value()?)
    }
}

fn say(handler: &str, topic: &str, value: &str) -> ConsumeResult {
    if value == "bad" {
        return Err("told to fail".into());
    }
    writeln!(std::io::stdout(), "{handler} {topic} {value}")?;
    Ok(())
}

#[consumer(group = "${prefix}", topics(Anything, Exact), config("auto.offset.reset" = "earliest"))]
struct Pattern;

fn main() -> ExitCode {
    django_kafka_rs::run()
}
