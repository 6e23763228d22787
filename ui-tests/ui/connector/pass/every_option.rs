use std::collections::BTreeMap;

use django_kafka_rs::connect::{ConnectorConfig, ConnectorSource, ConnectorValue, debezium, env};
use django_kafka_rs::prelude::*;

#[connector(
    config(
        "connector.class" = "org.acme.Source",
        "tasks.max" = 2,
        "poll.ratio" = 0.5,
        "skip.errors" = false,
        "offset.start" = -1,
        "topic.prefix" = setting("topic_variables.prefix"),
        "database.password" = env("DB_PASSWORD"),
    ),
    name = "${prefix}-crm source"
)]
struct Literal;

#[connector(config = source)]
struct Function;

fn source() -> ConnectorConfig {
    ConnectorConfig::of_class(debezium::POSTGRES)
        .set("database.password", env("DB_PASSWORD"))
        .with(debezium::Events::default().without_marked())
}

#[connector(config = functions::fallible, mark_for_removal = false)]
struct Fallible;

#[connector(config = functions::pairs)]
struct Pairs;

#[connector(config = functions::map)]
struct Map;

#[connector(config = functions::json)]
struct AsJson;

mod functions {
    use super::BTreeMap;

    pub(crate) fn fallible() -> Result<Vec<(String, String)>, std::io::Error> {
        Err(std::io::Error::other("no file"))
    }

    pub(crate) fn pairs() -> [(&'static str, &'static str); 1] {
        [("connector.class", "org.acme.Source")]
    }

    pub(crate) fn map() -> BTreeMap<String, String> {
        BTreeMap::from([("connector.class".to_owned(), "org.acme.Source".to_owned())])
    }

    pub(crate) fn json() -> serde_json::Value {
        serde_json::json!({ "connector.class": "org.acme.Source", "tasks.max": 1 })
    }
}

#[connector(mark_for_removal)]
struct Gone;

#[connector(config("connector.class" = env("CLASS"), "tasks.max" = "1"), mark_for_removal = true)]
struct GoneToo {}

macro_rules! connector_of {
    ($connector:ident, $class:literal, { $($key:literal = $value:literal),* }) => {
        #[connector(config("connector.class" = $class, $($key = $value),*))]
        struct $connector;
    };
}

connector_of!(ByMacro, "org.acme.Source", { "tasks.max" = 1, "topic.prefix" = "shop" });

fn main() {
    let literal = Literal::DECLARATION;
    assert_eq!((literal.type_name, literal.name), ("Literal", Some("${prefix}-crm source")));
    assert!(matches!(literal.config, ConnectorSource::Pairs(pairs) if pairs.len() == 7));
    let text = |config: ConnectorConfig, key: &str| match config.get(key) {
        Some(ConnectorValue::Text(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(literal.configuration().unwrap(), "offset.start"), "-1");
    assert_eq!(text(literal.configuration().unwrap(), "skip.errors"), "false");
    assert_eq!(text(Function::DECLARATION.configuration().unwrap(), "transforms"), "skip,unwrap");
    assert_eq!(Fallible::DECLARATION.configuration().unwrap_err().to_string(), "no file");
    for declaration in [Pairs::DECLARATION, Map::DECLARATION, AsJson::DECLARATION, ByMacro::DECLARATION] {
        assert_eq!(text(declaration.configuration().unwrap(), "connector.class"), "org.acme.Source");
    }
    assert!(Gone::DECLARATION.mark_for_removal && GoneToo::DECLARATION.mark_for_removal);
    assert!(!Fallible::DECLARATION.mark_for_removal);
}
