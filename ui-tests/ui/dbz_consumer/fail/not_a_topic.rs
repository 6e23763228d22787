use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(DbzConsumer)]
struct Customer {
    id: i64,
}

#[derive(DbzConsumer)]
#[sync(model = Customer)]
struct Customers;

fn main() {}
