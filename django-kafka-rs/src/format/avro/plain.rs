//! A value as its type serializes it, before a schema says how it is written: which schema that is, may be for the
//! registry to say.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple};

/// Values within each other at most, as when reading.
const DEPTH_MAX: u8 = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plain {
    Null,
    Boolean(bool),
    Int(i128),
    Float(f64),
    Text(Cow<'static, str>),
    Bytes(Vec<u8>),
    Items(Vec<Plain>),
    /// A struct's fields, or a map's entries, in their order.
    Fields(Vec<(Cow<'static, str>, Plain)>),
    /// A variant with content.
    Variant(&'static str, Box<Plain>),
}

impl Plain {
    /// What a value serializes to.
    ///
    /// # Errors
    /// Its own `Serialize` fails, a map has keys that are no texts, or it is nested too deep.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, PlainError> {
        value.serialize(Writer { depth: 0 })
    }

    /// For errors: `the text "abc"`, `a struct or map`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(v) => v.to_string(),
            Self::Int(v) => format!("the integer {v}"),
            Self::Float(v) => format!("the number {v:?}"),
            Self::Text(v) => format!("the text {}", crate::format::debezium::quoted(v)),
            Self::Bytes(v) => format!("{} bytes", v.len()),
            Self::Items(_) => "a sequence".to_owned(),
            Self::Fields(_) => "a struct or map".to_owned(),
            Self::Variant(name, _) => format!("the variant `{name}`"),
        }
    }
}

/// A default as a schema has it.
impl From<&serde_json::Value> for Plain {
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value;
        match json {
            Value::Null => Self::Null,
            Value::Bool(v) => Self::Boolean(*v),
            Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(v), _) => Self::Int(v.into()),
                (None, Some(v)) => Self::Int(v.into()),
                (None, None) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(v) => Self::Text(v.clone().into()),
            Value::Array(items) => Self::Items(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Fields(fields.iter().map(|(name, value)| (name.clone().into(), Self::from(value))).collect())
            }
        }
    }
}

/// Why a value has no such form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainError(String);

impl std::fmt::Display for PlainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlainError {}

impl ser::Error for PlainError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

#[derive(Clone, Copy)]
struct Writer {
    depth: u8,
}

impl Writer {
    fn deeper(self) -> Result<Self, PlainError> {
        if self.depth >= DEPTH_MAX {
            return Err(PlainError(format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

macro_rules! integers {
    ($($method:ident $t:ty),*) => {$(
        fn $method(self, v: $t) -> Result<Plain, PlainError> {
            Ok(Plain::Int(v.into()))
        }
    )*};
}

impl ser::Serializer for Writer {
    type Ok = Plain;
    type Error = PlainError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64
    }

    fn serialize_u128(self, v: u128) -> Result<Plain, PlainError> {
        v.try_into().map(Plain::Int).map_err(|_| PlainError(format!("the integer {v} is out of Avro's range")))
    }
    fn serialize_bool(self, v: bool) -> Result<Plain, PlainError> {
        Ok(Plain::Boolean(v))
    }
    fn serialize_f32(self, v: f32) -> Result<Plain, PlainError> {
        Ok(Plain::Float(v.into()))
    }
    fn serialize_f64(self, v: f64) -> Result<Plain, PlainError> {
        Ok(Plain::Float(v))
    }
    fn serialize_char(self, v: char) -> Result<Plain, PlainError> {
        Ok(Plain::Text(v.to_string().into()))
    }
    fn serialize_str(self, v: &str) -> Result<Plain, PlainError> {
        Ok(Plain::Text(v.to_owned().into()))
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<Plain, PlainError> {
        Ok(Plain::Bytes(v.to_owned()))
    }
    fn serialize_none(self) -> Result<Plain, PlainError> {
        Ok(Plain::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Plain, PlainError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Plain, PlainError> {
        Ok(Plain::Null)
    }
    fn serialize_unit_struct(self, _name: &'static str) -> Result<Plain, PlainError> {
        Ok(Plain::Null)
    }
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Plain, PlainError> {
        Ok(Plain::Text(variant.into()))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Plain, PlainError> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Plain, PlainError> {
        Ok(Plain::Variant(variant, Box::new(value.serialize(self.deeper()?)?)))
    }
    fn serialize_seq(self, _len: Option<usize>) -> Result<Items, PlainError> {
        Ok(Items { writer: self.deeper()?, items: Vec::new(), variant: None })
    }
    fn serialize_tuple(self, _len: usize) -> Result<Items, PlainError> {
        self.serialize_seq(None)
    }
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Items, PlainError> {
        self.serialize_seq(None)
    }
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Items, PlainError> {
        Ok(Items { variant: Some(variant), ..self.serialize_seq(None)? })
    }
    fn serialize_map(self, _len: Option<usize>) -> Result<Entries, PlainError> {
        Ok(Entries { writer: self.deeper()?, fields: Vec::new(), key: None, variant: None })
    }
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Entries, PlainError> {
        self.serialize_map(None)
    }
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Entries, PlainError> {
        Ok(Entries { variant: Some(variant), ..self.serialize_map(None)? })
    }
}

fn of_variant(variant: Option<&'static str>, content: Plain) -> Plain {
    match variant {
        Some(name) => Plain::Variant(name, Box::new(content)),
        None => content,
    }
}

struct Items {
    writer: Writer,
    items: Vec<Plain>,
    variant: Option<&'static str>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PlainError> {
        self.items.push(value.serialize(self.writer)?);
        Ok(())
    }

    fn finish(self) -> Plain {
        of_variant(self.variant, Plain::Items(self.items))
    }
}

macro_rules! sequences {
    ($($name:ident $method:ident),*) => {$(
        impl $name for Items {
            type Ok = Plain;
            type Error = PlainError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PlainError> {
                self.push(value)
            }
            fn end(self) -> Result<Plain, PlainError> {
                Ok(self.finish())
            }
        }
    )*};
}
use serde::ser::{SerializeTupleStruct, SerializeTupleVariant};
sequences! {
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field
}

struct Entries {
    writer: Writer,
    fields: Vec<(Cow<'static, str>, Plain)>,
    key: Option<Cow<'static, str>>,
    variant: Option<&'static str>,
}

impl Entries {
    fn push<T: Serialize + ?Sized>(&mut self, name: Cow<'static, str>, value: &T) -> Result<(), PlainError> {
        self.fields.push((name, value.serialize(self.writer)?));
        Ok(())
    }

    fn finish(self) -> Plain {
        of_variant(self.variant, Plain::Fields(self.fields))
    }
}

impl SerializeMap for Entries {
    type Ok = Plain;
    type Error = PlainError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), PlainError> {
        self.key = Some(match key.serialize(self.writer)? {
            Plain::Text(text) => text,
            Plain::Int(v) => v.to_string().into(),
            other => return Err(PlainError(format!("a map's keys are texts, found {}", other.describe()))),
        });
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), PlainError> {
        let key = self.key.take().ok_or_else(|| PlainError("a value was written before its key".to_owned()))?;
        self.push(key, value)
    }
    fn end(self) -> Result<Plain, PlainError> {
        Ok(self.finish())
    }
}

macro_rules! structs {
    ($($name:ident),*) => {$(
        impl $name for Entries {
            type Ok = Plain;
            type Error = PlainError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), PlainError> {
                self.push(name.into(), value)
            }
            fn end(self) -> Result<Plain, PlainError> {
                Ok(self.finish())
            }
        }
    )*};
}
structs! { SerializeStruct, SerializeStructVariant }
