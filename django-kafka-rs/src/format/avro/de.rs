//! serde's side: a value in Avro as a `Deserializer`, driven by its schema.
//!
//! A type that asks for a text where the schema has a date, a time, a timestamp, a decimal or a UUID gets it as text,
//! so that chrono's types, `Uuid` and `BigDecimal` read themselves. Whoever does not say what it wants gets numbers as
//! they stand there, but decimals as text: their bytes mean nothing without the scale.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::cursor::{AvroError, Cursor, deeper};
use super::logical;
use super::schema::{Kind, Logical, NodeId, Primitive, Promotion, Record, Schema};

/// The name by which a decimal's encoding asks for a value as it stands (`serde_json`'s `RawValue`; see
/// `format::debezium::decimal`): here its bytes, because the encoding knows the scale.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A value in Avro: of a whole message, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datum<'m> {
    pub(super) schema: &'m Schema,
    pub(super) node: NodeId,
    pub(super) bytes: &'m [u8],
}

impl<'m> Datum<'m> {
    /// A message's value.
    pub(crate) fn new(schema: &'m Schema, bytes: &'m [u8]) -> Self {
        Self { schema, node: schema.root(), bytes }
    }

    /// Reads it as a `T`.
    ///
    /// # Errors
    /// The bytes are not what the schema says, or not a `T`; or more bytes follow.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, AvroError> {
        self.read_with(|decoder| T::deserialize(decoder))
    }

    /// Reads it whole by this function.
    ///
    /// # Errors
    /// The function's, or more bytes follow.
    pub(crate) fn read_with<T>(
        self,
        read: impl FnOnce(Decoder<'_, 'm>) -> Result<T, AvroError>,
    ) -> Result<T, AvroError> {
        let mut cursor = Cursor::new(self.bytes);
        let value = read(Decoder::new(self.schema, self.node, &mut cursor))?;
        end(&cursor)?;
        Ok(value)
    }
}

/// Nothing follows a value.
pub(super) fn end(cursor: &Cursor<'_>) -> Result<(), AvroError> {
    match cursor.rest().len() {
        0 => Ok(()),
        n => Err(AvroError::new(format_args!(
            "the message goes on after the value (bytes left: {n}): it was not written with the schema that it names"
        ))),
    }
}

/// Reads one value at the cursor.
#[derive(Debug)]
pub(crate) struct Decoder<'a, 'de> {
    pub(super) schema: &'de Schema,
    pub(super) node: NodeId,
    pub(super) cursor: &'a mut Cursor<'de>,
    pub(super) depth: u8,
}

impl<'a, 'de> Decoder<'a, 'de> {
    pub(super) fn new(schema: &'de Schema, node: NodeId, cursor: &'a mut Cursor<'de>) -> Self {
        Self { schema, node, cursor, depth: 0 }
    }

    fn kind(&self) -> &'de Kind {
        &self.schema.node(self.node).kind
    }

    fn logical(&self) -> Option<Logical> {
        self.schema.node(self.node).logical
    }

    /// The branch of a union that was written; any other value is its own.
    fn branch(self) -> Result<Self, AvroError> {
        match self.kind() {
            Kind::Union(branches) => {
                let node = branches[self.cursor.index(branches.len(), "branch")?];
                Ok(Self { node, depth: deeper(self.depth)?, ..self })
            }
            _ => Ok(self),
        }
    }

    fn items<V: Visitor<'de>>(self, items: NodeId, visitor: V) -> Result<V::Value, AvroError> {
        let mut blocks = Blocks::new(self, items)?;
        let value = visitor.visit_seq(&mut blocks)?;
        blocks.finish(false)?;
        Ok(value)
    }

    fn entries<V: Visitor<'de>>(self, values: NodeId, visitor: V) -> Result<V::Value, AvroError> {
        let mut blocks = Blocks::new(self, values)?;
        let value = visitor.visit_map(&mut blocks)?;
        blocks.finish(true)?;
        Ok(value)
    }

    fn fields<V: Visitor<'de>>(self, record: &'de Record, visitor: V) -> Result<V::Value, AvroError> {
        let mut fields = Fields { depth: deeper(self.depth)?, record, next: 0, decoder: self };
        let value = visitor.visit_map(&mut fields)?;
        fields.finish()?;
        Ok(value)
    }

    /// The bytes of a value that is made of bytes.
    fn raw(&mut self) -> Result<Option<&'de [u8]>, AvroError> {
        match self.kind() {
            Kind::Bytes | Kind::Text | Kind::Promoted(Primitive::Bytes | Primitive::Text, _) => {
                self.cursor.bytes().map(Some)
            }
            Kind::Fixed(size) => self.cursor.take(*size).map(Some),
            _ => Ok(None),
        }
    }

    /// A decimal, where the value is one.
    fn decimal(&mut self) -> Result<Option<bigdecimal::BigDecimal>, AvroError> {
        let Some(Logical::Decimal { scale }) = self.logical() else { return Ok(None) };
        let Some(bytes) = self.raw()? else { return Ok(None) };
        logical::decimal(bytes, scale).map(Some).map_err(AvroError::new)
    }
}

macro_rules! numbers {
    ($($method:ident $parse:ty => $visit:ident),*) => {$(
        /// Decimals are numbers for who asks for one.
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, AvroError> {
            match self.decimal()? {
                Some(decimal) => {
                    let text = decimal.normalized().to_plain_string();
                    let number = text.parse::<$parse>();
                    let number = number.map_err(|_| {
                        AvroError::new(format_args!(concat!("the decimal {} is no ", stringify!($parse)), text))
                    });
                    visitor.$visit(number?)
                }
                None => match self.kind() {
                    Kind::Union(_) => self.branch()?.$method(visitor),
                    _ => self.deserialize_any(visitor),
                },
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = AvroError;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, AvroError> {
        if let Some(decimal) = self.decimal()? {
            return visitor.visit_string(decimal.to_plain_string());
        }
        let cursor = &mut *self.cursor;
        match self.schema.node(self.node).kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Boolean => visitor.visit_bool(cursor.boolean()?),
            Kind::Int => visitor.visit_i32(cursor.int()?),
            Kind::Long => visitor.visit_i64(cursor.long()?),
            Kind::Float => visitor.visit_f32(cursor.float()?),
            Kind::Double => visitor.visit_f64(cursor.double()?),
            Kind::Bytes => visitor.visit_borrowed_bytes(cursor.bytes()?),
            Kind::Text => visitor.visit_borrowed_str(cursor.text()?),
            Kind::Fixed(size) => {
                let bytes = cursor.take(size)?;
                match self.logical() {
                    Some(Logical::Uuid) => visitor.visit_string(logical::uuid_text(bytes).unwrap_or_default()),
                    _ => visitor.visit_borrowed_bytes(bytes),
                }
            }
            Kind::Enum(ref of) => {
                let symbol = &of.symbols[cursor.index(of.symbols.len(), "symbol")?];
                if !symbol.known {
                    let name = &symbol.name;
                    return Err(AvroError::new(format_args!("the reader's schema has no symbol `{name}`")));
                }
                visitor.visit_borrowed_str(&symbol.name)
            }
            Kind::Array(items) => self.items(items, visitor),
            Kind::Map(values) => self.entries(values, visitor),
            Kind::Union(_) => self.branch()?.deserialize_any(visitor),
            Kind::Record(ref record) => self.fields(record, visitor),
            Kind::Promoted(from, to) => promoted(cursor, from, to, visitor),
            Kind::Unreadable(ref why) => Err(AvroError::new(why)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        let branch = self.branch()?;
        match branch.kind() {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(branch),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        let value = self.branch()?;
        let text = match (value.logical(), value.kind()) {
            (Some(logical), Kind::Int | Kind::Long) => {
                let number = value.cursor.long()?;
                match logical::text_of(logical, number) {
                    Some(text) => text.map_err(AvroError::new)?,
                    None => return visitor.visit_i64(number),
                }
            }
            _ => return value.deserialize_any(visitor),
        };
        visitor.visit_string(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        let mut value = self.branch()?;
        match value.raw()? {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => value.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        let mut value = self.branch()?;
        match value.kind() {
            // `Vec<u8>` asks for a sequence.
            Kind::Bytes | Kind::Fixed(_) | Kind::Promoted(_, Promotion::Bytes) => {
                let bytes = value.raw()?.unwrap_or_default();
                visitor.visit_seq(SeqDeserializer::<_, AvroError>::new(bytes.iter().copied()))
            }
            _ => value.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, AvroError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, AvroError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, AvroError> {
        if name == RAW_VALUE && matches!(self.logical(), Some(Logical::Decimal { .. })) {
            return match self.raw()? {
                Some(bytes) => visitor.visit_borrowed_bytes(bytes),
                None => self.deserialize_any(visitor),
            };
        }
        match self.kind() {
            Kind::Union(_) => self.branch()?.deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, AvroError> {
        let is_union = matches!(self.kind(), Kind::Union(_));
        let value = self.branch()?;
        match value.kind() {
            Kind::Enum(_) | Kind::Text => visitor.visit_enum(UnitVariant(value)),
            Kind::Map(values) => {
                let mut blocks = Blocks::new(value, *values)?;
                let variant = MapAccessDeserializer::new(&mut blocks).deserialize_enum("", &[], visitor)?;
                blocks.finish(true)?;
                Ok(variant)
            }
            // The branch is the variant.
            _ if is_union => visitor.visit_enum(Branch(value)),
            _ => value.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, AvroError> {
        self.cursor.skip(self.schema, self.node, self.depth)?;
        visitor.visit_unit()
    }

    numbers! {
        deserialize_i64 i64 => visit_i64,
        deserialize_i128 i128 => visit_i128,
        deserialize_u64 u64 => visit_u64,
        deserialize_u128 u128 => visit_u128,
        deserialize_f64 f64 => visit_f64,
        deserialize_i8 i8 => visit_i8,
        deserialize_i16 i16 => visit_i16,
        deserialize_i32 i32 => visit_i32,
        deserialize_u8 u8 => visit_u8,
        deserialize_u16 u16 => visit_u16,
        deserialize_u32 u32 => visit_u32,
        deserialize_f32 f32 => visit_f32
    }

    forward_to_deserialize_any! {
        bool char unit unit_struct map struct identifier
    }
}

fn promoted<'de, V: Visitor<'de>>(
    cursor: &mut Cursor<'de>,
    from: Primitive,
    to: Promotion,
    visitor: V,
) -> Result<V::Value, AvroError> {
    match (to, from) {
        (Promotion::Double, Primitive::Float) => visitor.visit_f64(cursor.float()?.into()),
        (Promotion::Double, _) => visitor.visit_f64(cursor.long()? as f64),
        (Promotion::Float, _) => visitor.visit_f32(cursor.long()? as f32),
        (Promotion::Bytes, _) => visitor.visit_borrowed_bytes(cursor.bytes()?),
        (Promotion::Text, _) => visitor.visit_borrowed_str(cursor.text()?),
    }
}

/// The items of an array, or the entries of a map.
struct Blocks<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    item: NodeId,
    /// Of the block that is being read.
    left: usize,
    ended: bool,
}

impl<'a, 'de> Blocks<'a, 'de> {
    fn new(decoder: Decoder<'a, 'de>, item: NodeId) -> Result<Self, AvroError> {
        let depth = deeper(decoder.depth)?;
        let mut blocks = Self { decoder: Decoder { depth, ..decoder }, item, left: 0, ended: false };
        blocks.next_block()?;
        Ok(blocks)
    }

    fn next_block(&mut self) -> Result<(), AvroError> {
        (self.left, _) = self.decoder.cursor.block()?;
        self.ended = self.left == 0;
        Ok(())
    }

    /// Whether an item follows; counts it.
    fn advance(&mut self) -> Result<bool, AvroError> {
        if self.left == 0 && !self.ended {
            self.next_block()?;
        }
        if self.ended {
            return Ok(false);
        }
        self.left -= 1;
        Ok(true)
    }

    fn value(&mut self) -> Decoder<'_, 'de> {
        let Decoder { schema, depth, .. } = self.decoder;
        Decoder { schema, node: self.item, cursor: &mut *self.decoder.cursor, depth }
    }

    /// Passes over what the visitor left.
    fn finish(mut self, is_map: bool) -> Result<(), AvroError> {
        while self.advance()? {
            if is_map {
                self.decoder.cursor.bytes()?;
            }
            self.decoder.cursor.skip(self.decoder.schema, self.item, self.decoder.depth)?;
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Blocks<'_, 'de> {
    type Error = AvroError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, AvroError> {
        if self.advance()? { seed.deserialize(self.value()).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        // Of this block, which the message can hold; serde bounds what is allocated for it once more.
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for &mut Blocks<'_, 'de> {
    type Error = AvroError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, AvroError> {
        if !self.advance()? {
            return Ok(None);
        }
        let key = self.decoder.cursor.text()?;
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, AvroError> {
        seed.deserialize(self.value())
    }
}

/// A record's fields.
struct Fields<'a, 'de> {
    decoder: Decoder<'a, 'de>,
    record: &'de Record,
    /// Of the written fields, then of the defaults.
    next: usize,
    depth: u8,
}

impl Fields<'_, '_> {
    /// Passes over the fields that are not the reader's.
    fn skip_unread(&mut self) -> Result<(), AvroError> {
        while let Some(field) = self.record.fields.get(self.next)
            && field.skipped
        {
            self.decoder.cursor.skip(self.decoder.schema, field.node, self.depth)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Passes over what the visitor left.
    fn finish(mut self) -> Result<(), AvroError> {
        while let Some(field) = self.record.fields.get(self.next) {
            self.decoder.cursor.skip(self.decoder.schema, field.node, self.depth)?;
            self.next += 1;
        }
        Ok(())
    }
}

impl<'de> MapAccess<'de> for &mut Fields<'_, 'de> {
    type Error = AvroError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, AvroError> {
        self.skip_unread()?;
        let written = self.record.fields.len();
        let name = match self.record.fields.get(self.next) {
            Some(field) => &field.name,
            None => match self.record.defaults.get(self.next - written) {
                Some(field) => &field.name,
                None => return Ok(None),
            },
        };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, AvroError> {
        let (schema, depth, written) = (self.decoder.schema, self.depth, self.record.fields.len());
        let index = self.next;
        self.next += 1;
        let (name, value) = match self.record.fields.get(index) {
            Some(field) => {
                let value = Decoder { schema, node: field.node, cursor: &mut *self.decoder.cursor, depth };
                (&field.name, seed.deserialize(value))
            }
            None => {
                let default = self.record.defaults.get(index - written);
                let default = default.ok_or_else(|| AvroError::new("a value was asked for without its name"))?;
                let mut cursor = Cursor::new(&default.bytes);
                let value = Decoder { schema, node: default.node, cursor: &mut cursor, depth };
                (&default.name, seed.deserialize(value))
            }
        };
        value.map_err(|error| AvroError::new(format_args!("field `{name}`: {error}")))
    }
}

/// An enum's symbol, or a text, as a variant without content.
struct UnitVariant<'a, 'de>(Decoder<'a, 'de>);

impl<'a, 'de> EnumAccess<'de> for UnitVariant<'a, 'de> {
    type Error = AvroError;
    type Variant = NoContent;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, NoContent), AvroError> {
        Ok((seed.deserialize(self.0)?, NoContent))
    }
}

struct NoContent;

impl<'de> VariantAccess<'de> for NoContent {
    type Error = AvroError;

    fn unit_variant(self) -> Result<(), AvroError> {
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, AvroError> {
        seed.deserialize(().into_deserializer())
    }
    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, AvroError> {
        Err(AvroError::new("expected a variant with values, found a symbol"))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, AvroError> {
        Err(AvroError::new("expected a variant with fields, found a symbol"))
    }
}

/// A union's branch as a variant of its name.
struct Branch<'a, 'de>(Decoder<'a, 'de>);

impl<'a, 'de> EnumAccess<'de> for Branch<'a, 'de> {
    type Error = AvroError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), AvroError> {
        let name = self.0.schema.node(self.0.node).short_name();
        Ok((seed.deserialize(BorrowedStrDeserializer::<AvroError>::new(name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Branch<'_, 'de> {
    type Error = AvroError;

    fn unit_variant(self) -> Result<(), AvroError> {
        self.0.cursor.skip(self.0.schema, self.0.node, self.0.depth)
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, AvroError> {
        seed.deserialize(self.0)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, AvroError> {
        self.0.deserialize_tuple(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, AvroError> {
        self.0.deserialize_any(visitor)
    }
}
