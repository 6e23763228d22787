//! The keys of one transaction that have a state: read before it does anything, written back as its last thing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use diesel::QueryResult;

use super::Guard;
use super::state::{Ask, KeyState, Ruling, Superseded};
use super::store::{self, Scope, Stored, stored_key};
use crate::db::DbConn;
use crate::record::RawRecord;
use crate::sync::model::{ColumnDescriptor, ColumnSet};
use crate::sync::plan::Kind;

/// Where a topic has no more rows than these, or than the transaction has messages, they are read as a list, which takes
/// hardly longer than asking whether there are any; where it has more, the transaction's keys are looked up, at about
/// the price of a list that long.
const FEW_MIN: usize = 64;

/// The keys of one transaction that have a state.
#[derive(Debug)]
pub(crate) struct Keys {
    guard: Arc<Guard>,
    partitions: Vec<Partition>,
    known: Vec<Known>,
    /// Topics that have rows, of whatever keys.
    with_rows: Vec<Arc<str>>,
}

/// The keys of one partition.
#[derive(Debug)]
struct Partition {
    topic: Arc<str>,
    number: i32,
    /// By the key as it is stored: an index into `known`.
    keys: HashMap<Vec<u8>, usize>,
}

/// A key with its state.
#[derive(Debug)]
struct Known {
    state: KeyState,
    /// As the table has it.
    stored: Option<KeyState>,
    /// A message of it failed: its row stays for its whole time from now on.
    failed: bool,
}

/// What a part of a transaction would change, until it is known whether that part is kept.
#[derive(Debug, Default)]
pub(crate) struct Draft(HashMap<usize, KeyState>);

/// A message's place in its first topic, and its key.
#[derive(Clone, Copy)]
struct Place<'r> {
    topic: &'r Arc<str>,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: &'r [u8],
    /// Whether it came through a retry topic or the dead letter topic.
    copy: bool,
}

/// Where a partition of a topic ends now: the offset that its next message gets. `None`: that cannot be known now.
pub(crate) type EndOf<'a> = &'a mut dyn FnMut(&str, i32) -> Option<i64>;

impl<'r> Place<'r> {
    /// `None` for a message without a key.
    fn of(record: &'r RawRecord) -> Option<Self> {
        let (topic, partition, offset) = match &record.retried {
            Some(retried) => (&retried.origin.topic, retried.origin.partition, retried.origin.offset),
            None => (&record.topic, record.partition, record.offset),
        };
        let (timestamp_ms, copy) = (record.timestamp_ms, record.retried.is_some());
        Some(Self { topic, partition, offset, timestamp_ms, key: record.key.as_deref()?, copy })
    }
}

impl Keys {
    /// Reads and locks what is known of these messages' keys.
    pub(crate) fn open(
        guard: Arc<Guard>,
        conn: &mut DbConn,
        records: &[Arc<RawRecord>],
        end_of: EndOf<'_>,
    ) -> QueryResult<Self> {
        let mut keys = Self { guard, partitions: Vec::new(), known: Vec::new(), with_rows: Vec::new() };
        for read in Read::of(records) {
            keys.open_topic(conn, &read, records)?;
        }
        keys.forget_outlived(records, end_of);
        Ok(keys)
    }

    fn open_topic(&mut self, conn: &mut DbConn, read: &Read, records: &[Arc<RawRecord>]) -> QueryResult<()> {
        let (guard, topic) = (self.guard.clone(), &read.topic);
        let few_max = read.messages.max(FEW_MIN);
        let few = store::first_keys(conn, (&guard.group, topic), read.partition, few_max as i64 + 1)?;
        if few.is_empty() {
            return Ok(());
        }
        self.with_rows.push(topic.clone());
        let is_whole = few.len() <= few_max;
        let mut there: HashMap<i32, HashSet<Vec<u8>>> = HashMap::new();
        for (number, key) in few {
            there.entry(number).or_default().insert(key);
        }
        let mut wanted: BTreeMap<i32, BTreeSet<_>> = BTreeMap::new();
        for place in records.iter().filter_map(|record| Place::of(record)).filter(|place| place.topic == topic) {
            let key = stored_key(place.key);
            if !is_whole || there.get(&place.partition).is_some_and(|keys| keys.contains(&*key)) {
                wanted.entry(place.partition).or_default().insert(key);
            }
        }
        for (number, keys) in wanted {
            let keys: Vec<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
            let scope = Scope { group: &guard.group, topic, partition: number };
            for row in store::load(conn, scope, &keys)? {
                let state = read_state(&row);
                let known = Known { state: state.clone(), stored: Some(state), failed: false };
                self.insert(topic, number, row.key, known);
            }
        }
        Ok(())
    }

    /// Forgets what is known of a topic that was deleted, where these messages are of one that was created anew under its
    /// name.
    fn forget_outlived(&mut self, records: &[Arc<RawRecord>], end_of: EndOf<'_>) {
        for record in records {
            let Some(place) = Place::of(record).filter(|place| !place.copy) else { continue };
            let Some(index) = self.find(place) else { continue };
            let state = &self.known[index].state;
            // Read again, or created anew: an older offset than others that were read before.
            if place.offset >= state.highest() {
                continue;
            }
            let mut is_beyond_end =
                || self.guard.end(place.topic, place.partition, end_of).is_some_and(|end| state.highest() >= end);
            if state.is_outlived_by(place.offset, place.timestamp_ms) || is_beyond_end() {
                tracing::warn!(
                    topic = &**place.topic,
                    partition = place.partition,
                    offset = place.offset,
                    known = state.highest(),
                    "the topic was created anew: what the ordering guard knew of a key is forgotten"
                );
                self.known[index].state = KeyState::new(-1);
            }
        }
    }

    fn insert(&mut self, topic: &Arc<str>, number: i32, key: Vec<u8>, known: Known) -> usize {
        let index = self.known.len();
        self.known.push(known);
        let found = self.partitions.iter().position(|p| p.number == number && p.topic == *topic);
        let partition = found.unwrap_or_else(|| {
            self.partitions.push(Partition { topic: topic.clone(), number, keys: HashMap::new() });
            self.partitions.len() - 1
        });
        self.partitions[partition].keys.insert(key, index);
        index
    }

    fn find(&self, place: Place<'_>) -> Option<usize> {
        let partition = self.partitions.iter().find(|p| p.number == place.partition && p.topic == *place.topic)?;
        partition.keys.get(&*stored_key(place.key)).copied()
    }

    /// What may be done for a message whose turn is behind those that `draft` has seen; notes in `draft` that it is done.
    /// `None`: its key has no state, so whatever it asks for.
    pub(crate) fn rule(
        &self,
        draft: &mut Draft,
        record: &RawRecord,
        columns: &[ColumnDescriptor],
        lookup: ColumnSet,
        kind: Kind,
    ) -> Option<Ruling> {
        if self.known.is_empty() {
            return None;
        }
        let place = Place::of(record)?;
        let index = self.find(place)?;
        let state = draft.0.get(&index).unwrap_or(&self.known[index].state);
        let Place { offset, timestamp_ms, copy, .. } = place;
        let ask = Ask { offset, timestamp_ms, copy, columns, lookup, kind };
        let ruling = state.rule(&ask);
        if ruling != Ruling::Nothing(Superseded::Repeat) {
            let mut next = state.clone();
            next.succeed(&ask);
            draft.0.insert(index, next);
        }
        Some(ruling)
    }

    /// Notes in `draft` that the deletion of this offset is done with: this message of its key took its place.
    pub(crate) fn note_deletion(
        &self,
        draft: &mut Draft,
        record: &RawRecord,
        columns: &[ColumnDescriptor],
        lookup: ColumnSet,
        offset: i64,
    ) {
        let Some((place, index)) = Place::of(record).and_then(|place| Some((place, self.find(place)?))) else { return };
        let mut next = draft.0.get(&index).unwrap_or(&self.known[index].state).clone();
        let Place { timestamp_ms, copy, .. } = place;
        next.succeed(&Ask { offset, timestamp_ms, copy, columns, lookup, kind: Kind::Delete });
        draft.0.insert(index, next);
    }

    /// The part of the transaction that made the draft is kept.
    pub(crate) fn accept(&mut self, draft: Draft) {
        for (index, state) in draft.0 {
            self.known[index].state = state;
        }
    }

    /// A message failed and leaves: for a retry topic (`comes_back`), or for the dead letter topic.
    pub(crate) fn fail(&mut self, record: &RawRecord, comes_back: bool) {
        let Some(place) = Place::of(record) else { return };
        let index = self.find(place).unwrap_or_else(|| {
            let known = Known { state: KeyState::new(place.offset), stored: None, failed: true };
            self.insert(place.topic, place.partition, stored_key(place.key).into_owned(), known)
        });
        let known = &mut self.known[index];
        known.state.fail(place.offset, place.timestamp_ms, comes_back);
        known.failed = true;
    }

    /// Writes what has changed.
    pub(crate) fn flush(&self, conn: &mut DbConn) -> QueryResult<()> {
        // Ascending, so that two transactions cannot wait for each other.
        let mut all: Vec<(&Partition, &Vec<u8>, &Known)> = self
            .partitions
            .iter()
            .flat_map(|partition| partition.keys.iter().map(move |(key, &index)| (partition, key, &self.known[index])))
            .filter(|(.., known)| known.failed || known.stored.as_ref() != Some(&known.state))
            .collect();
        all.sort_unstable_by_key(|(partition, key, _)| (&partition.topic, partition.number, *key));
        let rows = |new: bool| -> Vec<Stored> {
            let of = |(partition, key, known): &(&Partition, &Vec<u8>, &Known)| self.row(partition, key, &known.state);
            all.iter().filter(|(.., known)| known.stored.is_none() == new).map(of).collect()
        };
        store::put(conn, &rows(false))?;
        let new = rows(true);
        if store::add(conn, &new)? < new.len() {
            self.join(conn, &new)?;
        }
        for topic in &self.with_rows {
            self.guard.purge(conn, topic)?;
        }
        Ok(())
    }

    /// Another transaction was first with some of these rows.
    fn join(&self, conn: &mut DbConn, new: &[Stored]) -> QueryResult<()> {
        for rows in new.chunk_by(|a, b| (&a.topic, a.partition) == (&b.topic, b.partition)) {
            let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_slice()).collect();
            let scope = Scope { group: &self.guard.group, topic: &rows[0].topic, partition: rows[0].partition };
            let mut joined = store::load(conn, scope, &keys)?;
            for row in &mut joined {
                let mut state = read_state(row);
                if let Some(mine) = rows.iter().find(|mine| mine.key == row.key) {
                    state.join(read_state(mine));
                }
                self.fill(row, &state);
            }
            store::put(conn, &joined)?;
        }
        Ok(())
    }

    fn row(&self, partition: &Partition, key: &[u8], state: &KeyState) -> Stored {
        let mut row = Stored {
            group: self.guard.group.to_string(),
            topic: partition.topic.to_string(),
            partition: partition.number,
            key: key.to_vec(),
            offset: 0,
            state: String::new(),
            purge_after: None,
        };
        self.fill(&mut row, state);
        row
    }

    fn fill(&self, row: &mut Stored, state: &KeyState) {
        row.offset = state.highest();
        row.state = state.to_text();
        row.purge_after = (!state.has_dead()).then(|| self.guard.purge_after());
    }
}

/// What a transaction reads of one topic.
struct Read {
    topic: Arc<str>,
    /// `None`: of more than one.
    partition: Option<i32>,
    /// Messages with a key.
    messages: usize,
}

impl Read {
    /// By the topics that these messages were first read from: mostly one.
    fn of(records: &[Arc<RawRecord>]) -> Vec<Self> {
        let mut reads: Vec<Self> = Vec::new();
        for place in records.iter().filter_map(|record| Place::of(record)) {
            let known =
                reads.iter_mut().find(|read| Arc::ptr_eq(&read.topic, place.topic) || read.topic == *place.topic);
            match known {
                Some(read) => {
                    read.messages += 1;
                    read.partition = read.partition.filter(|partition| *partition == place.partition);
                }
                None => reads.push(Self { topic: place.topic.clone(), partition: Some(place.partition), messages: 1 }),
            }
        }
        // Ascending, so that two transactions cannot wait for each other.
        reads.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        reads
    }
}

/// A row's state. What cannot be read guards nothing; it is overwritten at the next failure.
fn read_state(row: &Stored) -> KeyState {
    KeyState::from_text(&row.state).unwrap_or_else(|error| {
        tracing::error!(
            topic = row.topic,
            partition = row.partition,
            "the ordering guard's row of a key cannot be read, so that late retries may overwrite newer rows of this \
             key: django_kafka_key_version.state: {error}"
        );
        KeyState::new(row.offset)
    })
}
