//! What a run knows of messages that wait, from transaction to transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::judge::{self, Outage};
use super::run::Run;
use crate::db::DbConn;
use crate::error::ConsumeError;
use crate::relations::{self, Awaited, Chain, News, Presence};
use crate::sync::plan::Kind;

/// What the gate has done, to be taken over when the attempt is kept.
#[derive(Default)]
pub(super) struct Gated {
    pub news: News,
    /// What other processes are to be told too.
    pub(super) told: News,
    /// For a daemon: the chains that were looked at.
    pub(super) chains: Vec<Chain>,
    pub parked: Vec<Parked>,
}

/// A message that waits.
pub(super) struct Parked {
    pub item: usize,
    pub chain: Chain,
    pub relation: Option<Awaited>,
}

/// What a run knows of those that wait. All but `blocked` and `failed` is of the transaction that is open.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) presence: Presence,
    news: News,
    told: News,
    /// Items that delete a row which others still refer to.
    pub(super) blocked: BTreeSet<usize>,
    /// Items that were refused for the sake of a row that they refer to, and are tried once more.
    pub(super) asked_again: BTreeSet<usize>,
    /// For a daemon: the numbers of messages that nobody else can take before the transaction's end.
    pub(super) held: HashSet<i64>,
    /// For a daemon: messages that wait on, by their chain, and what for.
    pub(super) again: HashMap<Chain, (Vec<usize>, Option<Awaited>)>,
    /// For a daemon: chains of which a message failed.
    pub(super) failed: HashSet<Chain>,
}

impl Waiting {
    /// What is to be told when the transaction is committed.
    pub(super) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// The attempt is kept.
    pub(super) fn accept(&mut self, gated: Gated, is_daemon: bool) {
        self.news.add(gated.news);
        self.told.add(gated.told);
        self.presence.parked |= !gated.parked.is_empty();
        self.presence.awaited |= !gated.parked.is_empty();
        for chain in gated.chains {
            self.again.remove(&chain);
        }
        if is_daemon {
            for Parked { item, chain, relation } in gated.parked {
                let (items, waits_for) = self.again.entry(chain).or_default();
                items.push(item);
                *waits_for = relation;
            }
        }
    }
}

impl Run<'_> {
    /// Looks whether there is anything to be asked in the transaction that begins.
    pub(super) fn open_waiting(&mut self, conn: &mut DbConn, upto: usize) -> Result<(), Outage> {
        let blocked = std::mem::take(&mut self.waiting.blocked);
        let asked_again = std::mem::take(&mut self.waiting.asked_again);
        let failed = std::mem::take(&mut self.waiting.failed);
        self.waiting = Waiting { blocked, asked_again, failed, ..Waiting::default() };
        let Some(related) = &self.sync.related else { return Ok(()) };
        let origins: BTreeSet<_> = self.records[self.covered..upto].iter().map(|r| r.origin().topic).collect();
        let topics: Vec<&str> = origins.iter().map(AsRef::as_ref).collect();
        let keys: Vec<String> = self.sync.targets.iter().map(|t| relations::model_key(conn, t.model)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let processor = &related.shared.processor;
        self.waiting.presence =
            processor.presence(conn, &related.group, &topics, &keys).map_err(|error| judge::of_ours(&error))?;
        // All at once, and before any row of a model is locked: else a lane and a daemon wait for each other, with the
        // one's deletions in the other's hands.
        let locked = match self.caller.claimed() {
            Some(claim) => {
                processor.held(conn, claim.token, &claim.ids[self.covered..upto]).map(|held| self.waiting.held = held)
            }
            None if self.waiting.presence.parked => {
                let range = self.covered..upto;
                let deletions = self.items.iter().filter(|item| matches!(item.kind, Kind::Delete));
                let records = deletions.filter(|item| range.contains(&item.index)).map(|i| &self.records[i.index]);
                let chains: HashSet<Chain> =
                    records.filter(|record| record.key.is_some()).map(|record| Chain::of(record)).collect();
                processor.lock(conn, &related.group, &chains.iter().collect::<Vec<_>>())
            }
            None => Ok(()),
        };
        locked.map_err(|error| judge::of_ours(&error))
    }

    /// What waits on in a daemon's hands, written down with its last transaction.
    pub(super) fn close_waiting(&mut self, conn: &mut DbConn) -> diesel::QueryResult<()> {
        let Some(related) = &self.sync.related else { return Ok(()) };
        let (told, shared) = (&self.waiting.told, &related.shared);
        if !told.is_empty() {
            shared.processor.notify(conn, &relations::told_text(shared.wake.name(), told))?;
        }
        let Some(claim) = self.caller.claimed() else { return Ok(()) };
        let still: Vec<_> = self
            .waiting
            .again
            .iter()
            .filter(|(chain, _)| !self.waiting.failed.contains(chain))
            .map(|(chain, (_, relation))| relations::Still { chain: chain.clone(), relation: relation.clone() })
            .collect();
        related.shared.processor.still(conn, &related.group, claim.token, &still)
    }

    /// Whether a failed deletion is to wait for the rows to go that refer to its row.
    pub(super) fn is_blocked(&self, item: usize, error: &ConsumeError) -> bool {
        let target = &self.sync.targets[self.items[item].target];
        let waits = target.referring.as_ref().is_some_and(|referring| referring.waits_for_children);
        waits
            && matches!(self.items[item].kind, Kind::Delete)
            && !self.waiting.blocked.contains(&item)
            && relations::violates_foreign_key(error)
    }

    /// Whether a row was refused for the sake of a row that it refers to: the gate is asked once more.
    pub(super) fn may_wait(&self, item: usize, error: &ConsumeError) -> bool {
        let target = &self.sync.targets[self.items[item].target];
        let refers = target.referring.as_ref().is_some_and(relations::Referring::refers);
        refers && matches!(self.items[item].kind, Kind::Upsert(_)) && relations::violates_foreign_key(error)
    }

    /// A message failed: for a daemon its chain stops there.
    pub(super) fn note_failed(&mut self, index: usize) {
        if self.caller.claimed().is_some() {
            let chain = Chain::of(&self.records[index]);
            self.waiting.failed.insert(chain);
        }
    }

    pub(super) fn claimed_of(&self, item: usize) -> Option<i64> {
        let claim = self.caller.claimed()?;
        claim.ids.get(self.items[item].index).copied()
    }
}
