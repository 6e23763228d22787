//! A schema as it is read by: types in a table, each with what encodings are told of it.

use crate::format::FieldSchema;

/// A type's place in its schema's table.
pub(crate) type NodeId = usize;

/// A schema, compiled: of a writer, of a reader, or how the one's bytes are read as the other.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
}

/// One type.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(super) kind: Kind,
    /// What encodings are told: `connect.name`, or what the logical type is called there.
    pub(super) field: FieldSchema,
    pub(super) logical: Option<Logical>,
    /// The full name of a record, an enum or a fixed.
    pub(super) name: Option<Box<str>>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Box<Enumeration>),
    Array(NodeId),
    Map(NodeId),
    Union(Box<[NodeId]>),
    Record(Box<Record>),
    /// The reader has another type than the writer, and the value becomes that.
    Promoted(Primitive, Promotion),
    /// The reader has nothing for what was written here: an error if it is met.
    Unreadable(Box<str>),
}

/// What stands in the bytes of a promoted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Int,
    Long,
    Float,
    Bytes,
    Text,
}

/// What it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promotion {
    Float,
    Double,
    Bytes,
    Text,
}

/// An enum's symbols, in their order.
#[derive(Debug, Clone)]
pub(super) struct Enumeration {
    pub(super) symbols: Box<[Symbol]>,
    /// What a reader takes for a symbol that it does not have.
    pub(super) default: Option<Box<str>>,
}

/// One symbol of an enum.
#[derive(Debug, Clone)]
pub(super) struct Symbol {
    pub(super) name: Box<str>,
    /// Whether the reader has it, or a default in its place, which is the name then.
    pub(super) known: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<Field>,
    /// Fields that the writer does not have and the reader gives a default.
    pub(super) defaults: Vec<DefaultField>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) aliases: Box<[Box<str>]>,
    pub(super) node: NodeId,
    /// As the schema has it.
    pub(super) default: Option<serde_json::Value>,
    /// The reader does not have it.
    pub(super) skipped: bool,
}

#[derive(Debug, Clone)]
pub(super) struct DefaultField {
    pub(super) name: Box<str>,
    pub(super) node: NodeId,
    /// The default in Avro.
    pub(super) bytes: Box<[u8]>,
}

/// What a value means, beside its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    /// Unscaled bytes, and the digits behind the point.
    Decimal {
        scale: i32,
    },
    /// Days since 1970.
    Date,
    /// Since midnight.
    Time(Unit),
    /// Since 1970; in UTC, or at a place that nobody says.
    Timestamp(Unit, Zone),
    Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Utc,
    Local,
}

impl Schema {
    pub(super) fn new(nodes: Vec<Node>, root: NodeId) -> Self {
        Self { nodes, root }
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    /// A type of this schema: ids come from its own table.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

impl Node {
    pub(super) fn plain(kind: Kind) -> Self {
        let carrier = kind.carrier().map(str::to_owned);
        Self { kind, field: FieldSchema { carrier, ..FieldSchema::default() }, logical: None, name: None }
    }

    /// The last part of its name, or the type's word.
    pub(super) fn short_name(&self) -> &str {
        match &self.name {
            Some(name) => name.rsplit('.').next().unwrap_or(name),
            None => self.kind.word(),
        }
    }

    /// For errors: ``the record `shop.Order` ``, `a long`.
    pub(super) fn describe(&self) -> String {
        match &self.name {
            Some(name) => format!("the {} `{name}`", self.kind.word()),
            None => format!("{}{}", self.kind.article(), self.kind.word()),
        }
    }
}

impl Kind {
    /// Avro's word for the type, of a promoted one the reader's.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float | Self::Promoted(_, Promotion::Float) => "float",
            Self::Double | Self::Promoted(_, Promotion::Double) => "double",
            Self::Bytes | Self::Promoted(_, Promotion::Bytes) => "bytes",
            Self::Text | Self::Promoted(_, Promotion::Text) => "string",
            Self::Fixed(_) => "fixed",
            Self::Enum(_) => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Unreadable(_) => "value that cannot be read",
        }
    }

    const fn article(&self) -> &'static str {
        match self {
            Self::Null | Self::Bytes => "",
            Self::Int | Self::Enum(_) | Self::Array(_) => "an ",
            _ => "a ",
        }
    }

    /// Kafka Connect's word, as encodings know it.
    pub(super) const fn carrier(&self) -> Option<&'static str> {
        Some(match self {
            Self::Boolean => "boolean",
            Self::Int => "int32",
            Self::Long => "int64",
            Self::Float => "float32",
            Self::Double => "float64",
            Self::Bytes | Self::Fixed(_) => "bytes",
            Self::Text | Self::Enum(_) => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "struct",
            _ => return None,
        })
    }
}

impl Unit {
    pub(super) const fn nanos(self) -> i64 {
        Self::Nanos.per_second() / self.per_second()
    }

    pub(super) const fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}
