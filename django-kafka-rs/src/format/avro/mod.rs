//! `format = avro`: Avro in the wire format of a schema registry's clients.
//!
//! A message names the schema that it was written with by an id; the registry has it. It is read by that schema, and
//! where the topic declares one (`value_schema = "file.avsc"`), as that one says: fields by their names and aliases,
//! defaults for what was not written, numbers widened. Types are read by serde: a date, a time, a timestamp, a decimal
//! or a UUID into chrono's types, `BigDecimal` (its `serde` feature) and `Uuid`, or as the number that stands there.
//!
//! Reading is our own work: no library reads into a model's columns by the meaning that Kafka Connect's `connect.name`
//! gives them, resolves schemas while it deserializes, and believes no length that the message could not hold.

mod compile;
mod cursor;
mod de;
mod framing;
mod json;
mod logical;
mod plain;
mod resolve;
mod row;
mod schema;
mod semantics;
#[cfg(test)]
mod tests;
mod write;

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::cursor::AvroError;
pub(crate) use self::de::Datum;
#[cfg(any(feature = "client", test))]
pub(crate) use self::framing::join;
pub(crate) use self::framing::{names_schema, split, split_part};
pub(crate) use self::json::json;
pub(crate) use self::plain::Plain;
pub(crate) use self::row::Shape;
pub(crate) use self::schema::Schema;
use crate::error::{DecodeError, EncodeError};
use crate::topic::{Decode, Encode, Encoded, PartSchema, Wire};

/// `format = avro`. `S` says the schema that the topic declares.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Avro<S = Undeclared>(PhantomData<fn() -> S>);

/// The schema of a topic's keys or values, as declared.
#[doc(hidden)]
pub trait DeclaredSchema: 'static {
    /// The text of the `.avsc` file; `None` where none was named.
    const TEXT: Option<&'static str>;
}

/// No schema is declared: messages are read as they were written.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Undeclared;

impl DeclaredSchema for Undeclared {
    const TEXT: Option<&'static str> = None;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned, S: DeclaredSchema> Decode<T> for Avro<S> {
    const WIRE: Wire = Wire::Avro(S::TEXT);

    fn decode(_bytes: &[u8]) -> Result<T, DecodeError> {
        Err(DecodeError::new("Avro is read with a schema from a registry: only messages of a running consumer are"))
    }

    fn decode_with(bytes: &[u8], schema: &PartSchema) -> Result<T, DecodeError> {
        let schema = schema.get()?;
        let (_, avro) = split(bytes)?;
        Datum::new(schema, avro).read().map_err(|error| DecodeError::caused_by(error.to_string(), error))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized, S: DeclaredSchema> Encode<T> for Avro<S> {
    fn encode(_value: &T) -> Result<Vec<u8>, EncodeError> {
        Err(EncodeError::new("Avro is written with a schema from a registry: produce it with a `Context` or `Kafka`"))
    }

    fn encode_later(value: &T) -> Result<Encoded, EncodeError> {
        let plain =
            Plain::of(value).map_err(|e| EncodeError::caused_by(format!("cannot be written as Avro: {e}"), e))?;
        Ok(Encoded::avro(plain, S::TEXT))
    }
}
