//! A model whose rows are lists of values, so that one type serves every table of these tests; and what runs it.

#[cfg(feature = "sqlite")]
mod cases;
mod converge;
mod guard;
#[cfg(feature = "postgres")]
mod postgres;
mod property;
mod tables;

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use diesel::query_builder::AstPass;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{Connection, QueryResult};
use serde_json::{Value, json};

use super::{Ahead, Caller, Covered, ModelSync, Outcome, Refused, Report, Stop, Verdict};
use crate::db::{Database, DatabaseSettings, DbConn, migrations};
use crate::error::{ConsumeError, DecodeError};
use crate::record::{Headers, RawRecord};
use crate::sync::decode::{Decoded, Message, ReadPlan};
use crate::sync::guard::Superseded;
use crate::sync::model::{
    ColumnDescriptor, ColumnSet, Dialect, ModelDescriptor, ModelTopic, PartFormat, Row, SyncOptions, TableName,
    Targets, to_json,
};
use crate::sync::relation::IdValue;
use crate::topic::{Json, Location};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Cell {
    Null,
    Int(Option<i64>),
    Text(Option<String>),
}

/// A value for each column that the message names.
struct ListRow {
    cells: Vec<Option<Cell>>,
    defaults: &'static [ColumnDescriptor],
}

impl Row for ListRow {
    fn present(&self) -> ColumnSet {
        let set =
            |set: ColumnSet, (index, cell): (usize, &Option<Cell>)| if cell.is_some() { set.with(index) } else { set };
        self.cells.iter().enumerate().fold(ColumnSet::EMPTY, set)
    }

    fn fill_insert_defaults(&mut self) {
        for (cell, column) in self.cells.iter_mut().zip(self.defaults) {
            if column.insert_default && cell.is_none() {
                *cell = Some(Cell::Int(Some(0)));
            }
        }
    }

    fn hash_column(&self, column: usize, mut state: &mut dyn Hasher) -> bool {
        self.cells[column].as_ref().inspect(|cell| cell.hash(&mut state)).is_some()
    }

    fn eq_column(&self, column: usize, other: &dyn Row) -> bool {
        let other = other.as_any().downcast_ref::<Self>().unwrap();
        self.cells[column].is_some() && self.cells[column] == other.cells[column]
    }

    #[cfg(feature = "postgres")]
    fn bind_postgres<'b>(&'b self, column: usize, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        match self.cells[column].as_ref().unwrap() {
            Cell::Null => out.push_bind_param::<Nullable<BigInt>, _>(&None::<i64>),
            Cell::Int(n) => out.push_bind_param::<Nullable<BigInt>, _>(n),
            Cell::Text(text) => out.push_bind_param::<Nullable<Text>, _>(text),
        }
    }

    #[cfg(feature = "postgres")]
    fn postgres_array<'b>(
        &self,
        column: usize,
        rows: &'b [&'b dyn Row],
    ) -> QueryResult<crate::sync::PostgresArray<'b>> {
        use crate::sync::probe::{ArrayPostgres, PostgresArrayBind};
        fn cell(row: &dyn Row, column: usize) -> Option<&Cell> {
            row.as_any().downcast_ref::<ListRow>()?.cells[column].as_ref()
        }
        // The binder takes a function of the row alone: one for each column that these tables have.
        macro_rules! array {
            ($variant:ident, $sql_type:ty) => {
                array!($variant, $sql_type, 0 1 2 3)
            };
            ($variant:ident, $sql_type:ty, $($column:literal)*) => {
                match column {
                    $($column => PostgresArrayBind::<_, $sql_type>::new(rows, |row| match cell(row, $column)? {
                        Cell::$variant(value) => Some(value),
                        _ => Some(&None),
                    })
                    .array(),)*
                    _ => panic!("no such column"),
                }
            };
        }
        if rows.iter().any(|row| matches!(cell(*row, column), Some(Cell::Text(_)))) {
            array!(Text, Nullable<Text>)
        } else {
            array!(Int, Nullable<BigInt>)
        }
    }

    #[cfg(feature = "sqlite")]
    fn bind_sqlite<'b>(&'b self, column: usize, mut out: AstPass<'_, 'b, diesel::sqlite::Sqlite>) -> QueryResult<()> {
        match self.cells[column].as_ref().unwrap() {
            Cell::Null => out.push_bind_param::<Nullable<BigInt>, _>(&None::<i64>),
            Cell::Int(n) => out.push_bind_param::<Nullable<BigInt>, _>(n),
            Cell::Text(text) => out.push_bind_param::<Nullable<Text>, _>(text),
        }
    }

    fn id_value(&self, column: usize) -> IdValue {
        match &self.cells[column] {
            None => IdValue::Absent,
            Some(Cell::Null | Cell::Int(None) | Cell::Text(None)) => IdValue::Null,
            Some(Cell::Int(Some(n))) => IdValue::Value(n.to_string()),
            Some(Cell::Text(Some(text))) => IdValue::Value(text.clone()),
        }
    }

    fn take_from(&mut self, columns: ColumnSet, earlier: &mut dyn Row) {
        let earlier = earlier.as_any_mut().downcast_mut::<Self>().unwrap();
        for column in columns.iter() {
            self.cells[column] = earlier.cells[column].take();
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Number(n) => Cell::Int(n.as_i64()),
        other => Cell::Text(other.as_str().map(str::to_owned)),
    }
}

/// Reads `{"column": value}`; the lookup's columns come from the key.
fn decode(plan: &ReadPlan, message: &Message<'_>) -> Result<Decoded, ConsumeError> {
    let read =
        |bytes: Option<&[u8]>| -> Value { bytes.map_or(Value::Null, |bytes| serde_json::from_slice(bytes).unwrap()) };
    let raw = message.raw();
    let (key, value) = (read(raw.key.as_deref()), read(raw.value.as_deref()));
    if value.get("poison").is_some() || raw.headers.get("fail").is_some() {
        return Err(DecodeError::new("poison").into());
    }
    assert!(value.get("panic").is_none(), "told to panic");
    if value.get("ignore").is_some() {
        return Ok(Decoded::Ignore);
    }
    let is_delete = value.is_null();
    let mut cells: Vec<Option<Cell>> = plan.columns.iter().map(|c| value.get(c.field).map(cell)).collect();
    let mut lookup = ColumnSet::EMPTY;
    for (column, _) in &plan.lookup {
        lookup = lookup.with(*column);
        cells[*column] = Some(cell(&key[plan.columns[*column].field]));
    }
    let row = Box::new(ListRow { cells, defaults: plan.columns });
    Ok(if is_delete { Decoded::Delete { row, lookup } } else { Decoded::Upsert { row, lookup } })
}

const fn column(name: &'static str) -> ColumnDescriptor {
    ColumnDescriptor {
        field: name,
        column: name,
        message_field: Some(name),
        insert_default: false,
        stores_postgres: true,
        stores_sqlite: true,
    }
}

const fn with_default(name: &'static str) -> ColumnDescriptor {
    ColumnDescriptor { insert_default: true, ..column(name) }
}

const HERE: Location = Location { file: "src/models.rs", line: 1 };

const fn model(
    type_name: &'static str,
    columns: &'static [ColumnDescriptor],
    table: fn() -> TableName,
    options: SyncOptions,
) -> ModelDescriptor {
    ModelDescriptor { type_name, columns, primary_key: &[0], relations: &[], options, table, decode, location: HERE }
}

const fn topic(targets: Targets, reduce: bool) -> ModelTopic {
    ModelTopic {
        dialect: Dialect::Debezium,
        targets,
        options: SyncOptions { reduce: Some(reduce), ..SyncOptions::NONE },
        key_format: PartFormat::Json(to_json::<Json>),
        value_format: PartFormat::Json(to_json::<Json>),
    }
}

/// A database with a topic's tables.
struct Bench {
    // Before the place that it is in.
    database: Database,
    sync: ModelSync,
    place: Place,
}

/// Where a database is, until the test's end.
enum Place {
    #[cfg(feature = "sqlite")]
    Folder(tempfile::TempDir),
    #[cfg(feature = "postgres")]
    Schema(crate::db::scratch::Scratch),
}

impl Bench {
    /// On SQLite, in a temporary folder.
    #[cfg(feature = "sqlite")]
    fn new(topic: &'static ModelTopic, sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let settings = DatabaseSettings {
            synchronous: crate::db::Synchronous::Normal,
            busy_timeout: std::time::Duration::from_millis(1),
            ..DatabaseSettings::new(path.to_str().unwrap())
        };
        Self::open(&settings, Place::Folder(folder), topic, sql)
    }

    /// On PostgreSQL, in a schema of its own; `None` where there is no PostgreSQL.
    #[cfg(feature = "postgres")]
    fn postgres(topic: &'static ModelTopic, sql: &str) -> Option<Self> {
        let schema = crate::db::scratch::Scratch::new()?;
        Some(Self::open(&DatabaseSettings::new(schema.url()), Place::Schema(schema), topic, sql))
    }

    fn open(settings: &DatabaseSettings, place: Place, topic: &'static ModelTopic, sql: &str) -> Self {
        let database = Database::open(settings).unwrap();
        migrations::run(&database, None).unwrap();
        let mut bench = Self { database, sync: ModelSync::new(topic).unwrap(), place };
        bench.execute(sql);
        bench.sync.prepare(&bench.database).unwrap();
        bench
    }

    fn execute(&self, sql: &str) {
        self.database.writer().unwrap().batch_execute(sql).unwrap();
    }

    /// Counts the statements that the writer runs from now on.
    fn count_statements(&self) -> Arc<AtomicUsize> {
        use diesel::connection::InstrumentationEvent;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        self.database.writer().unwrap().set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        count
    }

    /// A query's first column, as text.
    fn rows(&self, sql: &str) -> Vec<String> {
        use diesel::RunQueryDsl;
        #[derive(diesel::QueryableByName)]
        struct Line {
            #[diesel(sql_type = Text)]
            line: String,
        }
        let mut writer = self.database.writer().unwrap();
        let query = diesel::sql_query(sql);
        let lines: Vec<Line> = match &mut *writer {
            #[cfg(feature = "postgres")]
            DbConn::Pg(conn) => query.load(conn).unwrap(),
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(conn) => query.load(conn).unwrap(),
        };
        lines.into_iter().map(|line| line.line).collect()
    }

    fn apply(&self, records: &[Arc<RawRecord>], verdict: Verdict) -> Report {
        self.sync.apply(&self.database, records, &mut ByVerdict(|_, _: &ConsumeError| verdict))
    }

    /// The outcomes where every failure is settled, in short.
    fn outcomes(&self, records: &[Arc<RawRecord>]) -> Vec<String> {
        let report = self.apply(records, Verdict::Settle);
        assert!(report.stop.is_none(), "{:?}", report.stop);
        report.outcomes.iter().map(short).collect()
    }
}

/// A caller that commits nothing of its own, and goes by a function of the message's index and error.
struct ByVerdict<F>(F);

impl<F: FnMut(usize, &ConsumeError) -> Verdict> Caller for ByVerdict<F> {
    fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict {
        (self.0)(index, error)
    }

    fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied => "applied".to_owned(),
        Outcome::Reduced => "reduced".to_owned(),
        Outcome::Superseded(Superseded::By(newer)) => format!("superseded by {newer}"),
        Outcome::Superseded(Superseded::Repeat) => "repeated".to_owned(),
        Outcome::Parked => "parked".to_owned(),
        Outcome::Ignored => "ignored".to_owned(),
        Outcome::Failed(error) => format!("failed: {error}"),
    }
}

/// A message; a null value deletes.
fn record(offset: usize, key: &Value, value: &Value) -> Arc<RawRecord> {
    Arc::new(RawRecord {
        topic: "t".into(),
        partition: 0,
        offset: offset as i64,
        timestamp_ms: None,
        key: Some(key.to_string().into_bytes()),
        value: (!value.is_null()).then(|| value.to_string().into_bytes()),
        headers: Headers::new(),
        ..RawRecord::default()
    })
}

/// Messages with keys `{"id": …}`.
fn records(messages: &[(i64, Value)]) -> Vec<Arc<RawRecord>> {
    messages.iter().enumerate().map(|(offset, (id, value))| record(offset, &json!({ "id": id }), value)).collect()
}
