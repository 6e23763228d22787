//! Messages of a megabyte and more: all of them arrive, in memory that does not follow the topic's size.

use std::collections::BTreeMap;

use crate::harness::{Broker, Replica, ServiceConfig, compare, fresh_name, wait_for};

const MIB: usize = 1 << 20;
/// 300 MB in all, over 40 keys.
const MESSAGES: usize = 200;
const KEYS: usize = 40;
/// What the service may use: its four partitions' buffers (4 MiB each), librdkafka's queue (8 MiB), and four batches in
/// hand: as rows, as bind values, and in the buffers of libpq, which keep the size of the largest statement, here of 9 MiB.
/// Measured: 123 MiB.
const MEMORY_MAX_KIB: u64 = 160 * 1024;

#[test]
fn large_messages_arrive_in_bounded_memory() {
    let name = fresh_name("large");
    let broker = Broker::new(&name);
    let topic = format!("{name}.documents");
    broker.create_topic_with(&topic, 4, &[("max.message.bytes", "16000000")]);
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::postgres(&name);
    replica.sql("create table documents (id bigint primary key, version bigint not null, body text not null)");
    let mut rows = BTreeMap::new();
    for version in 0..MESSAGES {
        let id = version % KEYS;
        // Most above a megabyte; one larger than a batch may be.
        let length = if version == MESSAGES / 2 { 9 * MIB } else { MIB + version * 4_000 };
        let body = format!("{id} {version} ").repeat(length / 4 + 1);
        let body = &body[..length];
        let value = format!(r#"{{"id":{id},"version":{version},"body":"{body}"}}"#);
        broker.send(&topic, &format!(r#"{{"id":{id}}}"#), Some(value.as_bytes()));
        rows.insert(id, format!("{id}\t{version}\t{length}\t{}\t{}", &body[..20], &body[length - 20..]));
    }
    broker.flush();
    let wanted: Vec<String> = rows.into_values().collect();

    let config = ServiceConfig::new(folder.path())
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("DATABASE_URL", replica.url())
        .set("TOPIC_VARIABLES__PREFIX", &name)
        .migrated();
    let service = config.start("service", &["consume", "Documents"]);
    let columns = ["id", "version", "length(body)", "substr(body, 1, 20)", "substr(body, length(body) - 19)"];
    wait_for("all documents arrive", || compare(&wanted, &replica.rows("documents", &columns)));
    let peak = service.peak_memory_kib();
    assert_eq!(service.end(), MESSAGES as u64);
    assert!(peak < MEMORY_MAX_KIB, "{} MiB resident at its peak", peak / 1024);
    println!("{} MiB resident at its peak", peak / 1024);
}
