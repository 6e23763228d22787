//! One batch: its transactions, savepoints and replays.
//!
//! A batch is one transaction. Two faults end a transaction as a whole, and only then it becomes several: a constraint
//! that is checked at the commit (a deferred foreign key), and SQL that rolls back by itself (a trigger's
//! `RAISE(ROLLBACK)`, a user's own). Nothing of them is paid for in the ordinary case.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::attempt::{Trouble, Written};
use super::item::Item;
use super::judge::{self, Nature, Outage, Refusal};
use super::stages::{Stage, Watch};
use super::waiting::Waiting;
use super::{Ahead, Caller, Covered, ModelSync, Outcome, Refused, Report, Stop, Verdict};
use crate::db::{Database, DbConn, transaction};
use crate::error::{ConsumeError, RegistryAway};
use crate::record::RawRecord;
use crate::sync::guard::{Keys, Superseded};
use crate::sync::plan::Traits;
use crate::sync::table::Table;

/// A failed chunk is replayed in this many parts, each in its turn.
const PARTS: usize = 4;

/// One batch on its way.
pub(super) struct Run<'a> {
    pub(super) sync: &'a ModelSync,
    pub(super) tables: &'a [Table],
    database: &'a Database,
    pub(super) records: &'a [Arc<RawRecord>],
    pub(super) caller: &'a mut dyn Caller,
    /// The messages that ask for something, up to the first that is held back.
    pub(super) items: Vec<Item>,
    pub(super) traits: Vec<Traits>,
    outcomes: Vec<Option<Outcome>>,
    /// What the ordering guard knows in the transaction that is open.
    pub(super) keys: Option<Keys>,
    /// What is known of messages that wait.
    pub(super) waiting: Waiting,
    /// Other transactions were in the way: rows that one of them is deleting are not waited for.
    pub(super) gives_way: bool,
    /// Messages that were to leave when their verdict was asked for last, and whether they come back by themselves.
    leaving: BTreeMap<usize, bool>,
    /// The index behind the last message that a committed transaction covers.
    pub(super) covered: usize,
    /// The first message that has no outcome, and why.
    end: usize,
    stop: Option<Stop>,
    /// Messages that the database or a hook refused.
    refused: usize,
    pub(super) watch: Watch,
}

/// Outcomes of items, to be taken over once they are committed.
pub(super) type Settled = Vec<(usize, Outcome)>;

/// What ends a transaction before its last item.
enum End {
    /// This item waits; what is before it is to be committed.
    Held(usize, ConsumeError),
    /// The database cannot be used.
    Outage(Outage),
    /// The transaction is gone, by the fault of one of these items.
    Lost(Range<usize>, ConsumeError),
}

impl<'a> Run<'a> {
    /// Decodes the batch.
    pub(super) fn new(
        sync: &'a ModelSync,
        tables: &'a [Table],
        database: &'a Database,
        records: &'a [Arc<RawRecord>],
        mut ahead: Ahead,
        caller: &'a mut dyn Caller,
    ) -> Self {
        let mut run = Self {
            sync,
            tables,
            database,
            records,
            caller,
            items: Vec::with_capacity(records.len()),
            traits: Vec::new(),
            outcomes: Vec::with_capacity(records.len()),
            keys: None,
            waiting: Waiting::default(),
            gives_way: false,
            leaving: BTreeMap::new(),
            covered: 0,
            end: records.len(),
            stop: None,
            refused: 0,
            watch: Watch::default(),
        };
        let started = Instant::now();
        for (index, record) in records.iter().enumerate() {
            let outcome = match sync.item_of(&mut ahead, index, record) {
                Ok(Some(item)) => {
                    run.items.push(item);
                    None
                }
                Ok(None) => Some(Outcome::Ignored),
                Err(error) if error.error().is::<RegistryAway>() => {
                    run.stop_at(index, Stop::Outage(error.to_string()));
                    break;
                }
                Err(error) => match run.decide(index, &error) {
                    Verdict::Settle | Verdict::Leave => {
                        run.note_failed(index);
                        Some(Outcome::Failed(error))
                    }
                    Verdict::Hold => {
                        run.stop_at(index, Stop::Held(error));
                        break;
                    }
                },
            };
            run.outcomes.push(outcome);
        }
        run.traits = traits(sync, tables, &run.items);
        run.watch.lap(Stage::Decode, started);
        run
    }

    fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict {
        let verdict = self.caller.decide(index, error);
        match verdict {
            Verdict::Leave => self.leaving.insert(index, self.caller.comes_back(index)),
            Verdict::Settle | Verdict::Hold => self.leaving.remove(&index),
        };
        verdict
    }

    /// Writes the batch.
    pub(super) fn finish(mut self) -> Report {
        let all = 0..self.items.len();
        self.transact(all);
        self.cover_the_rest();
        if !self.items.is_empty() && !matches!(self.stop, Some(Stop::Outage(_))) {
            self.sync.memory.learn(self.items.len(), self.refused);
        }
        self.outcomes.truncate(self.end);
        let outcomes: Vec<Outcome> = self.outcomes.into_iter().map_while(|outcome| outcome).collect();
        debug_assert_eq!(outcomes.len(), self.end, "every message before the end has an outcome");
        Report { outcomes, stop: self.stop, stages: self.watch.stages() }
    }

    /// Messages behind the last transaction, which write nothing, get one where the caller commits something with
    /// each, or the ordering guard does with those that leave; without it they have no outcome.
    fn cover_the_rest(&mut self) {
        let guarded = || self.sync.guard.is_some() && self.left_before(self.end).next().is_some();
        if self.covered >= self.end || !(self.caller.commits_all() || guarded()) {
            return;
        }
        let covered = self.database.begin().map_err(|error| error.to_string().into()).and_then(|mut conn| {
            self.open_keys(&mut conn, self.end)?;
            self.ask_caller(&mut conn, self.end, &[])?;
            transaction::commit(&mut conn).map_err(|error| judge::of_ours(&error))
        });
        match covered {
            Ok(()) => self.cover(self.end),
            Err(outage) => self.stop_at(self.covered, Stop::Outage(outage.reason)),
        }
    }

    fn cover(&mut self, upto: usize) {
        self.covered = upto;
        self.caller.committed(upto);
        if let Some(related) = &self.sync.related {
            related.shared.wake.tell(self.waiting.take_news());
        }
    }

    fn stop_at(&mut self, index: usize, stop: Stop) {
        self.end = index;
        self.stop = Some(stop);
    }

    /// Writes these items in a transaction, or in several where one alone is lost; `false`: the batch ends.
    fn transact(&mut self, range: Range<usize>) -> bool {
        if range.is_empty() {
            return true;
        }
        let mut settled = Settled::with_capacity(range.len());
        let held = match self.transaction_until_alone(range.clone(), &mut settled) {
            Ok(()) => None,
            Err(End::Held(item, error)) => Some((item, error)),
            Err(End::Outage(outage)) => {
                self.stop_at(self.items[range.start].index, Stop::Outage(outage.reason));
                return false;
            }
            Err(End::Lost(at, error)) => return self.transact_around(range, at, error),
        };
        for (item, outcome) in settled {
            let index = self.items[item].index;
            if let Outcome::Superseded(why) = outcome {
                say_superseded(&self.records[index], why);
            }
            self.refused += usize::from(matches!(outcome, Outcome::Failed(_)));
            self.outcomes[index] = Some(outcome);
        }
        match held {
            None => true,
            Some((item, error)) => {
                self.refused += 1;
                self.stop_at(self.items[item].index, Stop::Held(error));
                false
            }
        }
    }

    /// The transaction of `range` was lost by the fault of `at`: what is before and behind gets transactions of
    /// its own.
    fn transact_around(&mut self, range: Range<usize>, at: Range<usize>, error: ConsumeError) -> bool {
        if at != range {
            return self.transact(range.start..at.start)
                && self.transact(at.clone())
                && self.transact(at.end..range.end);
        }
        if at.len() > 1 {
            return parts(at, PARTS).all(|part| self.transact(part));
        }
        if self.waits_after_all(at.start, &error) {
            return self.transact(at);
        }
        let index = self.items[at.start].index;
        self.refused += 1;
        match self.decide(index, &error) {
            Verdict::Settle | Verdict::Leave => {
                self.note_failed(index);
                self.outcomes[index] = Some(Outcome::Failed(error));
                true
            }
            Verdict::Hold => {
                self.stop_at(index, Stop::Held(error));
                false
            }
        }
    }

    /// One transaction; again a few times where another one was in the way.
    fn transaction_until_alone(&mut self, range: Range<usize>, settled: &mut Settled) -> Result<(), End> {
        self.gives_way = false;
        for retry in 1..=transaction::CONFLICTS_MAX {
            match self.transaction(range.clone(), settled) {
                Err(End::Outage(outage)) if outage.at_once => {
                    tracing::debug!(retry, "a transaction is run again: {}", outage.reason);
                    settled.clear();
                    // Nothing of it has happened.
                    self.waiting.asked_again.clear();
                    self.gives_way = true;
                    transaction::pause(retry);
                }
                ended => return ended,
            }
        }
        self.transaction(range, settled)
    }

    /// One transaction. `Ok` and `Held`: what is settled is committed. Else it is rolled back.
    fn transaction(&mut self, range: Range<usize>, settled: &mut Settled) -> Result<(), End> {
        let mut conn = self.database.begin().map_err(|error| End::Outage(error.to_string().into()))?;
        let upto = self.index_of(range.end);
        let started = Instant::now();
        self.open_keys(&mut conn, upto).and_then(|()| self.open_waiting(&mut conn, upto)).map_err(End::Outage)?;
        self.watch.lap(Stage::Check, started);
        let chunk = self.sync.memory.chunk();
        let count = range.len().div_ceil(chunk);
        let end = parts(range.clone(), count).try_for_each(|part| self.settle(&mut conn, part, settled));
        match end {
            Ok(()) => self.commit(&mut conn, range.clone(), self.index_of(range.end), settled),
            Err(End::Held(item, _)) => {
                self.commit(&mut conn, range, self.items[item].index, settled)?;
                end
            }
            Err(_) => {
                // Where this fails too, the connection is given up with its transaction.
                let _ = transaction::rollback_to(&mut conn, 0);
                end
            }
        }
    }

    /// Reads what the ordering guard knows of the messages before `upto` that no transaction covers yet, and notes those
    /// that have left already. Where that fails, the transaction is rolled back.
    fn open_keys(&mut self, conn: &mut DbConn, upto: usize) -> Result<(), Outage> {
        self.keys = None;
        let Some(guard) = &self.sync.guard else { return Ok(()) };
        let mut end_of = |topic: &str, partition| self.caller.end_of(topic, partition);
        let opened = Keys::open(guard.clone(), conn, &self.records[self.covered..upto], &mut end_of);
        let mut keys = opened.map_err(|error| given_up(conn, &error))?;
        for (index, comes_back) in self.left_before(upto) {
            keys.fail(&self.records[index], comes_back);
        }
        self.keys = Some(keys);
        Ok(())
    }

    /// The messages before `upto` that failed outside a transaction and leave: those that cannot be decoded, and those
    /// that were lost alone.
    fn left_before(&self, upto: usize) -> impl Iterator<Item = (usize, bool)> {
        let failed = |index: &usize| matches!(self.outcomes[*index], Some(Outcome::Failed(_)));
        self.leaving
            .range(self.covered..upto)
            .map(|(index, comes_back)| (*index, *comes_back))
            .filter(move |(i, _)| failed(i))
    }

    /// The index of an item's message; behind the last item, the batch's end.
    fn index_of(&self, item: usize) -> usize {
        self.items.get(item).map_or(self.end, |item| item.index)
    }

    /// Commits the transaction of `range`, which covers all messages before `upto`.
    fn commit(&mut self, conn: &mut DbConn, range: Range<usize>, upto: usize, settled: &Settled) -> Result<(), End> {
        let started = Instant::now();
        self.ask_caller(conn, upto, settled).map_err(End::Outage)?;
        let committed = transaction::commit(conn);
        self.watch.lap(Stage::Commit, started);
        committed.map_err(|error| match judge::outage(&error) {
            Some(outage) => End::Outage(outage),
            None if range.len() == 1 => {
                let item = &self.items[range.start];
                End::Lost(range, judge::of_commit(error, &self.tables[item.target], item))
            }
            None => End::Lost(range, judge::of_transaction(&error)),
        })?;
        self.cover(upto);
        Ok(())
    }

    /// Lets the ordering guard and the caller add what is their own. Where one refuses, the transaction is rolled back.
    fn ask_caller(&mut self, conn: &mut DbConn, upto: usize, settled: &[(usize, Outcome)]) -> Result<(), Outage> {
        if let Some(keys) = &self.keys {
            keys.flush(conn).map_err(|error| given_up(conn, &error))?;
        }
        self.close_waiting(conn).map_err(|error| given_up(conn, &error))?;
        let now = settled.iter().map(|(item, outcome)| (self.items[*item].index, outcome));
        let before = (self.covered..upto).filter_map(|index| Some((index, self.outcomes[index].as_ref()?)));
        let mut failed: Vec<(usize, &ConsumeError)> = now
            .chain(before)
            .filter_map(|(index, outcome)| match outcome {
                Outcome::Failed(error) => Some((index, error)),
                _ => None,
            })
            .collect();
        failed.sort_unstable_by_key(|(index, _)| *index);
        self.caller.before_commit(conn, &Covered { upto, failed }).map_err(|refused| {
            // Where this fails too, the connection is given up with its transaction.
            let _ = transaction::rollback_to(conn, 0);
            match refused {
                Refused::NotOurs(reason) => reason.into(),
                Refused::Database(error) => judge::of_ours(&error),
            }
        })
    }

    /// Writes these items; where they fail together, by parts, down to those that fail alone.
    fn settle(&mut self, conn: &mut DbConn, range: Range<usize>, settled: &mut Settled) -> Result<(), End> {
        match self.attempt(conn, range.clone()) {
            Ok(written) => {
                self.sync.memory.trust();
                self.accept(written, settled);
                Ok(())
            }
            Err(Trouble::Outage(outage)) => Err(End::Outage(outage)),
            Err(Trouble::Lost(error)) => Err(End::Lost(range, error)),
            Err(Trouble::Refused(_)) if range.len() > 1 => {
                parts(range, PARTS).try_for_each(|part| self.settle(conn, part, settled))
            }
            Err(Trouble::Refused(refusal)) if self.waits_after_all(range.start, &refusal.error) => {
                self.settle(conn, range, settled)
            }
            Err(Trouble::Refused(refusal)) => self.settle_failed(conn, range.start, refusal, settled),
        }
    }

    /// An item was refused alone for the sake of rows that it refers to, or that refer to it: whether it is to be tried
    /// once more, to wait for them.
    fn waits_after_all(&mut self, item: usize, error: &ConsumeError) -> bool {
        if self.is_blocked(item, error) {
            self.refused += 1;
            return self.waiting.blocked.insert(item);
        }
        self.may_wait(item, error) && self.waiting.asked_again.insert(item)
    }

    /// What was written in a savepoint is kept.
    fn accept(&mut self, written: Written, settled: &mut Settled) {
        settled.extend(written.outcomes);
        let is_daemon = self.caller.claimed().is_some();
        self.waiting.accept(written.gated, is_daemon);
        if let Some(keys) = &mut self.keys {
            keys.accept(written.draft);
        }
    }

    /// An item failed alone.
    fn settle_failed(
        &mut self,
        conn: &mut DbConn,
        item: usize,
        refusal: Refusal,
        settled: &mut Settled,
    ) -> Result<(), End> {
        let refusal = match refusal.nature {
            Nature::Own => refusal,
            Nature::Suspect => {
                judge::canary(conn).map_err(End::Outage)?;
                refusal
            }
            Nature::Unknown(_) => match self.doubt(conn, item, refusal, settled)? {
                Some(refusal) => refusal,
                None => return Ok(()),
            },
        };
        let index = self.items[item].index;
        let verdict = self.decide(index, &refusal.error);
        match (verdict, &mut self.keys) {
            (Verdict::Hold, _) => return Err(End::Held(item, refusal.error)),
            (Verdict::Leave, Some(keys)) => keys.fail(&self.records[index], self.leaving.get(&index) == Some(&true)),
            (Verdict::Leave | Verdict::Settle, _) => {}
        }
        self.note_failed(index);
        settled.push((item, Outcome::Failed(refusal.error)));
        Ok(())
    }

    /// An item failed with an error that may be the database's: tries it again, then a write of our own, then the
    /// next message of another key. `None`: it is written after all.
    fn doubt(
        &mut self,
        conn: &mut DbConn,
        item: usize,
        mut refusal: Refusal,
        settled: &mut Settled,
    ) -> Result<Option<Refusal>, End> {
        let only = item..item + 1;
        for retry in 1..=judge::RETRIES {
            transaction::pause(retry);
            match self.attempt(conn, only.clone()) {
                Ok(written) => {
                    self.accept(written, settled);
                    return Ok(None);
                }
                Err(Trouble::Refused(again)) => refusal = again,
                Err(Trouble::Outage(outage)) => return Err(End::Outage(outage)),
                Err(Trouble::Lost(error)) => return Err(End::Lost(only, error)),
            }
        }
        judge::canary(conn).map_err(End::Outage)?;
        let Nature::Unknown(said) = &refusal.nature else { return Ok(Some(refusal)) };
        let key = self.records[self.items[item].index].key.as_deref();
        if self.sync.memory.repeated(key, said) || self.next_fails_alike(conn, item, said)? {
            let reason = format!("messages of different keys fail alike: {}", refusal.error);
            return Err(End::Outage(reason.into()));
        }
        Ok(Some(refusal))
    }

    /// Whether the next message of another key fails with the same words; whatever it does is taken back.
    fn next_fails_alike(&mut self, conn: &mut DbConn, item: usize, said: &str) -> Result<bool, End> {
        let key_of = |item: &Item| self.records[item.index].key.as_deref();
        let key = key_of(&self.items[item]);
        let Some(next) = (item + 1..self.items.len()).find(|&next| key_of(&self.items[next]) != key) else {
            return Ok(false);
        };
        let lost = |_| End::Lost(item..item + 1, "the transaction ended by itself".into());
        let depth = transaction::depth(conn).map_err(lost)?;
        transaction::savepoint(conn).map_err(lost)?;
        let tried = self.attempt(conn, next..next + 1);
        transaction::rollback_to(conn, depth).map_err(lost)?;
        match tried {
            Err(Trouble::Refused(Refusal { nature: Nature::Unknown(words), .. })) => Ok(words == said),
            Err(Trouble::Outage(outage)) => Err(End::Outage(outage)),
            Ok(_) | Err(Trouble::Refused(_) | Trouble::Lost(_)) => Ok(false),
        }
    }
}

fn say_superseded(record: &RawRecord, why: Superseded) {
    let origin = record.origin();
    let (topic, partition, offset) = (&*origin.topic, origin.partition, origin.offset);
    match why {
        Superseded::By(newer) => tracing::info!(
            topic,
            partition,
            offset,
            newer,
            "superseded: newer messages of its key wrote all that this one would"
        ),
        Superseded::Repeat => tracing::info!(topic, partition, offset, "superseded: a copy of it is done with already"),
    }
}

/// A statement of ours failed: the transaction is rolled back.
fn given_up(conn: &mut DbConn, error: &diesel::result::Error) -> Outage {
    // Where this fails too, the connection is given up with its transaction.
    let _ = transaction::rollback_to(conn, 0);
    judge::of_ours(error)
}

/// What the tables allow for the lookups of this batch.
fn traits(sync: &ModelSync, tables: &[Table], items: &[Item]) -> Vec<Traits> {
    let mut traits: Vec<Traits> = sync
        .targets
        .iter()
        .zip(tables)
        .map(|(target, table)| Traits { strict: false, related: table.related.clone(), reduce: target.reduce })
        .collect();
    let mut lookups = vec![None; tables.len()];
    for item in items {
        let (table, known) = (&tables[item.target], &mut lookups[item.target]);
        if *known != Some(item.lookup) {
            // Identities by different columns may be those of one row.
            traits[item.target].strict |= known.is_some() || table.strict(item.lookup);
            traits[item.target].reduce &= table.reducible(item.lookup);
            *known = Some(item.lookup);
        }
    }
    traits
}

/// Cuts a range into `count` parts of about the same size, none of them empty.
fn parts(range: Range<usize>, count: usize) -> impl Iterator<Item = Range<usize>> {
    let size = range.len().div_ceil(count.max(1)).max(1);
    let end = range.end;
    range.step_by(size).map(move |start| start..(start + size).min(end))
}
