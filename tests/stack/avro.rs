//! Avro by others: Debezium's rows as Kafka Connect's Avro converter writes them, and events by confluent-kafka's
//! serializers for Python, there and back.
//!
//! | written by | read by | what |
//! |---|---|---|
//! | Debezium, Apicurio's Avro converter | a model | every type of PostgreSQL, flat and in envelopes; a schema that changes on the way |
//! | Python's `AvroSerializer` | a handler | values equal |
//! | `cx.produce` | Python's `AvroDeserializer` | values equal, and bytes equal to those that Python writes |
//! | Debezium, Apicurio's Avro converter | a reproducer, whose public topic a model reads | rows equal |

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Broker, Connector, Postgres, Replica, ServiceConfig, address, compare, fresh_name, wait_for};

const PEOPLE: &str = "
    create table people (id bigint primary key, name text not null, email varchar(80),
      active boolean not null default true, small smallint, ratio double precision, balance numeric(12,2), free numeric,
      born date, seen timestamptz, made timestamp, made_ms timestamp(3), opens time, gap interval, uid uuid, meta jsonb,
      tags text[], raw bytea, big text);
    alter table people alter column big set storage external;
    insert into people (id, name, balance, big) values (1, 'one', 1.10, repeat('b', 9000));
    insert into people (id, name) values (5, 'stays as it is');
";

const REPLICA: &str = "
    create table people (id bigint primary key, name text not null, email varchar(80), active boolean not null,
      small smallint, ratio double precision, balance numeric(12,2), free numeric, born date, seen timestamptz,
      made timestamp, made_ms timestamp(3), opens time, gap bigint, uid uuid, meta jsonb, tags text[], raw bytea, big text);
";

const COLUMNS: &str = "id, name, email, active, small, ratio, balance, free, born, seen, made, made_ms, opens, gap, uid, \
                       meta, tags, raw, big";

const CHANGES: &str = r#"
    insert into people (id, name, email, small, ratio, balance, free, born, seen, made, made_ms, opens, gap, uid, meta, tags, raw)
    values (2, E'Zoë 你好 😀 "q" \\', 'z@example.org', -7, 0.1, -1234567.89, 3.14159265358979, '1999-12-31',
      '2024-02-29 12:34:56.789012+02', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789', '23:59:59.999999',
      '3 days 04:05:06', '123e4567-e89b-12d3-a456-426614174000', '{"a": [1, null, "x"], "b": {"c": 1.5}}',
      '{one,NULL,"two, three"}', '\xdeadbeef00');
    insert into people (id, name, balance, born, seen, made)
    values (3, '', 0.00, '0001-01-01', '1969-12-31 23:59:59.999999Z', '1969-12-31 23:59:59.999999');
    update people set name = 'one again', balance = balance + 0.01 where id = 1;
    update people set active = false, email = null where id = 2;
    update people set id = 30 where id = 3;
    alter table people add column later text;
    insert into people (id, name, later) values (6, 'goes', 'x');
    delete from people where id = 6;
    update people set later = 'y', small = 1 where id = 2;
"#;

fn follows_the_source(is_flat: bool) {
    let name = fresh_name("avr");
    let broker = Broker::new(&name);
    let source = Postgres::create(&name);
    source.sql(PEOPLE);
    let connector = Connector::start(&name, &source, &["public.people"], &converters(is_flat));
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql(REPLICA);
    let service = service(&name, &broker, folder.path()).set("DATABASE_URL", replica.url());
    service.run(&["migrate"]);
    let service = service.start("service", &["consume", "People"]);
    let equal = || {
        let rows = "(select *, (extract(epoch from gap) * 1000000)::bigint as us from people) p";
        compare(&source.rows(rows, &COLUMNS.replace("gap", "us")), &replica.rows("people", &[COLUMNS]))
    };
    wait_for("the snapshot", equal);
    source.sql(CHANGES);
    wait_for("the changes", equal);
    service.end();
    assert_eq!(broker.topics(), [format!("{name}.public.people")], "and no dead letter topic");
    drop(connector);
}

#[test]
fn debeziums_rows_in_avro_keep_the_replica_equal() {
    follows_the_source(true);
}

#[test]
fn debeziums_envelopes_in_avro_keep_the_replica_equal() {
    follows_the_source(false);
}

/// A table, its events in an internal topic, a public topic with part of it, and a replica of that: all of it Avro.
#[test]
fn debeziums_events_in_avro_become_a_public_topic_and_a_replica() {
    let name = fresh_name("avr");
    let broker = Broker::new(&name);
    let source = Postgres::create(&name);
    source.sql(PEOPLE);
    let connector = Connector::start(&name, &source, &["public.people"], &converters(false));
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql("create table known (id bigint primary key, name text not null, balance numeric(12,2), born date);");
    // A service that finds no topic looks again only minutes later.
    broker.create_topic(&format!("{name}.known"), 1);
    let publisher = service(&name, &broker, folder.path()).set("DATABASE_URL", source.url());
    publisher.run(&["migrate"]);
    let publisher = publisher.start("publisher", &["consume", "Publisher"]);
    let reader = service(&name, &broker, folder.path()).set("DATABASE_URL", replica.url());
    reader.run(&["migrate"]);
    let reader = reader.start("reader", &["consume", "Known"]);
    let columns = "id, name, balance, born";
    let equal = || compare(&source.rows("people", columns), &replica.rows("known", &[columns]));
    wait_for("the snapshot", equal);
    source.sql(CHANGES);
    wait_for("the changes", equal);
    publisher.end();
    reader.end();
    let mut topics = broker.topics();
    topics.sort();
    assert_eq!(topics, [format!("{name}.known"), format!("{name}.public.people")], "and no dead letter topic");
    drop(connector);
}

/// Confluent's converters are not to be had; this one writes the same bytes.
fn converters(is_flat: bool) -> Vec<(&'static str, Value)> {
    const CONVERTER: &str = "io.apicurio.registry.utils.converter.AvroConverter";
    let mut config = vec![
        ("key.converter", json!(CONVERTER)),
        ("value.converter", json!(CONVERTER)),
        ("schema.name.adjustment.mode", json!("avro")),
        ("key.converter.apicurio.registry.url", json!(address("APICURIO_URL"))),
        ("value.converter.apicurio.registry.url", json!(address("APICURIO_URL"))),
    ];
    for (key, of_value, value) in [
        (
            "key.converter.apicurio.registry.auto-register",
            "value.converter.apicurio.registry.auto-register",
            json!(true),
        ),
        ("key.converter.apicurio.registry.find-latest", "value.converter.apicurio.registry.find-latest", json!(false)),
        ("key.converter.apicurio.registry.as-confluent", "value.converter.apicurio.registry.as-confluent", json!(true)),
        ("key.converter.apicurio.registry.use-id", "value.converter.apicurio.registry.use-id", json!("contentId")),
        (
            "key.converter.apicurio.registry.headers.enabled",
            "value.converter.apicurio.registry.headers.enabled",
            json!(false),
        ),
    ] {
        config.push((key, value.clone()));
        config.push((of_value, value));
    }
    if is_flat {
        config.extend([
            ("transforms", json!("unwrap")),
            ("transforms.unwrap.type", json!("io.debezium.transforms.ExtractNewRecordState")),
            ("transforms.unwrap.delete.tombstone.handling.mode", json!("rewrite")),
            ("transforms.unwrap.replace.null.with.default", json!("false")),
        ]);
    }
    config
}

fn service(name: &str, broker: &Broker, folder: &Path) -> ServiceConfig {
    ServiceConfig::of(env!("CARGO_BIN_EXE_avro_service"), folder)
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("SCHEMA_REGISTRY__URL", address("SCHEMA_REGISTRY_URL"))
        .set("TOPIC_VARIABLES__PREFIX", name)
}

#[test]
fn pythons_events_are_read_and_ours_are_read_by_python() {
    let name = fresh_name("avr");
    let broker = Broker::new(&name);
    let folder = tempfile::tempdir().unwrap();
    let config = service(&name, &broker, folder.path());
    write_by_python(&broker, &format!("{name}.from_python"));
    let printed = config.run(&["consume", "Events", "--until-end"]);
    let mut lines: Vec<_> = printed.lines().filter(|line| line.contains(' ') && line.ends_with("rue")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["bare true", "full true"], "{printed}");
    let topic = format!("{name}.to_python");
    let found = python(&["read", broker.servers(), &address("SCHEMA_REGISTRY_URL"), &topic, &format!("{name}-python")]);
    let same = json!({ "value": true, "key_bytes": true, "value_bytes": true });
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), json!({ "full": same, "bare": same }));
}

/// Writes the events `full` and `bare`.
pub(crate) fn write_by_python(broker: &Broker, topic: &str) {
    python(&["write", broker.servers(), &address("SCHEMA_REGISTRY_URL"), topic]);
}

/// Runs the script in an environment that has Confluent's client, which is made once.
fn python(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/interop/events.py");
    let output = Command::new(environment().join("bin/python")).arg(script).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A virtual environment under `target`, with `confluent-kafka[avro,schemaregistry]`.
fn environment() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-python");
    let has_client = |folder: &Path| {
        let import = ["-c", "import confluent_kafka.schema_registry.avro"];
        Command::new(folder.join("bin/python")).args(import).output().is_ok_and(|output| output.status.success())
    };
    if !has_client(&folder) {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new("python3").arg("-m").arg("venv").arg(&folder));
        let packages = ["-m", "pip", "install", "--quiet", "confluent-kafka[avro,schemaregistry]"];
        run(Command::new(folder.join("bin/python")).args(packages));
    }
    folder
}
