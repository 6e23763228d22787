//! What the tables have to hold after what has happened, and what may wait.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::{COLUMNS, TOPICS};
use super::world::{Cells, Poison, Row, Rows, World};

/// A topic and an id.
type Key = (usize, i64);

impl World<'_> {
    /// What is not right with the tables now. `is_end`: also of keys whose messages were parked when they were read
    /// again, after they had been done: until they are resolved, their rows are ahead of them.
    pub(super) fn rows_mistake(&self, is_end: bool) -> Option<String> {
        let read_again = self.parked.keys().filter(|index| self.done.contains(index));
        let ahead: BTreeSet<Key> = read_again.map(|index| self.key_of(*index)).collect();
        (0..TOPICS.len()).find_map(|topic| {
            let found = self.scene.rows(topic);
            let known = self.log.iter().filter(|message| message.topic == topic).map(|message| message.key);
            let keys: BTreeSet<i64> = found.keys().copied().chain(known).collect();
            let wrong = keys.into_iter().find(|id| {
                let (key, row) = ((topic, *id), found.get(id));
                // A deletion that is blocked has ended what waited of its key: whatever of that was written, the row is
                // still there.
                if self.is_to_be_deleted(key) && !ahead.contains(&key) {
                    return row.is_none();
                }
                // What stands before a whole row that waits is not taken up again.
                let may_be_ahead = ahead.contains(&key) && (!is_end || self.is_result(key, row, true));
                !(self.is_result(key, row, false) || may_be_ahead)
            })?;
            let (parked, dead) = (&self.parked, &self.dead);
            let said: Vec<_> = self.said((topic, wrong), true).collect();
            let found = found.get(&wrong);
            Some(format!(
                "{} {wrong}:\n  found {found:?}\n  done {said:?}\n parked {parked:?}\n  dead {dead:?}",
                TOPICS[topic]
            ))
        })
    }

    /// Whether a row is what the messages of its key make that are done: each column as the newest says that has it, a
    /// deletion the defaults of them all.
    ///
    /// What is done and dead too died when it was read again after a crash, and what was before it may have been written
    /// once more by then: for each column, it counts or not.
    fn is_result(&self, key: Key, row: Option<&Row>, with_parked: bool) -> bool {
        let is_last = |matches: &dyn Fn(&Option<Cells>) -> Option<bool>, of_nothing: bool| {
            for (index, cells) in self.said(key, with_parked) {
                match matches(&cells) {
                    Some(true) => return true,
                    Some(false) if !self.dead.contains(&index) => return false,
                    Some(false) | None => {}
                }
            }
            of_nothing
        };
        let is_there = is_last(&|cells| Some(cells.is_some() == row.is_some()), row.is_none());
        let Some(row) = row.filter(|_| is_there) else { return is_there };
        COLUMNS[key.0].iter().all(|(column, _)| {
            let (found, default) = (row.get(column).copied(), (*column == "n").then_some(5));
            let said = |cells: &Option<Cells>| match cells {
                None => Some(default),
                Some(cells) => cells.iter().find(|(name, _)| name == column).map(|(_, cell)| *cell),
            };
            is_last(&|cells| said(cells).map(|said| said == found), found == default)
        })
    }

    /// What the messages of a key say that are done, the newest first.
    fn said(&self, key: Key, with_parked: bool) -> impl Iterator<Item = (usize, Option<Cells>)> {
        let counts =
            move |index: &usize| self.key_of(*index) == key && (with_parked || !self.parked.contains_key(index));
        let done = self.done.iter().rev().copied().filter(counts);
        let said = done.map(|index| (index, self.cells(index)));
        said.filter(|(index, cells)| cells.is_some() || !self.is_left_to_another(*index))
    }

    fn key_of(&self, index: usize) -> Key {
        (self.log[index].topic, self.log[index].key)
    }

    fn is_to_be_deleted(&self, key: Key) -> bool {
        self.parked.iter().any(|(index, deletes)| *deletes && self.key_of(*index) == key)
    }

    /// Whether a deletion was blocked, and a later one of its key waits in its place.
    fn is_left_to_another(&self, deletion: usize) -> bool {
        let (topic, key) = (self.log[deletion].topic, self.log[deletion].key);
        let mut later = (deletion + 1..self.log.len())
            .filter(|index| (self.log[*index].topic, self.log[*index].key) == (topic, key))
            .filter(|index| self.done.contains(index) || self.parked.contains_key(index));
        later.find_map(|index| match (self.parked.get(&index), self.log[index].columns) {
            (Some(deletes), _) => Some(*deletes),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        }) == Some(true)
    }

    /// What waits at the end without a reason, and what became of nothing.
    pub(super) fn waiting_mistake(&self) -> Option<String> {
        let lost = (0..self.log.len())
            .find(|index| !self.done.contains(index) && !self.dead.contains(index) && !self.parked.contains_key(index));
        if let Some(lost) = lost {
            return Some(format!("message {lost} is neither done, nor parked, nor dead"));
        }
        let died = self.dead.iter().find(|index| self.log[**index].poison == Poison::Nowhere);
        if let Some(died) = died {
            return Some(format!("message {died} is dead, and has failed no more than it may"));
        }
        let rows = self.rows();
        let mut chains: BTreeMap<(usize, i64), Vec<usize>> = BTreeMap::new();
        for index in self.parked.keys() {
            chains.entry((self.log[*index].topic, self.log[*index].key)).or_default().push(*index);
        }
        chains.into_iter().find_map(|((topic, key), chain)| {
            let (deletions, writes): (Vec<usize>, Vec<usize>) = chain.iter().partition(|index| self.parked[index]);
            let blocked = deletions.is_empty() || is_referred_to(&rows, topic, key);
            let waits = writes.is_empty() || self.waits_for_parents(&rows, topic, key, &writes);
            let why = format!("{} {key}: {chain:?} wait without a reason; rows {rows:?}", TOPICS[topic]);
            (!blocked || !waits).then_some(why)
        })
    }

    /// Whether the row that a chain makes as a whole cannot be written.
    fn waits_for_parents(&self, rows: &[Rows], topic: usize, key: i64, chain: &[usize]) -> bool {
        let row: BTreeMap<&str, Option<i64>> =
            chain.iter().flat_map(|index| self.cells(*index).into_iter().flatten()).collect();
        COLUMNS[topic].iter().any(|(column, parent)| {
            let (Some(parent), Some(Some(id))) = (parent, row.get(column)) else { return false };
            !rows[*parent].contains_key(id) && (*parent, *id) != (topic, key)
        })
    }
}

/// Whether another row refers to this one.
fn is_referred_to(rows: &[Rows], topic: usize, key: i64) -> bool {
    rows[topic].contains_key(&key)
        && COLUMNS.iter().enumerate().any(|(child, columns)| {
            let columns = columns.iter().filter(|(_, parent)| *parent == Some(topic)).map(|(column, _)| column);
            let refers = |column: &str| {
                rows[child].iter().any(|(id, row)| row.get(column) == Some(&key) && (child, *id) != (topic, key))
            };
            columns.into_iter().any(|column| refers(column))
        })
}
