use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
}

#[topic(name = "a")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer, "public.customers" => Customer, " " => Customer, public.customers = Customer)]
struct Malformed;

#[topic(name = "b")]
#[derive(DbzConsumer)]
#[reroute()]
struct Empty;

#[topic(name = "c")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer)]
#[sync(model = Customer, lookup_with = by_name)]
struct Both;

#[topic(name = "d")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer)]
#[sync(lookup_with = by_name)]
struct LookupWith;

fn main() {}
