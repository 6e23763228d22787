//! A load of changes, and the rows that it has to end in.

use std::collections::BTreeMap;

use super::{Broker, Replica, compare, wait_for};

/// Changes of the table `items` by many keys, produced as Debezium would. Each change has a version of its own, so
/// that a row written by an old change is seen.
pub(crate) struct Load {
    topic: String,
    version: u64,
    rows: BTreeMap<u64, String>,
}

impl Load {
    pub(crate) const TABLE: &str =
        "create table items (id bigint primary key, name text not null, version bigint not null);";
    const COLUMNS: &[&str] = &["id", "name", "version"];

    pub(crate) fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned(), version: 0, rows: BTreeMap::new() }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Produces so many changes over so many keys, and waits until the broker has them: mostly upserts, one in 23 a
    /// tombstone, one in 41 a row marked as deleted.
    pub(crate) fn produce(&mut self, broker: &Broker, changes: u64, keys: u64) {
        for _ in 0..changes {
            self.version += 1;
            let version = self.version;
            // Coprime to any number of keys used here: each key's changes are spread over the whole load.
            let id = version.wrapping_mul(7919) % keys;
            let key = format!(r#"{{"id":{id}}}"#);
            if version.is_multiple_of(23) {
                self.rows.remove(&id);
                broker.send(&self.topic, &key, None);
                continue;
            }
            let deleted = version.is_multiple_of(41);
            let name = format!("row {id}");
            let value = format!(r#"{{"id":{id},"name":"{name}","version":{version},"__deleted":"{deleted}"}}"#);
            broker.send(&self.topic, &key, Some(value.as_bytes()));
            if deleted {
                self.rows.remove(&id);
            } else {
                self.rows.insert(id, format!("{id}\t{name}\t{version}"));
            }
        }
        broker.flush();
    }

    /// How many changes were produced.
    pub(crate) fn changes(&self) -> u64 {
        self.version
    }

    /// Whether the replica's rows are the last change of each key.
    pub(crate) fn compare(&self, replica: &Replica) -> Result<(), String> {
        let wanted: Vec<String> = self.rows.values().cloned().collect();
        compare(&wanted, &replica.rows("items", Self::COLUMNS))
    }

    pub(crate) fn wait_until_equal(&self, replica: &Replica) {
        wait_for("the replica has the last change of each key", || self.compare(replica));
    }

    /// Waits until the replica has so many changes of the load or more: those before it have versions up to `before`.
    pub(crate) fn wait_for_progress(&self, replica: &Replica, before: u64, changes: u64) {
        assert!(before + changes <= self.version, "so many were not produced");
        wait_for(&format!("{changes} changes"), || {
            let rows = replica.rows("items", &["version"]);
            let newest = rows.iter().map(|row| row.parse::<u64>().unwrap()).max().unwrap_or(0);
            if newest >= before + changes { Ok(()) } else { Err(format!("the newest is {newest}")) }
        });
    }
}
