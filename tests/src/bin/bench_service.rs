//! The service of `just bench`: one table, kept in step as any user would declare it, from JSON and from Avro; a handler
//! that does nothing; the same table from a topic with retry topics; and a handler that fails once, to see how soon it is
//! called again. Each group ends in its consumer's name: of one group no two may read the same topic.

use std::collections::HashMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! {
        accounts (id) {
            id -> BigInt,
            name -> Text,
            email -> Nullable<Text>,
            active -> Bool,
            score -> Double,
            version -> BigInt,
            born -> Date,
            updated -> Timestamp,
        }
    }
}

/// The table from a topic in this format, with or without the last message of each key alone being written.
macro_rules! account {
    ($model:ident, $consumer:ident, $group:literal, format = $format:ident $(, $sync:meta)?) => {
        #[topic(name = "${topic}", format = $format)]
        #[derive(DbzConsumer)]
        #[diesel(table_name = schema::accounts)]
        $(#[$sync])?
        struct $model {
            id: i64,
            name: String,
            email: Option<String>,
            active: bool,
            score: f64,
            version: i64,
            born: chrono::NaiveDate,
            updated: chrono::NaiveDateTime,
        }

        #[consumer(group = $group, topics($model), config("auto.offset.reset" = "earliest"))]
        struct $consumer;
    };
}

account!(Account, Accounts, "${group}.Accounts", format = json);
account!(UnreducedAccount, UnreducedAccounts, "${group}.UnreducedAccounts", format = json, sync(reduce(off)));
account!(AvroAccount, AvroAccounts, "${group}.AvroAccounts", format = avro);
account!(
    UnreducedAvroAccount,
    UnreducedAvroAccounts,
    "${group}.UnreducedAvroAccounts",
    format = avro,
    sync(reduce(off))
);

/// Nothing is done with a message, not even decoded.
#[topic(name = "${topic}", key_format = bytes, value_format = bytes)]
struct NoOp;

impl TopicConsumer for NoOp {
    async fn consume(&self, _: &Record<Self>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "${group}.NoOps", topics(NoOp), config("auto.offset.reset" = "earliest"))]
struct NoOps;

/// The same table. What is called `refused` fails for good.
#[topic(name = "${topic}", retry(max_retries = 1, delay = "1s", blocking = false))]
#[derive(DbzConsumer)]
#[diesel(table_name = schema::accounts)]
struct Checked {
    id: i64,
    #[sync(with = checked)]
    name: String,
    email: Option<String>,
    active: bool,
    score: f64,
    version: i64,
    born: chrono::NaiveDate,
    updated: chrono::NaiveDateTime,
}

fn checked(name: String) -> Result<String, std::fmt::Error> {
    if name == "refused" { Err(std::fmt::Error) } else { Ok(name) }
}

#[consumer(group = "${group}.CheckedAccounts", topics(Checked), config("auto.offset.reset" = "earliest"))]
struct CheckedAccounts;

/// Each message fails once.
#[topic(name = "${topic}", retry(max_retries = 1, delay = "1s", blocking = false))]
struct Step;

/// When each message failed, by partition and offset.
#[derive(Default)]
struct Failed(Mutex<HashMap<(i32, i64), Instant>>);

impl TopicConsumer for Step {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let now = Instant::now();
        let origin = record.origin();
        let mut failed = cx.state::<Failed>().0.lock().map_err(|error| error.to_string())?;
        let Some(at) = failed.remove(&(origin.partition, origin.offset)) else {
            failed.insert((origin.partition, origin.offset), now);
            return Err("the first time".into());
        };
        writeln!(std::io::stdout(), "retried after {} us", (now - at).as_micros())?;
        Ok(())
    }
}

#[consumer(group = "${group}.Steps", topics(Step), config("auto.offset.reset" = "earliest"))]
struct Steps;

fn main() -> ExitCode {
    App::from_linked().state(Failed::default()).run()
}
