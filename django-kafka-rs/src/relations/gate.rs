//! What may be handled now, what waits, and what is over: decided for a batch, message by message, in order. Pure.
//!
//! A message waits for the rows it refers to; a later one of its key (its chain) waits behind it. What waits of a chain
//! is written together as soon as the row that all of it makes may be written: a later message may have taken the row
//! to another parent, and the one that the first waits for may never come.

use std::collections::HashMap;

use super::store::ParkedKey;
use crate::sync::ColumnSet;

/// What a message wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wants {
    /// To write a row.
    Row {
        /// Which columns.
        columns: ColumnSet,
        /// All that the model has.
        full: bool,
        /// Whether it may be written together with others of its key.
        merges: bool,
    },
    /// To delete a row.
    Deletion,
    /// To delete a row that others still refer to.
    BlockedDeletion,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Its chain: an index.
    pub chain: usize,
    /// In the partition where it was first read.
    pub offset: i64,
    pub wants: Wants,
    /// The relations that it needs, by index; each with the column that refers, where one does.
    pub needs: Vec<(usize, Option<usize>)>,
    /// The relations whose row it writes, or deletes.
    pub gives: Vec<usize>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is handled now.
    Go {
        /// Earlier messages of its chain whose columns it takes along, where it lacks them; in order.
        adopts: Vec<usize>,
        /// The offset of a deletion of its key that waits: columns that it lacks go to their defaults.
        supersedes_deletion: Option<i64>,
    },
    /// A later one of its chain takes its columns along, overwrites or deletes them.
    Merged,
    /// It waits for this relation.
    Waits {
        relation: usize,
        /// Not the first of its chain.
        behind: bool,
    },
    /// It waits behind messages of its key that were parked before.
    Behind,
    /// It deletes a row, and waits for those to go that refer to it.
    Blocked,
}

/// What is decided for a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    /// For each message.
    pub fates: Vec<Fate>,
    /// The messages that are handled, in the order in which that may be done.
    pub order: Vec<usize>,
    /// Chains of which nothing waits any more that is not behind this message.
    pub forget: Vec<(usize, usize)>,
}

/// Decides. `exist`: for each relation whether its row is there; `parked`: for each chain what waits of it.
pub(crate) fn decide(asks: &[Ask], exist: Vec<bool>, parked: &[ParkedKey]) -> Decided {
    let chains = parked.iter().map(|parked| Chain { parked: *parked, ..Chain::default() }).collect();
    let fates = vec![Fate::Merged; asks.len()];
    let decided = Decided { fates, order: Vec::with_capacity(asks.len()), forget: Vec::new() };
    let mut gate = Gate { asks, exist, chains, waiting: HashMap::new(), decided };
    for index in 0..asks.len() {
        gate.step(index);
    }
    gate.finish()
}

/// What is known of a chain.
#[derive(Default)]
struct Chain {
    parked: ParkedKey,
    /// Messages of this batch that wait, in order.
    waits: Vec<usize>,
    /// Messages of this batch that are to be parked whatever comes, but a message that ends or supersedes them.
    stored: Vec<usize>,
    /// What they wait for.
    missing: Option<usize>,
}

struct Gate<'a> {
    asks: &'a [Ask],
    exist: Vec<bool>,
    chains: Vec<Chain>,
    /// The chains that wait for a relation.
    waiting: HashMap<usize, Vec<usize>>,
    decided: Decided,
}

impl Gate<'_> {
    fn step(&mut self, index: usize) {
        let ask = &self.asks[index];
        let chain = &mut self.chains[ask.chain];
        match ask.wants {
            Wants::Row { .. } if chain.parked.rows.is_some() => {
                chain.stored.push(index);
                self.decided.fates[index] = Fate::Behind;
            }
            Wants::Row { .. } => {
                chain.waits.push(index);
                self.advance(ask.chain);
            }
            Wants::Deletion => {
                self.over(ask.chain, index);
                self.go(index, Vec::new(), None);
                for &relation in &ask.gives {
                    self.exist[relation] = false;
                }
            }
            Wants::BlockedDeletion => {
                self.over(ask.chain, index);
                let chain = &mut self.chains[ask.chain];
                chain.parked.deletion = chain.parked.deletion.max(Some(ask.offset));
                chain.stored.push(index);
                self.decided.fates[index] = Fate::Blocked;
            }
        }
    }

    /// A deletion is the end of all that waits of its key.
    fn over(&mut self, chain: usize, index: usize) {
        let known = &mut self.chains[chain];
        known.waits.clear();
        known.missing = None;
        for stored in known.stored.drain(..) {
            self.decided.fates[stored] = Fate::Merged;
        }
        if known.parked.rows.is_some() || known.parked.deletion.is_some() {
            self.decided.forget.push((chain, index));
        }
        // What comes late, from a retry topic, is not the end of what is newer.
        let is_over = |upto: &mut i64| *upto <= self.asks[index].offset;
        known.parked.rows.take_if(is_over);
        known.parked.deletion.take_if(is_over);
    }

    /// Lets go what may go of a chain, and those that wait for what it writes.
    fn advance(&mut self, chain: usize) {
        let mut open = vec![chain];
        while let Some(chain) = open.pop() {
            while let Some(last) = self.let_go(chain) {
                for &relation in &self.asks[last].gives {
                    self.exist[relation] = true;
                    open.extend(self.waiting.remove(&relation).unwrap_or_default());
                }
            }
        }
    }

    /// The most of a chain that may be written: the last message of that.
    fn let_go(&mut self, chain: usize) -> Option<usize> {
        let known = &self.chains[chain];
        if known.waits.is_empty() {
            return None;
        }
        let (count, missing) = writable(self.asks, &known.waits, &self.exist);
        let known = &mut self.chains[chain];
        if count == 0 {
            if known.missing != missing {
                known.missing = missing;
                self.waiting.entry(missing?).or_default().push(chain);
            }
            return None;
        }
        let together: Vec<usize> = known.waits.drain(..count).collect();
        known.missing = None;
        let (last, earlier) = together.split_last()?;
        // What comes late, from a retry topic, leaves a newer deletion where it is.
        let deletion = known.parked.deletion.take_if(|offset| *offset < self.asks[*last].offset);
        if deletion.is_some() {
            self.decided.forget.push((chain, *last));
            for stored in known.stored.drain(..) {
                self.decided.fates[stored] = Fate::Merged;
            }
        }
        // A whole row leaves nothing of those before it.
        let start = earlier.iter().rposition(|&index| is_full(&self.asks[index])).unwrap_or(0);
        let adopts = if is_full(&self.asks[*last]) { Vec::new() } else { earlier[start..].to_vec() };
        self.go(*last, adopts, deletion);
        Some(*last)
    }

    fn go(&mut self, index: usize, adopts: Vec<usize>, supersedes_deletion: Option<i64>) {
        self.decided.fates[index] = Fate::Go { adopts, supersedes_deletion };
        self.decided.order.push(index);
    }

    fn finish(mut self) -> Decided {
        for chain in &self.chains {
            for (place, &index) in chain.waits.iter().enumerate() {
                self.decided.fates[index] = match chain.missing {
                    Some(relation) => Fate::Waits { relation, behind: place > 0 || chain.parked.deletion.is_some() },
                    None => Fate::Behind,
                };
            }
        }
        self.decided
    }
}

fn is_full(ask: &Ask) -> bool {
    matches!(ask.wants, Wants::Row { full: true, merges: true, .. })
}

/// How many of these messages, from the first, make a row that may be written; where none do, what is missing.
fn writable(asks: &[Ask], waits: &[usize], exist: &[bool]) -> (usize, Option<usize>) {
    let mut needs: Vec<(usize, Option<usize>)> = Vec::new();
    let (mut most, mut merged) = ((0, None), true);
    for (place, &index) in waits.iter().enumerate() {
        let ask = &asks[index];
        let Wants::Row { columns, full, merges } = ask.wants else { continue };
        if place > 0 && !(merges && merged) {
            break;
        }
        merged = merges;
        if full {
            needs.clear();
        }
        needs.retain(|(_, column)| column.is_none_or(|column| !columns.contains(column)));
        // A row that refers to itself is there once it is written.
        needs.extend(ask.needs.iter().filter(|(relation, _)| !ask.gives.contains(relation)));
        match needs.iter().find(|(relation, _)| !exist[*relation]) {
            None => most = (place + 1, None),
            // What the chain as a whole waits for.
            Some((relation, _)) if most.0 == 0 => most.1 = Some(*relation),
            Some(_) => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: ParkedKey = ParkedKey { rows: Some(5), deletion: None, resolving: false };
    const DELETION: ParkedKey = ParkedKey { rows: None, deletion: Some(5), resolving: false };
    const NOTHING: ParkedKey = ParkedKey { rows: None, deletion: None, resolving: false };

    /// Column 1 refers; column 2 does not.
    fn full(chain: usize, relation: usize) -> Ask {
        row(chain, &[0, 1, 2], &[relation])
    }

    fn row(chain: usize, columns: &[usize], relations: &[usize]) -> Ask {
        let wants = Wants::Row { columns: ColumnSet::of(columns), full: columns.len() == 3, merges: true };
        Ask { chain, offset: 9, wants, needs: relations.iter().map(|r| (*r, Some(1))).collect(), gives: Vec::new() }
    }

    fn delete(chain: usize) -> Ask {
        Ask { chain, offset: 8, wants: Wants::Deletion, needs: Vec::new(), gives: Vec::new() }
    }

    fn giving(ask: Ask, relation: usize) -> Ask {
        Ask { gives: vec![relation], ..ask }
    }

    fn single(ask: Ask) -> Ask {
        let Wants::Row { columns, full, .. } = ask.wants else { return ask };
        Ask { wants: Wants::Row { columns, full, merges: false }, ..ask }
    }

    /// In short: `go`, `go+0,1` (with columns of these), `merged`, `waits 1`, `behind 1`, `behind`, `blocked`.
    fn fates(asks: &[Ask], exist: &[bool], parked: &[ParkedKey]) -> String {
        let show = |fate: &Fate| match fate {
            Fate::Go { adopts, supersedes_deletion } => {
                let adopts: Vec<_> = adopts.iter().map(ToString::to_string).collect();
                let with = if adopts.is_empty() { String::new() } else { format!("+{}", adopts.join(",")) };
                format!("go{with}{}", if supersedes_deletion.is_some() { " anew" } else { "" })
            }
            Fate::Merged => "merged".to_owned(),
            Fate::Waits { relation, behind: false } => format!("waits {relation}"),
            Fate::Waits { relation, behind: true } => format!("behind {relation}"),
            Fate::Behind => "behind".to_owned(),
            Fate::Blocked => "blocked".to_owned(),
        };
        decide(asks, exist.to_vec(), parked).fates.iter().map(show).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_message_waits_for_a_row_that_is_missing_and_later_ones_of_its_key_behind_it() {
        let asks = [full(0, 0), full(1, 1), row(0, &[0, 2], &[]), full(0, 0)];
        assert_eq!(fates(&asks, &[false, true], &[NOTHING; 2]), "waits 0; go; behind 0; behind 0");
        assert_eq!(fates(&asks, &[true, true], &[NOTHING; 2]), "go; go; go; go");
        assert_eq!(fates(&asks, &[true, true], &[ROWS, NOTHING]), "behind; go; behind; behind");
    }

    #[test]
    fn a_row_that_has_gone_to_another_parent_waits_no_more_for_the_first() {
        assert_eq!(fates(&[full(0, 0), full(0, 1)], &[false, true], &[NOTHING]), "merged; go");
        let part = row(0, &[0, 1], &[1]);
        assert_eq!(fates(&[full(0, 0), part.clone()], &[false, true], &[NOTHING]), "merged; go+0");
        let other = row(0, &[0, 2], &[]);
        assert_eq!(fates(&[full(0, 0), other, part], &[false, true], &[NOTHING]), "merged; merged; go+0,1");
        // One by one, where a model says so.
        let one_by_one = [single(full(0, 0)), single(full(0, 1))];
        assert_eq!(fates(&one_by_one, &[false, true], &[NOTHING]), "waits 0; behind 0");
        assert_eq!(fates(&one_by_one, &[true, true], &[NOTHING]), "go; go");
        // What the ordering guard has left of the first is written by itself.
        let then_merging = [single(row(0, &[0, 1], &[0])), row(0, &[0, 2], &[])];
        assert_eq!(fates(&then_merging, &[true, true], &[NOTHING]), "go; go");
        assert_eq!(fates(&then_merging, &[false, true], &[NOTHING]), "waits 0; behind 0");
    }

    #[test]
    fn what_may_be_written_before_the_row_waits_again_is() {
        assert_eq!(fates(&[full(0, 0), full(0, 1)], &[true, false], &[NOTHING]), "go; waits 1");
        let moves = [full(0, 0), full(0, 1), full(0, 2)];
        assert_eq!(fates(&moves, &[false, true, false], &[NOTHING]), "merged; go; waits 2");
    }

    #[test]
    fn parents_of_the_same_batch_count_wherever_they_stand() {
        let asks = [full(0, 0), giving(row(1, &[0, 1, 2], &[]), 0), full(2, 0)];
        assert_eq!(fates(&asks, &[false], &[NOTHING; 3]), "go; go; go");
        assert_eq!(decide(&asks, vec![false], &[NOTHING; 3]).order, [1, 0, 2]);
        // A tree from its leaves: 2 needs 1, 1 needs 0.
        let tree = [full(2, 1), giving(full(1, 0), 1), giving(row(0, &[0, 1, 2], &[]), 0)];
        assert_eq!(decide(&tree, vec![false, false], &[NOTHING; 3]).order, [2, 1, 0]);
        // A parent that waits itself is not there.
        let waits = [giving(full(0, 0), 1), full(1, 1)];
        assert_eq!(fates(&waits, &[false, false], &[NOTHING; 2]), "waits 0; waits 1");
        // One that is deleted is not there any more.
        let gone = [giving(delete(0), 0), full(1, 0)];
        assert_eq!(fates(&gone, &[true], &[NOTHING; 2]), "go; waits 0");
    }

    #[test]
    fn a_row_that_refers_to_itself_waits_for_nothing() {
        let root = || giving(full(0, 0), 0);
        assert_eq!(fates(&[root(), full(1, 0)], &[false], &[NOTHING; 2]), "go; go");
        let part = row(0, &[0, 2], &[]);
        assert_eq!(fates(&[root(), part], &[false], &[NOTHING]), "go; go");
        // Root of its own tree after it was below another, which never comes.
        let below = giving(full(0, 1), 0);
        assert_eq!(fates(&[below.clone(), root()], &[false, false], &[NOTHING]), "merged; go");
        assert_eq!(fates(&[root(), below], &[false, false], &[NOTHING]), "go; waits 1");
    }

    #[test]
    fn a_deletion_ends_what_waits_of_its_key() {
        let decided = decide(&[full(0, 0), delete(0)], vec![false], &[NOTHING]);
        assert_eq!((decided.order, decided.forget), (vec![1], vec![]));
        let decided = decide(&[delete(0), full(0, 0)], vec![false], &[ROWS]);
        assert_eq!((decided.order, decided.forget), (vec![0], vec![(0, 0)]));
        assert_eq!(decided.fates[1], Fate::Waits { relation: 0, behind: false });
        let late = Ask { offset: 4, ..delete(0) };
        assert_eq!(fates(&[late, full(0, 0)], &[true], &[ROWS]), "go; behind");
        // What stands behind parked ones, too: it would come after the deletion else.
        assert_eq!(fates(&[full(0, 0), delete(0)], &[true], &[ROWS]), "merged; go");
        assert_eq!(fates(&[full(0, 0), delete(0), full(0, 0)], &[true], &[ROWS]), "merged; go; go");
        let blocked = Ask { wants: Wants::BlockedDeletion, ..delete(0) };
        assert_eq!(fates(&[full(0, 0), blocked], &[true], &[ROWS]), "merged; blocked");
    }

    #[test]
    fn a_blocked_deletion_waits_and_a_row_of_its_key_supersedes_it() {
        let blocked = Ask { wants: Wants::BlockedDeletion, ..delete(0) };
        // Parked all the same, it would delete the row as soon as nothing refers to it.
        assert_eq!(fates(&[blocked.clone(), full(0, 0)], &[true], &[NOTHING]), "merged; go anew");
        assert_eq!(fates(&[blocked.clone(), blocked.clone()], &[], &[NOTHING]), "merged; blocked");
        assert_eq!(fates(&[blocked, full(0, 0)], &[false], &[NOTHING]), "blocked; behind 0");
        let decided = decide(&[full(0, 0), row(0, &[0, 2], &[])], vec![true], &[DELETION]);
        assert_eq!(decided.forget, [(0, 0)]);
        assert_eq!(decided.fates[0], Fate::Go { adopts: vec![], supersedes_deletion: Some(5) });
        assert_eq!(decided.fates[1], Fate::Go { adopts: vec![], supersedes_deletion: None });
        let late = Ask { offset: 4, ..full(0, 0) };
        assert_eq!(fates(&[late, full(0, 0)], &[true], &[DELETION]), "go; go anew");
    }
}
