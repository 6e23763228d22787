//! Choices that generated code makes by a field's type, on stable Rust: by method lookup, which tries the receiver
//! as it is before it borrows once more. Each works for concrete types only, which is what generated code has.
//!
//! In each pair the preferred trait is implemented for the wrapper, the fallback for a reference to it; the call is
//! `(&wrapper).method()`, with both traits in scope. Where there are three, they are implemented for `&wrapper`,
//! `&&wrapper` and `wrapper` in the order of preference, and the call is `(&&wrapper).method()`: method lookup first
//! takes the receiver as it is, then borrows it once more, and only then dereferences it.

use std::borrow::Cow;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Deserializer};

use super::model::{ModelTopic, PartFormat, to_json};
use super::relation::{IdValue, RelationId};
use crate::error::{ConsumeError, DecodeError};
use crate::format::debezium::{DefaultEncoding, Encoding, FieldSchema, Opt, Presence, SaysHow, Serde};
use crate::topic::{Bytes, Decode, Json, Text, Topic, Wire};

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

/// Stands for a topic's format beside a mistake in its declaration, so that nothing else is reported: it takes any
/// type, and is never called.
#[derive(Debug)]
pub struct AnyFormat;

impl<T> crate::topic::Decode<T> for AnyFormat {
    fn decode(_bytes: &[u8]) -> Result<T, crate::error::DecodeError> {
        Err(crate::error::DecodeError::new("the topic's declaration did not compile"))
    }
}

impl<T: ?Sized> crate::topic::Encode<T> for AnyFormat {
    fn encode(_value: &T) -> Result<Vec<u8>, crate::error::EncodeError> {
        Err(crate::error::EncodeError::caused_by("the topic's declaration did not compile", "it has no format"))
    }
}

/// A topic's own value, where its type can be made from nothing: `(&DefaultOf::<T>::new()).make()`.
#[derive(Debug)]
pub struct DefaultOf<T>(PhantomData<fn() -> T>);

impl<T> DefaultOf<T> {
    /// The question.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// First: the type has `Default`.
pub trait MakeDefault {
    /// The type.
    type Made;
    /// Its default.
    fn make(&self) -> Option<Self::Made>;
}
impl<T: Default> MakeDefault for DefaultOf<T> {
    type Made = T;
    fn make(&self) -> Option<T> {
        Some(T::default())
    }
}

/// Second: it has not.
pub trait MakeNothing {
    /// The type.
    type Made;
    /// None: the builder has to give the value.
    fn make(&self) -> Option<Self::Made>;
}
impl<T> MakeNothing for &DefaultOf<T> {
    type Made = T;
    fn make(&self) -> Option<T> {
        None
    }
}

/// `<IsModel<T>>::YES`, with [`NoModel`] in scope: whether `T` is a model that messages can write.
#[derive(Debug)]
pub struct IsModel<T>(PhantomData<fn() -> T>);

impl<T: super::SyncModel> IsModel<T> {
    /// It is.
    pub const YES: bool = true;
}

/// It is not.
pub trait NoModel {
    /// It is not.
    const YES: bool = false;
}
impl<T> NoModel for T {}

/// `<ModelTopicOf<T>>::TOPIC`, with [`NoModelTopic`] in scope: the models of a topic, where `T` is one of models.
#[derive(Debug)]
pub struct ModelTopicOf<T>(PhantomData<fn() -> T>);

impl<T: super::ModelTopicConsumer> ModelTopicOf<T> {
    /// Its models.
    pub const TOPIC: Option<&'static ModelTopic> = Some(&T::MODEL_TOPIC);
}

/// It is none.
pub trait NoModelTopic {
    /// None.
    const TOPIC: Option<&'static ModelTopic> = None;
}
impl<T> NoModelTopic for T {}

/// What a topic has where nothing is written: of a model if `MODEL`, else of a topic with its own handler.
#[derive(Debug)]
pub struct TopicKind<const MODEL: bool>;

/// Types that a topic has where none are written.
pub trait TopicDefaults {
    /// Of keys and values.
    type Payload: Send + 'static;
    /// Of their formats.
    type Format: Send + Sync + 'static;
}
impl TopicDefaults for TopicKind<true> {
    type Payload = serde_json::Value;
    type Format = crate::topic::Json;
}
impl TopicDefaults for TopicKind<false> {
    type Payload = String;
    type Format = crate::topic::Text;
}

/// A value as a part of a row's identity: `(&HashOf(&value)).feed(state)`.
#[derive(Debug)]
pub struct HashOf<'a, T>(pub &'a T);

/// First: the type has `Hash + Eq`.
pub trait HashFeed {
    /// Feeds; true.
    fn feed(&self, state: &mut dyn Hasher) -> bool;
    /// Whether both are equal.
    fn same(&self, other: &Self) -> bool;
}
impl<T: Hash + Eq> HashFeed for HashOf<'_, T> {
    fn feed(&self, mut state: &mut dyn Hasher) -> bool {
        self.0.hash(&mut state);
        true
    }
    fn same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Second: it has not, and is never found equal.
pub trait HashNone {
    /// False.
    fn feed(&self, _state: &mut dyn Hasher) -> bool {
        false
    }
    /// False.
    fn same<O>(&self, _other: &O) -> bool {
        false
    }
}
impl<T> HashNone for &HashOf<'_, T> {}

/// A value as a relation names it: `(&IdOf(&value)).id_value()`.
#[derive(Debug)]
pub struct IdOf<'a, T>(pub &'a T);

/// First: the type can identify a row.
pub trait IdFeed {
    /// Its text, or null.
    fn id_value(&self) -> IdValue;
}
impl<T: RelationId> IdFeed for IdOf<'_, T> {
    fn id_value(&self) -> IdValue {
        self.0.relation_id().map_or(IdValue::Null, IdValue::Value)
    }
}

/// Second: it cannot.
pub trait IdNone {
    /// Unknown.
    fn id_value(&self) -> IdValue {
        IdValue::Unknown
    }
}
impl<T> IdNone for &IdOf<'_, T> {}

/// States that a relation's column can identify a row.
pub const fn assert_relation_id<T: RelationId>() {}

/// A topic's formats, where it is a topic: `<FormatsOf<T>>::KEY.reader()`. With [`FormatsOfNone`] in scope a struct
/// that is none has JSON's, so that the missing `#[topic]` is one error: that of `ConsumedTopic`.
#[derive(Debug)]
pub struct FormatsOf<T>(PhantomData<fn() -> T>);

impl<T: Topic> FormatsOf<T> {
    /// The key's.
    pub const KEY: KeyFormatOf<T::KeyFormat> = KeyFormatOf(PhantomData);
    /// The value's.
    pub const VALUE: FormatOf<T::ValueFormat> = FormatOf(PhantomData);
}

/// It is no topic.
pub trait FormatsOfNone {
    /// JSON.
    const KEY: KeyFormatOf<Json> = KeyFormatOf(PhantomData);
    /// JSON.
    const VALUE: FormatOf<Json> = FormatOf(PhantomData);
}
impl<T> FormatsOfNone for T {}

/// A format of keys.
#[derive(Debug)]
pub struct KeyFormatOf<F>(PhantomData<fn() -> F>);

impl<F> KeyFormatOf<F> {
    /// How its bytes are read.
    #[must_use]
    pub const fn reader(&self) -> PartFormat
    where
        F: ModelKeyFormat,
    {
        F::READER
    }
}

/// A format of values.
#[derive(Debug)]
pub struct FormatOf<F>(PhantomData<fn() -> F>);

impl<F> FormatOf<F> {
    /// How its bytes are read.
    #[must_use]
    pub const fn reader(&self) -> PartFormat
    where
        F: ModelFormat,
    {
        reader::<F>()
    }
}

/// Avro as it stands, any other format by way of JSON.
const fn reader<F: Decode<serde_json::Value> + 'static>() -> PartFormat {
    match <F as Decode<serde_json::Value>>::WIRE {
        Wire::Avro(schema) => PartFormat::Avro(schema),
        Wire::Own | Wire::Detected => PartFormat::Json(to_json::<F>),
    }
}

/// A format that models are read from.
#[diagnostic::on_unimplemented(
    message = "a model cannot be read from messages in the format `{Self}`",
    label = "its topic's format gives no JSON values",
    note = "models are read from `format = json`, the default, from `format = avro`, or from a type of yours that implements \
            `Decode<serde_json::Value>`: `format = path::To`; keys that are plain text are understood too"
)]
pub trait ModelFormat: Decode<serde_json::Value> + 'static {}
#[diagnostic::do_not_recommend]
impl<F: Decode<serde_json::Value> + 'static> ModelFormat for F {}

/// A format that models' keys are read from: also text and bytes, which are read as JSON's are, because a key of plain
/// text is understood anyway.
#[diagnostic::on_unimplemented(
    message = "a model's keys cannot be read in the format `{Self}`",
    label = "its topic's key format gives no JSON values",
    note = "keys are read from `json`, the default, from `avro`, from `string`, from `bytes` that hold one of them, or from a type \
            of yours that implements `Decode<serde_json::Value>`: `key_format = path::To`"
)]
pub trait ModelKeyFormat: 'static {
    /// How its bytes are read.
    const READER: PartFormat;
}
#[diagnostic::do_not_recommend]
impl<F: Decode<serde_json::Value> + 'static> ModelKeyFormat for F {
    const READER: PartFormat = reader::<F>();
}
#[diagnostic::do_not_recommend]
impl ModelKeyFormat for Text {
    const READER: PartFormat = PartFormat::Json(as_they_are);
}
#[diagnostic::do_not_recommend]
impl ModelKeyFormat for Bytes {
    const READER: PartFormat = PartFormat::Json(as_they_are);
}

#[expect(clippy::unnecessary_wraps, reason = "the form of all formats")]
fn as_they_are(bytes: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    Ok(Cow::Borrowed(bytes))
}

#[cfg(feature = "postgres")]
mod postgres;
mod reproduce;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use self::postgres::{
    ArrayPostgres, ArrayPostgresNone, BindPostgres, BindPostgresNone, PostgresArrayBind, PostgresBind, PostgresName,
    StoresPostgres, StoresPostgresNot, no_column,
};
pub use self::reproduce::{
    Columns, IdBySerde, IdByType, KeyColumns, Loadable, OwnedId, ReadId, key_parts, plain_table_name,
};
#[cfg(feature = "postgres")]
pub use self::reproduce::{LoadByPostgres, LoadByPostgresNot, LoadPostgres};
#[cfg(feature = "sqlite")]
pub use self::reproduce::{LoadBySqlite, LoadBySqliteNot, LoadSqlite};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{BindSqlite, BindSqliteNone, SqliteBind, SqliteName, StoresSqlite, StoresSqliteNot};

/// A table whose name this build needs not know for PostgreSQL: any.
#[cfg(not(feature = "postgres"))]
pub trait PostgresName {}
#[cfg(not(feature = "postgres"))]
impl<T> PostgresName for T {}

/// A table whose name this build needs not know for SQLite: any.
#[cfg(not(feature = "sqlite"))]
pub trait SqliteName {}
#[cfg(not(feature = "sqlite"))]
impl<T> SqliteName for T {}

/// States at the field's span that its type can be stored in its column.
pub const fn assert_column<T: ColumnValue<ST>, ST>() {}

/// `T` can be written to a column of SQL type `ST`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be written to a column of type `{ST}`",
    label = "does not fit the column's type in `table!`",
    note = "change the field's type or the column's; `#[sync(skip)]` leaves the field out of the sync"
)]
pub trait ColumnValue<ST> {}
#[diagnostic::do_not_recommend]
impl<T: diesel::expression::AsExpression<ST>, ST: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>
    ColumnValue<ST> for T
{
}

/// As [`assert_column`], for a type that is written `Option<…>`. Diesel takes any `Option` for a nullable column and
/// only looks at what is in it when a query is made.
pub const fn assert_nullable_column<T: OptionColumnValue<ST>, ST>() {}

/// `T`, an `Option`, can be written to a column of SQL type `ST`.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be written to a column of type `{ST}`",
    label = "does not fit the column's type in `table!`",
    note = "an `Option` is for `Nullable` columns: change the field's type or the column's; `#[sync(skip)]` leaves the \
            field out of the sync"
)]
pub trait OptionColumnValue<ST> {}
#[diagnostic::do_not_recommend]
impl<T: ColumnValue<ST>, ST> OptionColumnValue<diesel::sql_types::Nullable<ST>> for Option<T> {}

/// States that a lookup field can identify a row.
pub const fn assert_lookup<T: LookupValue>() {}

/// A type that can identify a row.
#[diagnostic::on_unimplemented(
    message = "a row cannot be looked up by `{Self}`",
    label = "needs `Hash + Eq`",
    note = "a lookup compares values for equality: derive `Hash` and `Eq` on the type, or look up by another field"
)]
pub trait LookupValue {}
#[diagnostic::do_not_recommend]
impl<T: Hash + Eq> LookupValue for T {}

#[cfg(test)]
#[expect(clippy::needless_borrow, reason = "written as generated code has it: for other types the borrow decides")]
mod tests {
    use super::{EncodingBySerde as _, Marker};
    use super::{EncodingByType as _, EncodingOf, EncodingOfNone as _, HashFeed as _, HashNone as _, HashOf};

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

    #[test]
    fn floats_are_never_a_rows_identity() {
        assert!((&HashOf(&1_i64)).same(&HashOf(&1)));
        assert!(!(&HashOf(&1.0_f64)).same(&HashOf(&1.0)));
    }
}
