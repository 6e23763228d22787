//! Formats: how keys and values become bytes and back. Two traits, so that a type which is only consumed needs
//! no `Serialize`. A format of your own is a type that implements one or both and stands in `format = path::To`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::wire::{Encoded, PartSchema, Wire};
use crate::error::{DecodeError, EncodeError};

/// Reads a `T` from bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read `{T}`",
    note = "`format = json` reads types that derive `serde::Deserialize`, `string` reads `String`, `bytes` reads \
            `Vec<u8>`; for anything else name a type that implements `Decode<{T}>`: `format = path::To`"
)]
pub trait Decode<T> {
    /// Reads.
    ///
    /// # Errors
    /// The bytes are not of this format, or not of this type.
    fn decode(bytes: &[u8]) -> Result<T, DecodeError>;

    /// What stands before the bytes.
    #[doc(hidden)]
    const WIRE: Wire = Wire::Own;

    /// Reads, with the schema that the bytes name.
    #[doc(hidden)]
    fn decode_with(bytes: &[u8], schema: &PartSchema) -> Result<T, DecodeError> {
        let _ = schema;
        Self::decode(bytes)
    }
}

/// Writes a `T` to bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot write `{T}`",
    note = "`format = json` writes types that derive `serde::Serialize`, `string` writes `String`, `bytes` writes \
            `Vec<u8>`; for anything else name a type that implements `Encode<{T}>`: `format = path::To`"
)]
pub trait Encode<T: ?Sized> {
    /// Writes.
    ///
    /// # Errors
    /// The value has no form in this format.
    fn encode(value: &T) -> Result<Vec<u8>, EncodeError>;

    /// Writes as far as that goes before a registry is asked.
    #[doc(hidden)]
    fn encode_later(value: &T) -> Result<Encoded, EncodeError> {
        Self::encode(value).map(Encoded::bytes)
    }
}

/// UTF-8 text: `format = string`.
#[derive(Debug, Clone, Copy)]
pub struct Text;

/// The bytes as they are: `format = bytes`.
#[derive(Debug, Clone, Copy)]
pub struct Bytes;

/// JSON through serde: `format = json`.
#[derive(Debug, Clone, Copy)]
pub struct Json;

#[diagnostic::do_not_recommend]
impl Decode<String> for Text {
    fn decode(bytes: &[u8]) -> Result<String, DecodeError> {
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|e| DecodeError::caused_by(format!("expected UTF-8 text: {e}"), e))
    }
}

#[diagnostic::do_not_recommend]
impl Encode<String> for Text {
    fn encode(value: &String) -> Result<Vec<u8>, EncodeError> {
        Ok(value.clone().into_bytes())
    }
}

#[diagnostic::do_not_recommend]
impl Decode<Vec<u8>> for Bytes {
    fn decode(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        Ok(bytes.to_vec())
    }
}

#[diagnostic::do_not_recommend]
impl Encode<Vec<u8>> for Bytes {
    fn encode(value: &Vec<u8>) -> Result<Vec<u8>, EncodeError> {
        Ok(value.clone())
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Decode<T> for Json {
    fn decode(bytes: &[u8]) -> Result<T, DecodeError> {
        serde_json::from_slice(bytes).map_err(|e| DecodeError::caused_by(format!("expected JSON: {e}"), e))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Encode<T> for Json {
    fn encode(value: &T) -> Result<Vec<u8>, EncodeError> {
        serde_json::to_vec(value).map_err(|e| EncodeError::caused_by(format!("cannot be written as JSON: {e}"), e))
    }
}
