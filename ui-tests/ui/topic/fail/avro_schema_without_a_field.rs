use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, cod -> Text, note -> Text, } }

#[topic(name = "orders", format = avro, value_schema = "../schemas/order.avsc")]
#[derive(DbzConsumer)]
#[diesel(table_name = orders)]
struct Order {
    id: i64,
    cod: String,
    #[sync(from = "code")]
    note: String,
}

fn main() {}
