use django_kafka_rs::prelude::*;


#[topic(name = "customers")]
#[derive(ModelTopicConsumer)]
struct Customers;

#[topic(name = "customers.2")]
#[derive(ModelTopicConsumer)]
#[sync(modle = Customer)]
struct Misspelt;

#[topic(name = "customers.3")]
#[derive(ModelTopicConsumer)]
#[sync(model = Plain)]
struct OfNoModel;

struct Plain {
    _id: i64,
}

fn main() {}
