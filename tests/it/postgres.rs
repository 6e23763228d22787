//! Messages as Debezium wrote them become rows in a real PostgreSQL: every type that it has for them.
//!
//! Needs `DATABASE_URL` to name one; says loudly that it did not run otherwise. CI sets it.

use std::io::Write as _;

use base64::Engine as _;
use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::serialize::{IsNull, Output, ToSql};
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::{TestApp, TestResult};

/// The type `mood` of PostgreSQL.
#[derive(Debug, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(name = "mood"))]
pub struct MoodType;

#[derive(Debug, Clone, Copy, serde::Deserialize, diesel::expression::AsExpression)]
#[serde(rename_all = "lowercase")]
#[diesel(sql_type = MoodType)]
enum Mood {
    Sad,
    Ok,
    Glad,
}

impl ToSql<MoodType, Pg> for Mood {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        out.write_all(match self {
            Self::Sad => b"sad",
            Self::Ok => b"ok",
            Self::Glad => b"glad",
        })?;
        Ok(IsNull::No)
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::MoodType;
    users (id) {
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
        mood -> Nullable<MoodType>,
        big -> Nullable<Text>,
        later -> Nullable<Text>,
    }
}

/// A topic of the captured table: connectors differ in how they write decimals and times.
macro_rules! stream {
    ($module:ident, $topic:literal, [$($balance:tt)+], [$($free:tt)+], [$($made:tt)+], [$($made_ms:tt)+],
     [$($opens:tt)+] $(, $tags:ident)?) => {
        mod $module {
            use super::*;

            #[topic(name = $topic, register = false)]
            #[derive(DbzConsumer)]
            #[diesel(table_name = users)]
            struct User {
                id: i64,
                name: String,
                email: Option<String>,
                active: bool,
                small: Option<i16>,
                ratio: Option<f64>,
                #[sync(as = $($balance)+)]
                balance: Option<bigdecimal::BigDecimal>,
                #[sync(as = $($free)+)]
                free: Option<bigdecimal::BigDecimal>,
                born: Option<chrono::NaiveDate>,
                seen: Option<chrono::DateTime<chrono::Utc>>,
                #[sync(as = $($made)+)]
                made: Option<chrono::NaiveDateTime>,
                #[sync(as = $($made_ms)+)]
                made_ms: Option<chrono::NaiveDateTime>,
                #[sync(as = $($opens)+)]
                opens: Option<chrono::NaiveTime>,
                gap: Option<i64>,
                uid: Option<uuid::Uuid>,
                meta: Option<serde_json::Value>,
                $($tags: Option<Vec<Option<String>>>,)?
                raw: Option<Vec<u8>>,
                mood: Option<Mood>,
                big: Option<String>,
                later: Option<String>,
            }

            #[consumer(group = "replica", topics(User), config("auto.offset.reset" = "earliest"))]
            pub(super) struct Replica;
        }
    };
}

stream!(
    flat,
    "smoke_json",
    [dbz::Decimal(2)],
    [dbz::Decimal(0)],
    [dbz::MicroTimestamp],
    [dbz::Timestamp],
    [dbz::MicroTime]
);
stream!(
    text,
    "smoke_json_string",
    [dbz::DecimalText],
    [dbz::DecimalText],
    [dbz::Timestamp],
    [dbz::Timestamp],
    [dbz::Time],
    tags
);
// With a schema in each message, nothing has to be said twice.
stream!(
    schema,
    "smoke_json_schema",
    [dbz::FromSchema],
    [dbz::FromSchema],
    [dbz::FromSchema],
    [dbz::FromSchema],
    [dbz::FromSchema]
);
stream!(
    envelope,
    "smoke_envelope",
    [dbz::Decimal(2)],
    [dbz::Decimal(0)],
    [dbz::MicroTimestamp],
    [dbz::Timestamp],
    [dbz::MicroTime],
    tags
);

/// What is asked of each row: JSON of it, as PostgreSQL writes it, the large text by its length.
#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

async fn rows(app: &TestApp) -> TestResult<String> {
    let lines: Vec<Line> = app
        .pg(|conn| {
            diesel::sql_query(
                "SELECT jsonb_strip_nulls(to_jsonb(u) || jsonb_build_object('big', length(big)))::text AS line \
                 FROM users AS u ORDER BY id",
            )
            .load(conn)
        })
        .await?;
    Ok(lines.into_iter().map(|line| line.line + "\n").collect())
}

/// A key's or a value's bytes; `None` is null.
type Bytes = Option<Vec<u8>>;

/// Key and value of each captured message.
fn captured(name: &str) -> Vec<(Bytes, Bytes)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data");
    let text = std::fs::read_to_string(folder.join(name).with_extension("jsonl")).unwrap();
    let bytes = |part: &serde_json::Value| {
        part.as_str().map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap())
    };
    let message = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        (bytes(&message["key"]), bytes(&message["value"]))
    };
    text.lines().map(message).collect()
}

/// PostgreSQL's URL; `None`, said loudly, where there is none.
fn database_url() -> Option<String> {
    let url = std::env::var("DATABASE_URL").ok().filter(|url| url.starts_with("postgres"));
    if url.is_none() {
        eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL (postgres://…)");
    }
    url
}

/// The rows after the update of the second one, and at the end.
async fn check(stream: &str, consumer: impl Consumer, before: &str, after: &str) {
    const MIGRATIONS: diesel_migrations::EmbeddedMigrations =
        diesel_migrations::embed_migrations!("it/postgres_migrations");
    let Some(url) = database_url() else { return };
    let app = App::builder().consumer(consumer).migrations(MIGRATIONS);
    let app = TestApp::start_with_postgres(app, &url).await.unwrap();
    let messages = captured(stream);
    let (first, rest) = messages.split_at(5);
    for (part, expected) in [(first, before), (rest, after)] {
        for (key, value) in part {
            app.produce_with(stream, key.clone(), value.clone(), Headers::new(), Some(0)).await.unwrap();
        }
        app.settle().await.unwrap();
        assert_eq!(app.dead_letters(stream).await.unwrap(), []);
        assert_eq!(rows(&app).await.unwrap(), expected);
    }
    app.shutdown().await.unwrap();
}

/// With microseconds.
const BEFORE: &str = r#"{"id": 1, "big": 9000, "name": "one again", "active": true, "balance": 1.11}
{"id": 2, "gap": 37091106000000, "raw": "\\xdeadbeef00", "uid": "123e4567-e89b-12d3-a456-426614174000", "born": "1999-12-31", "free": 3.14159265358979, "made": "2024-02-29T12:34:56.789012", "meta": {"a": [1, null, "x"], "b": {"c": 1.5}}, "mood": "glad", "name": "Zoë 你好 😀 \"q\" \\", "seen": "2024-02-29T10:34:56.789012+00:00", "tags": ["one", null, "two, three"], "email": "z@example.org", "later": "x", "opens": "23:59:59.999999", "ratio": 0.1, "small": -7, "active": false, "balance": -1234567.89, "made_ms": "2024-02-29T12:34:56.789"}
{"id": 3, "born": "0001-01-01", "made": "1969-12-31T23:59:59.999999", "name": "", "seen": "1969-12-31T23:59:59.999999+00:00", "active": true, "balance": 0.00}
"#;
const AFTER: &str = r#"{"id": 1, "big": 9000, "name": "one again", "active": true, "balance": 1.11}
{"id": 30, "born": "0001-01-01", "made": "1969-12-31T23:59:59.999999", "name": "", "seen": "1969-12-31T23:59:59.999999+00:00", "later": "x", "active": true, "balance": 0.00}
"#;

/// Where the model has no array, each column's values are one.
fn without_tags(rows: &str) -> String {
    rows.replace(r#""tags": ["one", null, "two, three"], "#, "")
}

#[tokio::test(flavor = "multi_thread")]
async fn flattened_rows_are_replicated() {
    check("smoke_json", flat::Replica, &without_tags(BEFORE), AFTER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_their_schema_are_replicated() {
    check("smoke_json_schema", schema::Replica, &without_tags(BEFORE), AFTER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_are_replicated() {
    check("smoke_envelope", envelope::Replica, BEFORE, AFTER).await;
}

/// Its times have milliseconds, and a null is not replaced by the column's default.
#[tokio::test(flavor = "multi_thread")]
async fn rows_with_decimals_as_text_are_replicated() {
    let before = BEFORE
        .replace("56.789012\", \"meta\"", "56.789\", \"meta\"")
        .replace("59.999999\", \"name\"", "59.999\", \"name\"")
        .replace("59.999999\", \"ratio\"", "59.999\", \"ratio\"")
        .replace("\"later\": \"x\", ", "");
    let after = AFTER.replace("59.999999\", \"name\"", "59.999\", \"name\"");
    check("smoke_json_string", text::Replica, &before, &after).await;
}
