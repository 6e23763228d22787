//! Avro's primitives, read from a message's bytes. Nothing is allocated here, and no length is believed that the
//! message could not hold.

use super::schema::{Kind, NodeId, Primitive, Schema};

/// Records, arrays, maps and unions within each other at most.
pub(super) const DEPTH_MAX: u8 = 64;

/// Elements of arrays and maps beside one for each byte. Elements of no bytes (nulls, empty records) are counted like
/// others: else a few bytes could ask for billions.
const EMPTY_ITEMS_MAX: usize = 1024;

/// Why bytes are not what their schema says, or not what the reader asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AvroError(pub(super) Box<str>);

impl AvroError {
    #[cold]
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self(text.to_string().into())
    }
}

impl std::fmt::Display for AvroError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AvroError {}

impl serde::de::Error for AvroError {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::new(text)
    }
}

/// What is left of a message.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'de> {
    bytes: &'de [u8],
    items_left: usize,
}

impl<'de> Cursor<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, items_left: bytes.len().saturating_add(EMPTY_ITEMS_MAX) }
    }

    pub(super) fn rest(&self) -> &'de [u8] {
        self.bytes
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'de [u8], AvroError> {
        match self.bytes.split_at_checked(n) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(AvroError::new(format_args!(
                "the message ends too soon: {n} bytes should follow, and there are {}",
                self.bytes.len()
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AvroError> {
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => self.take(N).map(|_| [0; N]),
        }
    }

    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, AvroError> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        for (index, byte) in self.bytes.iter().enumerate() {
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && *byte > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
            shift += 7;
        }
        Err(AvroError::new(if self.bytes.len() < 10 {
            "the message ends within a number"
        } else {
            "a number has more than 64 bits"
        }))
    }

    #[inline]
    pub(super) fn int(&mut self) -> Result<i32, AvroError> {
        let value = self.long()?;
        i32::try_from(value).map_err(|_| AvroError::new(format_args!("{value} is out of the range of an int")))
    }

    pub(super) fn boolean(&mut self) -> Result<bool, AvroError> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(AvroError::new(format_args!("a boolean is 0 or 1, found {other}"))),
        }
    }

    pub(super) fn float(&mut self) -> Result<f32, AvroError> {
        self.array().map(f32::from_le_bytes)
    }

    pub(super) fn double(&mut self) -> Result<f64, AvroError> {
        self.array().map(f64::from_le_bytes)
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'de [u8], AvroError> {
        let length = self.long()?;
        let length = usize::try_from(length)
            .map_err(|_| AvroError::new(format_args!("a length is not negative, found {length}")))?;
        self.take(length)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'de str, AvroError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|error| AvroError::new(format_args!("a string is not UTF-8: {error}")))
    }

    /// The index of an enum's symbol or a union's branch.
    #[inline]
    pub(super) fn index(&mut self, count: usize, of: &str) -> Result<usize, AvroError> {
        let index = self.long()?;
        usize::try_from(index)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| AvroError::new(format_args!("there is no {of} {index}: the schema has {count}, from 0")))
    }

    /// The head of a block of an array or a map: how many items follow, 0 at the end, and how many bytes they take
    /// where the writer says so.
    pub(super) fn block(&mut self) -> Result<(usize, Option<usize>), AvroError> {
        let count = self.long()?;
        let bytes = if count < 0 { Some(self.long()?) } else { None };
        let bytes = bytes
            .map(|bytes| usize::try_from(bytes).map_err(|_| AvroError::new(format_args!("a block of {bytes} bytes"))));
        let items = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        self.items_left = self.items_left.checked_sub(items).ok_or_else(|| {
            AvroError::new(format_args!("an array or map of {items} items is more than the message can hold"))
        })?;
        Ok((items, bytes.transpose()?))
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, schema: &Schema, id: NodeId, depth: u8) -> Result<(), AvroError> {
        match &schema.node(id).kind {
            Kind::Null => Ok(()),
            Kind::Boolean => self.take(1).map(drop),
            Kind::Int | Kind::Long | Kind::Enum(_) | Kind::Promoted(Primitive::Int | Primitive::Long, _) => {
                self.long().map(drop)
            }
            Kind::Float | Kind::Promoted(Primitive::Float, _) => self.take(4).map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Bytes | Kind::Text | Kind::Promoted(Primitive::Bytes | Primitive::Text, _) => self.bytes().map(drop),
            Kind::Fixed(size) => self.take(*size).map(drop),
            Kind::Array(items) => self.skip_blocks(schema, *items, deeper(depth)?, false),
            Kind::Map(values) => self.skip_blocks(schema, *values, deeper(depth)?, true),
            Kind::Union(branches) => {
                let branch = branches[self.index(branches.len(), "branch")?];
                self.skip(schema, branch, deeper(depth)?)
            }
            Kind::Record(record) => {
                let depth = deeper(depth)?;
                record.fields.iter().try_for_each(|field| self.skip(schema, field.node, depth))
            }
            Kind::Unreadable(why) => Err(AvroError::new(why)),
        }
    }

    fn skip_blocks(&mut self, schema: &Schema, item: NodeId, depth: u8, is_map: bool) -> Result<(), AvroError> {
        loop {
            match self.block()? {
                (0, _) => return Ok(()),
                (_, Some(bytes)) => drop(self.take(bytes)?),
                (items, None) => {
                    for _ in 0..items {
                        if is_map {
                            self.bytes()?;
                        }
                        self.skip(schema, item, depth)?;
                    }
                }
            }
        }
    }
}

/// One level deeper.
pub(super) fn deeper(depth: u8) -> Result<u8, AvroError> {
    if depth >= DEPTH_MAX {
        return Err(AvroError::new(format_args!("values are nested deeper than {DEPTH_MAX} levels")));
    }
    Ok(depth + 1)
}
