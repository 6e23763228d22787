use django_kafka_rs::connect::ConnectorConfig;
use django_kafka_rs::prelude::*;

#[connector(config = text)]
struct Text;

fn text() -> String {
    String::new()
}

#[connector(config = with_arguments)]
struct WithArguments;

fn with_arguments(_prefix: &str) -> ConnectorConfig {
    ConnectorConfig::default()
}

#[connector(config = no_such_function)]
struct Missing;

fn main() {}
