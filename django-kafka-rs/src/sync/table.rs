//! A model's table as the connected database has it, and which statements are exact for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use diesel::QueryResult;

use super::kafka_skip;
use super::model::{ColumnSet, ModelDescriptor};
use super::plan::Kind;
use crate::db::DbConn;
use crate::db::introspect::{self, ColumnInfo, ForeignKey, Node, Relations, TableInfo, UniqueInfo};

/// A model's table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The model.
    pub model: &'static ModelDescriptor,
    /// The table's name, for messages.
    pub plain: &'static str,
    /// The table's name as SQL.
    pub sql: String,
    /// The model's columns as SQL.
    pub columns: Vec<String>,
    /// The types of the model's columns as SQL.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite has no use for casts"))]
    pub types: Vec<String>,
    /// The defaults of the model's columns as SQL.
    pub default_values: Vec<String>,
    /// Columns whose values in many rows can be sent as an array.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite has no arrays"))]
    pub arrays: ColumnSet,
    /// Columns that the database numbers, unless it is told not to.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes every number"))]
    pub identity: ColumnSet,
    /// Whether a sync marks its rows for connectors: the model has `kafka_skip`.
    pub is_marked: bool,
    /// Whether one of its triggers raises errors of its own wording.
    pub raises: bool,
    /// Which statements the connection may keep prepared.
    pub shapes: Shapes,
    /// Other tables of the topic whose rows depend on this one's or the other way round: indices, symmetrical.
    pub related: Vec<usize>,
    all: ColumnSet,
    /// Filled before an insert where the message lacks them.
    defaults: ColumnSet,
    /// Never NULL in the table.
    not_null: ColumnSet,
    /// An insert fails without them.
    required: ColumnSet,
    /// The database compares their values in its own way (1.0 and 1 may be equal in a column that prefers numbers).
    inexact: ColumnSet,
    unique: Vec<Unique>,
    /// Columns of this table that other tables' foreign keys point to.
    referenced: Vec<ColumnSet>,
    /// Its rows refer to each other, at once or through other tables.
    cyclic: bool,
    triggers: bool,
    checks: bool,
    /// An insert fails without a column that the model does not have.
    lacks_required: bool,
    /// The table has columns that the model has not, generated ones aside.
    lacks_columns: bool,
}

/// Something unique in the table.
#[derive(Debug)]
struct Unique {
    /// Those of its columns that the model has.
    columns: ColumnSet,
    /// All its columns are the model's, and it covers all rows.
    complete: bool,
    binary: bool,
}

impl Table {
    /// Whether upserts of these columns can be written by one `INSERT … ON CONFLICT DO UPDATE`.
    ///
    /// The database checks NOT NULL and CHECK of the new row as if it were to be inserted before it finds the old one
    /// (other unique indices only after), so it may refuse defaults that would never be written. Where that is sure,
    /// rows are written one after the other. Where only a CHECK could be the reason, they are tried together, and a
    /// row `alone`, as the replay of a failed batch ends, is not.
    pub(crate) fn upserts_together(&self, lookup: ColumnSet, present: ColumnSet, alone: bool) -> bool {
        let inserted = present.union(self.defaults);
        let required = !self.lacks_required && inserted.includes(self.required);
        let checked = alone && self.checks && (self.lacks_columns || !present.includes(self.all));
        self.rows_alone_decide(lookup, present) && self.has_index(lookup) && required && !checked
    }

    /// Whether upserts of these columns can be written by one `UPDATE`, and one `INSERT` of the rows that it did not
    /// find: in any order, so nothing else in the table may be unique.
    #[cfg(feature = "postgres")]
    pub(crate) fn updates_together(&self, lookup: ColumnSet, present: ColumnSet) -> bool {
        self.rows_alone_decide(lookup, present)
            && self.has_index(lookup)
            && self.unique.iter().all(|u| u.complete && u.columns == lookup)
    }

    /// Whether a new row gets the model's own default in this column.
    pub(crate) fn is_filled(&self, column: usize) -> bool {
        self.defaults.contains(column)
    }

    /// Whether rows can be deleted by one statement.
    pub(crate) fn deletes_together(&self, lookup: ColumnSet) -> bool {
        !self.triggers && self.referenced.is_empty() && self.one_match(lookup)
    }

    /// Whether a lookup without NULL matches one row at most.
    pub(crate) fn one_match(&self, lookup: ColumnSet) -> bool {
        self.unique.iter().any(|u| u.complete && lookup.includes(u.columns))
    }

    /// Those of these columns, which refer to other rows, that a row can let go of before it is deleted, where rows may
    /// refer to each other in a circle. Not in rows that connectors are to pass over: they would be told of it.
    pub(crate) fn releasable(&self, columns: ColumnSet) -> ColumnSet {
        if !self.cyclic || self.is_marked {
            return ColumnSet::EMPTY;
        }
        let goes = |column: &usize| {
            let only = ColumnSet::EMPTY.with(*column);
            self.nullable(only) && !self.is_filled(*column) && self.default_values[*column] == "NULL"
        };
        columns.iter().filter(goes).fold(ColumnSet::EMPTY, ColumnSet::with)
    }

    /// Whether the number of rows that an UPDATE reports tells whether the row is there: a trigger can step in.
    pub(crate) fn counts_are_true(&self) -> bool {
        !self.triggers
    }

    /// Whether a lookup's value may be NULL in the table: unique indices do not hold for NULL.
    pub(crate) fn nullable(&self, lookup: ColumnSet) -> bool {
        !self.not_null.includes(lookup)
    }

    /// Whether rows with different keys may still depend on each other.
    pub(crate) fn strict(&self, lookup: ColumnSet) -> bool {
        let by_index = self.unique.iter().any(|u| !(u.complete && u.binary && u.columns == lookup));
        self.triggers || self.cyclic || by_index || meets(lookup, self.inexact)
    }

    /// Whether a row that is overwritten at once leaves nothing behind: triggers do, and so do foreign keys of other
    /// tables that follow a change (`ON UPDATE SET NULL`).
    pub(crate) fn reducible(&self, lookup: ColumnSet) -> bool {
        !self.triggers && self.referenced.iter().all(|&columns| lookup.includes(columns))
    }

    /// Exactly these columns are unique, so that ON CONFLICT can name them.
    pub(crate) fn has_index(&self, lookup: ColumnSet) -> bool {
        self.unique.iter().any(|u| u.complete && u.columns == lookup)
    }

    /// Foreign keys are checked at a statement's end, so rows that refer to each other, or that are referred to by
    /// columns which this statement changes, could help each other in one statement and not in two.
    fn rows_alone_decide(&self, lookup: ColumnSet, present: ColumnSet) -> bool {
        let changed = present.without(lookup);
        !self.triggers && !self.cyclic && !self.referenced.iter().any(|&columns| meets(columns, changed))
    }
}

/// The kinds of statements that a table's messages need. A topic has few; but what a message names is its
/// producer's choice, and Diesel keeps every prepared statement for ever.
#[derive(Debug, Default)]
pub(crate) struct Shapes(Mutex<HashSet<(ColumnSet, Kind)>>);

impl Shapes {
    /// Kinds that are kept at most; each costs up to some hundred kilobytes.
    const KEPT_MAX: usize = 16;

    /// Whether statements of this kind are to be kept: the first kinds that come are.
    pub(crate) fn keep(&self, lookup: ColumnSet, kind: Kind) -> bool {
        // A set is whole whenever a panic could have left it.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.contains(&(lookup, kind)) || (kept.len() < Self::KEPT_MAX && kept.insert((lookup, kind)))
    }
}

/// The tables of these models, or what is wrong with them.
///
/// # Errors
/// The database does not answer.
pub(crate) fn resolve(
    conn: &mut DbConn,
    models: &[&'static ModelDescriptor],
) -> QueryResult<Result<Vec<Table>, Vec<String>>> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for model in models {
        let name = (model.table)();
        match introspect::table(conn, &name)? {
            Some((node, info)) => match columns_of(conn, model, name.plain, &info) {
                Ok(columns) => found.push((*model, name, node, info, columns)),
                Err(wrong) => mistakes.extend(wrong),
            },
            None => mistakes.push(format!(
                "table `{}` of model `{}` ({}) does not exist; create it by a migration, or correct \
                 `#[diesel(table_name = …)]`",
                name.plain, model.type_name, model.location
            )),
        }
    }
    if !mistakes.is_empty() {
        return Ok(Err(mistakes));
    }
    let nodes: Vec<Node> = found.iter().map(|(_, _, node, _, _)| node.clone()).collect();
    let graph = Graph::new(introspect::relations(conn, nodes.iter())?);
    let tables = found
        .into_iter()
        .enumerate()
        .map(|(index, (model, name, node, info, columns))| Table {
            sql: introspect::sql_name(conn, &name).to_owned(),
            related: graph.related(&nodes, index),
            referenced: graph.referenced(&node, &info, &columns),
            cyclic: graph.below(&node).contains(&node),
            ..table(model, name.plain, &info, &columns)
        })
        .collect();
    Ok(Ok(tables))
}

/// What the table itself says.
fn table(model: &'static ModelDescriptor, plain: &'static str, info: &TableInfo, columns: &[ColumnInfo]) -> Table {
    let those = |wanted: &dyn Fn(&ColumnInfo) -> bool| {
        columns
            .iter()
            .enumerate()
            .filter(|(_, column)| wanted(column))
            .fold(ColumnSet::EMPTY, |set, (index, _)| set.with(index))
    };
    let missing = || info.columns.iter().filter(|c| !c.generated && !columns.contains(c));
    let defaults = model
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.insert_default)
        .fold(ColumnSet::EMPTY, |set, (index, _)| set.with(index));
    Table {
        model,
        plain,
        sql: String::new(),
        columns: columns.iter().map(|column| introspect::quoted(&column.name)).collect(),
        types: columns.iter().map(|column| column.sql_type.clone()).collect(),
        default_values: columns.iter().map(|c| c.default.clone().unwrap_or_else(|| "NULL".to_owned())).collect(),
        arrays: those(&|c| c.array),
        identity: those(&|c| c.identity_always),
        is_marked: model.columns.iter().any(|column| column.column == kafka_skip::COLUMN),
        raises: info.raises,
        shapes: Shapes::default(),
        related: Vec::new(),
        all: ColumnSet::first(columns.len()),
        defaults,
        not_null: those(&|c| c.not_null),
        required: those(&|c| c.not_null && !c.optional),
        inexact: those(&|c| c.inexact),
        unique: info.unique.iter().map(|u| unique(u, columns)).collect(),
        referenced: Vec::new(),
        cyclic: false,
        triggers: info.triggers,
        checks: info.checks,
        lacks_required: missing().any(|c| c.not_null && !c.optional),
        lacks_columns: missing().next().is_some(),
    }
}

fn unique(info: &UniqueInfo, columns: &[ColumnInfo]) -> Unique {
    let indices: Vec<Option<usize>> = info.columns.iter().map(|name| place_of(columns, name.as_deref()?)).collect();
    let known = indices.iter().flatten().fold(ColumnSet::EMPTY, |set, &index| set.with(index));
    Unique { columns: known, complete: !info.partial && indices.iter().all(Option::is_some), binary: info.binary }
}

/// The column of this name: PostgreSQL may have two that differ in case alone, SQLite knows no case.
fn place_of(columns: &[ColumnInfo], name: &str) -> Option<usize> {
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
}

/// The table's column of each of the model's, or what is wrong.
fn columns_of(
    conn: &DbConn,
    model: &ModelDescriptor,
    table: &str,
    info: &TableInfo,
) -> Result<Vec<ColumnInfo>, Vec<String>> {
    let (mut columns, mut mistakes) = (Vec::new(), Vec::new());
    for described in model.columns {
        let (column, field) = (described.column, described.field);
        let place = format!("column `{table}.{column}` (field `{field}` of `{}`, {})", model.type_name, model.location);
        let (database, stores) = match conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(_) => ("PostgreSQL", described.stores_postgres),
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => ("SQLite", described.stores_sqlite),
        };
        if !stores {
            mistakes.push(format!(
                "{place} cannot be stored in {database}: its type in `table!` belongs to another database; change the \
                 type, or leave the field out of the sync by `#[sync(skip)]`"
            ));
        }
        match place_of(&info.columns, column).map(|place| &info.columns[place]) {
            Some(found) if found.generated => mistakes.push(format!(
                "{place} is computed by the database and cannot be written; leave the field out of the sync by \
                 `#[sync(skip)]`"
            )),
            Some(found) => columns.push(found.clone()),
            None => {
                let existing: Vec<_> = info.columns.iter().map(|c| c.name.as_str()).collect();
                mistakes.push(format!(
                    "{place} does not exist; the table has {}; add it by a migration, or leave the field out of the \
                     sync by `#[sync(skip)]`",
                    existing.join(", ")
                ));
            }
        }
    }
    if mistakes.is_empty() { Ok(columns) } else { Err(mistakes) }
}

/// Whether a column is in both.
fn meets(a: ColumnSet, b: ColumnSet) -> bool {
    a.without(b) != a
}

/// Which tables' rows depend on which.
#[derive(Default)]
struct Graph {
    children: HashMap<Node, Vec<Node>>,
    keys: HashMap<Node, Vec<ForeignKey>>,
    triggered: HashSet<Node>,
}

impl Graph {
    fn new(relations: Relations) -> Self {
        let mut graph = Self { triggered: relations.triggered.into_iter().collect(), ..Self::default() };
        for key in relations.keys {
            graph.children.entry(key.parent.clone()).or_default().push(key.child.clone());
            graph.keys.entry(key.parent.clone()).or_default().push(key);
        }
        graph
    }

    /// The tables whose rows refer to this one's, at once or through others.
    fn below(&self, node: &Node) -> HashSet<Node> {
        let (mut below, mut open) = (HashSet::new(), vec![node]);
        while let Some(parent) = open.pop() {
            for child in self.children.get(parent).into_iter().flatten() {
                if below.insert(child.clone()) {
                    open.push(child);
                }
            }
        }
        below
    }

    /// The tables that this one must keep its order with: a change may need or end rows there (cascades, and
    /// restrictions by common children), and what triggers do is not known.
    fn related(&self, nodes: &[Node], index: usize) -> Vec<usize> {
        let reach = |node: &Node| {
            let mut reach = self.below(node);
            reach.insert(node.clone());
            reach
        };
        let triggers = |reach: &HashSet<Node>| reach.iter().any(|node| self.triggered.contains(node));
        let mine = reach(&nodes[index]);
        (0..nodes.len())
            .filter(|&other| {
                let others = reach(&nodes[other]);
                other != index && (!mine.is_disjoint(&others) || triggers(&mine) || triggers(&others))
            })
            .collect()
    }

    /// The columns of this table that others refer to.
    fn referenced(&self, node: &Node, info: &TableInfo, columns: &[ColumnInfo]) -> Vec<ColumnSet> {
        let primary = || info.columns.iter().filter(|c| c.primary_key).map(|c| c.name.clone()).collect();
        let set = |key: &ForeignKey| {
            let names: Vec<String> = key.parent_columns.clone().unwrap_or_else(primary);
            // A column that the model lacks is never written.
            names.iter().filter_map(|name| place_of(columns, name)).fold(ColumnSet::EMPTY, ColumnSet::with)
        };
        self.keys.get(node).into_iter().flatten().map(set).collect()
    }
}
