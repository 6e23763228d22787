#![forbid(unsafe_code)]

use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }

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

#[connector(config("connector.class" = "org.acme.Source"))]
struct CrmSource;

#[consumer(group = "crm", topics(Customer, Audit, Counted), config("auto.offset.reset" = "earliest"))]
struct Crm;

fn main() {}
