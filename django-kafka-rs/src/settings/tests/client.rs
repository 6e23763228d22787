//! The configuration of Kafka clients.

use expect_test::expect;

use super::super::*;
use super::parse;
use crate::consumer::{ConfigValue, ConsumerDeclaration};
use crate::topic::Location;

const CRM: ConsumerDeclaration = ConsumerDeclaration::new("Crm", "crm", &[], Location { file: "src/main.rs", line: 7 });

fn render_config(settings: &Settings, kind: ClientKind<'_>) -> String {
    let variable = |name: &str| (name == "SET").then(|| "value".to_owned());
    match settings.client_config(kind, &variable) {
        Ok(properties) => {
            properties.iter().fold(String::new(), |text, (name, value)| text + name + " = " + value + "\n")
        }
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn layers_of_a_clients_configuration() {
    let settings = parse(
        r#"
client_id = "shop"
[global_config]
bootstrap.servers = "global"
session.timeout.ms = 6000
linger.ms = 1
fetch.min.bytes = 1
[producer_config]
linger.ms = 2
[consumer_config]
metadata.broker.list = "consumers"
fetch.min.bytes = 2
max.poll.interval.ms = 1
"#,
        &[],
    )
    .expect("nothing is wrong");
    let declaration = CRM.config(&[
        ("max.poll.interval.ms", ConfigValue::Int(2)),
        ("client.id", ConfigValue::Env("SET")),
        ("client.rack", ConfigValue::Setting("client_id")),
        ("auto.offset.reset", ConfigValue::Str("latest")),
    ]);
    expect![[r"
        bootstrap.servers = global
        client.id = shop
        linger.ms = 2
    "]]
    .assert_eq(&render_config(&settings, ClientKind::Producer));
    expect![[r"
        auto.offset.reset = latest
        client.id = value
        client.rack = shop
        enable.auto.offset.store = false
        fetch.min.bytes = 2
        group.id = crm
        max.poll.interval.ms = 2
        metadata.broker.list = consumers
        session.timeout.ms = 6000
    "]]
    .assert_eq(&render_config(&settings, ClientKind::Consumer(&declaration, "crm")));
    expect![[r"
        auto.offset.reset = earliest
        client.id = value
        client.rack = shop
        enable.auto.offset.store = false
        fetch.min.bytes = 2
        group.id = crm.retry
        max.poll.interval.ms = 2
        metadata.broker.list = consumers
        session.timeout.ms = 6000
        topic.metadata.refresh.interval.ms = 10000
    "]]
    .assert_eq(&render_config(&settings, ClientKind::RetryConsumer(&declaration, "crm")));
}

#[test]
fn what_a_consumers_configuration_lacks_is_reported_together() {
    let declaration = CRM.config(&[
        ("sasl.password", ConfigValue::Env("UNSET")),
        ("client.rack", ConfigValue::Setting("crm.rack")),
        ("session.timeout.ms", ConfigValue::Env("SET")),
        ("ssl.key.password", ConfigValue::Env("SET")),
    ]);
    expect![[r#"
        3 mistakes in the settings:
          src/main.rs:7 (consumer `Crm`): `sasl.password`: the environment variable `UNSET` is not set: set it before the start
          src/main.rs:7 (consumer `Crm`): `client.rack`: the setting `crm.rack` is not set: add it to the settings file
          src/main.rs:7 (consumer `Crm`): `session.timeout.ms`: expected an integer from 1 to 3600000, found "value"; librdkafka's default is `45000`"#]].assert_eq(&render_config(&Settings::default(), ClientKind::Consumer(&declaration, "crm")));
}
