use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[topic(name = "customers", value = String, value_format = string)]
#[derive(DbzConsumer)]
struct Customer {
    id: i64,
}

fn main() {}
