//! What the derives implement for a model, and what the runtime sees of it: descriptors and object-safe rows.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::hash::Hasher;

use serde::Deserializer;

use super::context::{Applied, SyncContext};
use super::lookup::Lookup;
use super::relation::{IdValue, ModelRelation, RelationDescriptor};
use crate::const_text::{Text, equal};
use crate::db::DbConn;
use crate::error::{ConsumeError, DecodeError, TransformError};
use crate::format::FieldSchema;
use crate::topic::{Decode, Json, Location};

/// A set of a model's columns by their index. Diesel's tables end at 128 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ColumnSet(u128);

impl ColumnSet {
    /// No column.
    pub const EMPTY: Self = Self(0);
    /// The most columns a model can have.
    pub const CAPACITY: usize = 128;

    /// The first `n` columns.
    #[must_use]
    pub const fn first(n: usize) -> Self {
        if n >= Self::CAPACITY { Self(u128::MAX) } else { Self((1 << n) - 1) }
    }

    /// Exactly these columns.
    #[must_use]
    pub const fn of(columns: &[usize]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < columns.len() {
            bits |= 1 << columns[i];
            i += 1;
        }
        Self(bits)
    }

    /// This set with one column more.
    #[must_use]
    pub const fn with(self, column: usize) -> Self {
        Self(self.0 | (1 << column))
    }

    /// Whether the column is in it.
    #[must_use]
    pub const fn contains(self, column: usize) -> bool {
        self.0 & (1 << column) != 0
    }

    /// Whether every column of `other` is in it.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The columns of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The columns of this one that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many columns.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The columns, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> + Clone {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            (bits != 0).then(|| {
                let column = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                column
            })
        })
    }
}

/// A Diesel model whose rows messages can write. Written by `#[derive(SyncModel)]`, `#[derive(DbzConsumer)]` and
/// `#[derive(ModelTopicConsumer)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in step with a topic",
    label = "not a model that messages can write",
    note = "derive `SyncModel` on `{Self}` (or `DbzConsumer` or `ModelTopicConsumer`, if it has a topic of its own)"
)]
pub trait SyncModel: Sized + Send + Sync + 'static {
    /// Diesel's table.
    type Table: diesel::Table;
    /// What a message says of a row: a value for each column that it names.
    #[doc(hidden)]
    type Patch: Patch;
    /// What the runtime knows of the model.
    #[doc(hidden)]
    const DESCRIPTOR: ModelDescriptor;
}

/// Marks what `ModelTopicConsumer` or `DbzConsumer` was derived on.
///
/// All of these are `ConsumedTopic`s too. It is no supertrait, so that a forgotten `#[topic]` is one error.
pub trait ModelTopicConsumer: Sized + 'static {
    /// The topic's models and how its messages are read.
    #[doc(hidden)]
    const MODEL_TOPIC: ModelTopic;
}

/// A model for the runtime. All constants; the derive writes it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct ModelDescriptor {
    /// The Rust type's name.
    pub type_name: &'static str,
    /// The columns, in the order of the fields that have one (`skip` has none).
    pub columns: &'static [ColumnDescriptor],
    /// Indices of the primary key's columns.
    pub primary_key: &'static [usize],
    /// The rows that a row refers to: `relations(auto)`, and the fields' `relation(…)`.
    pub relations: &'static [RelationDescriptor],
    /// The container's `#[sync(…)]`.
    pub options: SyncOptions,
    /// The table's name as SQL for the backend, quoted and with its schema: `fn table_name::<Table>()`.
    pub table: fn() -> TableName,
    /// Reads one message with this model's patch: `decode::decode_message::<Patch>`.
    pub decode: super::decode::DecodeFn,
    /// Where.
    pub location: Location,
}

/// A table's names.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct TableName {
    /// For messages: as in `table!`.
    pub plain: &'static str,
    /// Quoted for PostgreSQL.
    #[cfg(feature = "postgres")]
    pub postgres: String,
    /// Quoted for SQLite.
    #[cfg(feature = "sqlite")]
    pub sqlite: String,
}

/// The names of a table.
#[doc(hidden)]
#[expect(clippy::needless_pass_by_value, reason = "a table is a unit struct, and generated code has it as a value")]
pub fn table_name<T: super::probe::PostgresName + super::probe::SqliteName>(
    plain: &'static str,
    table: T,
) -> TableName {
    let _ = &table;
    TableName {
        plain,
        #[cfg(feature = "postgres")]
        postgres: table.postgres_name(),
        #[cfg(feature = "sqlite")]
        sqlite: table.sqlite_name(),
    }
}

/// One column of a model.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct ColumnDescriptor {
    /// The struct's field.
    pub field: &'static str,
    /// The column's SQL name: `<columns::x as diesel::Column>::NAME`.
    pub column: &'static str,
    /// The message's field it is read from; `None` where `compute` makes it, or `default` alone.
    pub message_field: Option<&'static str>,
    /// `default`: missing in the message → `Default::default()`, on insert only.
    pub insert_default: bool,
    /// Whether PostgreSQL can store it: `stores_postgres!`.
    pub stores_postgres: bool,
    /// Whether SQLite can store it: `stores_sqlite!`.
    pub stores_sqlite: bool,
}

/// States where a unit topic names it that `lookup(field)` is a field which the model reads from messages.
///
/// # Panics
/// It is not: in constants, a compile error at the field's name.
#[doc(hidden)]
#[track_caller]
pub const fn check_lookup_field(model: &ModelDescriptor, field: &str) {
    let mut text = Text::new();
    let mut i = 0;
    while i < model.columns.len() {
        let column = &model.columns[i];
        if equal(column.field, field) {
            if column.message_field.is_some() {
                return;
            }
            text.push("rows are found by `");
            text.push(field);
            text.push(
                "`, which the model reads from no field of the message\n= help: look up by another field: `lookup(…)`; or find \
                 the row by a function: `lookup_with = path`",
            );
            panic!("{}", text.as_str());
        }
        i += 1;
    }
    text.push("`");
    text.push(model.type_name);
    text.push("` has no field `");
    text.push(field);
    text.push("` that messages write; it has");
    push_fields(&mut text, model);
    panic!("{}", text.as_str());
}

/// All fields of a model, as a mistaken name's message lists them.
pub(super) const fn push_fields(text: &mut Text, model: &ModelDescriptor) {
    let mut i = 0;
    while i < model.columns.len() {
        text.push(if i == 0 { " `" } else { ", `" });
        text.push(model.columns[i].field);
        text.push("`");
        i += 1;
    }
}

/// States where a topic names its values' schema that the schema has each field which the topic's models read.
///
/// # Panics
/// It has not: in constants, a compile error at the file's name.
#[doc(hidden)]
#[track_caller]
pub const fn check_schema_fields(topic: Option<&ModelTopic>, file: &str, fields: &[&str]) {
    match topic {
        None => {}
        Some(ModelTopic { targets: Targets::One(model), .. }) => check_fields_of(model, file, fields),
        Some(ModelTopic { targets: Targets::Reroute(models), .. }) => {
            let mut i = 0;
            while i < models.len() {
                check_fields_of(models[i].1, file, fields);
                i += 1;
            }
        }
    }
}

/// States at a decimal's type that the topic's values say its scale.
///
/// # Panics
/// They do not: in constants, a compile error at the type.
#[doc(hidden)]
#[track_caller]
pub const fn check_scale(values: PartFormat, ty: &str) {
    if let PartFormat::Avro(_) = values {
        return;
    }
    let mut text = Text::new();
    text.push("a message in JSON does not carry the scale of a `");
    text.push(ty);
    text.push(
        "`, so how to read it must be said\n= help: write `#[sync(as = dbz::Decimal(2))]` with the column's scale for Debezium's \
         default (`decimal.handling.mode=precise`), `#[sync(as = dbz::DecimalText)]` for `string`, or \
         `#[sync(as = dbz::FromSchema)]` where messages carry their schema",
    );
    panic!("{}", text.as_str());
}

#[track_caller]
const fn check_fields_of(model: &ModelDescriptor, file: &str, fields: &[&str]) {
    let mut i = 0;
    while i < model.columns.len() {
        if let Some(read) = model.columns[i].message_field
            && !contains(fields, read)
        {
            let mut text = Text::new();
            text.push("`");
            text.push(model.type_name);
            text.push("` reads the message field `");
            text.push(read);
            text.push("`, which `");
            text.push(file);
            text.push("` does not have; it has");
            let mut i = 0;
            while i < fields.len() {
                text.push(if i == 0 { " `" } else { ", `" });
                text.push(fields[i]);
                text.push("`");
                i += 1;
            }
            panic!("{}", text.as_str());
        }
        i += 1;
    }
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < names.len() {
        if equal(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

/// The function of `lookup_with`, its lookup without its type.
#[doc(hidden)]
pub type LookupWith = fn(&SyncContext<'_>) -> Result<ErasedLookup, ConsumeError>;
/// The function of `is_deletion`.
#[doc(hidden)]
pub type IsDeletion = fn(&SyncContext<'_>) -> Result<bool, ConsumeError>;
/// The function of `relations_with`.
#[doc(hidden)]
pub type RelationsWith = fn(&SyncContext<'_>) -> Result<Vec<ModelRelation>, ConsumeError>;
/// The function of `after`.
#[doc(hidden)]
pub type After = fn(&SyncContext<'_>, Applied, &mut DbConn) -> Result<(), ConsumeError>;

/// The container's `#[sync(…)]`, of a model or of a unit topic. `None` and empty: not said.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct SyncOptions {
    /// `exclude(…)`: message fields that never reach the row.
    pub exclude: &'static [&'static str],
    /// `lookup(…)`.
    pub lookup: Option<&'static [LookupField]>,
    /// `lookup_with`: sets the lookup columns in an empty patch.
    pub lookup_with: Option<LookupWith>,
    /// `is_deletion`.
    pub is_deletion: Option<IsDeletion>,
    /// `deleted_field`.
    pub deleted_field: Option<&'static str>,
    /// `relations_with`.
    pub relations_with: Option<RelationsWith>,
    /// `after`.
    pub after: Option<After>,
    /// `envelope`.
    pub envelope: Option<Envelope>,
    /// `reduce(off)` makes it `Some(false)`.
    pub reduce: Option<bool>,
    /// `guard(off)` makes it `Some(false)`.
    pub guard: Option<bool>,
}

impl SyncOptions {
    /// Nothing said.
    pub const NONE: Self = Self {
        exclude: &[],
        lookup: None,
        lookup_with: None,
        is_deletion: None,
        deleted_field: None,
        relations_with: None,
        after: None,
        envelope: None,
        reduce: None,
        guard: None,
    };
}

/// A lookup made by `lookup_with`: a patch with the lookup's columns set.
#[doc(hidden)]
pub struct ErasedLookup {
    /// A `<M as SyncModel>::Patch`.
    pub patch: Box<dyn Row>,
    /// Which columns.
    pub columns: ColumnSet,
}

impl std::fmt::Debug for ErasedLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErasedLookup").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl<M: SyncModel> From<Lookup<M>> for ErasedLookup {
    fn from(lookup: Lookup<M>) -> Self {
        lookup.erase()
    }
}

/// One entry of `lookup(…)`.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct LookupField {
    /// The model's field.
    pub field: &'static str,
    /// `field = key`: the whole key is its value.
    pub whole_key: bool,
}

/// `envelope = auto|flat|full`.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// Each message is looked at.
    Auto,
    /// A row, never an envelope.
    Flat,
    /// Debezium's envelope: `before`, `after`, `op`, `source`.
    Full,
}

/// Whose conventions a model topic's messages follow.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `ModelTopicConsumer`: a null value is a deletion.
    Plain,
    /// `DbzConsumer`: `__deleted`, envelopes, rerouted keys, unavailable values too.
    Debezium,
}

/// A model topic for the runtime.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct ModelTopic {
    /// Whose conventions.
    pub dialect: Dialect,
    /// Which models.
    pub targets: Targets,
    /// The unit topic's own `#[sync(…)]`; `NONE` where the topic is the model.
    pub options: SyncOptions,
    /// How keys are read.
    pub key_format: PartFormat,
    /// How values are read.
    pub value_format: PartFormat,
}

/// How keys or values are read into models.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum PartFormat {
    /// By way of JSON text.
    Json(ToJson),
    /// From Avro as it stands, by the schema that the topic declares where it does.
    Avro(Option<&'static str>),
}

/// How a format's bytes become the JSON text that models are read from.
#[doc(hidden)]
pub type ToJson = for<'a> fn(&'a [u8]) -> Result<Cow<'a, [u8]>, DecodeError>;

/// JSON as it is; any other format through its `Decode<serde_json::Value>`.
#[doc(hidden)]
pub fn to_json<F: Decode<serde_json::Value> + 'static>(bytes: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    if TypeId::of::<F>() == TypeId::of::<Json>() {
        return Ok(Cow::Borrowed(bytes));
    }
    let value = F::decode(bytes)?;
    serde_json::to_vec(&value).map(Cow::Owned).map_err(|e| DecodeError::caused_by(e.to_string(), e))
}

/// A topic's models.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Targets {
    /// One.
    One(&'static ModelDescriptor),
    /// By the key's `__dbz__physicalTableIdentifier`.
    Reroute(&'static [(&'static str, &'static ModelDescriptor)]),
}

/// A typed patch: `Option<field's type>` for each column. Written by the derives.
#[doc(hidden)]
pub trait Patch: Row + Default + Sized {
    /// The columns that read this message field; none: the field is not the model's.
    fn columns_of(message_field: &str) -> &'static [usize];

    /// Reads a column's value, with its encoding and its `with` function.
    ///
    /// Leaves the column absent where the value is Debezium's placeholder of an unavailable one.
    fn read<'de, D: Deserializer<'de>>(
        &mut self,
        column: usize,
        value: D,
        schema: Option<&FieldSchema>,
    ) -> Result<(), D::Error>;

    /// Takes a column's value out of `from`, where it is there.
    fn adopt(&mut self, column: usize, from: &mut Self);

    /// The error of a `with` function that made the last [`read`](Self::read) fail.
    fn take_error(&mut self) -> Option<TransformError>;

    /// Fills the columns that `compute` makes.
    fn compute(&mut self, cx: &SyncContext<'_>) -> Result<(), ConsumeError>;
}

/// A column's values in many rows, as one parameter.
#[doc(hidden)]
#[cfg(feature = "postgres")]
pub type PostgresArray<'b> = Box<dyn diesel::query_builder::QueryFragment<diesel::pg::Pg> + 'b>;

/// A row to write, behind a pointer. Written by the derives.
#[doc(hidden)]
pub trait Row: Any + Send + Sync {
    /// The columns that have a value.
    fn present(&self) -> ColumnSet;

    /// Fills the `default` columns that are absent; called before an insert only.
    fn fill_insert_defaults(&mut self);

    /// Feeds a column's value to the hasher; `false` where it is absent or its type has no `Hash + Eq`.
    fn hash_column(&self, column: usize, state: &mut dyn Hasher) -> bool;

    /// Whether both have the column and it is equal. `other` is of the same type.
    fn eq_column(&self, column: usize, other: &dyn Row) -> bool;

    /// A column's value as a relation names it.
    fn id_value(&self, column: usize) -> IdValue;

    /// Takes these columns from the row of an earlier message. `earlier` is of the same type.
    fn take_from(&mut self, columns: ColumnSet, earlier: &mut dyn Row);

    /// Binds a column's value; NULL where it is absent.
    #[cfg(feature = "postgres")]
    fn bind_postgres<'b>(
        &'b self,
        column: usize,
        out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
    ) -> diesel::QueryResult<()>;

    /// A column's values in all these rows, as one parameter: an array. `rows` are of this type, and each has the
    /// column.
    ///
    /// # Errors
    /// They are not, or PostgreSQL cannot store the column.
    #[cfg(feature = "postgres")]
    fn postgres_array<'b>(&self, column: usize, rows: &'b [&'b dyn Row]) -> diesel::QueryResult<PostgresArray<'b>>;

    /// Binds a column's value; NULL where it is absent.
    #[cfg(feature = "sqlite")]
    fn bind_sqlite<'b>(
        &'b self,
        column: usize,
        out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
    ) -> diesel::QueryResult<()>;

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;

    /// For downcasts.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
