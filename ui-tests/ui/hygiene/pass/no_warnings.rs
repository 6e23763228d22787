//! Nothing that the macros write is warned about.
#![deny(warnings, missing_docs, unreachable_pub, unused_qualifications, missing_debug_implementations, rust_2018_idioms)]

use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
}
use schema::customers;

#[topic(name = "customers")]
#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, DbzConsumer)]
#[diesel(table_name = customers)]
struct Customer {
    id: i64,
    name: String,
}

#[topic(name = "audit", value = Event, retry(max_retries = 3, delay = "2s", include(std::io::Error)))]
struct Audit;

#[derive(serde::Deserialize)]
struct Event {
    kind: String,
}

#[topic(name = "counted")]
#[derive(Default)]
struct Counted {
    seen: std::sync::atomic::AtomicU64,
}

impl TopicConsumer for Audit {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        if record.value()?.kind.is_empty() { Err(ConsumeError::skip("no kind")) } else { Ok(()) }
    }
}

impl TopicConsumer for Counted {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        self.seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

#[consumer(group = "crm", topics(Customer, Audit, Counted), config("auto.offset.reset" = "earliest"))]
struct Crm;

#[connector(config("connector.class" = "org.acme.Source"))]
struct CrmSource;

fn main() {}
