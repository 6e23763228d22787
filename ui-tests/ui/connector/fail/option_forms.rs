use django_kafka_rs::prelude::*;

#[connector(config = "connector.class=org.acme.Source", name = CRM, mark_for_removal = "yes")]
struct CrmSource;

fn main() {}
