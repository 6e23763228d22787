use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, } }

#[derive(Queryable, Selectable, Identifiable, TopicReproducer)]
#[reproduce(name = "orders")]
#[diesel(table_name = orders)]
struct Order {
    id: i64,
}

#[derive(TopicReproducer)]
#[reproduce(name = "orders")]
struct NoTopic;

impl Reproduce for NoTopic {
    type Model = ();

    async fn reproduce(&self, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[topic(name = "public.orders")]
#[derive(TopicReproducer)]
#[reproduce(name = "orders")]
struct NoImpl;

#[consumer(group = "public", topics(Reproducer<NoImpl>))]
struct Public;

fn main() {}
