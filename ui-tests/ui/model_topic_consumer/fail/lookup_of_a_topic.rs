use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
    #[sync(compute = name_of)]
    name: String,
    email: Option<String>,
}
fn name_of(cx: &SyncContext<'_>) -> String {
    cx.topic().to_owned()
}

#[topic(name = "customers.by-email")]
#[derive(ModelTopicConsumer)]
#[sync(model = Customer, lookup(emial))]
struct ByEmail;

#[topic(name = "customers.by-name")]
#[derive(ModelTopicConsumer)]
#[sync(model = Customer, lookup(name))]
struct ByName;

fn main() {}
