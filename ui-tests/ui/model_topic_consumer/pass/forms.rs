//! On a model and on a unit topic.
#![deny(warnings)]
#![forbid(unsafe_code)]

use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, email -> Text, } }

#[topic(name = "customers")]
#[derive(ModelTopicConsumer)]
#[sync(deleted_field = "gone")]
struct Customer {
    id: i64,
    email: String,
}

#[derive(ModelTopicConsumer)]
#[topic(name = "customers.by-email")]
#[sync(model = Customer, lookup(email = key), exclude(note))]
struct ByEmail;

#[topic(name = "customers.by-function")]
#[derive(ModelTopicConsumer)]
#[sync(model = Customer, lookup_with = by_email)]
struct ByFunction;

fn by_email(cx: &SyncContext<'_>) -> Result<Lookup<Customer>, ConsumeError> {
    Ok(Lookup::by(customers::email, cx.key::<String>()?))
}

fn main() {
    fn consumed<T: django_kafka_rs::topic::ConsumedTopic>() {}
    consumed::<Customer>();
    consumed::<ByEmail>();
    consumed::<ByFunction>();
}
