//! Two databases that keep each other in step: each is the source of the other's topic, and every change is told once.

use diesel::prelude::*;
use django_kafka_rs::prelude::{KafkaConnectSkip, KafkaSkip};
use rdkafka::Message as _;
use serde_json::{Value, json};

use crate::harness::{Broker, Connector, Postgres, Service, ServiceConfig, Shape, compare, fresh_name, wait_for};

diesel::table! { pairs (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }

/// The application's own view of a row.
#[derive(Queryable, Selectable, Identifiable, KafkaConnectSkip)]
struct Pair {
    id: i64,
    name: String,
    kafka_skip: KafkaSkip,
}

/// One of the two: a database, the connector that tells of its changes, and a service that takes in the other's.
struct Side {
    // In the order in which they are to be removed.
    _service: Service,
    _connector: Connector,
    database: Postgres,
    name: String,
}

/// The filter that the reference of `KafkaConnectSkip` shows.
fn filter() -> Vec<(&'static str, Value)> {
    let mut config = Shape { is_flat: true, has_schema: false }.config();
    config.retain(|(key, _)| *key != "transforms");
    config.extend([
        ("transforms", json!("skip,unwrap")),
        ("transforms.skip.type", json!("io.debezium.transforms.Filter")),
        ("transforms.skip.language", json!("jsr223.groovy")),
        (
            "transforms.skip.condition",
            json!("value == null || (value.op == 'd' ? value.before : value.after)?.kafka_skip != true"),
        ),
        ("tombstones.on.delete", json!("false")),
    ]);
    config
}

impl Side {
    fn start(name: &str, other: &str, broker: &Broker, folder: &std::path::Path) -> Self {
        let database = Postgres::create(name);
        database.sql(
            "create table pairs (id bigint primary key, name text not null, kafka_skip boolean not null default false);
             alter table pairs replica identity full;",
        );
        let connector = Connector::start(name, &database, &["public.pairs"], &filter());
        let config = ServiceConfig::new(folder)
            .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
            .set("DATABASE_URL", database.url())
            // Whose changes it takes in.
            .set("TOPIC_VARIABLES__PREFIX", other);
        config.run(&["migrate"]);
        let service = config.start(name, &["consume", "Pairs"]);
        Self { _service: service, _connector: connector, database, name: name.to_owned() }
    }

    fn rows(&self) -> Vec<String> {
        self.database.rows("pairs", "id, name")
    }

    /// What the application does, by Diesel.
    fn application<T>(&self, work: impl FnOnce(&mut PgConnection) -> QueryResult<T>) -> T {
        work(&mut PgConnection::establish(&self.database.url()).unwrap()).unwrap()
    }

    /// The events that its connector told of so far: `1 one`, `3 -`.
    fn events(&self, broker: &Broker) -> Vec<String> {
        let topic = format!("{}.public.pairs", self.name);
        let event = |message: &rdkafka::message::OwnedMessage| {
            let value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
            let name = if value["__deleted"] == "true" { "-" } else { value["name"].as_str().unwrap() };
            format!("{} {name}", value["id"])
        };
        broker.read(&topic).iter().map(event).collect()
    }
}

fn converge(what: &str, north: &Side, south: &Side) {
    wait_for(what, || compare(&north.rows(), &south.rows()));
}

#[test]
fn two_databases_keep_each_other_in_step_and_no_event_runs_in_circles() {
    let name = fresh_name("pair");
    let broker = Broker::new(&name);
    let folder = tempfile::tempdir().unwrap();
    let (north, south) = (format!("{name}_n"), format!("{name}_s"));
    // A service that finds no topic looks again only minutes later.
    for side in [&north, &south] {
        broker.create_topic(&format!("{side}.public.pairs"), 1);
    }
    let (north, south) =
        (Side::start(&north, &south, &broker, folder.path()), Side::start(&south, &north, &broker, folder.path()));
    // In the north, whoever writes by SQL knows nothing of the mark.
    north.database.sql(&Pair::kafka_skip_trigger());

    north.database.sql(
        "insert into pairs values (1, 'one'), (2, 'two'), (3, 'three');
         update pairs set name = 'uno' where id = 1; delete from pairs where id = 3;",
    );
    wait_for("the north's changes", || compare(&["1\tuno".to_owned(), "2\ttwo".to_owned()], &south.rows()));
    let told_by_north = ["1 one", "2 two", "3 three", "1 uno", "3 -"];
    assert_eq!(north.events(&broker), told_by_north);

    // Right after the sync, which marked the row: the application's own edit is told, once. Had the sync's changes been
    // told too, they would stand before it.
    south.application(|conn| {
        Pair::update_rows(pairs::table.find(1), pairs::name.eq("edited in the south")).execute(conn)
    });
    converge("the south's edit", &north, &south);
    assert_eq!(south.events(&broker), ["1 edited in the south"]);

    north.database.sql("update pairs set name = 'edited in the north' where id = 1");
    converge("the north's edit", &north, &south);

    // The south deletes a row that a sync wrote last, and one more edit goes through `save`.
    south.application(|conn| {
        let mut pair: Pair = pairs::table.find(1).select(Pair::as_select()).first(conn)?;
        assert!(pair.kafka_skip.get(), "a sync wrote it last");
        "saved in the south".clone_into(&mut pair.name);
        pair.save(conn)?;
        Pair::delete_rows(pairs::table.find(2)).emitted().execute(conn)
    });
    converge("the south's save and deletion", &north, &south);
    let told_by_south = ["1 edited in the south", "1 saved in the south", "2 two", "2 -"];
    assert_eq!(south.events(&broker), told_by_south);

    // Deleted in silence: the south keeps the row. What comes after is told.
    north.application(|conn| Pair::delete_rows(pairs::table.find(1)).execute(conn));
    north.database.sql("insert into pairs values (9, 'last')");
    wait_for("the north's last row", || {
        compare(&["1\tsaved in the south".to_owned(), "9\tlast".to_owned()], &south.rows())
    });
    assert_eq!(north.events(&broker), [&told_by_north[..], &["1 edited in the north", "9 last"]].concat());
    assert_eq!(south.events(&broker), told_by_south, "nothing that came from the north");
    let mut topics = broker.topics();
    topics.sort();
    assert_eq!(topics, [format!("{}.public.pairs", north.name), format!("{}.public.pairs", south.name)]);
}
