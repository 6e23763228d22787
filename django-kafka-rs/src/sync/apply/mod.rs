//! A model topic, ready to run: a batch of messages becomes rows in one transaction.
//!
//! `item` decodes, `plan` (pure) makes statements, `write` runs them, `run` keeps the transaction: when a batch
//! fails, its original messages are replayed by halves and quarters until each failure has its owner.
//! `judge` tells a message's own failure from the database's.

mod ahead;
mod attempt;
mod item;
mod judge;
mod place;
mod relate;
mod run;
mod stages;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::{Arc, OnceLock};

pub(crate) use self::ahead::Ahead;
use self::judge::Memory;
use self::run::Run;
pub(crate) use self::stages::{Stage, Stages};
use super::context::Applied;
use super::decode::ReadPlan;
use super::guard::{Guard, Superseded};
use super::model::{After, ModelDescriptor, ModelTopic, Targets};
use super::table::{self, Table};
use crate::db::{Database, DatabaseError, DbConn, failure};
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::relations::{self, Referring, Related};
use crate::topic::{NoSchemas, SchemaSource};

/// What becomes of a failed message. A decision, not an action: it may be asked for a message more than once, and
/// counts only where the message's outcome is in the [`Report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done with: go on with the next.
    Settle,
    /// It leaves for a retry topic or the dead letter topic, and may come back from there: go on with the next.
    Leave,
    /// It waits: what is before it is committed, itself and what is behind it is not touched.
    Hold,
}

/// What became of one message.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its row is written or deleted.
    Applied,
    /// A later message of the batch overwrote it, so it was not written.
    Reduced,
    /// Newer messages of its key did all that it would: it was not written.
    Superseded(Superseded),
    /// It asks for nothing.
    Ignored,
    /// It waits for a row that it refers to, and is stored until then.
    Parked,
    /// It failed, and the verdict was to go on.
    Failed(ConsumeError),
}

/// Why a batch was not handled to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The first message without an outcome failed, and the verdict was to wait.
    Held(ConsumeError),
    /// The database cannot be used, and why. No message is at fault.
    Outage(String),
}

/// How far a batch came.
#[derive(Debug)]
pub(crate) struct Report {
    /// The outcomes of the first messages; all that is in here is committed.
    pub outcomes: Vec<Outcome>,
    /// Why the rest has none.
    pub stop: Option<Stop>,
    /// What it took.
    pub stages: Stages,
}

/// Who has a batch applied: says what becomes of failures, and adds what is to commit with the rows.
pub(crate) trait Caller {
    /// What becomes of the message of this index.
    fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict;

    /// Whether a message that leaves comes back by itself, from a retry topic; else somebody has to replay it, whenever
    /// that may be.
    fn comes_back(&self, _index: usize) -> bool {
        false
    }

    /// Whether a message is written whatever newer messages of its key have written: a replay that somebody insists on.
    fn forces(&self, _index: usize) -> bool {
        false
    }

    /// The offset that the next message of a partition of a topic gets; `None` where that cannot be known now. Asked
    /// within a transaction, rarely: for messages that were read before, or that look so.
    fn end_of(&mut self, _topic: &str, _partition: i32) -> Option<i64> {
        None
    }

    /// Whether each message is to be in a transaction, also those that write nothing: the caller has something to
    /// commit with each.
    fn commits_all(&self) -> bool {
        false
    }

    /// A daemon's claim, where the messages come from those that waited.
    fn claimed(&self) -> Option<Claimed<'_>> {
        None
    }

    /// The last thing in each of the batch's transactions: mostly one, several in order where one was lost.
    ///
    /// # Errors
    /// The transaction is not to be committed. No message is at fault.
    fn before_commit(&mut self, conn: &mut DbConn, covered: &Covered<'_>) -> Result<(), Refused>;

    /// The transaction of the last `before_commit` is committed.
    fn committed(&mut self, _upto: usize) {}
}

/// Messages that waited, in a daemon's hands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimed<'a> {
    /// The claim's token.
    pub token: &'a str,
    /// The messages' numbers in the store, by their index in the batch.
    pub ids: &'a [i64],
    /// The consumers' time.
    pub now_ms: i64,
}

/// What a transaction covers: the messages behind those of the transaction before it.
#[derive(Debug)]
pub(crate) struct Covered<'a> {
    /// The index behind the last message that it covers.
    pub upto: usize,
    /// The messages among them that failed, and were not held back: ascending.
    pub failed: Vec<(usize, &'a ConsumeError)>,
}

/// Why a transaction is not to be committed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The partition may have another owner by now, and why.
    NotOurs(String),
    /// The caller's own statements failed.
    Database(diesel::result::Error),
}

impl From<diesel::result::Error> for Refused {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

/// A model topic, ready to run.
pub(crate) struct ModelSync {
    topic: &'static ModelTopic,
    targets: Vec<Target>,
    /// The target of each of the topic's models, in the order of its declaration.
    target_of_model: Vec<usize>,
    tables: OnceLock<Vec<Table>>,
    memory: Memory,
    guard: Option<Arc<Guard>>,
    related: Option<Related>,
    /// Where the schemas of Avro messages come from.
    schemas: Box<dyn SchemaSource>,
}

/// One of the topic's models.
struct Target {
    model: &'static ModelDescriptor,
    plan: ReadPlan,
    after: Option<After>,
    reduce: bool,
    guarded: bool,
    has_insert_defaults: bool,
    /// What it has to do with other models, where it has.
    referring: Option<Referring>,
}

impl ModelSync {
    /// Joins what topic and models say.
    ///
    /// # Errors
    /// All that does not fit, for one model after the other.
    pub(crate) fn new(topic: &'static ModelTopic) -> Result<Self, Vec<String>> {
        let models: Vec<&'static ModelDescriptor> = match topic.targets {
            Targets::One(model) => vec![model],
            Targets::Reroute(map) => map.iter().map(|(_, model)| *model).collect(),
        };
        let (mut targets, mut target_of_model, mut mistakes) = (Vec::<Target>::new(), Vec::new(), Vec::new());
        for model in models {
            let known =
                targets.iter().position(|t| (t.model.type_name, t.model.location) == (model.type_name, model.location));
            match (known, ReadPlan::new(topic, model)) {
                (Some(index), _) => target_of_model.push(index),
                (None, Ok(plan)) => {
                    target_of_model.push(targets.len());
                    targets.push(Target {
                        model,
                        plan,
                        after: topic.options.after.or(model.options.after),
                        reduce: topic.options.reduce.or(model.options.reduce).unwrap_or(true),
                        guarded: topic.options.guard.or(model.options.guard).unwrap_or(true),
                        has_insert_defaults: model.columns.iter().any(|column| column.insert_default),
                        referring: None,
                    });
                }
                (None, Err(mistake)) => {
                    mistakes.push(format!("model `{}` ({}): {mistake}", model.type_name, model.location));
                }
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            topic,
            targets,
            target_of_model,
            tables: OnceLock::new(),
            memory: Memory::default(),
            guard: None,
            related: None,
            schemas: Box::new(NoSchemas),
        })
    }

    /// The same with somebody who knows the schemas of Avro messages.
    pub(crate) fn with_schemas(self, schemas: impl SchemaSource + 'static) -> Self {
        Self { schemas: Box::new(schemas), ..self }
    }

    /// Lets messages wait for the rows that they refer to, where relations are declared.
    pub(crate) fn related(mut self, related: Related) -> Self {
        for target in &mut self.targets {
            let referring = related.referring(self.topic, target.model);
            target.referring = referring.is_concerned().then_some(referring);
        }
        self.related = self.targets.iter().any(|target| target.referring.is_some()).then_some(related);
        self
    }

    /// Guards the order of each key's messages, unless the topic or its models say `guard(off)`.
    pub(crate) fn guarded(mut self, guard: Guard) -> Self {
        self.guard = self.targets.iter().any(|target| target.guarded).then(|| Arc::new(guard));
        self
    }

    /// Whether its messages may wait for rows.
    pub(crate) fn may_wait(&self) -> bool {
        let waits = |referring: &Referring| referring.refers() || referring.waits_for_children;
        self.targets.iter().any(|target| target.referring.as_ref().is_some_and(waits))
    }

    /// Looks at the models' tables: once before the first batch, and again after the database's tables changed.
    ///
    /// # Errors
    /// All that is wrong with them, each with its remedy, or that the database does not answer.
    pub(crate) fn prepare(&mut self, database: &Database) -> Result<(), Vec<String>> {
        let tables = self.look(database).map_err(|error| vec![error.to_string()])??;
        self.tables = OnceLock::from(tables);
        Ok(())
    }

    /// Applies a batch of one partition's messages, in order.
    pub(crate) fn apply(&self, database: &Database, records: &[Arc<RawRecord>], caller: &mut dyn Caller) -> Report {
        self.apply_decoded(database, records, Ahead::default(), caller)
    }

    /// The same with what is known already of what they ask for.
    pub(crate) fn apply_decoded(
        &self,
        database: &Database,
        records: &[Arc<RawRecord>],
        ahead: Ahead,
        caller: &mut dyn Caller,
    ) -> Report {
        match self.tables(database) {
            Ok(tables) => Run::new(self, tables, database, records, ahead, caller).finish(),
            Err(reason) => Report { outcomes: Vec::new(), stop: Some(Stop::Outage(reason)), stages: Stages::default() },
        }
    }

    fn tables(&self, database: &Database) -> Result<&[Table], String> {
        if let Some(tables) = self.tables.get() {
            return Ok(tables);
        }
        let tables = self.look(database).map_err(|error| error.to_string())?.map_err(|mistakes| mistakes.join("; "))?;
        Ok(self.tables.get_or_init(|| tables))
    }

    fn look(&self, database: &Database) -> Result<Result<Vec<Table>, Vec<String>>, DatabaseError> {
        let models: Vec<_> = self.targets.iter().map(|target| target.model).collect();
        // The writer: a migration that is under way is waited for.
        let mut conn = database.writer()?;
        let guard = if self.guard.is_some() { Guard::mistake(&mut conn) } else { Ok(None) };
        let tables = guard.and_then(|guard| {
            let waiting = self.related.as_ref().map(|_| relations::mistake(&mut conn)).transpose()?.flatten();
            let mistakes: Vec<String> = guard.into_iter().chain(waiting).collect();
            Ok(match table::resolve(&mut conn, &models)? {
                Ok(tables) if mistakes.is_empty() => Ok(tables),
                tables => Err(tables.err().into_iter().flatten().chain(mistakes).collect()),
            })
        });
        tables.map_err(|error| match failure::classify(&error).outage(&error) {
            Some(reason) => DatabaseError::Unavailable(reason),
            None => error.into(),
        })
    }
}

impl std::fmt::Debug for ModelSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models: Vec<_> = self.targets.iter().map(|target| target.model.type_name).collect();
        f.debug_struct("ModelSync").field("models", &models).finish_non_exhaustive()
    }
}
