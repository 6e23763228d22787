//! What is known of one key, and what follows from it for a message. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::sync::model::{ColumnDescriptor, ColumnSet};
use crate::sync::plan::Kind;

/// Offsets that each list of a key keeps at most; the oldest go first. What is lost with one is said at the list.
const LISTED_MAX: usize = 64;

/// How much later than all that is known of its key an older message may have been made, in milliseconds: clocks of
/// producers differ.
const CLOCKS_DIFFER_MS: i64 = 60_000;

/// A key of which a message failed and left.
///
/// Offsets are those of the key's first partition. For each column the newest offset that wrote it is known as far as
/// it matters: once something newer than all failed messages wrote a column, what is newer still makes no difference
/// to them and is not recorded, so that a key which is written often costs no more than one which is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyState {
    /// The newest message that failed and left.
    failed: i64,
    /// The newest message that wrote everything: all of the model's columns, or a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all: Option<i64>,
    /// The newest message that wrote a column, by the column's SQL name, where that is newer than `all`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    columns: BTreeMap<String, i64>,
    /// Messages on their way through retry topics. For people: nothing is decided by them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    open: BTreeSet<i64>,
    /// Messages in the dead letter topic.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    dead: BTreeSet<i64>,
    /// Whether `dead` has lost one: then it cannot be known that none is left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more_dead: bool,
    /// Messages that failed and are done with since, so that stray copies in retry topics are recognised. A copy of
    /// one that is no longer listed is written again where nothing newer was: with the values that are there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    done: BTreeSet<i64>,
    /// When the latest of all these messages was made, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest_ms: Option<i64>,
}

/// What a message asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub offset: i64,
    /// When it was made, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Whether it came through a retry topic or the dead letter topic. A message that is read from its own topic again
    /// is no copy: somebody may have emptied the table and started over.
    pub copy: bool,
    /// The model's columns.
    pub columns: &'a [ColumnDescriptor],
    pub lookup: ColumnSet,
    pub kind: Kind,
}

/// What may be done for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// This: what it asks for, or the part of it that nothing newer wrote.
    Do(Kind),
    /// Nothing: it is superseded.
    Nothing(Superseded),
}

/// Why nothing is left to do for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Superseded {
    /// Newer messages of its key wrote everything that it would; this is the newest that is known.
    By(i64),
    /// It is done with already: this is a copy.
    Repeat,
}

impl KeyState {
    /// Nothing is known but that `failed` is a message that failed, or comes behind all that did.
    pub(crate) fn new(failed: i64) -> Self {
        Self {
            failed,
            all: None,
            columns: BTreeMap::new(),
            open: BTreeSet::new(),
            dead: BTreeSet::new(),
            more_dead: false,
            done: BTreeSet::new(),
            latest_ms: None,
        }
    }

    /// What may be done for a message.
    pub(crate) fn rule(&self, ask: &Ask<'_>) -> Ruling {
        if ask.copy && self.done.contains(&ask.offset) {
            return Ruling::Nothing(Superseded::Repeat);
        }
        // Of a column too that the model has no more: it shows that the row was written.
        let newest = self.columns.values().copied().max().max(self.all);
        let Some(newest) = newest.filter(|&newest| newest > ask.offset) else { return Ruling::Do(ask.kind) };
        if self.all.is_some_and(|all| all > ask.offset) {
            return Ruling::Nothing(Superseded::By(newest));
        }
        let newer = |column: &usize| self.columns.get(ask.columns[*column].column).is_some_and(|&at| at > ask.offset);
        let taken = (0..ask.columns.len()).filter(newer).fold(ColumnSet::EMPTY, ColumnSet::with);
        let left_of = |wanted: ColumnSet| wanted.without(ask.lookup).without(taken);
        let (left, kind) = match ask.kind {
            Kind::Upsert(given) | Kind::Part { given, .. } => {
                let left = left_of(given);
                (left, Kind::Part { update: left.union(ask.lookup), given })
            }
            // Deleted, then written in part: a row whose other columns have their defaults.
            Kind::Delete | Kind::Reset(_) => {
                let left = left_of(ColumnSet::first(ask.columns.len()));
                (left, Kind::Reset(left))
            }
        };
        if left.is_empty() { Ruling::Nothing(Superseded::By(newest)) } else { Ruling::Do(kind) }
    }

    /// A message failed and left: for a retry topic (`comes_back`), or for the dead letter topic.
    pub(crate) fn fail(&mut self, offset: i64, timestamp_ms: Option<i64>, comes_back: bool) {
        self.latest_ms = self.latest_ms.max(timestamp_ms);
        self.failed = self.failed.max(offset);
        for listed in [&mut self.open, &mut self.dead, &mut self.done] {
            listed.remove(&offset);
        }
        if comes_back {
            list(&mut self.open, offset);
        } else {
            self.more_dead |= list(&mut self.dead, offset);
        }
    }

    /// A message is done with: what it asks for is written, as far as it was due.
    pub(crate) fn succeed(&mut self, ask: &Ask<'_>) {
        let Ask { offset, columns, kind, .. } = *ask;
        let (open, dead) = (self.open.remove(&offset), self.dead.remove(&offset));
        if open || dead {
            list(&mut self.done, offset);
        }
        let all = ColumnSet::first(columns.len());
        let written = match kind {
            Kind::Upsert(given) | Kind::Part { given, .. } => given,
            Kind::Delete | Kind::Reset(_) => all,
        };
        let failed = self.failed;
        let matters = |known: Option<i64>| known.is_none_or(|known| known <= failed && known < offset);
        if written.includes(all) {
            if matters(self.all) {
                self.latest_ms = self.latest_ms.max(ask.timestamp_ms);
                self.all = Some(offset);
                self.columns.retain(|_, at| *at > offset);
            }
            return;
        }
        for column in written.iter().map(|column| columns[column].column) {
            let known = self.columns.get(column).copied().max(self.all);
            if matters(known) {
                self.latest_ms = self.latest_ms.max(ask.timestamp_ms);
                self.columns.insert(column.to_owned(), offset);
            }
        }
    }

    /// Takes in what another transaction learned of the same key at the same time.
    pub(crate) fn join(&mut self, other: Self) {
        self.failed = self.failed.max(other.failed);
        self.all = self.all.max(other.all);
        self.latest_ms = self.latest_ms.max(other.latest_ms);
        for (column, at) in other.columns {
            let known = self.columns.entry(column).or_insert(at);
            *known = (*known).max(at);
        }
        let all = self.all;
        self.columns.retain(|_, at| Some(*at) > all);
        for offset in other.done {
            list(&mut self.done, offset);
        }
        for offset in other.dead {
            self.more_dead |= list(&mut self.dead, offset);
        }
        self.more_dead |= other.more_dead;
        for offset in other.open {
            list(&mut self.open, offset);
        }
        let done = &self.done;
        self.dead.retain(|offset| !done.contains(offset));
        let dead = &self.dead;
        self.open.retain(|offset| !done.contains(offset) && !dead.contains(offset));
    }

    /// Whether a message that is read from the topic itself shows that the topic was created anew since: it has an older
    /// offset, and was made later than everything that is known. Else what is known would silence it.
    pub(crate) fn is_outlived_by(&self, offset: i64, timestamp_ms: Option<i64>) -> bool {
        let later = |made: i64| self.latest_ms.is_some_and(|latest| made > latest.saturating_add(CLOCKS_DIFFER_MS));
        offset < self.highest() && timestamp_ms.is_some_and(later)
    }

    /// Whether a dead letter of the key may be replayed.
    pub(crate) fn has_dead(&self) -> bool {
        self.more_dead || !self.dead.is_empty()
    }

    /// The highest offset in it.
    pub(crate) fn highest(&self) -> i64 {
        self.columns.values().copied().max().max(self.all).max(Some(self.failed)).unwrap_or_default()
    }

    /// As it is stored.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers, texts and lists of them can be written")
    }

    /// As it was stored.
    ///
    /// # Errors
    /// It is not what [`to_text`](Self::to_text) writes.
    pub(crate) fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Lists an offset; whether the oldest one had to go.
fn list(offsets: &mut BTreeSet<i64>, offset: i64) -> bool {
    offsets.insert(offset);
    offsets.len() > LISTED_MAX && offsets.pop_first().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn column(name: &'static str) -> ColumnDescriptor {
        ColumnDescriptor {
            field: name,
            column: name,
            message_field: None,
            insert_default: false,
            stores_postgres: true,
            stores_sqlite: true,
        }
    }

    const COLUMNS: &[ColumnDescriptor] = &[column("id"), column("a"), column("b")];
    const ID: ColumnSet = ColumnSet::of(&[0]);
    const ID_A: ColumnSet = ColumnSet::of(&[0, 1]);
    const ID_B: ColumnSet = ColumnSet::of(&[0, 2]);
    const FULL: ColumnSet = ColumnSet::first(3);

    fn ask(offset: i64, kind: Kind) -> Ask<'static> {
        Ask { offset, timestamp_ms: None, copy: true, columns: COLUMNS, lookup: ID, kind }
    }

    /// A key whose message 5 failed, and what succeeded since.
    fn after(succeeded: &[(i64, Kind)]) -> KeyState {
        let mut state = KeyState::new(5);
        state.fail(5, None, true);
        for &(offset, kind) in succeeded {
            state.succeed(&ask(offset, kind));
        }
        state
    }

    fn check(state: &KeyState, expected: &str) {
        assert_eq!(state.to_text(), expected);
        assert_eq!(KeyState::from_text(expected).unwrap(), *state);
    }

    const ALL: Kind = Kind::Upsert(FULL);
    const A: Kind = Kind::Upsert(ID_A);
    const B: Kind = Kind::Upsert(ID_B);
    const KEY_ALONE: Kind = Kind::Upsert(ID);

    #[test]
    fn nothing_newer_means_as_asked() {
        for kind in [ALL, A, KEY_ALONE, Kind::Delete] {
            assert_eq!(after(&[]).rule(&ask(5, kind)), Ruling::Do(kind));
            assert_eq!(after(&[(3, ALL), (4, Kind::Delete)]).rule(&ask(5, kind)), Ruling::Do(kind));
            assert_eq!(after(&[(5, kind)]).rule(&Ask { copy: false, ..ask(5, kind) }), Ruling::Do(kind), "itself");
        }
    }

    #[test]
    fn everything_newer_means_nothing() {
        for newer in [ALL, Kind::Delete] {
            for kind in [ALL, A, KEY_ALONE, Kind::Delete] {
                let ruling = after(&[(7, newer), (8, A)]).rule(&ask(5, kind));
                assert!(matches!(ruling, Ruling::Nothing(Superseded::By(7))), "{ruling:?}");
            }
        }
    }

    #[test]
    fn something_newer_means_the_rest() {
        let part = |update, given| Ruling::Do(Kind::Part { update, given });
        let nothing = |newer| Ruling::Nothing(Superseded::By(newer));
        for (newer, kind, ruling) in [
            (&[(7, A)][..], ALL, part(ID_B, FULL)),
            (&[(7, A)], A, nothing(7)),
            (&[(7, A)], B, part(ID_B, ID_B)),
            (&[(7, A), (8, B)], ALL, nothing(8)),
            (&[(7, A)], Kind::Delete, Ruling::Do(Kind::Reset(ColumnSet::of(&[2])))),
            (&[(7, A), (8, B)], Kind::Delete, nothing(8)),
            // A row that was written with its key alone is there.
            (&[(7, KEY_ALONE)], ALL, part(FULL, FULL)),
            (&[(7, KEY_ALONE)], KEY_ALONE, nothing(7)),
            (&[(7, KEY_ALONE)], Kind::Delete, Ruling::Do(Kind::Reset(ColumnSet::of(&[1, 2])))),
        ] {
            assert_eq!(after(newer).rule(&ask(5, kind)), ruling, "{newer:?} {kind:?}");
        }
        // What it wrote itself is not newer than it.
        let itself = Ask { copy: false, ..ask(5, A) };
        assert_eq!(after(&[(5, A), (7, B)]).rule(&itself), part(ID_A, ID_A));
    }

    #[test]
    fn what_makes_no_difference_to_any_failed_message_is_not_noted() {
        check(&after(&[(6, A), (7, A), (8, B)]), r#"{"failed":5,"columns":{"a":6,"b":8,"id":6},"open":[5]}"#);
        check(&after(&[(6, A), (7, ALL), (8, ALL), (9, A)]), r#"{"failed":5,"all":7,"open":[5]}"#);
        let mut state = after(&[(7, ALL)]);
        state.fail(9, None, false);
        check(&state, r#"{"failed":9,"all":7,"open":[5],"dead":[9]}"#);
        state.succeed(&ask(10, A));
        state.succeed(&ask(11, A));
        check(&state, r#"{"failed":9,"all":7,"columns":{"a":10,"id":10},"open":[5],"dead":[9]}"#);
        // Itself is nothing newer: a copy of it may be on its way.
        let mut state = after(&[(5, ALL)]);
        state.succeed(&ask(6, A));
        check(&state, r#"{"failed":5,"all":5,"columns":{"a":6,"id":6},"done":[5]}"#);
    }

    #[test]
    fn what_is_older_takes_nothing_back() {
        check(&after(&[(7, A), (6, ALL)]), r#"{"failed":5,"all":6,"columns":{"a":7,"id":7},"open":[5]}"#);
        check(&after(&[(7, ALL), (6, A), (4, Kind::Delete)]), r#"{"failed":5,"all":7,"open":[5]}"#);
    }

    #[test]
    fn lists_are_bounded_and_what_that_costs_is_known() {
        let mut state = KeyState::new(0);
        for offset in 0..1_000 {
            state.fail(offset, None, offset % 2 == 0);
        }
        assert_eq!((state.open.len(), state.dead.len(), state.failed), (LISTED_MAX, LISTED_MAX, 999));
        for offset in 0..1_000 {
            state.succeed(&ask(offset, A));
        }
        assert!(state.open.is_empty() && state.dead.is_empty() && state.done.len() == LISTED_MAX);
        assert!(state.has_dead(), "some of them are not known any more");
    }

    #[test]
    fn what_two_transactions_learned_is_joined() {
        let mut one = after(&[(6, A), (7, ALL)]);
        let mut other = after(&[(8, B)]);
        other.fail(9, Some(4), false);
        other.succeed(&ask(5, ALL));
        let mut expected = other.clone();
        expected.join(one.clone());
        one.join(other);
        assert_eq!(one, expected);
        check(&one, r#"{"failed":9,"all":7,"columns":{"b":8,"id":8},"dead":[9],"done":[5],"latest_ms":4}"#);
    }
}
