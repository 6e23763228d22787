//! A service as users write one, for tests of the command line and of processes: signals, exit codes, restarts.

use std::io::Write as _;
use std::process::ExitCode;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }
}
use schema::customers;

#[topic(name = "${prefix}.customers", retry(max_retries = 1, delay = "10ms"))]
#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, DbzConsumer)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    name: String,
    email: Option<String>,
}

#[topic(name = "${prefix}.commands")]
struct Commands;

impl TopicConsumer for Commands {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let command = record.value()?;
        writeln!(std::io::stdout(), "command {command}")?;
        match command.as_str() {
            "hang" => std::future::pending().await,
            "fail" => Err("told to fail".into()),
            _ => Ok(()),
        }
    }
}

#[consumer(
    group = "${prefix}-crm",
    topics(Customer, Commands),
    config("auto.offset.reset" = "earliest", "session.timeout.ms" = 1300, "heartbeat.interval.ms" = 50)
)]
struct Crm;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_service");

fn main() -> ExitCode {
    App::from_linked().migrations(MIGRATIONS).run()
}
