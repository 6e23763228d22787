use django_kafka_rs::prelude::*;

#[topic(name = r"^orders\d+")]
struct Digits;

#[topic(name = r"^orders\.[\w]+")]
struct WordInBrackets;

#[topic(name = "^(?:orders|customers)$")]
struct Group;

#[topic(name = "^(?i)orders")]
struct Flags;

#[topic(name = "^orders[.].*?[.]v1$")]
struct Lazy;

#[topic(name = "^*.orders")]
struct Glob;

fn main() {}
