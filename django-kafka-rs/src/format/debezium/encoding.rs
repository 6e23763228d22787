//! How a value is read: the traits, and the encodings that are made of others.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::placeholder::{self, PLACEHOLDER};
use super::scalar::Scalar;
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

impl<T> Presence<T> {
    /// The same of another type.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Presence<U> {
        match self {
            Self::Unavailable => Presence::Unavailable,
            Self::Present(value) => Presence::Present(f(value)),
        }
    }
}

/// Reads a `T` as Debezium writes it. Null is an error but for [`Opt`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not read `{T}`",
    note = "the encodings and their types: `dbz::Date`, `dbz::IsoDate` for `NaiveDate`; `dbz::MicroTimestamp`, \
            `dbz::Timestamp`, `dbz::NanoTimestamp`, `dbz::ZonedTimestamp`, `dbz::IsoTimestamp` for `NaiveDateTime` and \
            `DateTime<Utc>`; `dbz::MicroTime`, `dbz::Time`, `dbz::NanoTime`, `dbz::IsoTime` for `NaiveTime`; \
            `dbz::Decimal(scale)`, `dbz::DecimalText`, `dbz::FromSchema` for `BigDecimal`, `String`, `f64` and \
            integers; `dbz::Base64` for `Vec<u8>`; `dbz::Json` and `dbz::AsIs` for types with `Deserialize`; \
            `dbz::Text` for types with `FromStr`"
)]
pub trait Encoding<T> {
    /// Reads.
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error>;

    /// What the value would be among the characters of the placeholder: Debezium spells it in arrays of integers.
    #[doc(hidden)]
    fn placeholder_code(_value: &T) -> Option<i64> {
        None
    }
}

/// The encoding where the type decides it.
#[doc(hidden)]
pub trait DefaultEncoding: Sized {
    /// Which.
    type Encoding: Encoding<Self>;
}

/// The type's default, or what the message's own schema says of the field.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByType;

impl<T: DefaultEncoding> DefaultEncoding for Option<T> {
    type Encoding = Opt<T::Encoding>;
}

impl<T: DefaultEncoding> DefaultEncoding for Vec<T> {
    type Encoding = Seq<T::Encoding>;
}

/// Null or `E`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Opt<E>(PhantomData<E>);

impl<T, E: Encoding<T>> Encoding<Option<T>> for Opt<E> {
    fn read<'de, D: Deserializer<'de>>(
        value: D,
        schema: Option<&FieldSchema>,
    ) -> Result<Presence<Option<T>>, D::Error> {
        value.deserialize_option(OptVisitor::<T, E> { schema, encoding: PhantomData })
    }

    fn placeholder_code(value: &Option<T>) -> Option<i64> {
        value.as_ref().and_then(E::placeholder_code)
    }
}

struct OptVisitor<'s, T, E> {
    schema: Option<&'s FieldSchema>,
    encoding: PhantomData<fn(E) -> T>,
}

impl<'de, T, E: Encoding<T>> Visitor<'de> for OptVisitor<'_, T, E> {
    type Value = Presence<Option<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }
    fn visit_none<X>(self) -> Result<Self::Value, X> {
        Ok(Presence::Present(None))
    }
    fn visit_unit<X>(self) -> Result<Self::Value, X> {
        Ok(Presence::Present(None))
    }
    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        Ok(E::read(value, self.schema)?.map(Some))
    }
}

/// An array of `E`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Seq<E>(PhantomData<E>);

impl<T, E: Encoding<T>> Encoding<Vec<T>> for Seq<E> {
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<Vec<T>>, D::Error> {
        let items = schema.and_then(|s| s.items.as_deref());
        value.deserialize_any(SeqVisitor::<T, E>(Element { schema: items, encoding: PhantomData }))
    }
}

struct Element<'s, T, E> {
    schema: Option<&'s FieldSchema>,
    encoding: PhantomData<fn(E) -> T>,
}

impl<T, E> Clone for Element<'_, T, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, E> Copy for Element<'_, T, E> {}

impl<'de, T, E: Encoding<T>> DeserializeSeed<'de> for Element<'_, T, E> {
    type Value = Presence<T>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        E::read(value, self.schema)
    }
}

struct SeqVisitor<'s, T, E>(Element<'s, T, E>);

impl<'de, T, E: Encoding<T>> Visitor<'de> for SeqVisitor<'_, T, E> {
    type Value = Presence<Vec<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<X: Error>(self) -> Result<Self::Value, X> {
        Err(Scalar::Null.wrong("an array"))
    }

    fn visit_str<X: Error>(self, v: &str) -> Result<Self::Value, X> {
        if v == PLACEHOLDER { Ok(Presence::Unavailable) } else { Err(Scalar::Text(v.into()).wrong("an array")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        let mut placeholders = 0_usize;
        while let Some(element) = seq.next_element_seed(self.0)? {
            match element {
                Presence::Present(item) => items.push(item),
                Presence::Unavailable => placeholders += 1,
            }
        }
        match (placeholders, items.is_empty()) {
            (0, _) if placeholder::is_spelled(items.iter().map(E::placeholder_code)) => Ok(Presence::Unavailable),
            (0, _) => Ok(Presence::Present(items)),
            (1, true) => Ok(Presence::Unavailable),
            _ => Err(A::Error::custom(format!(
                "the array has `{PLACEHOLDER}` beside other elements, so it is neither a value nor Debezium's placeholder"
            ))),
        }
    }
}

/// The type's own `Deserialize`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Serde;

impl<T: for<'a> Deserialize<'a>> Encoding<T> for Serde {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        placeholder::read_or_unavailable(value)
    }
}
