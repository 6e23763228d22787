use django_kafka_rs::prelude::*;

#[connector(name = "", mark_for_removal)]
struct Empty;

#[connector(name = "crm/source", mark_for_removal)]
struct Slash;

#[connector(name = " crm", mark_for_removal)]
struct Spaces;

#[connector(name = "${prefix.crm", mark_for_removal)]
struct Variable;

fn main() {}
