//! The gate before a handler of the user's: which messages of a batch wait for rows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::related::Related;
use super::{Awaited, Chain, News, ParkedKey, Parking, RelationError, RelationResolver, WaitingStatus, awaited};
use crate::consumer::batch;
use crate::consumer::ledger::{Entry, Trouble};
use crate::context::Context;
use crate::db::{Database, DbConn, failure};
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::sync::ModelRelation;
use crate::topic::CustomTopic;

/// What is to be done with a message.
pub(crate) enum Admit {
    /// The handler takes it, when this is stored.
    Go(Option<Storing>),
    /// It waits, and is stored until then.
    Parked,
    /// It is told wrongly what it refers to: its own failure.
    Failed(ConsumeError),
    /// Nothing can be done now, and why: the partition waits.
    Wait(Trouble),
}

/// A batch's messages, and what they refer to.
pub(crate) struct LaneGate {
    related: Related,
    database: Database,
    context: Context,
    asked: Vec<Asked>,
    parked: HashMap<Chain, ParkedKey>,
    /// Messages that wait and are not stored yet; they are before any handler runs.
    pending: Vec<Parking>,
    first_pending: Option<usize>,
}

struct Asked {
    record: Arc<RawRecord>,
    chain: Chain,
    relations: Vec<ModelRelation>,
    /// Why its relations are not known.
    failed: Option<ConsumeError>,
    missing: Option<Awaited>,
}

impl LaneGate {
    /// Asks for a batch. `None`: the topic declares no relations.
    ///
    /// # Errors
    /// The database is away.
    pub(crate) async fn open(
        topic: &dyn CustomTopic,
        related: Option<&Related>,
        records: &[Arc<RawRecord>],
        context: &Context,
    ) -> Result<Option<Self>, Trouble> {
        if topic.has_no_relations() {
            return Ok(None);
        }
        let mut asked = Vec::with_capacity(records.len());
        for record in records {
            let (relations, failed) = match batch::relations(topic, record.clone(), context).await {
                Ok(None) => return Ok(None),
                Ok(Some(relations)) => (relations, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let relations = relations.into_iter().filter(|relation| relation.value().is_some()).collect();
            let chain = Chain::of(record);
            asked.push(Asked { record: record.clone(), chain, relations, failed, missing: None });
        }
        let (Some(related), Some(database)) = (related.cloned(), context.database().cloned()) else {
            let refers = |asked: &Asked| !asked.relations.is_empty() || asked.failed.is_some();
            return if asked.iter().any(refers) { Err(Trouble::Outage(NO_DATABASE.to_owned())) } else { Ok(None) };
        };
        let gate = Self {
            related,
            database,
            context: context.clone(),
            asked,
            parked: HashMap::new(),
            pending: Vec::new(),
            first_pending: None,
        };
        blocking(move || gate.asked()).await.map(Some)
    }

    fn asked(mut self) -> Result<Self, Trouble> {
        let mut conn = self.database.writer()?;
        let processor = self.related.shared.processor.clone();
        let origins: BTreeSet<&str> = self.asked.iter().map(|asked| &*asked.chain.topic).collect();
        let origins: Vec<&str> = origins.into_iter().collect();
        let presence = processor.presence(&mut conn, &self.related.group, &origins, &[])?;
        if presence.parked {
            let chains: HashSet<&Chain> = self.asked.iter().map(|asked| &asked.chain).collect();
            let chains: Vec<&Chain> = chains.into_iter().filter(|chain| chain.key.is_some()).collect();
            let parked = processor.parked(&mut conn, &self.related.group, &chains)?;
            self.parked.extend(parked);
        }
        let resolver = self.related.shared.resolver.clone();
        if missing(&*resolver, &mut conn, &mut self.asked, None)?.is_err() {
            // One of them names what is not there: which?
            for index in 0..self.asked.len() {
                if let Err(error) = missing(&*resolver, &mut conn, &mut self.asked, Some(index))? {
                    self.asked[index].failed = Some(error);
                }
            }
        }
        drop(conn);
        Ok(self)
    }

    /// What is to be done with the message of this index; each is asked about once, in order.
    pub(crate) fn admit(&mut self, index: usize) -> Admit {
        let asked = &mut self.asked[index];
        if let Some(error) = asked.failed.take() {
            return Admit::Failed(error);
        }
        let parked = self.parked.get(&asked.chain).copied().unwrap_or_default();
        if asked.record.value.is_none() {
            if parked.resolving {
                return Admit::Wait(Trouble::Outage("earlier messages of the key are being handled".to_owned()));
            }
            let offset = asked.record.origin().offset;
            let over = parked.rows.map(|_| (asked.chain.clone(), offset));
            // What comes late, from a retry topic, is not the end of what is newer.
            if parked.rows.is_none_or(|newest| newest <= offset) {
                self.parked.remove(&asked.chain);
            }
            return Admit::Go(self.storing(over));
        }
        if parked.rows.is_none() && asked.missing.is_none() {
            return Admit::Go(self.storing(None));
        }
        let relation = asked.missing.clone().filter(|_| parked.rows.is_none());
        self.wait(index, relation);
        Admit::Parked
    }

    /// Whether a message that its handler failed waits after all: a row that it refers to has gone in between.
    ///
    /// # Errors
    /// The database is away.
    pub(crate) async fn waits_after_all(&mut self, index: usize) -> Result<bool, Trouble> {
        let relations = self.asked[index].relations.clone();
        if relations.is_empty() {
            return Ok(false);
        }
        let (database, resolver) = (self.database.clone(), self.related.shared.resolver.clone());
        let found = blocking(move || {
            let mut conn = database.writer()?;
            let asked: Vec<&ModelRelation> = relations.iter().collect();
            // What is wrong with them was said before.
            let exist = resolver.exist(&mut conn, &asked).unwrap_or_default();
            let missing = asked.iter().zip(exist).find(|(_, exists)| !exists).map(|(relation, _)| *relation);
            Ok(missing.and_then(|relation| awaited(&conn, relation)))
        });
        let Some(relation) = found.await? else { return Ok(false) };
        self.wait(index, Some(relation));
        Ok(true)
    }

    fn wait(&mut self, index: usize, relation: Option<Awaited>) {
        let asked = &self.asked[index];
        let parked = self.parked.entry(asked.chain.clone()).or_default();
        parked.rows = parked.rows.max(Some(asked.record.origin().offset));
        self.first_pending.get_or_insert(index);
        self.pending.push(Parking {
            record: asked.record.clone(),
            chain: asked.chain.clone(),
            status: if relation.is_some() { WaitingStatus::Waiting } else { WaitingStatus::Behind },
            deletion: false,
            full_row: false,
            relation,
        });
    }

    /// What waits and is not stored yet.
    pub(crate) fn flush(&mut self) -> Option<Storing> {
        self.storing(None)
    }

    fn storing(&mut self, over: Option<(Chain, i64)>) -> Option<Storing> {
        if self.pending.is_empty() && over.is_none() {
            return None;
        }
        Some(Storing {
            related: self.related.clone(),
            database: self.database.clone(),
            context: self.context.clone(),
            pending: std::mem::take(&mut self.pending),
            first: self.first_pending.take(),
            over,
        })
    }
}

/// What is to be stored before the next handler runs: messages that wait, and that others of a key wait no more because
/// of a deletion.
pub(crate) struct Storing {
    related: Related,
    database: Database,
    context: Context,
    pending: Vec<Parking>,
    /// The index of the first message that waits.
    first: Option<usize>,
    over: Option<(Chain, i64)>,
}

impl Storing {
    /// Stores it in a transaction of its own. `Err`: nothing is stored; with the index of the first message that waits.
    pub(crate) async fn alone(self) -> Result<(), (Option<usize>, Trouble)> {
        let first = self.first;
        blocking(move || self.write(None)).await.map_err(|trouble| (first, trouble))
    }

    /// Stores it, and what the entry has pending, in one transaction. Blocks.
    ///
    /// # Errors
    /// Nothing is stored.
    pub(crate) fn write(self, mut entry: Option<&mut Entry>) -> Result<(), Trouble> {
        let Self { related: Related { shared, group }, database, context, pending, over, .. } = self;
        database.write_transaction(|conn| -> Result<(), Trouble> {
            shared.processor.park(conn, &group, &pending)?;
            let over: Vec<(&Chain, i64)> = over.iter().map(|(chain, upto)| (chain, *upto)).collect();
            shared.processor.forget(conn, &group, &over)?;
            if let Some(entry) = &entry {
                entry.write(conn)?;
            }
            // The last moment before the commit.
            if context.may_commit() { Ok(()) } else { Err(Trouble::NotOurs) }
        })?;
        if let Some(entry) = &mut entry {
            entry.committed();
        }
        let unseen = pending.iter().any(|parking| parking.relation.is_none());
        let rows = pending.into_iter().filter_map(|parking| parking.relation).collect();
        shared.wake.tell(News { rows, unseen, ..News::default() });
        Ok(())
    }
}

const NO_DATABASE: &str = "its messages refer to rows, and there is no database: set `database_url` in the settings, or \
                           DJANGO_KAFKA__DATABASE_URL";

/// Finds out which relations are missing, of all messages or of one; the inner error is that of a message.
fn missing(
    resolver: &dyn RelationResolver,
    conn: &mut DbConn,
    asked: &mut [Asked],
    only: Option<usize>,
) -> Result<Result<(), ConsumeError>, Trouble> {
    let range = only.map_or(0..asked.len(), |index| index..index + 1);
    let relations: Vec<(usize, ModelRelation)> =
        range.flat_map(|index| asked[index].relations.iter().map(move |relation| (index, relation.clone()))).collect();
    if relations.is_empty() {
        return Ok(Ok(()));
    }
    let all: Vec<&ModelRelation> = relations.iter().map(|(_, relation)| relation).collect();
    match resolver.exist(conn, &all) {
        Ok(exist) => {
            for ((index, relation), _) in relations.iter().zip(exist).filter(|(_, exists)| !exists) {
                if asked[*index].missing.is_none() {
                    asked[*index].missing = awaited(conn, relation);
                }
            }
            Ok(Ok(()))
        }
        Err(RelationError::Database(error)) => match failure::classify(&error).outage(&error) {
            Some(reason) => Err(Trouble::Outage(reason)),
            None => Ok(Err(error.into())),
        },
        Err(error) => Ok(Err(error.into())),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Trouble> + Send + 'static) -> Result<T, Trouble> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Trouble::Outage(format!("a fault of ours: {error}"))),
    }
}
