//! The service of the `stack` tests: tables of PostgreSQL, by Debezium, and plain loads. Each consumer is one test's.

use std::process::ExitCode;

use django_kafka_rs::prelude::*;

mod schema {
    #![expect(missing_docs, reason = "Diesel's macro writes them")]

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

fn main() -> ExitCode {
    django_kafka_rs::run()
}
