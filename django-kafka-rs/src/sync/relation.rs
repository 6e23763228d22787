//! The rows that a message refers to.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::model::{ModelDescriptor, SyncModel, push_fields};
use crate::const_text::{Text, equal};

/// A value that identifies a row of another model, as text: what `relation(…)` and [`ModelRelation::new`] take.
///
/// The text is what the database reads as the column's type. Two values are the same row where their texts are equal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot name the row of a relation",
    label = "a relation's value is an integer, a `String`, a `Uuid`, bytes, or an `Option` of one",
    note = "implement `django_kafka_rs::sync::RelationId` for a type of your own"
)]
pub trait RelationId {
    /// The text; `None` is null: no relation.
    fn relation_id(&self) -> Option<String>;
}

macro_rules! by_display {
    ($($ty:ty),*) => {
        $(#[diagnostic::do_not_recommend]
        impl RelationId for $ty {
            fn relation_id(&self) -> Option<String> {
                Some(self.to_string())
            }
        })*
    };
}
by_display!(i8, i16, i32, i64, i128, u8, u16, u32, u64, usize, isize, str, String, uuid::Uuid);
by_display!(chrono::NaiveDate, chrono::NaiveDateTime);

#[diagnostic::do_not_recommend]
impl RelationId for Vec<u8> {
    /// PostgreSQL's hexadecimal form.
    fn relation_id(&self) -> Option<String> {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(2 + self.len() * 2);
        text.push_str("\\x");
        for byte in self {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Some(text)
    }
}

#[diagnostic::do_not_recommend]
impl RelationId for Cow<'_, str> {
    fn relation_id(&self) -> Option<String> {
        Some(self.to_string())
    }
}

#[diagnostic::do_not_recommend]
impl<T: RelationId> RelationId for Option<T> {
    fn relation_id(&self) -> Option<String> {
        self.as_ref().and_then(RelationId::relation_id)
    }
}

#[diagnostic::do_not_recommend]
impl<T: RelationId + ?Sized> RelationId for &T {
    fn relation_id(&self) -> Option<String> {
        (**self).relation_id()
    }
}

#[diagnostic::do_not_recommend]
impl RelationId for serde_json::Value {
    fn relation_id(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// A row that a message refers to: it has to be there before the message can be handled.
///
/// ```
/// # use django_kafka_rs::prelude::*;
/// # diesel::table! { customers (id) { id -> BigInt, } }
/// # #[derive(SyncModel)]
/// # #[diesel(table_name = customers)]
/// # struct Customer { id: i64 }
/// #[derive(serde::Deserialize)]
/// struct Row { customer_id: Option<i64> }
///
/// fn relations(cx: &SyncContext<'_>) -> Result<Vec<ModelRelation>, ConsumeError> {
///     let row: Row = cx.value()?;
///     Ok(vec![ModelRelation::new::<Customer>("id", row.customer_id)])
/// }
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct ModelRelation {
    model: &'static ModelDescriptor,
    field: Cow<'static, str>,
    value: Option<String>,
}

impl ModelRelation {
    /// The row of `M` whose `field` (a field of the struct) has this value. A null value is no relation.
    #[must_use]
    pub fn new<M: SyncModel>(field: impl Into<Cow<'static, str>>, value: impl RelationId) -> Self {
        Self { model: const { &M::DESCRIPTOR }, field: field.into(), value: value.relation_id() }
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &'static str {
        self.model.type_name
    }

    /// The model's field.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The value as text; `None`: no relation.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    pub(crate) fn descriptor(&self) -> &'static ModelDescriptor {
        self.model
    }

    pub(crate) fn of(model: &'static ModelDescriptor, field: &'static str, value: String) -> Self {
        Self { model, field: Cow::Borrowed(field), value: Some(value) }
    }
}

impl PartialEq for ModelRelation {
    fn eq(&self, other: &Self) -> bool {
        let identity = |model: &ModelDescriptor| (model.type_name, model.location);
        self.value == other.value && self.field == other.field && identity(self.model) == identity(other.model)
    }
}

impl Eq for ModelRelation {}

impl Hash for ModelRelation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Models are few.
        self.value.hash(state);
        self.field.hash(state);
    }
}

impl fmt::Debug for ModelRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} = {})", self.model.type_name, self.field, self.value.as_deref().unwrap_or("null"))
    }
}

/// A column that refers to a row of a model. Written by the derives.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct RelationDescriptor {
    /// Index of the column that refers.
    pub column: usize,
    /// The model that is referred to. A function, because a model may refer to itself.
    pub model: fn() -> &'static ModelDescriptor,
    /// Its field; `None`: its primary key.
    pub field: Option<&'static str>,
}

impl RelationDescriptor {
    /// Index of the column that is referred to. The derive's checks have found it.
    pub(crate) fn target(&self) -> Option<usize> {
        let model = (self.model)();
        match self.field {
            Some(field) => model.columns.iter().position(|column| column.field == field),
            None => model.primary_key.first().copied(),
        }
    }
}

/// A column's value as a relation names it.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdValue {
    /// The row does not have the column.
    Absent,
    /// No relation.
    Null,
    /// The text.
    Value(String),
    /// The column's type identifies no rows.
    Unknown,
}

/// States where `relation(Model)` or `belongs_to(Model)` stands that one column is the model's primary key.
///
/// # Panics
/// It has several: in constants, a compile error at the model's name.
#[doc(hidden)]
#[track_caller]
pub const fn check_relation(model: &ModelDescriptor) {
    // A model that does not compile has none, and its own error.
    if model.primary_key.len() < 2 {
        return;
    }
    let mut text = Text::new();
    text.push("a relation names one column, and the primary key of `");
    text.push(model.type_name);
    text.push("` has several (");
    let mut i = 0;
    while i < model.primary_key.len() {
        text.push(if i == 0 { "`" } else { ", `" });
        text.push(model.columns[model.primary_key[i]].field);
        text.push("`");
        i += 1;
    }
    text.push(")\n= help: name one that is unique: `#[sync(relation(");
    text.push(model.type_name);
    text.push(", field = …))]`");
    panic!("{}", text.as_str());
}

/// States where `relation(Model, field = name)` stands that the model has the field.
///
/// # Panics
/// It has not: in constants, a compile error at the field's name.
#[doc(hidden)]
#[track_caller]
pub const fn check_relation_field(model: &ModelDescriptor, field: &str) {
    let mut i = 0;
    while i < model.columns.len() {
        if equal(model.columns[i].field, field) {
            return;
        }
        i += 1;
    }
    if model.columns.is_empty() {
        return;
    }
    let mut text = Text::new();
    text.push("`");
    text.push(model.type_name);
    text.push("` has no field `");
    text.push(field);
    text.push("` with a column that a sync writes; it has");
    push_fields(&mut text, model);
    panic!("{}", text.as_str());
}
