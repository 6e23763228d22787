//! Of topics: whether they are of models, what they have where nothing is written, and how their formats are read.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::error::DecodeError;
use crate::sync::model::{ModelTopic, PartFormat, to_json};
use crate::topic::{Bytes, Decode, Json, Text, Topic, Wire};

/// Stands for a topic's format beside a mistake in its declaration, so that nothing else is reported: it takes any
/// type, and is never called.
#[derive(Debug)]
pub struct AnyFormat;

impl<T> Decode<T> for AnyFormat {
    fn decode(_bytes: &[u8]) -> Result<T, DecodeError> {
        Err(DecodeError::new("the topic's declaration did not compile"))
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

impl<T: crate::sync::SyncModel> IsModel<T> {
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

impl<T: crate::sync::ModelTopicConsumer> ModelTopicOf<T> {
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
    type Format = Json;
}
impl TopicDefaults for TopicKind<false> {
    type Payload = String;
    type Format = Text;
}

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
