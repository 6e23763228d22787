use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[topic(name = "customers")]
#[derive(DbzConsumer)]
#[sync(exclude(label), lookup(emial), guard(on))]
struct Customer {
    id: i64,
    #[sync(from = "label")]
    name: String,
    #[sync(skip, with = lower)]
    email: Option<String>,
}

// What names the model is no mistake.
#[topic(name = "all")]
#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer)]
struct All;

fn main() {
    fn consumed<T: django_kafka_rs::topic::ConsumedTopic>() {}
    consumed::<Customer>();
    consumed::<All>();
}
