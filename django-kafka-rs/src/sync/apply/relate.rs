//! What of a batch waits for other rows: asked in each attempt, after the ordering guard has said what a message may
//! write, and before anything is written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use super::Outcome;
use super::item::Item;
use super::judge::{self, Judged, Nature, Refusal};
use super::run::{Run, Settled};
use super::waiting::{Gated, Parked};
use crate::db::DbConn;
use crate::error::ConsumeError;
use crate::record::Origin;
use crate::relations::{
    self, Ask, Awaited, Chain, Decided, Fate, ParkedKey, Parking, Related, RelationError, WaitingStatus, Wants, is_same,
};
use crate::sync::guard::{Draft, Ruling};
use crate::sync::model::ColumnSet;
use crate::sync::plan::Kind;
use crate::sync::relation::{IdValue, ModelRelation};

/// One thing to be done for an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct Todo {
    pub item: usize,
    pub kind: Kind,
    /// The row that is written, where it is not the item's own: an index into [`Admitted::made`].
    pub made: Option<usize>,
}

/// What is to be done of a part of a batch.
pub(super) struct Admitted {
    pub todo: Vec<Todo>,
    /// Rows made of several messages.
    pub made: Vec<Item>,
    /// An outcome for each item, as if what is to be done were done.
    pub outcomes: Settled,
    pub gated: Gated,
    /// Items that took the place of a deletion which waited, each with the deletion's offset.
    replaced: Vec<(usize, i64)>,
}

impl Run<'_> {
    /// What is to be done for these items.
    pub(super) fn admit(&self, conn: &mut DbConn, range: Range<usize>, draft: &mut Draft) -> Result<Admitted, Judged> {
        let mut items: Vec<usize> = range.collect();
        if self.sync.related.is_some() {
            // Retry topics mix up a key's messages. What waits is in no order but that of the first reading.
            let place = |item: &usize| {
                let origin = self.records[self.items[*item].index].origin();
                (origin.partition, origin.offset)
            };
            if !items.is_sorted_by_key(place) {
                items.sort_by_key(place);
            }
        }
        let rulings: Vec<(usize, Ruling)> =
            items.into_iter().map(|item| (item, self.rule(draft, &self.items[item]))).collect();
        let Some(related) = &self.sync.related else { return Ok(as_ruled(&rulings)) };
        let mut gate = Gate { run: self, related, asked: Vec::new(), gone: Vec::new(), relations: Vec::new() };
        gate.ask(&rulings);
        let exist = gate.exist(conn)?;
        let mut admitted = if gate.is_free(&exist) {
            gate.all(&rulings)
        } else {
            let (chains, parked) = gate.chains(conn)?;
            let decided = relations::decide(&gate.asks(&chains), exist, &parked);
            let mut admitted = gate.admitted(&rulings, &decided)?;
            gate.park(conn, &chains, &decided, &mut admitted)?;
            admitted
        };
        self.rule_again(draft, &rulings, &admitted, &gate.gone);
        for &(item, deletion) in &admitted.replaced {
            // Else what is older than the deletion would be written behind it, where it was retried.
            self.note_deletion(draft, &self.items[item], deletion);
        }
        gate.close(conn, &mut admitted)?;
        Ok(admitted)
    }

    /// What waits, or is another daemon's by now, is not done with: the guard notes the others only. Nor is a second copy
    /// of a message done with that waits; retry topics may hold several, of a process that was killed before its offset
    /// was stored.
    fn rule_again(&self, draft: &mut Draft, rulings: &[(usize, Ruling)], admitted: &Admitted, gone: &[usize]) {
        if admitted.gated.parked.is_empty() && gone.is_empty() {
            return;
        }
        let origin = |item: usize| self.records[self.items[item].index].origin();
        let parked = admitted.gated.parked.iter().map(|parked| parked.item);
        let waits: HashSet<Origin> = parked.chain(gone.iter().copied()).map(origin).collect();
        *draft = Draft::default();
        for (item, _) in rulings.iter().filter(|(item, _)| !waits.contains(&origin(*item))) {
            self.rule(draft, &self.items[*item]);
        }
    }
}

fn as_ruled(rulings: &[(usize, Ruling)]) -> Admitted {
    let mut todo = Vec::with_capacity(rulings.len());
    let outcome = |&(item, ruling): &(usize, Ruling)| match ruling {
        Ruling::Do(kind) => {
            todo.push(Todo { item, kind, made: None });
            (item, Outcome::Applied)
        }
        Ruling::Nothing(why) => (item, Outcome::Superseded(why)),
    };
    let mut outcomes: Settled = rulings.iter().map(outcome).collect();
    outcomes.sort_unstable_by_key(|(item, _)| *item);
    Admitted { todo, made: Vec::new(), outcomes, gated: Gated::default(), replaced: Vec::new() }
}

/// The gate in one attempt.
struct Gate<'r, 'a> {
    run: &'r Run<'a>,
    related: &'r Related,
    /// Those that a daemon had before in this run and that wait on, then the attempt's; in order.
    asked: Vec<Asked>,
    /// Items of the attempt that are not this daemon's any more.
    gone: Vec<usize>,
    relations: Vec<ModelRelation>,
}

struct Asked {
    item: usize,
    kind: Kind,
    /// Indices of relations, each with the column that refers.
    needs: Vec<(usize, Option<usize>)>,
}

impl Gate<'_, '_> {
    /// Gathers who is asked about, and the relations that they need.
    fn ask(&mut self, rulings: &[(usize, Ruling)]) {
        let doing = rulings.iter().filter_map(|&(item, ruling)| match ruling {
            Ruling::Do(kind) => Some((item, kind)),
            Ruling::Nothing(_) => None,
        });
        let mut items: Vec<(usize, Kind)> = doing.collect();
        if self.run.caller.claimed().is_some() {
            let held = &self.run.waiting.held;
            let is_held = |item: usize| self.run.claimed_of(item).is_some_and(|id| held.contains(&id));
            self.gone = rulings.iter().map(|(item, _)| *item).filter(|item| !is_held(*item)).collect();
            items.retain(|(item, _)| is_held(*item));
            let chains: HashSet<Chain> = items.iter().map(|(item, _)| self.chain_of(*item)).collect();
            let again = self.run.waiting.again.iter().filter(|(chain, _)| chains.contains(chain));
            let mut carried: Vec<usize> = again.flat_map(|(_, (items, _))| items.iter().copied()).collect();
            carried.sort_unstable();
            let ruled = carried.into_iter().filter_map(|item| {
                match self.run.rule(&mut Draft::default(), &self.run.items[item]) {
                    Ruling::Do(kind) => Some((item, kind)),
                    Ruling::Nothing(_) => None,
                }
            });
            items.splice(0..0, ruled.collect::<Vec<_>>());
        }
        let mut known: HashMap<ModelRelation, usize> = HashMap::new();
        for (item, kind) in items {
            let needs = self.needs(item, kind, &mut known);
            self.asked.push(Asked { item, kind, needs });
        }
    }

    fn needs(
        &mut self,
        item: usize,
        kind: Kind,
        known: &mut HashMap<ModelRelation, usize>,
    ) -> Vec<(usize, Option<usize>)> {
        let item = &self.run.items[item];
        let written = match kind {
            Kind::Upsert(columns) | Kind::Part { update: columns, .. } => columns,
            Kind::Delete | Kind::Reset(_) => return Vec::new(),
        };
        let Some(referring) = &self.run.sync.targets[item.target].referring else { return Vec::new() };
        let by_column = referring.columns.iter().filter(|referring| written.contains(referring.column));
        let by_column = by_column.filter_map(|referring| match item.row.id_value(referring.column) {
            IdValue::Value(value) => {
                Some((ModelRelation::of(referring.model, referring.field, value), Some(referring.column)))
            }
            IdValue::Absent | IdValue::Null | IdValue::Unknown => None,
        });
        let given = item.relations.iter().filter(|relation| relation.value().is_some());
        let relations = &mut self.relations;
        by_column
            .chain(given.map(|relation| (relation.clone(), None)))
            .map(|(relation, column)| {
                let index = *known.entry(relation).or_insert_with_key(|relation| {
                    relations.push(relation.clone());
                    relations.len() - 1
                });
                (index, column)
            })
            .collect()
    }

    /// Which of the relations are there.
    fn exist(&self, conn: &mut DbConn) -> Result<Vec<bool>, Judged> {
        if self.relations.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<&ModelRelation> = self.relations.iter().collect();
        let resolver = &self.related.shared.resolver;
        let exist = if self.run.gives_way { resolver.stay(conn, &asked) } else { resolver.exist(conn, &asked) };
        exist.map_err(|error| {
            let error = match error {
                RelationError::Database(error) => match judge::outage(&error) {
                    Some(outage) => return Judged::Outage(outage),
                    None => ConsumeError::from(error),
                },
                error => error.into(),
            };
            Judged::Refused(Refusal { error, nature: Nature::Own })
        })
    }

    /// Whether everything goes: nothing is missing, nothing waits that could be overtaken.
    fn is_free(&self, exist: &[bool]) -> bool {
        let waiting = &self.run.waiting;
        let (daemon, parked) = (self.run.caller.claimed().is_some(), waiting.presence.parked);
        let blocked = || self.asked.iter().any(|asked| waiting.blocked.contains(&asked.item));
        // A batch may delete what another message of it refers to.
        let deletes = || {
            let own = |relation: &ModelRelation| self.target_of(relation).is_some();
            self.asked.iter().any(|asked| matches!(asked.kind, Kind::Delete)) && self.relations.iter().any(own)
        };
        exist.iter().all(|exists| *exists)
            && (daemon || !parked)
            && waiting.failed.is_empty()
            && waiting.again.is_empty()
            && !blocked()
            && !deletes()
    }

    fn all(&self, rulings: &[(usize, Ruling)]) -> Admitted {
        let mut admitted = as_ruled(rulings);
        self.without_gone(&mut admitted);
        admitted
    }

    fn without_gone(&self, admitted: &mut Admitted) {
        if self.gone.is_empty() {
            return;
        }
        admitted.todo.retain(|todo| !self.gone.contains(&todo.item));
        for (item, outcome) in &mut admitted.outcomes {
            if self.gone.contains(item) {
                // It is another daemon's affair by now.
                *outcome = Outcome::Parked;
            }
        }
    }

    fn chain_of(&self, item: usize) -> Chain {
        Chain::of(&self.run.records[self.run.items[item].index])
    }

    fn offset_of(&self, item: usize) -> i64 {
        self.run.records[self.run.items[item].index].origin().offset
    }

    /// The target of the topic whose rows a relation names, and the column.
    fn target_of(&self, relation: &ModelRelation) -> Option<(usize, usize)> {
        let targets = &self.run.sync.targets;
        let target = targets.iter().position(|target| is_same(target.model, relation.descriptor()))?;
        let columns = targets[target].model.columns;
        Some((target, columns.iter().position(|column| column.field == relation.field())?))
    }

    /// The chains of those that are asked about, each with its place among them, and what waits of them.
    fn chains(&self, conn: &mut DbConn) -> Result<(Chains, Vec<ParkedKey>), Judged> {
        let mut chains = Chains::default();
        for asked in &self.asked {
            let chain = self.chain_of(asked.item);
            let index = *chains.index.entry(chain).or_insert_with_key(|chain| {
                chains.all.push(chain.clone());
                chains.all.len() - 1
            });
            chains.of_asked.push(index);
        }
        let mut parked = vec![ParkedKey::default(); chains.all.len()];
        let waiting = &self.run.waiting;
        if self.run.caller.claimed().is_some() {
            for (chain, parked) in chains.all.iter().zip(&mut parked) {
                parked.rows = waiting.failed.contains(chain).then_some(-1);
            }
            // Those of earlier attempts.
            for item in waiting.blocked.iter().filter(|item| self.asked.iter().all(|asked| asked.item != **item)) {
                if let Some(index) = chains.index.get(&self.chain_of(*item)) {
                    parked[*index].deletion = parked[*index].deletion.max(Some(self.offset_of(*item)));
                }
            }
        } else if waiting.presence.parked {
            let asked: Vec<&Chain> = chains.all.iter().filter(|chain| chain.key.is_some()).collect();
            let found = self.related.shared.processor.parked(conn, &self.related.group, &asked).map_err(ours)?;
            for (chain, key) in found {
                if let Some(index) = chains.index.get(&chain) {
                    parked[*index] = key;
                }
            }
        }
        Ok((chains, parked))
    }

    fn asks(&self, chains: &Chains) -> Vec<Ask> {
        let own: HashMap<(usize, usize, &str), usize> = self
            .relations
            .iter()
            .enumerate()
            .filter_map(|(index, relation)| {
                let (target, column) = self.target_of(relation)?;
                Some(((target, column, relation.value()?), index))
            })
            .collect();
        let columns: BTreeSet<(usize, usize)> = own.keys().map(|(target, column, _)| (*target, *column)).collect();
        let ask = |(asked, chain): (&Asked, &usize)| {
            let item = &self.run.items[asked.item];
            let gives = columns.iter().filter(|(target, _)| *target == item.target).filter_map(|&(target, column)| {
                let IdValue::Value(value) = item.row.id_value(column) else { return None };
                own.get(&(target, column, value.as_str())).copied()
            });
            let (offset, wants) = (self.offset_of(asked.item), self.wants(asked));
            Ask { chain: *chain, offset, wants, needs: asked.needs.clone(), gives: gives.collect() }
        };
        self.asked.iter().zip(&chains.of_asked).map(ask).collect()
    }

    fn wants(&self, asked: &Asked) -> Wants {
        let target = self.run.items[asked.item].target;
        match asked.kind {
            Kind::Upsert(columns) => {
                let merges = self.run.traits[target].reduce;
                let all = ColumnSet::first(self.run.sync.targets[target].model.columns.len());
                Wants::Row { columns, full: merges && columns.includes(all), merges }
            }
            Kind::Part { update, .. } => {
                Wants::Row { columns: update, full: false, merges: self.run.traits[target].reduce }
            }
            Kind::Delete if self.run.waiting.blocked.contains(&asked.item) => Wants::BlockedDeletion,
            Kind::Delete | Kind::Reset(_) => Wants::Deletion,
        }
    }

    /// What is to be done by what was decided.
    fn admitted(&self, rulings: &[(usize, Ruling)], decided: &Decided) -> Result<Admitted, Judged> {
        let mut admitted = as_ruled(rulings);
        admitted.todo.clear();
        self.without_gone(&mut admitted);
        let first = rulings.iter().map(|(item, _)| *item).min().unwrap_or(0);
        for (asked, fate) in self.asked.iter().zip(&decided.fates) {
            // Those that were carried along have their outcome from before.
            let Some(place) = asked.item.checked_sub(first) else { continue };
            admitted.outcomes[place].1 = match fate {
                Fate::Go { .. } => Outcome::Applied,
                Fate::Merged => Outcome::Reduced,
                Fate::Waits { .. } | Fate::Behind | Fate::Blocked => Outcome::Parked,
            };
        }
        for &place in &decided.order {
            let Fate::Go { adopts, supersedes_deletion } = &decided.fates[place] else { continue };
            self.go(place, adopts, *supersedes_deletion, &mut admitted)?;
        }
        Ok(admitted)
    }

    fn go(&self, place: usize, adopts: &[usize], anew: Option<i64>, admitted: &mut Admitted) -> Result<(), Judged> {
        let Asked { item, mut kind, .. } = self.asked[place];
        let mut made = None;
        if let (Some((mut update, mut given)), false) = (written(kind), adopts.is_empty()) {
            let mut merged = self.decoded(item)?;
            for &earlier in adopts.iter().rev() {
                let Some((its_update, said)) = written(self.asked[earlier].kind) else { continue };
                let mut row = self.decoded(self.asked[earlier].item)?.row;
                merged.row.take_from(said.without(given), &mut *row);
                update = update.union(its_update);
                given = given.union(said);
            }
            kind = if update == given { Kind::Upsert(given) } else { Kind::Part { update, given } };
            admitted.made.push(merged);
            made = Some(admitted.made.len() - 1);
        }
        admitted.replaced.extend(anew.map(|deletion| (item, deletion)));
        if let (Some(_), Kind::Upsert(columns)) = (anew, kind) {
            let target = &self.run.sync.targets[self.run.items[item].target];
            let lacks = ColumnSet::first(target.model.columns.len()).without(columns);
            if !lacks.is_empty() {
                admitted.todo.push(Todo { item, kind: Kind::Reset(lacks), made: None });
            }
        }
        admitted.todo.push(Todo { item, kind, made });
        Ok(())
    }

    /// An item once more, to be made into another.
    fn decoded(&self, item: usize) -> Result<Item, Judged> {
        let index = self.run.items[item].index;
        let decoded = self.run.sync.decode(index, &self.run.records[index]);
        let own = |error| Judged::Refused(Refusal { error, nature: Nature::Own });
        decoded.map_err(own)?.ok_or_else(|| own("the message asks for nothing when it is read again".into()))
    }

    /// Parks what waits, and forgets what is over.
    fn park(
        &self,
        conn: &mut DbConn,
        chains: &Chains,
        decided: &Decided,
        admitted: &mut Admitted,
    ) -> Result<(), Judged> {
        let is_daemon = self.run.caller.claimed().is_some();
        let mut parkings = Vec::new();
        for (place, fate) in decided.fates.iter().enumerate() {
            let (relation, behind) = match fate {
                Fate::Go { .. } | Fate::Merged => continue,
                Fate::Waits { relation, behind } => (relations::awaited(conn, &self.relations[*relation]), *behind),
                Fate::Behind => (None, true),
                Fate::Blocked => (Some(self.own_row(conn, place)), false),
            };
            let item = self.asked[place].item;
            let chain = chains.all[chains.of_asked[place]].clone();
            if *fate == Fate::Blocked && !is_daemon {
                self.release(item, admitted);
            }
            if !is_daemon {
                let record = self.run.records[self.run.items[item].index].clone();
                let status = if behind { WaitingStatus::Behind } else { WaitingStatus::Waiting };
                let deletion = *fate == Fate::Blocked;
                let full_row = matches!(self.wants(&self.asked[place]), Wants::Row { full: true, .. });
                admitted.gated.news.unseen |= relation.is_none();
                admitted.gated.news.rows.extend(relation.clone().filter(|_| !behind && !deletion));
                parkings.push(Parking {
                    record,
                    chain: chain.clone(),
                    status,
                    deletion,
                    full_row,
                    relation: relation.clone(),
                });
            }
            admitted.gated.parked.push(Parked { item, chain, relation });
        }
        // A deletion that waits itself is not over.
        let upto =
            |place: usize| self.offset_of(self.asked[place].item) - i64::from(decided.fates[place] == Fate::Blocked);
        let forget: Vec<(&Chain, i64)> =
            decided.forget.iter().map(|&(chain, place)| (&chains.all[chain], upto(place))).collect();
        let processor = &self.related.shared.processor;
        processor.forget(conn, &self.related.group, &forget).map_err(ours)?;
        // What is left of those chains is to be judged anew.
        admitted.gated.news.unseen |= !forget.is_empty();
        processor.park(conn, &self.related.group, &parkings).map_err(ours)?;
        if is_daemon {
            admitted.gated.chains.clone_from(&chains.all);
        }
        Ok(())
    }

    /// A row whose deletion waits lets go of the rows that it refers to, where rows may refer to each other in a circle:
    /// two of them could wait for each other for ever. A message that untied them, before the deletion, may have been left
    /// out as overwritten, or may have waited itself.
    fn release(&self, item: usize, admitted: &mut Admitted) {
        let Item { target, .. } = self.run.items[item];
        let Some(referring) = &self.run.sync.targets[target].referring else { return };
        let refers = referring.columns.iter().fold(ColumnSet::EMPTY, |columns, refers| columns.with(refers.column));
        let columns = self.run.tables[target].releasable(refers);
        if !columns.is_empty() {
            admitted.todo.push(Todo { item, kind: Kind::Reset(columns), made: None });
        }
    }

    /// The row that a deletion is about, for those who look at what waits.
    fn own_row(&self, conn: &DbConn, place: usize) -> Awaited {
        let item = &self.run.items[self.asked[place].item];
        let model = self.run.sync.targets[item.target].model;
        let column = item.lookup.iter().next().unwrap_or_default();
        let value = match item.row.id_value(column) {
            IdValue::Value(value) => value,
            IdValue::Absent | IdValue::Null | IdValue::Unknown => String::new(),
        };
        Awaited { model_key: relations::model_key(conn, model), field: model.columns[column].field.to_owned(), value }
    }

    /// Notes which awaited rows come, and frees what a daemon had in hand of those that are done.
    fn close(&self, conn: &mut DbConn, admitted: &mut Admitted) -> Result<(), Judged> {
        let presence = self.run.waiting.presence;
        if presence.awaited {
            let rows = self.coming(conn, admitted);
            if !rows.is_empty() {
                let awaited = self.related.shared.processor.awaited(conn, &rows).map_err(ours)?;
                admitted.gated.told.rows.extend(awaited.iter().cloned());
                admitted.gated.news.rows.extend(awaited);
            }
        }
        let refers = |todo: &Todo| {
            let target = &self.run.sync.targets[self.run.items[todo.item].target];
            target.referring.as_ref().is_some_and(relations::Referring::refers)
        };
        if presence.blocked && admitted.todo.iter().any(refers) {
            admitted.gated.news.gone = true;
            admitted.gated.told.gone = true;
        }
        self.free_claims(conn, admitted)
    }

    /// The rows that are written, as others may await them.
    fn coming(&self, conn: &DbConn, admitted: &Admitted) -> Vec<Awaited> {
        let keys: Vec<String> =
            self.run.sync.targets.iter().map(|target| relations::model_key(conn, target.model)).collect();
        let mut rows = Vec::new();
        for todo in admitted.todo.iter().filter(|todo| matches!(todo.kind, Kind::Upsert(_) | Kind::Part { .. })) {
            let item = &self.run.items[todo.item];
            let Some(referring) = &self.run.sync.targets[item.target].referring else { continue };
            for (column, field) in &referring.awaited {
                let row = todo.made.map_or(&item.row, |made| &admitted.made[made].row);
                if let IdValue::Value(value) = row.id_value(*column) {
                    let model_key = keys[item.target].clone();
                    rows.push(Awaited { model_key, field: (*field).to_owned(), value });
                }
            }
        }
        rows
    }

    fn free_claims(&self, conn: &mut DbConn, admitted: &Admitted) -> Result<(), Judged> {
        if self.run.caller.claimed().is_none() {
            return Ok(());
        }
        let waits: HashSet<usize> = admitted.gated.parked.iter().map(|parked| parked.item).collect();
        let superseded = admitted.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Superseded(_)));
        let done = self.asked.iter().map(|asked| asked.item).filter(|item| !waits.contains(item));
        let done = done.chain(superseded.map(|(item, _)| *item));
        let ids: Vec<i64> = done.filter_map(|item| self.run.claimed_of(item)).collect();
        let processor = &self.related.shared.processor;
        processor.discard(conn, &ids).map_err(ours)?;
        // What is before a whole row was not even claimed.
        let full = self.asked.iter().filter(|asked| !waits.contains(&asked.item));
        let full = full.filter(|asked| matches!(self.wants(asked), Wants::Row { full: true, .. } | Wants::Deletion));
        let chains: Vec<(Chain, i64)> =
            full.map(|asked| (self.chain_of(asked.item), self.offset_of(asked.item))).collect();
        let chains: Vec<(&Chain, i64)> = chains.iter().map(|(chain, offset)| (chain, *offset)).collect();
        processor.forget(conn, &self.related.group, &chains).map_err(ours)
    }
}

/// What an upsert writes where the row is there, and where it is not.
fn written(kind: Kind) -> Option<(ColumnSet, ColumnSet)> {
    match kind {
        Kind::Upsert(columns) => Some((columns, columns)),
        Kind::Part { update, given } => Some((update, given)),
        Kind::Delete | Kind::Reset(_) => None,
    }
}

#[derive(Default)]
struct Chains {
    all: Vec<Chain>,
    index: HashMap<Chain, usize>,
    /// The chain of each that is asked about.
    of_asked: Vec<usize>,
}

/// A failed statement of ours: an outage, or what the attempt cannot go on with.
#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
fn ours(error: diesel::result::Error) -> Judged {
    Judged::Outage(judge::of_ours(&error))
}
