//! How a value is read.

use serde::de::{Deserialize, Deserializer};

use super::schema::FieldSchema;

/// A value, or Debezium's placeholder of a value that it did not have (an unchanged TOAST column).
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence<T> {
    /// The placeholder.
    Unavailable,
    /// A value.
    Present(T),
}

/// Reads a `T` as Debezium writes it. Null is an error but for [`Opt`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read a `{T}`",
    note = "the encodings and their types: `dbz::Date` for `NaiveDate`; `dbz::MicroTimestamp`, `dbz::Timestamp`, \
            `dbz::NanoTimestamp` for `NaiveDateTime`; `dbz::ZonedTimestamp` for `DateTime<Utc>`; `dbz::MicroTime`, \
            `dbz::Time`, `dbz::NanoTime` for `NaiveTime`; `dbz::Decimal(scale)`, `dbz::DecimalText`, `dbz::FromSchema` \
            for `BigDecimal`, `String` and `f64`"
)]
pub trait Encoding<T> {
    /// Reads.
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error>;
}

/// The encoding where the type decides it.
#[doc(hidden)]
pub trait DefaultEncoding: Sized {
    /// Which.
    type Encoding: Encoding<Self>;
}

/// Null or `E`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opt<E>(std::marker::PhantomData<E>);

/// An array of `E`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Seq<E>(std::marker::PhantomData<E>);

/// The type's own `Deserialize`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Serde;

impl<T: for<'a> Deserialize<'a>> Encoding<T> for Serde {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        T::deserialize(value).map(Presence::Present)
    }
}

impl Encoding<chrono::NaiveDate> for super::dbz::Date {
    fn read<'de, D: Deserializer<'de>>(
        value: D,
        _schema: Option<&FieldSchema>,
    ) -> Result<Presence<chrono::NaiveDate>, D::Error> {
        let days = i32::deserialize(value)?;
        chrono::NaiveDate::from_epoch_days(days)
            .map(Presence::Present)
            .ok_or_else(|| serde::de::Error::custom("out of range"))
    }
}
impl DefaultEncoding for chrono::NaiveDate {
    type Encoding = super::dbz::Date;
}
