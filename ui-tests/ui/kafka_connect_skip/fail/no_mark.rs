use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }

#[derive(KafkaConnectSkip)]
struct Customer {
    id: i64,
    name: String,
}

fn save(customer: &mut Customer, conn: &mut SqliteConnection) -> QueryResult<()> {
    customer.save(conn)
}

fn main() {}
