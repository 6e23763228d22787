use bigdecimal::BigDecimal;
use django_kafka_rs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Placed {
    id: i64,
    code: String,
    total: Option<BigDecimal>,
    paid: bool,
}

#[topic(name = "placed", key = i64, value = Placed, format = avro, key_schema = "../schemas/key.avsc", value_schema = "../schemas/order.avsc")]
struct PlacedOrders;

/// Keys are text, and values what the registry's schema says.
#[topic(name = "placed.any", key = String, value = Placed, value_format = avro)]
struct AnyOrders;

impl TopicConsumer for AnyOrders {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let (_, _) = (record.key()?, record.value()?);
        Ok(())
    }
}

diesel::table! { orders (id) { id -> BigInt, code -> Text, total -> Nullable<Numeric>, paid -> Bool, } }

/// A decimal needs no `as`: the schema has its scale.
#[topic(name = "orders", format = avro, value_schema = "../schemas/order.avsc")]
#[derive(DbzConsumer)]
#[diesel(table_name = orders)]
struct Order {
    id: i64,
    code: String,
    total: Option<BigDecimal>,
    paid: bool,
}

/// The same by a topic of its own, with keys in JSON.
#[topic(name = "orders.too", value_format = avro, value_schema = "../schemas/order.avsc")]
#[derive(ModelTopicConsumer)]
#[sync(model = Row)]
struct OrderRows;

#[derive(SyncModel)]
#[diesel(table_name = orders)]
struct Row {
    id: i64,
    code: String,
    #[sync(as = dbz::FromSchema)]
    total: Option<BigDecimal>,
}

fn main() {
    let _ = (PlacedOrders, AnyOrders, OrderRows);
}
