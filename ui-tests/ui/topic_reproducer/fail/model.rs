use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, } }

struct Plain;

#[derive(Queryable, Selectable, Identifiable)]
struct Order {
    id: i64,
}

#[topic(name = "public.plain")]
#[derive(TopicReproducer)]
#[reproduce(model = Plain)]
struct OfNoModel;

#[topic(name = "public.orders")]
#[derive(TopicReproducer)]
#[reproduce(model = Order)]
struct OfAnother;

impl Reproduce for OfAnother {
    type Model = Plain;

    async fn upsert(&self, _: Plain, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }

    async fn delete(&self, _: i64, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

fn main() {}
