use django_kafka_rs::prelude::*;

#[topic(
    name = "orders",
    key = String,
    value = String,
    format = avro,
    key_schema = "../schemas/key.avsc",
    value_schema = "../schemas/order.avsc"
)]
struct Orders;

diesel::table! { orders (id) { id -> BigInt, code -> BigInt, paid -> Nullable<Text>, } }

#[topic(name = "orders", format = avro, value_schema = "../schemas/order.avsc")]
#[derive(DbzConsumer)]
#[diesel(table_name = orders)]
struct Order {
    id: i64,
    code: i64,
    paid: Option<String>,
}

fn main() {}
