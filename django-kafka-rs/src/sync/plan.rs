//! From a batch to statements. Pure: keys are any type with equality, rows are the indices of operations.
//!
//! The rows after the planned statements are those after the operations one by one, in order. Two things are
//! gained: operations that a later one of the batch overwrites are left out, and operations of one kind go into
//! one statement, past others that they have nothing to do with.
//!
//! What may differ: an operation that was left out is not tried, so its own failure never happens.

use std::collections::HashMap;
use std::hash::Hash;

use super::model::ColumnSet;

/// What one message asks of a table.
#[derive(Debug, Clone)]
pub(crate) struct Op<K> {
    /// Index into the tables.
    pub table: usize,
    /// The row's identity; `None` where it cannot be compared: it may be any row.
    pub key: Option<K>,
    /// The columns that the identity consists of.
    pub lookup: ColumnSet,
    /// What is to be done.
    pub kind: Kind,
}

/// What is to be done to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Write these columns.
    Upsert(ColumnSet),
    /// Delete it.
    Delete,
    /// An upsert of the columns `given`, of which only `update` are written where the row is there: newer messages wrote
    /// the others.
    Part { update: ColumnSet, given: ColumnSet },
    /// Set these columns to their defaults, where the row is there: a deletion behind which newer messages wrote the
    /// other columns.
    Reset(ColumnSet),
}

/// What a table allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traits {
    /// Its rows depend on each other (a second unique index, triggers, keys that the database compares in its own
    /// way): the order of its operations is kept.
    pub strict: bool,
    /// Tables whose rows depend on this one's or the other way round; symmetrical.
    pub related: Vec<usize>,
    /// Whether overwritten operations may be left out.
    pub reduce: bool,
}

/// One statement's rows. No key is in it twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Index into the tables.
    pub table: usize,
    /// The columns that the rows' identities consist of.
    pub lookup: ColumnSet,
    /// What is done.
    pub kind: Kind,
    /// Indices of operations, ascending.
    pub rows: Vec<usize>,
}

/// A batch's statements, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What to run.
    pub statements: Vec<Statement>,
    /// The operations that are in no statement, ascending.
    pub reduced: Vec<usize>,
}

/// Plans a batch.
pub(crate) fn plan<K: Eq + Hash>(ops: &[Op<K>], tables: &[Traits]) -> Plan {
    let keys = Keys::new(ops);
    let overwritten = overwritten(ops, &keys, tables);
    let mut grouping = Grouping::new(tables, &keys);
    for (index, op) in ops.iter().enumerate() {
        if !overwritten[index] {
            grouping.place(index, op);
        }
    }
    let reduced = overwritten.iter().enumerate().filter_map(|(index, &is)| is.then_some(index)).collect();
    Plan { statements: grouping.statements, reduced }
}

/// The keys of a batch as numbers: each is hashed once.
struct Keys {
    /// The number of each operation's key.
    numbers: Vec<Option<usize>>,
    count: usize,
}

impl Keys {
    fn new<K: Eq + Hash>(ops: &[Op<K>]) -> Self {
        let mut known = HashMap::with_capacity(ops.len());
        let mut number = |op| {
            let Op { table, key, .. }: &Op<K> = op;
            let next = known.len();
            Some(*known.entry((*table, key.as_ref()?)).or_insert(next))
        };
        Self { numbers: ops.iter().map(&mut number).collect(), count: known.len() }
    }
}

/// Which operations a later one overwrites: an upsert whose columns are all written again, or whose row is deleted.
///
/// A table's epoch ends with each operation that may depend on the ones before it; nothing is overwritten across
/// the end of an epoch.
fn overwritten<K>(ops: &[Op<K>], keys: &Keys, tables: &[Traits]) -> Vec<bool> {
    let mut overwritten = vec![false; ops.len()];
    let mut epochs = vec![0_u64; tables.len()];
    let mut last_keys = vec![None; tables.len()];
    // The upserts of each key that a later one may still overwrite: the last, and from each the one before it, with
    // its columns and its epoch.
    let mut last_upserts: Vec<Option<usize>> = vec![None; keys.count];
    let mut upserts: Vec<(Option<usize>, ColumnSet, u64)> = vec![(None, ColumnSet::EMPTY, 0); ops.len()];
    for (index, op) in ops.iter().enumerate() {
        let (traits, number) = (&tables[op.table], keys.numbers[index]);
        if number.is_none() || (traits.strict && last_keys[op.table] != number) {
            epochs[op.table] += 1;
        }
        last_keys[op.table] = number;
        for &related in &traits.related {
            epochs[related] += 1;
        }
        let (true, Some(key)) = (traits.reduce, number) else { continue };
        let epoch = epochs[op.table];
        let mut earlier = last_upserts[key].take();
        let mut left = None;
        while let Some(upsert) = earlier {
            let (before, columns, of_epoch) = upserts[upsert];
            let again = match op.kind {
                Kind::Upsert(written) => written.includes(columns),
                Kind::Delete => true,
                // What they do depends on whether the row is there, so what is before them stays. They are rare.
                Kind::Part { .. } | Kind::Reset(_) => break,
            };
            if of_epoch == epoch && again {
                overwritten[upsert] = true;
            } else if of_epoch == epoch {
                upserts[upsert].0 = left.replace(upsert);
            }
            earlier = before;
        }
        if let Kind::Upsert(columns) = op.kind {
            upserts[index] = (left, columns, epoch);
            last_upserts[key] = Some(index);
        }
    }
    overwritten
}

/// What rows of one statement have in common.
type Shape = (usize, ColumnSet, Kind);

/// Statements as they fill up.
struct Grouping<'a> {
    tables: &'a [Traits],
    keys: &'a Keys,
    statements: Vec<Statement>,
    /// The statements of each shape, ascending.
    alike: Vec<Vec<usize>>,
    shapes: HashMap<Shape, usize>,
    /// The shape of the operation before.
    last_shape: Option<(Shape, usize)>,
    /// For each key, the first statement behind its last operation.
    behind_key: Vec<usize>,
    /// For each table, the first statement behind all its operations.
    behind_table: Vec<usize>,
    /// For each table, the first statement behind its operations without identity.
    behind_unknown: Vec<usize>,
}

impl<'a> Grouping<'a> {
    fn new(tables: &'a [Traits], keys: &'a Keys) -> Self {
        Self {
            tables,
            keys,
            statements: Vec::new(),
            alike: Vec::new(),
            shapes: HashMap::new(),
            last_shape: None,
            behind_key: vec![0; keys.count],
            behind_table: vec![0; tables.len()],
            behind_unknown: vec![0; tables.len()],
        }
    }

    /// Puts an operation into the earliest statement of its shape that is not before anything it depends on.
    fn place<K>(&mut self, index: usize, op: &Op<K>) {
        let key = self.keys.numbers[index];
        let earliest = self.earliest(op, key);
        let shape = self.shape((op.table, op.lookup, op.kind));
        let alike = &mut self.alike[shape];
        let at = match alike.get(alike.partition_point(|&statement| statement < earliest)) {
            Some(&statement) => statement,
            None => {
                let statement = self.statements.len();
                self.statements.push(Statement { table: op.table, lookup: op.lookup, kind: op.kind, rows: Vec::new() });
                alike.push(statement);
                statement
            }
        };
        self.statements[at].rows.push(index);

        let behind = at + 1;
        self.behind_table[op.table] = self.behind_table[op.table].max(behind);
        match key {
            Some(key) => self.behind_key[key] = behind,
            None => self.behind_unknown[op.table] = behind,
        }
    }

    /// The number of a shape; mostly it is that of the operation before.
    fn shape(&mut self, shape: Shape) -> usize {
        if let Some((last, number)) = self.last_shape
            && last == shape
        {
            return number;
        }
        let number = *self.shapes.entry(shape).or_insert(self.alike.len());
        if number == self.alike.len() {
            self.alike.push(Vec::new());
        }
        self.last_shape = Some((shape, number));
        number
    }

    fn earliest<K>(&self, op: &Op<K>, key: Option<usize>) -> usize {
        let traits = &self.tables[op.table];
        let of_key = match key {
            Some(key) => self.behind_key[key].max(self.behind_unknown[op.table]),
            None => self.behind_table[op.table],
        };
        // Rows of one statement are written in order, so the last statement of a strict table can take one more.
        let in_order = if traits.strict { self.behind_table[op.table].saturating_sub(1) } else { 0 };
        let related = traits.related.iter().map(|&table| self.behind_table[table]).max().unwrap_or(0);
        of_key.max(in_order).max(related)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LOOKUP: ColumnSet = ColumnSet::of(&[0]);

    fn upsert(key: u8, columns: &[usize]) -> Op<u8> {
        Op { table: 0, key: Some(key), lookup: LOOKUP, kind: Kind::Upsert(ColumnSet::of(columns).union(LOOKUP)) }
    }

    fn delete(key: u8) -> Op<u8> {
        Op { table: 0, key: Some(key), lookup: LOOKUP, kind: Kind::Delete }
    }

    fn free() -> Traits {
        Traits { reduce: true, ..Traits::default() }
    }

    /// The statements' rows and the reduced operations.
    fn planned(ops: &[Op<u8>], tables: &[Traits]) -> (Vec<Vec<usize>>, Vec<usize>) {
        let plan = plan(ops, tables);
        (plan.statements.into_iter().map(|s| s.rows).collect(), plan.reduced)
    }

    #[test]
    fn independent_rows_share_statements() {
        let ops = [upsert(1, &[1]), delete(2), upsert(3, &[1]), delete(4), upsert(5, &[2])];
        assert_eq!(planned(&ops, &[free()]), (vec![vec![0, 2], vec![1, 3], vec![4]], vec![]));
    }

    #[test]
    fn a_later_upsert_with_the_same_columns_overwrites() {
        assert_eq!(planned(&[upsert(1, &[1]), upsert(1, &[1])], &[free()]), (vec![vec![1]], vec![0]));
        assert_eq!(planned(&[upsert(1, &[1]), upsert(1, &[1, 2])], &[free()]), (vec![vec![1]], vec![0]));
    }

    #[test]
    fn a_later_upsert_without_one_of_the_columns_does_not() {
        assert_eq!(planned(&[upsert(1, &[1, 2]), upsert(1, &[1])], &[free()]), (vec![vec![0], vec![1]], vec![]));
    }

    #[test]
    fn a_delete_overwrites_what_was_before_and_is_a_barrier() {
        let ops = [upsert(1, &[1]), upsert(1, &[2]), delete(1), upsert(1, &[1]), upsert(1, &[1])];
        assert_eq!(planned(&ops, &[free()]), (vec![vec![2], vec![4]], vec![0, 1, 3]));
    }

    #[test]
    fn delete_and_upsert_of_a_key_keep_their_order_among_others() {
        let ops = [upsert(1, &[1]), delete(2), upsert(2, &[1]), delete(1)];
        let traits = Traits { reduce: false, ..free() };
        // The second upsert cannot join the first, which runs before its key's delete.
        assert_eq!(planned(&ops, &[traits]), (vec![vec![0], vec![1, 3], vec![2]], vec![]));
    }

    #[test]
    fn nothing_is_left_out_where_reduction_is_off() {
        let traits = Traits { reduce: false, ..free() };
        assert_eq!(planned(&[upsert(1, &[1]), upsert(1, &[1])], &[traits]), (vec![vec![0], vec![1]], vec![]));
    }

    #[test]
    fn a_strict_table_keeps_its_order_and_reduces_neighbours_only() {
        let traits = Traits { strict: true, ..free() };
        let ops = [upsert(1, &[1]), upsert(2, &[1]), delete(3), upsert(4, &[1]), upsert(4, &[1]), upsert(1, &[1])];
        assert_eq!(planned(&ops, &[traits]), (vec![vec![0, 1], vec![2], vec![4, 5]], vec![3]));
    }

    #[test]
    fn a_row_without_identity_stays_where_it_is() {
        let unknown = Op { key: None, ..upsert(0, &[1]) };
        let ops = [upsert(1, &[1]), unknown, upsert(1, &[1]), upsert(2, &[1])];
        assert_eq!(planned(&ops, &[free()]), (vec![vec![0], vec![1], vec![2, 3]], vec![]));
    }

    #[test]
    fn related_tables_keep_their_order_and_others_do_not_wait() {
        let table = |table, op: Op<u8>| Op { table, ..op };
        let tables = [Traits { related: vec![1], ..free() }, Traits { related: vec![0], ..free() }, free()];
        let ops = [
            table(0, upsert(1, &[1])),
            table(2, upsert(1, &[1])),
            table(1, upsert(1, &[1])),
            table(2, upsert(2, &[1])),
            table(0, upsert(1, &[1])),
            table(0, upsert(2, &[1])),
        ];
        assert_eq!(planned(&ops, &tables), (vec![vec![0], vec![1, 3], vec![2], vec![4, 5]], vec![]));
    }

    type Rows = BTreeMap<(usize, u8), BTreeMap<usize, usize>>;

    /// One operation on a table of four columns, whose default is "never written".
    fn run(rows: &mut Rows, index: usize, op: &Op<u8>, key: u8) {
        let row = rows.get_mut(&(op.table, key));
        match op.kind {
            Kind::Part { update: columns, given } => {
                let columns = if row.is_some() { columns } else { given };
                run(rows, index, &Op { kind: Kind::Upsert(columns), ..op.clone() }, key);
            }
            Kind::Reset(columns) => {
                if let Some(row) = row {
                    row.retain(|column, _| !columns.contains(*column));
                }
            }
            Kind::Upsert(columns) => {
                rows.entry((op.table, key)).or_default().extend(columns.iter().map(|column| (column, index)));
                // Identities are equal whoever wrote them.
                rows.entry((op.table, key)).or_default().insert(0, 0);
            }
            Kind::Delete => {
                rows.remove(&(op.table, key));
            }
        }
    }

    /// An operation, with the key that it really has where its identity is unknown.
    fn any_op() -> impl Strategy<Value = (Op<u8>, u8)> {
        let kind = (prop_oneof![3 => 1..8_u8, 1 => Just(0)], 0..8_u8, prop::bool::weighted(0.15));
        (0..3_usize, 0..4_u8, kind, prop::bool::weighted(0.1)).prop_map(
            |(table, key, (columns, others, guarded), unknown)| {
                let set = |bits: u8| (0..3).filter(move |bit| bits & (1 << bit) != 0).map(|bit| bit + 1);
                let upsert = set(columns).fold(LOOKUP, ColumnSet::with);
                let kind = match (columns, guarded) {
                    (0, false) => Kind::Delete,
                    (0, true) => Kind::Reset(set(others).fold(ColumnSet::EMPTY, ColumnSet::with)),
                    (_, false) => Kind::Upsert(upsert),
                    (_, true) => Kind::Part { update: upsert, given: set(others).fold(upsert, ColumnSet::with) },
                };
                (Op { table, key: (!unknown).then_some(key), lookup: LOOKUP, kind }, key)
            },
        )
    }

    fn any_tables() -> impl Strategy<Value = Vec<Traits>> {
        (prop::collection::vec((any::<bool>(), any::<bool>()), 3), any::<[bool; 3]>()).prop_map(|(flags, pairs)| {
            let mut tables: Vec<_> =
                flags.into_iter().map(|(strict, reduce)| Traits { strict, reduce, related: Vec::new() }).collect();
            for (related, (a, b)) in pairs.into_iter().zip([(0, 1), (0, 2), (1, 2)]) {
                if related {
                    tables[a].related.push(b);
                    tables[b].related.push(a);
                }
            }
            tables
        })
    }

    proptest! {
        #[test]
        fn the_plan_gives_the_rows_of_one_by_one(
            ops in prop::collection::vec(any_op(), 0..40),
            tables in any_tables(),
        ) {
            let (ops, keys): (Vec<_>, Vec<_>) = ops.into_iter().unzip();
            let plan = plan(&ops, &tables);
            let (mut one_by_one, mut planned) = (Rows::new(), Rows::new());
            for (index, op) in ops.iter().enumerate() {
                run(&mut one_by_one, index, op, keys[index]);
            }
            for index in plan.statements.iter().flat_map(|s| s.rows.iter().copied()) {
                run(&mut planned, index, &ops[index], keys[index]);
            }
            prop_assert_eq!(one_by_one, planned);
        }

        #[test]
        fn each_operation_is_in_one_place_and_dependent_ones_keep_their_order(
            ops in prop::collection::vec(any_op(), 0..40),
            tables in any_tables(),
        ) {
            let (ops, _): (Vec<_>, Vec<_>) = ops.into_iter().unzip();
            let plan = plan(&ops, &tables);
            let run: Vec<usize> = plan.statements.iter().flat_map(|s| s.rows.iter().copied()).collect();
            let mut all: Vec<usize> = run.iter().chain(&plan.reduced).copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..ops.len()).collect::<Vec<_>>());
            for (at, &earlier) in run.iter().enumerate() {
                for &later in &run[at + 1..] {
                    let (a, b) = (&ops[earlier], &ops[later]);
                    let depends = tables[a.table].related.contains(&b.table)
                        || (a.table == b.table
                            && (tables[a.table].strict || a.key == b.key || a.key.is_none() || b.key.is_none()));
                    prop_assert!(!depends || earlier < later, "{} ran after {}", earlier, later);
                }
            }
            for statement in &plan.statements {
                let mut seen = std::collections::HashSet::new();
                for &row in &statement.rows {
                    let op = &ops[row];
                    prop_assert_eq!((op.table, op.kind), (statement.table, statement.kind));
                    let distinct = op.key.is_none_or(|key| seen.insert(key));
                    prop_assert!(distinct && (op.key.is_some() || statement.rows.len() == 1));
                }
            }
        }
    }
}
