//! PostgreSQL → Debezium → Kafka → service → replica: whatever happens to the source, the replica is equal to it.

use std::path::Path;

use serde_json::json;

use crate::harness::{Broker, Connector, Postgres, Replica, ServiceConfig, Shape, compare, fresh_name, wait_for};

const PEOPLE: &str = "
    create type mood as enum ('glad', 'sad');
    create table people (id bigint primary key, name text not null, email varchar(80),
      active boolean not null default true, small smallint, ratio double precision, balance numeric(12,2), free numeric,
      born date, seen timestamptz, made timestamp, made_ms timestamp(3), opens time, gap interval, uid uuid, meta jsonb,
      tags text[], raw bytea, code char(4), mood mood, big text);
    alter table people alter column big set storage external;
    insert into people (id, name, balance, big) values (1, 'one', 1.10, repeat('b', 9000));
    insert into people (id, name) values (5, 'stays as it is');
";

/// The replica of `Person`: the columns that SQLite has types for.
const PEOPLE_ON_SQLITE: &str = "
    create table people (id integer primary key, name text not null, email text, active boolean not null,
      small smallint, ratio double, born date, big text);
";

/// The replica of `FullPerson`: no default stands in for what a message lacks, an interval is its microseconds.
const PEOPLE_ON_POSTGRES: &str = "
    create type mood as enum ('glad', 'sad');
    create table full_people (id bigint primary key, name text not null, email varchar(80), active boolean not null,
      small smallint, ratio double precision, balance numeric(12,2), free numeric, born date, seen timestamptz,
      made timestamp, made_ms timestamp(3), opens time, gap bigint, uid uuid, meta jsonb, tags text[], raw bytea,
      code char(4), mood mood, big text);
";

/// Where the people are kept.
#[derive(Debug, Clone, Copy)]
enum Kept {
    OnPostgres,
    OnSqlite,
}

impl Kept {
    fn replica(self, name: &str, folder: &Path) -> Replica {
        match self {
            Self::OnPostgres => {
                let replica = Replica::postgres(name);
                replica.sql(PEOPLE_ON_POSTGRES);
                replica
            }
            Self::OnSqlite => {
                let replica = Replica::sqlite(folder);
                replica.sql(PEOPLE_ON_SQLITE);
                replica
            }
        }
    }

    fn consumer(self) -> &'static str {
        match self {
            Self::OnPostgres => "FullPeople",
            Self::OnSqlite => "People",
        }
    }

    /// Every row, every value.
    fn compare(self, source: &Postgres, replica: &Replica) -> Result<(), String> {
        let (in_source, in_replica) = match self {
            Self::OnPostgres => (
                source.rows(
                    "(select *, (extract(epoch from gap) * 1000000)::bigint as us from people) p",
                    &FULL_COLUMNS.replace("gap", "us"),
                ),
                replica.rows("full_people", &[FULL_COLUMNS]),
            ),
            Self::OnSqlite => (
                // A boolean as SQLite writes it.
                source.rows("people", "id, name, email, active::int, small, ratio, born, big"),
                replica.rows("people", &["id", "name", "email", "active", "small", "ratio", "born", "big"]),
            ),
        };
        compare(&in_source, &in_replica)
    }
}

const FULL_COLUMNS: &str = "id, name, email, active, small, ratio, balance, free, born, seen, made, made_ms, opens, gap, \
                            uid, meta, tags, raw, code, mood, big";

/// Inserts of every type, an update that leaves the large column alone (its value does not come along then), a changed key, deletions, and a row that
/// comes and goes in one transaction.
const CHANGES: &str = r#"
    insert into people (id, name, email, small, ratio, balance, free, born, seen, made, made_ms, opens, gap, uid, meta, tags, raw, code, mood)
    values (2, E'Zoë 你好 😀 "q" \\', 'z@example.org', -7, 0.1, -1234567.89, 3.14159265358979, '1999-12-31',
      '2024-02-29 12:34:56.789012+02', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789', '23:59:59.999999',
      '3 days 04:05:06', '123e4567-e89b-12d3-a456-426614174000', '{"a": [1, null, "x"], "b": {"c": 1.5}}',
      '{one,NULL,"two, three"}', '\xdeadbeef00', 'ab', 'glad');
    insert into people (id, name, balance, born, seen, made)
    values (3, '', 0.00, '0001-01-01', '1969-12-31 23:59:59.999999Z', '1969-12-31 23:59:59.999999');
    update people set name = 'one again', balance = balance + 0.01 where id = 1;
    update people set active = false, email = null where id = 2;
    update people set id = 30 where id = 3;
    insert into people (id, name) values (6, 'goes');
    delete from people where id = 6;
    begin; insert into people (id, name) values (4, 'txn'); update people set name = 'txn2' where id = 4; delete from people where id = 4; commit;
"#;

fn follows_the_source(shape: Shape, kept: Kept) {
    let name = fresh_name("stk");
    let broker = Broker::new(&name);
    let source = Postgres::create(&name);
    source.sql(PEOPLE);
    let connector = Connector::start(&name, &source, &["public.people"], &shape.config());
    let folder = tempfile::tempdir().unwrap();
    let replica = kept.replica(&name, folder.path());
    let config = ServiceConfig::new(folder.path())
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("DATABASE_URL", replica.url())
        .set("TOPIC_VARIABLES__PREFIX", &name)
        .migrated();
    let service = config.start("service", &["consume", kept.consumer()]);
    wait_for("the snapshot", || kept.compare(&source, &replica));
    source.sql(CHANGES);
    wait_for("the changes", || kept.compare(&source, &replica));
    service.end();
    assert_eq!(broker.topics(), [format!("{name}.public.people")], "and no dead letter topic");
    drop(connector);
}

#[test]
fn flattened_json_without_schemas_keeps_the_replica_equal() {
    follows_the_source(Shape { is_flat: true, has_schema: false }, Kept::OnPostgres);
}

#[test]
fn flattened_json_with_schemas_keeps_the_replica_equal() {
    follows_the_source(Shape { is_flat: true, has_schema: true }, Kept::OnPostgres);
}

#[test]
fn envelopes_without_schemas_keep_the_replica_equal() {
    follows_the_source(Shape { is_flat: false, has_schema: false }, Kept::OnPostgres);
}

#[test]
fn envelopes_with_schemas_keep_the_replica_equal() {
    follows_the_source(Shape { is_flat: false, has_schema: true }, Kept::OnPostgres);
}

#[test]
fn a_replica_on_sqlite_is_kept_equal_too() {
    follows_the_source(Shape { is_flat: true, has_schema: false }, Kept::OnSqlite);
}

/// `ByLogicalTableRouter` puts into the key which table a change is of: with the prefix, which `key.field.regex` cuts.
#[test]
fn tables_of_two_schemas_in_one_topic_keep_their_replicas_equal() {
    let name = fresh_name("stk");
    let broker = Broker::new(&name);
    let source = Postgres::create(&name);
    source.sql(
        "create schema north; create schema south;
         create table north.notes (id bigint primary key, note text);
         create table south.notes (id bigint primary key, note text, extra int);
         insert into north.notes values (1, 'snapshot');",
    );
    let mut config = Shape { is_flat: true, has_schema: false }.config();
    config.retain(|(key, _)| *key != "transforms");
    config.extend([
        ("transforms", json!("reroute,unwrap")),
        ("transforms.reroute.type", json!("io.debezium.transforms.ByLogicalTableRouter")),
        ("transforms.reroute.topic.regex", json!(r".*\.notes")),
        ("transforms.reroute.topic.replacement", json!(format!("{name}.notes"))),
        ("transforms.reroute.key.field.regex", json!(r"[^.]+\.(.*)")),
        ("transforms.reroute.key.field.replacement", json!("$1")),
    ]);
    let connector = Connector::start(&name, &source, &["north.notes", "south.notes"], &config);
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql(
        "create table north_notes (id bigint primary key, note text);
         create table south_notes (id bigint primary key, note text, extra int);",
    );
    let config = ServiceConfig::new(folder.path())
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("DATABASE_URL", replica.url())
        .set("TOPIC_VARIABLES__PREFIX", &name)
        .migrated();
    let service = config.start("service", &["consume", "Notes"]);
    // The same keys in both tables.
    source.sql(
        "insert into north.notes values (2, 'n2'), (3, 'n3'); insert into south.notes values (1, 's1', 7), (2, 's2', 8);
         update south.notes set note = 'changed', extra = null where id = 2; update north.notes set id = 30 where id = 3;
         delete from north.notes where id = 2; delete from south.notes where id = 1;",
    );
    wait_for("both replicas are equal to their sources", || {
        let north = source.rows("north.notes", "id, note");
        compare(&north, &replica.rows("north_notes", &["id", "note"]))?;
        let south = source.rows("south.notes", "id, note, extra");
        compare(&south, &replica.rows("south_notes", &["id", "note", "extra"]))
    });
    assert_eq!(service.end(), 10, "every change once");
    assert_eq!(broker.topics(), [format!("{name}.notes")], "and no dead letter topic");
    drop(connector);
}
