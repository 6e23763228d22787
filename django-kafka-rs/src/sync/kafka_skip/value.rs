//! The column's value.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Bool;

use diesel::backend::Backend;

use crate::producer::Suppression;

/// The type of a model's field `kafka_skip`, for a column `kafka_skip BOOLEAN NOT NULL DEFAULT FALSE`.
///
/// What was loaded says how the row was written last, and is not written back: the value goes out as false, unless it
/// was set since, or all topics are [suppressed](crate::producer::suppress_all).
///
/// ```
/// # use django_kafka_rs::prelude::KafkaSkip;
/// let mut skip = KafkaSkip::default();
/// assert!(!skip.goes_out());
/// skip.set(true); // this one write is nobody's business
/// assert!(skip.goes_out());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Bool)]
pub struct KafkaSkip {
    value: bool,
    is_set: bool,
}

impl KafkaSkip {
    /// A value that was set.
    #[must_use]
    pub const fn new(skip: bool) -> Self {
        Self { value: skip, is_set: true }
    }

    /// Sets it for the next write.
    pub const fn set(&mut self, skip: bool) {
        *self = Self::new(skip);
    }

    /// Whether it was set since it was loaded.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.is_set
    }

    /// What was set, or else loaded.
    #[must_use]
    pub const fn get(self) -> bool {
        self.value
    }

    /// What would be written here and now.
    #[must_use]
    pub fn goes_out(self) -> bool {
        if self.is_set { self.value || suppressed() } else { suppressed() }
    }

    /// Takes the mark back: it counted for one write.
    pub(super) fn written(&mut self) {
        *self = Self { value: self.goes_out(), is_set: false };
    }
}

/// Whether what is written now is to be marked.
pub(super) fn suppressed() -> bool {
    Suppression::current().is_all()
}

impl From<bool> for KafkaSkip {
    /// A value that was set.
    fn from(skip: bool) -> Self {
        Self::new(skip)
    }
}

impl From<KafkaSkip> for bool {
    fn from(skip: KafkaSkip) -> Self {
        skip.value
    }
}

impl PartialEq<bool> for KafkaSkip {
    fn eq(&self, other: &bool) -> bool {
        self.value == *other
    }
}

impl<DB: Backend> FromSql<Bool, DB> for KafkaSkip
where
    bool: FromSql<Bool, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self { value: bool::from_sql(bytes)?, is_set: false })
    }
}

impl<DB: Backend> ToSql<Bool, DB> for KafkaSkip
where
    bool: ToSql<Bool, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        let value: &'static bool = if self.goes_out() { &true } else { &false };
        value.to_sql(out)
    }
}

/// Of a message that says so itself; syncs ignore it.
impl<'de> serde::Deserialize<'de> for KafkaSkip {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = bool::deserialize(deserializer)?;
        Ok(Self { value, is_set: false })
    }
}

/// As what was set, or else loaded.
impl serde::Serialize for KafkaSkip {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}
