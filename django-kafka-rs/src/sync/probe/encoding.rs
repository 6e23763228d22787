//! How a field is read: by its type, by what the user named, or by a function of the user's.

use std::cell::Cell;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer};

use crate::error::ConsumeError;
use crate::format::debezium::{DefaultEncoding, Encoding, FieldSchema, Opt, Presence, SaysHow, Serde};

/// How a type is read: `(&&EncodingOf::<T>::new()).encoding()` gives a marker `E: Encoding<T>`.
#[derive(Debug)]
pub struct EncodingOf<T>(PhantomData<fn() -> T>);

impl<T> EncodingOf<T> {
    /// The question.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// Stands for the encoding of `T` in an argument.
#[derive(Debug)]
pub struct Marker<E>(PhantomData<fn() -> E>);

/// First: the type decides its encoding.
pub trait EncodingByType {
    /// Which.
    type Found;
    /// The marker. The bound tells a type whose encoding has to be named from one that nothing reads.
    fn encoding(&self) -> Marker<Self::Found>
    where
        Self::Found: SaysHow,
    {
        Marker(PhantomData)
    }
}
impl<T: DefaultEncoding> EncodingByType for &EncodingOf<T> {
    type Found = T::Encoding;
}

/// Second: the type's own `Deserialize`.
pub trait EncodingBySerde {
    /// The marker.
    fn encoding(&self) -> Marker<Serde> {
        Marker(PhantomData)
    }
}
impl<T: DeserializeOwned> EncodingBySerde for &&EncodingOf<T> {}

/// Neither.
#[derive(Debug)]
pub struct Unreadable;
/// Last: no way to read it, said by [`Readable`]'s message.
pub trait EncodingOfNone {
    /// The marker.
    fn encoding(&self) -> Marker<Unreadable> {
        Marker(PhantomData)
    }
}
impl<T> EncodingOfNone for EncodingOf<T> {}

/// `E` reads `T`: the bound that generated code states, with a message for the user.
#[diagnostic::on_unimplemented(
    message = "a message's value cannot be read as `{T}`",
    label = "no way to read this type from a message",
    note = "derive `serde::Deserialize` on it, read it through a function with `#[sync(with = path)]`, or leave it out \
            with `#[sync(skip)]`"
)]
pub trait Readable<T>: Sized {
    /// Reads.
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error>;
}
#[diagnostic::do_not_recommend]
impl<T, E: Encoding<T>> Readable<T> for E {
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        <E as Encoding<T>>::read(value, schema)
    }
}

/// Reads a field's value; `None` where it is unavailable.
pub fn read<'de, T, E: Readable<T>, D: Deserializer<'de>>(
    _encoding: &Marker<E>,
    value: D,
    schema: Option<&FieldSchema>,
) -> Result<Option<T>, D::Error> {
    crate::sync::decode::read_present::<T, E, D>(value, schema)
}

/// Reads a field's value by the encoding that the user named (`as = dbz::Date`); `None` where it is unavailable.
pub fn read_named<'de, T, E: Encoding<T>, D: Deserializer<'de>>(
    value: D,
    schema: Option<&FieldSchema>,
) -> Result<Option<T>, D::Error> {
    crate::sync::decode::read_present::<T, E, D>(value, schema)
}

/// The encoding that the user named for the argument of a `with` function: `(&transform.input()).named::<E>()`.
/// First: the argument is an `Option`, and null is `None`.
pub trait NamedForOption {
    /// The marker.
    fn named<E>(&self) -> Marker<Opt<E>> {
        Marker(PhantomData)
    }
}
impl<T> NamedForOption for EncodingOf<Option<T>> {}

/// Second: any other argument.
pub trait NamedForValue {
    /// The marker.
    fn named<E>(&self) -> Marker<E> {
        Marker(PhantomData)
    }
}
impl<T> NamedForValue for &EncodingOf<T> {}

/// A `with` function: its argument's type is the type that the message's field is read into.
#[derive(Debug)]
pub struct Transform<F, T, R>(F, fn(&F, T) -> R);

/// Takes a `with = path`.
pub fn transform<F: Fn(T) -> R, T, R>(function: F) -> Transform<F, T, R> {
    Transform(function, |function, argument| function(argument))
}

// Without bounds here: a function of another shape is then one error, where `transform` takes it.
impl<F, T, R> Transform<F, T, R> {
    /// The question how the argument is read.
    pub fn input(&self) -> EncodingOf<T> {
        EncodingOf(PhantomData)
    }

    /// Reads the argument and calls the function; `None` where the value is unavailable.
    pub fn read<'de, E: Readable<T>, D: Deserializer<'de>>(
        &self,
        encoding: &Marker<E>,
        value: D,
        schema: Option<&FieldSchema>,
    ) -> Result<Option<Output<R>>, D::Error> {
        Ok(read(encoding, value, schema)?.map(|argument| output((self.1)(&self.0, argument))))
    }

    /// The same by the encoding that the user named (`as = dbz::Date`).
    pub fn read_named<'de, E: Encoding<T>, D: Deserializer<'de>>(
        &self,
        _encoding: &Marker<E>,
        value: D,
        schema: Option<&FieldSchema>,
    ) -> Result<Option<Output<R>>, D::Error> {
        Ok(read_named::<T, E, D>(value, schema)?.map(|argument| output((self.1)(&self.0, argument))))
    }
}

/// States that what a `with` or `compute` function returned is of the field's type.
pub fn given<T, U: Gives<T>>(value: U) -> T {
    value.given()
}

/// `Self` is the type `T`: a bound in place of a mismatch, for its message.
#[diagnostic::on_unimplemented(
    message = "the function gives `{Self}`, and the field is `{T}`",
    label = "does not give the field's type",
    note = "a function returns the field's type, or a `Result` of it whose error converts into `ConsumeError`, as any \
            error does"
)]
pub trait Gives<T> {
    /// Itself.
    fn given(self) -> T;
}
#[diagnostic::do_not_recommend]
impl<T> Gives<T> for T {
    fn given(self) -> T {
        self
    }
}

/// What a `with` or `compute` function returned: a value, or a `Result` of one.
/// `(&output).finish()` gives `Result<U, ConsumeError>` for both.
#[expect(missing_debug_implementations, reason = "its value has none in general, and only generated code sees it")]
pub struct Output<R>(Cell<Option<R>>);

/// Wraps what a function returned.
pub fn output<R>(returned: R) -> Output<R> {
    Output(Cell::new(Some(returned)))
}

impl<R> Output<R> {
    #[expect(clippy::expect_used, reason = "generated code calls `finish` once on each output")]
    fn take(&self) -> R {
        self.0.take().expect("an output is finished once")
    }
}

/// First: a `Result`.
pub trait FinishResult {
    /// The value's type.
    type Value;
    /// The value, or why not.
    fn finish(&self) -> Result<Self::Value, ConsumeError>;
}
impl<U, E: Into<ConsumeError>> FinishResult for Output<Result<U, E>> {
    type Value = U;
    fn finish(&self) -> Result<U, ConsumeError> {
        self.take().map_err(Into::into)
    }
}

/// Second: a value.
pub trait FinishValue {
    /// The value's type.
    type Value;
    /// The value.
    fn finish(&self) -> Result<Self::Value, ConsumeError>;
}
impl<U> FinishValue for &Output<U> {
    type Value = U;
    fn finish(&self) -> Result<U, ConsumeError> {
        Ok(self.take())
    }
}

#[cfg(test)]
#[expect(clippy::needless_borrow, reason = "written as generated code has it: for other types the borrow decides")]
mod tests {
    use super::{EncodingBySerde as _, EncodingByType as _, EncodingOf, EncodingOfNone as _, Marker};

    fn chosen<E>(_: &Marker<E>) -> &'static str {
        std::any::type_name::<E>().rsplit("::").next().unwrap_or_default()
    }

    #[test]
    fn a_types_own_encoding_goes_before_its_deserialize() {
        // `NaiveDate` has both: its encoding is not serde's.
        let by_type = chosen(&(&&EncodingOf::<chrono::NaiveDate>::new()).encoding());
        assert_ne!(by_type, "Serde");
        assert_eq!(chosen(&(&&EncodingOf::<std::net::IpAddr>::new()).encoding()), "Serde");
        assert_eq!(chosen(&(&&EncodingOf::<std::thread::Thread>::new()).encoding()), "Unreadable");
    }
}
