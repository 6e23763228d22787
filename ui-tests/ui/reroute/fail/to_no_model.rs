use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
}

struct Order {
    _id: i64,
}

#[topic(name = "all")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer, "public.orders" => Order, "public.items" => Item)]
#[sync(lookup(number))]
struct All;

fn main() {}
