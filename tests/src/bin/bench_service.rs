//! The service of `just bench`: one table, kept in step as any user would declare it, from JSON and from Avro; a handler
//! that does nothing; the same table from a topic with retry topics, with relations, with offsets in the database; a row
//! that others wait for; and a handler that fails once, to see how soon it is called again. Each group ends in its
//! consumer's name: of one group no two may read the same topic.

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
    diesel::table! { owners (id) { id -> BigInt, } }
    diesel::table! { parents (id) { id -> BigInt, } }
    diesel::table! { children (id) { id -> BigInt, parent_id -> BigInt, name -> Text, } }
}

/// The table from a topic, with what its topic, its sync and its consumer are told besides, and with the owner that an
/// account waits for.
macro_rules! account {
    (
        $model:ident, $consumer:ident, $group:literal, topic($($topic:tt)*)
        $(, sync($($sync:tt)*))? $(, owner($owner:ident))? $(, consumer($($option:tt)*))?
    ) => {
        #[topic(name = "${topic}", $($topic)*)]
        #[derive(DbzConsumer)]
        #[diesel(table_name = schema::accounts)]
        $(#[sync($($sync)*)])?
        struct $model {
            $(#[sync(relation($owner))])?
            id: i64,
            name: String,
            email: Option<String>,
            active: bool,
            score: f64,
            version: i64,
            born: chrono::NaiveDate,
            updated: chrono::NaiveDateTime,
        }

        #[consumer(
            group = $group,
            topics($model),
            config("auto.offset.reset" = "earliest"),
            $($($option)*)?
        )]
        struct $consumer;
    };
}

account!(Account, Accounts, "${group}.Accounts", topic(format = json));
account!(UnreducedAccount, UnreducedAccounts, "${group}.UnreducedAccounts", topic(format = json), sync(reduce(off)));
account!(AvroAccount, AvroAccounts, "${group}.AvroAccounts", topic(format = avro));
account!(
    UnreducedAvroAccount,
    UnreducedAvroAccounts,
    "${group}.UnreducedAvroAccounts",
    topic(format = avro),
    sync(reduce(off))
);
account!(OwnedAccount, OwnedAccounts, "${group}.OwnedAccounts", topic(format = json), owner(Owner));
account!(ExactAccount, ExactAccounts, "${group}.ExactAccounts", topic(format = json), consumer(offsets = "database"));
account!(
    GuardedAccount,
    GuardedAccounts,
    "${group}.GuardedAccounts",
    topic(format = json, retry(max_retries = 1, delay = "1s", blocking = false))
);
account!(
    UnguardedAccount,
    UnguardedAccounts,
    "${group}.UnguardedAccounts",
    topic(format = json, retry(max_retries = 1, delay = "1s", blocking = false)),
    sync(guard(off))
);

// All of it together.
account!(
    FullAccount,
    FullAccounts,
    "${group}.FullAccounts",
    topic(format = json, retry(max_retries = 1, delay = "1s", blocking = false)),
    owner(Owner),
    consumer(offsets = "database")
);

/// Each account has one of its own, which makes as many rows to be asked for as there can be.
#[derive(SyncModel)]
#[diesel(table_name = schema::owners)]
struct Owner {
    id: i64,
}

/// A row that many wait for.
#[topic(name = "${topic}.parents")]
#[derive(Queryable, Identifiable, DbzConsumer)]
#[diesel(table_name = schema::parents)]
struct Parent {
    id: i64,
}

#[topic(name = "${topic}.children")]
#[derive(Queryable, Identifiable, Associations, DbzConsumer)]
#[diesel(table_name = schema::children, belongs_to(Parent))]
#[sync(relations(auto))]
struct Child {
    id: i64,
    parent_id: i64,
    name: String,
}

#[consumer(group = "${group}.Family", topics(Parent, Child), config("auto.offset.reset" = "earliest"))]
struct Family;

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

#[cfg(feature = "bench-allocations")]
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> ExitCode {
    // Written when it is dropped, to where `ALLOCATIONS` says.
    #[cfg(feature = "bench-allocations")]
    let _profiler = std::env::var_os("ALLOCATIONS")
        .map(|file| dhat::Profiler::builder().file_name(file).trim_backtraces(Some(FRAMES_MAX)).build());
    App::from_linked().state(Failed::default()).run()
}

/// Enough to reach our own code from within Diesel and serde.
#[cfg(feature = "bench-allocations")]
const FRAMES_MAX: usize = 40;
