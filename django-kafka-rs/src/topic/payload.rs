//! Keys and values as `produce` takes them: a `T`, a `&T`, or text for a `String`.

use super::{Encode, Encoded};
use crate::error::EncodeError;

/// Something that can be written as a `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what the topic's keys or values are: a `{T}`",
    note = "give a `{T}`, a reference to one, or a `&str` where the type is `String`"
)]
pub trait Payload<T> {
    /// Writes it in the format `F`.
    ///
    /// # Errors
    /// The value has no form in this format.
    #[doc(hidden)]
    fn encode_as<F: Encode<T>>(&self) -> Result<Encoded, EncodeError>;
}

impl<T> Payload<T> for T {
    fn encode_as<F: Encode<T>>(&self) -> Result<Encoded, EncodeError> {
        F::encode_later(self)
    }
}

impl<T> Payload<T> for &T {
    fn encode_as<F: Encode<T>>(&self) -> Result<Encoded, EncodeError> {
        F::encode_later(self)
    }
}

impl Payload<String> for &str {
    fn encode_as<F: Encode<String>>(&self) -> Result<Encoded, EncodeError> {
        F::encode_later(&(*self).to_owned())
    }
}
