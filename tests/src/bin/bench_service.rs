//! The service of `just bench`: one table, kept in step as any user would declare it.

use std::process::ExitCode;

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

#[topic(name = "${topic}")]
#[derive(Queryable, Selectable, DbzConsumer)]
#[diesel(table_name = schema::accounts)]
struct Account {
    id: i64,
    name: String,
    email: Option<String>,
    active: bool,
    score: f64,
    version: i64,
    born: chrono::NaiveDate,
    updated: chrono::NaiveDateTime,
}

#[consumer(group = "${group}", topics(Account), config("auto.offset.reset" = "earliest"))]
struct Accounts;

fn main() -> ExitCode {
    django_kafka_rs::run()
}
