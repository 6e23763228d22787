//! Texts, numbers, booleans, UUIDs, bytes and JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::str::FromStr;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use uuid::Uuid;

use super::dbz;
use super::decimal::{self, FromDecimal};
use super::encoding::{ByType, DefaultEncoding, Encoding, Presence};
use super::placeholder::{PLACEHOLDER, PLACEHOLDER_MAP, PLACEHOLDER_UUID};
use super::scalar::{Scalar, quoted};
use super::schema::FieldSchema;

/// Reads a text; `None` is the placeholder.
pub(super) fn text<'de, D: Deserializer<'de>>(value: D, expected: &str) -> Result<Option<Cow<'de, str>>, D::Error> {
    match Scalar::read(value)? {
        Scalar::Text(text) if text == PLACEHOLDER => Ok(None),
        Scalar::Text(text) => Ok(Some(text)),
        found => Err(found.wrong(expected)),
    }
}

/// Reads a text and what it says; `parse`'s error is only told by what was expected.
pub(super) fn parsed_text<'de, T, D: Deserializer<'de>>(
    value: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Presence<T>, D::Error> {
    match text(value, expected)? {
        None => Ok(Presence::Unavailable),
        Some(text) => match parse(&text) {
            Some(value) => Ok(Presence::Present(value)),
            None => Err(Scalar::Text(text).wrong(expected)),
        },
    }
}

impl DefaultEncoding for String {
    type Encoding = ByType;
}
impl Encoding<String> for ByType {
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<String>, D::Error> {
        if decimal::is_decimal(schema) {
            return decimal::read_by_schema(value, schema);
        }
        Ok(text(value, "a text")?.map_or(Presence::Unavailable, |text| Presence::Present(text.into_owned())))
    }
}

impl<T: FromStr<Err: fmt::Display>> Encoding<T> for dbz::Text {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        match text(value, "a text")? {
            None => Ok(Presence::Unavailable),
            Some(text) => text
                .parse()
                .map(Presence::Present)
                .map_err(|error| D::Error::custom(format!("the text {} cannot be read: {error}", quoted(&text)))),
        }
    }
}

impl DefaultEncoding for bool {
    type Encoding = ByType;
}
impl Encoding<bool> for ByType {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<bool>, D::Error> {
        match Scalar::read(value)? {
            Scalar::Bool(v) => Ok(Presence::Present(v)),
            found => Err(found.wrong("a boolean (bool)")),
        }
    }
}

macro_rules! integers {
    ($($t:ident),*) => {$(
        impl DefaultEncoding for $t {
            type Encoding = ByType;
        }
        impl Encoding<$t> for ByType {
            fn read<'de, D: Deserializer<'de>>(
                value: D,
                schema: Option<&FieldSchema>,
            ) -> Result<Presence<$t>, D::Error> {
                if decimal::is_decimal(schema) {
                    return decimal::read_by_schema(value, schema);
                }
                let found = Scalar::read(value)?;
                let fits = match &found {
                    Scalar::Int(v) => $t::try_from(*v).ok(),
                    Scalar::UInt(v) => $t::try_from(*v).ok(),
                    _ => None,
                };
                fits.map(Presence::Present).ok_or_else(|| {
                    found.wrong(format_args!(concat!("an integer (", stringify!($t), ", {} to {})"), $t::MIN, $t::MAX))
                })
            }

            fn placeholder_code(value: &$t) -> Option<i64> {
                i64::try_from(*value).ok()
            }
        }
    )*};
}
// Not `u8`: `Vec<u8>` is bytes.
integers!(i8, i16, i32, i64, u16, u32, u64);

macro_rules! floats {
    ($($t:ident),*) => {$(
        impl DefaultEncoding for $t {
            type Encoding = ByType;
        }
        impl Encoding<$t> for ByType {
            fn read<'de, D: Deserializer<'de>>(
                value: D,
                schema: Option<&FieldSchema>,
            ) -> Result<Presence<$t>, D::Error> {
                if decimal::is_decimal(schema) {
                    return decimal::read_by_schema(value, schema);
                }
                Ok(Presence::Present(match Scalar::read(value)? {
                    Scalar::Float(v) => v as $t,
                    Scalar::Int(v) => v as $t,
                    Scalar::UInt(v) => v as $t,
                    // JSON has no numbers for these, so Connect's converter writes them as texts.
                    Scalar::Text(v) if v == "NaN" => $t::NAN,
                    Scalar::Text(v) if v == "Infinity" => $t::INFINITY,
                    Scalar::Text(v) if v == "-Infinity" => $t::NEG_INFINITY,
                    found => return Err(found.wrong(concat!("a number (", stringify!($t), ")"))),
                }))
            }
        }
        impl FromDecimal for $t {
            fn from_decimal(decimal: bigdecimal::BigDecimal) -> Result<Self, String> {
                // By its text, because that rounds correctly.
                decimal.to_string().parse().map_err(|_| format!("the decimal {decimal} is no number"))
            }
        }
    )*};
}
floats!(f32, f64);

impl DefaultEncoding for Uuid {
    type Encoding = ByType;
}
impl Encoding<Uuid> for ByType {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<Uuid>, D::Error> {
        let uuid = parsed_text(value, "a UUID as text", |text| Uuid::try_parse(text).ok())?;
        Ok(if uuid == Presence::Present(PLACEHOLDER_UUID) { Presence::Unavailable } else { uuid })
    }
}

/// Standard base64. Debezium pads; other producers of bytes may not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl DefaultEncoding for Vec<u8> {
    type Encoding = dbz::Base64;
}
impl Encoding<Vec<u8>> for dbz::Base64 {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<Vec<u8>>, D::Error> {
        const EXPECTED: &str = "bytes as base64 text";
        let bytes = match Scalar::read(value)? {
            Scalar::Text(text) if text == PLACEHOLDER => return Ok(Presence::Unavailable),
            Scalar::Text(text) => BASE64.decode(&*text).map_err(|_| Scalar::Text(text).wrong(EXPECTED))?,
            // Formats that have bytes give them as they are.
            Scalar::Bytes(bytes) => bytes.into_owned(),
            found => return Err(found.wrong(EXPECTED)),
        };
        Ok(if bytes == PLACEHOLDER.as_bytes() { Presence::Unavailable } else { Presence::Present(bytes) })
    }
}

impl<T: DeserializeOwned> Encoding<T> for dbz::Json {
    fn read<'de, D: Deserializer<'de>>(value: D, _schema: Option<&FieldSchema>) -> Result<Presence<T>, D::Error> {
        value.deserialize_any(JsonVisitor(PhantomData))
    }
}

/// JSON within a text, or given directly.
struct JsonVisitor<T>(PhantomData<fn() -> T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for JsonVisitor<T> {
    type Value = Presence<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON as text")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == PLACEHOLDER || is_placeholder_map(text) {
            return Ok(Presence::Unavailable);
        }
        serde_json::from_str(text)
            .map(Presence::Present)
            .map_err(|error| E::custom(format!("expected JSON as text, found the text {}: {error}", quoted(text))))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(Scalar::Null.wrong("JSON as text"))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Presence::Present)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(seq)).map(Presence::Present)
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
        T::deserialize(v.into_deserializer()).map(Presence::Present)
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        T::deserialize(v.into_deserializer()).map(Presence::Present)
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        T::deserialize(v.into_deserializer()).map(Presence::Present)
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        T::deserialize(v.into_deserializer()).map(Presence::Present)
    }
}

/// Whether a JSON text is the placeholder's map.
fn is_placeholder_map(text: &str) -> bool {
    // An equal start is rare enough for the second look to cost nothing.
    text.starts_with(PLACEHOLDER_MAP)
        && serde_json::from_str::<BTreeMap<String, String>>(text)
            .is_ok_and(|map| is_placeholder_entry(map.iter().map(|(k, v)| (k.as_str(), v.as_str()))))
}

fn is_placeholder_entry<'a>(mut entries: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    entries.next() == Some((PLACEHOLDER, PLACEHOLDER)) && entries.next().is_none()
}

impl DefaultEncoding for Value {
    type Encoding = ByType;
}
impl Encoding<Value> for ByType {
    fn read<'de, D: Deserializer<'de>>(value: D, schema: Option<&FieldSchema>) -> Result<Presence<Value>, D::Error> {
        Ok(match dbz::Json::read(value, schema)? {
            Presence::Present(Value::Object(map))
                if is_placeholder_entry(map.iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap_or_default()))) =>
            {
                Presence::Unavailable
            }
            read => read,
        })
    }
}

macro_rules! text_maps {
    ($($map:ty $(where $generic:ident: $bound:path)*);*) => {$(
        /// `hstore`: a map of texts, or its JSON as text.
        impl$(<$generic: $bound + Default>)* DefaultEncoding for $map {
            type Encoding = ByType;
        }
        impl$(<$generic: $bound + Default>)* Encoding<$map> for ByType {
            fn read<'de, D: Deserializer<'de>>(
                value: D,
                schema: Option<&FieldSchema>,
            ) -> Result<Presence<$map>, D::Error> {
                let read: Presence<$map> = dbz::Json::read(value, schema)?;
                Ok(match read {
                    Presence::Present(map)
                        if is_placeholder_entry(
                            map.iter().map(|(k, v)| (k.as_str(), v.as_deref().unwrap_or_default())),
                        ) =>
                    {
                        Presence::Unavailable
                    }
                    read => read,
                })
            }
        }
    )*};
}
text_maps!(BTreeMap<String, Option<String>>; HashMap<String, Option<String>, S> where S: BuildHasher);
