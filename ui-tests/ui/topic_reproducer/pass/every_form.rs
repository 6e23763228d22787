use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, total -> Double, } }
diesel::table! { shop.lines (order_id, number) { order_id -> BigInt, number -> Integer, text -> Text, } }

#[derive(Queryable, Selectable, Identifiable)]
struct Order {
    id: i64,
    total: f64,
}

#[derive(Queryable, Selectable, Identifiable)]
#[diesel(primary_key(order_id, number))]
struct Line {
    order_id: i64,
    number: i32,
    text: String,
}

#[topic(name = "public.orders", key = i64, value = f64)]
#[derive(TopicReproducer)]
#[reproduce(model = Order, namespace = "${prefix}.public", name = "raw_orders")]
struct PublicOrders;

impl Reproduce for PublicOrders {
    type Model = Order;

    async fn upsert(&self, order: Order, record: &Record<Reproducer<Self>>, _cx: &Context) -> ConsumeResult {
        let (_key, _row): (serde_json::Value, serde_json::Value) = (record.key()?, record.value()?);
        if order.id == 0 || order.total < 0.0 {
            return Err(ConsumeError::skip("not for the public"));
        }
        Ok(())
    }

    async fn delete(&self, _id: i64, _record: &Record<Reproducer<Self>>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[topic(name = "public.lines")]
#[derive(TopicReproducer)]
#[reproduce(model = Line)]
struct PublicLines;

impl Reproduce for PublicLines {
    type Model = Line;

    async fn upsert(&self, line: Line, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        let _ = (line.order_id, line.number, line.text);
        Ok(())
    }

    async fn delete(&self, (_order, _line): (i64, i32), _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

mod facade {
    pub use django_kafka_rs as dk;
}

/// Above `#[topic]` it may stand too, and all of it may be its own.
#[derive(TopicReproducer)]
#[topic(name = "public.rest")]
#[reproduce(name = "rest", crate = facade::dk)]
struct Rest;

impl Reproduce for Rest {
    type Model = ();

    async fn reproduce(&self, _: &Record<Reproducer<Self>>, _: &Context) -> ConsumeResult {
        Ok(())
    }
}

#[consumer(group = "public", topics(Reproducer<PublicOrders>, Reproducer<PublicLines>, Reproducer<Rest>))]
struct Public;

fn main() {
    let names: Vec<_> = Public::DECLARATION.topics.iter().map(|topic| topic.declaration.name).collect();
    assert_eq!(
        names,
        [
            "${prefix}.public.raw_orders",
            "${reproducer_config.namespace}.${table of Line}",
            "${reproducer_config.namespace}.rest"
        ]
    );
}
