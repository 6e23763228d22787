use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[topic(name = "customers")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer)]
struct Customer {
    id: i64,
}

fn main() {}
