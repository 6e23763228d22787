use django_kafka_rs::prelude::*;

struct Crm;

fn run<C: Consumer>(_consumer: C) {}

fn main() {
    run(Crm);
}
