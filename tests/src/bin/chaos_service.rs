//! The service of the chaos runs (`tests/stack/chaos`): a model on a topic with blocking retries, the same model on one
//! with retry topics, and a handler that counts. What a message has to come to can be read off it: see `refuse`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use diesel::sql_types::{BigInt, Integer};
use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! { in_place (id) { id -> BigInt, a -> Nullable<Text>, b -> Nullable<Text>, version -> Nullable<BigInt>, } }
    diesel::table! { hopping (id) { id -> BigInt, a -> Nullable<Text>, b -> Nullable<Text>, version -> Nullable<BigInt>, } }
}

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("poison")]
    Poison,
    #[error("not before its time")]
    TooEarly,
    #[error("system clock before 1970")]
    Clock,
}

/// `poison …` is always refused; `until MILLISECONDS …` before that time.
fn refuse(text: &str) -> Result<(), Refusal> {
    if text.starts_with("poison ") {
        return Err(Refusal::Poison);
    }
    let Some(rest) = text.strip_prefix("until ") else { return Ok(()) };
    let until: u128 = rest.split(' ').next().and_then(|ms| ms.parse().ok()).ok_or(Refusal::Poison)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| Refusal::Clock)?.as_millis();
    if now < until { Err(Refusal::TooEarly) } else { Ok(()) }
}

fn checked(text: Option<String>) -> Result<Option<String>, Refusal> {
    text.as_deref().map_or(Ok(()), refuse)?;
    Ok(text)
}

/// Its table refuses, by a constraint, texts in `b` that begin with `refused`.
#[topic(name = "${prefix}.in_place", retry(max_retries = 6, delay = "100ms", backoff, max_delay = "400ms"))]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::in_place)]
struct InPlace {
    id: i64,
    #[sync(with = checked)]
    a: Option<String>,
    b: Option<String>,
    version: Option<i64>,
}

/// The same, with retry topics.
#[topic(name = "${prefix}.hopping", retry(max_retries = 3, delay = "700ms", blocking = false))]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::hopping)]
struct Hopping {
    id: i64,
    #[sync(with = checked)]
    a: Option<String>,
    b: Option<String>,
    version: Option<i64>,
}

/// Counts how often each message was handled to its end.
#[topic(name = "${prefix}.counted", retry(max_retries = 3, delay = "700ms", blocking = false))]
struct Counted;

impl TopicConsumer for Counted {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let origin = record.origin();
        let text = record.value()?;
        cx.pg(move |conn| {
            count(conn, origin.partition, origin.offset)?;
            // After the effect, so that a failure takes it back.
            refuse(&text).map_err(ConsumeError::from)
        })
        .await
    }
}

fn count(conn: &mut PgConnection, partition: i32, offset: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "insert into counted (partition, position, times) values ($1, $2, 1) \
         on conflict (partition, position) do update set times = counted.times + 1",
    )
    .bind::<Integer, _>(partition)
    .bind::<BigInt, _>(offset)
    .execute(conn)
}

#[consumer(
    group = "${prefix}-chaos",
    topics(InPlace, Hopping, Counted),
    config("auto.offset.reset" = "earliest")
)]
struct Chaos;

fn main() -> ExitCode {
    django_kafka_rs::run()
}
