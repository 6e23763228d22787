//! A part of a batch in a savepoint: all of it is written, or nothing.

use std::ops::Range;
use std::time::Instant;

use super::Outcome;
use super::item::{Item, caught};
use super::judge::{self, Judged, Outage, Refusal};
use super::relate::{Admitted, Todo};
use super::run::{Run, Settled};
use super::stages::Stage;
use super::waiting::Gated;
use crate::db::{DbConn, transaction};
use crate::error::{AfterError, ConsumeError};
use crate::sync::decode;
use crate::sync::guard::{Draft, Ruling};
use crate::sync::model::Row;
use crate::sync::plan::{self, Kind, Op};
use crate::sync::write::{self, Write};

/// What was written in a savepoint, and what the ordering guard notes of it.
pub(super) struct Written {
    pub outcomes: Settled,
    pub draft: Draft,
    pub gated: Gated,
}

/// What ends a chunk.
pub(super) enum Trouble {
    /// The savepoint is rolled back, the transaction goes on.
    Refused(Refusal),
    Outage(Outage),
    Lost(ConsumeError),
}

impl Run<'_> {
    /// Writes these items in a savepoint.
    pub(super) fn attempt(&self, conn: &mut DbConn, range: Range<usize>) -> Result<Written, Trouble> {
        let gone = |error: diesel::result::Error| match judge::outage(&error) {
            Some(outage) => Trouble::Outage(outage),
            None => Trouble::Lost(judge::of_transaction(&error)),
        };
        let depth = transaction::depth(conn).map_err(gone)?;
        transaction::savepoint(conn).map_err(gone)?;
        match self.write(conn, range) {
            Ok(written) => {
                transaction::release(conn).map_err(gone)?;
                Ok(written)
            }
            Err(Judged::Outage(outage)) => Err(Trouble::Outage(outage)),
            Err(Judged::Refused(refusal)) => match transaction::rollback_to(conn, depth) {
                Ok(()) => Err(Trouble::Refused(refusal)),
                Err(_) => Err(Trouble::Lost(refusal.error)),
            },
        }
    }

    /// Plans and runs the statements, then calls the `after` functions in the messages' order.
    fn write(&self, conn: &mut DbConn, range: Range<usize>) -> Result<Written, Judged> {
        let mut draft = Draft::default();
        let first = range.start;
        let started = Instant::now();
        let Admitted { todo, made, mut outcomes, gated, .. } = self.admit(conn, range, &mut draft)?;
        let started = self.watch.lap(Stage::Check, started);
        let (mut ops, mut items) = (Vec::with_capacity(todo.len()), Vec::with_capacity(todo.len()));
        for Todo { item: index, kind, made: row } in todo {
            let item = row.map_or(&self.items[index], |row| &made[row]);
            ops.push(Op { table: item.target, key: item.key(), lookup: item.lookup, kind });
            // What a daemon carried along has its outcome from before.
            items.push((index.checked_sub(first), item));
        }
        let plan = plan::plan(&ops, &self.traits);
        let started = self.watch.lap(Stage::Plan, started);
        for statement in &plan.statements {
            let table = &self.tables[statement.table];
            let mut items: Vec<&Item> = statement.rows.iter().map(|&row| items[row].1).collect();
            // Neighbours in the index come one after the other, and all transactions lock rows in one order.
            if !self.traits[statement.table].strict {
                items.sort_by_key(|item| item.place);
            }
            let rows: Vec<&dyn Row> = items.iter().map(|item| &*item.row).collect();
            let write = Write { table, lookup: statement.lookup, kind: statement.kind, rows: &rows };
            write::execute(conn, &write).map_err(|error| judge::of_write(error, &write))?;
        }
        for place in plan.reduced.iter().filter_map(|&reduced| items[reduced].0) {
            outcomes[place].1 = Outcome::Reduced;
        }
        for ((place, item), op) in items.iter().zip(&ops) {
            if place.is_some_and(|place| matches!(outcomes[place].1, Outcome::Applied)) {
                self.call_after(conn, item, op.kind)?;
            }
        }
        self.watch.lap(Stage::Write, started);
        Ok(Written { outcomes, draft, gated })
    }

    /// What the ordering guard lets a message do, behind those that `draft` has seen.
    pub(super) fn rule(&self, draft: &mut Draft, item: &Item) -> Ruling {
        let target = &self.sync.targets[item.target];
        let record = &self.records[item.index];
        let as_asked = Ruling::Do(item.kind);
        let Some(keys) = &self.keys else { return as_asked };
        if !target.guarded {
            return as_asked;
        }
        match keys.rule(draft, record, target.model.columns, item.lookup, item.kind) {
            // It is noted all the same.
            Some(_) if self.caller.forces(item.index) => as_asked,
            Some(ruling) => ruling,
            None => as_asked,
        }
    }

    /// Tells the ordering guard that a deletion of an item's key is done with, which waited and whose place the item took.
    pub(super) fn note_deletion(&self, draft: &mut Draft, item: &Item, offset: i64) {
        let target = &self.sync.targets[item.target];
        if let Some(keys) = self.keys.as_ref().filter(|_| target.guarded) {
            keys.note_deletion(draft, &self.records[item.index], target.model.columns, item.lookup, offset);
        }
    }

    fn call_after(&self, conn: &mut DbConn, item: &Item, kind: Kind) -> Result<(), Judged> {
        let target = &self.sync.targets[item.target];
        let (Some(after), Some(applied)) = (target.after, judge::applied(kind)) else { return Ok(()) };
        let depth = transaction::depth(conn).map_err(|error| judge::of_hook(error.into()))?;
        let called = caught("it", || {
            let message = self.sync.message(&self.records[item.index])?;
            decode::with_context(&target.plan, &message, |cx| after(cx, applied, conn))?
        });
        called.map_err(|error| judge::of_hook(AfterError::wrap(error)))?;
        match transaction::depth(conn) {
            Ok(now) if now == depth => Ok(()),
            _ => Err(judge::of_hook("the `after` function began or ended a transaction without its end".into())),
        }
    }
}
