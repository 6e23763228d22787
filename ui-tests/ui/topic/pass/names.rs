use django_kafka_rs::prelude::*;

mod names {
    pub const AUDIT: &str = "${prefix}.audit";
}

#[topic(name = "orders")]
struct Plain;

#[topic(name = "${prefix}.public.orders-v1_2")]
struct Variables;

#[topic(name = names::AUDIT)]
struct Constant;

#[topic(name = r"^${prefix}\.orders\.[0-9]+$")]
struct Pattern;

#[topic(name = "^(a|b)[[:alpha:]_-]{1,3}.*",)]
struct Classes;

fn main() {
    assert_eq!(Plain::DECLARATION.name, "orders");
    assert_eq!(Constant::DECLARATION.name, "${prefix}.audit");
    assert!(Pattern::DECLARATION.is_regex() && Classes::DECLARATION.is_regex());
    assert!(!Variables::DECLARATION.is_regex());
    assert!(Plain::__construct().is_some());
}
