//! Avro's schema resolution, done once for a pair of schemas: how a writer's bytes are read as the reader's types.

use std::collections::HashMap;

use super::schema::{
    DefaultField, Enumeration, Field, Kind, Node, NodeId, Primitive, Promotion, Record, Schema, Symbol,
};
use crate::format::FieldSchema;

impl Schema {
    /// How messages of `writer` are read as `reader`.
    ///
    /// # Errors
    /// The reader has a field that the writer does not have and that has no default, or another type altogether.
    pub(crate) fn resolve(writer: &Self, reader: &Self) -> Result<Self, String> {
        let mut resolver =
            Resolver { writer, reader, nodes: Vec::new(), pairs: HashMap::new(), copied: HashMap::new() };
        let root = resolver.pair(writer.root(), reader.root())?;
        Ok(Self::new(resolver.nodes, root))
    }
}

struct Resolver<'s> {
    writer: &'s Schema,
    reader: &'s Schema,
    nodes: Vec<Node>,
    /// What is made of a writer's and a reader's type.
    pairs: HashMap<(NodeId, NodeId), NodeId>,
    /// Types of the writer (true) and of the reader (false) as they are.
    copied: HashMap<(bool, NodeId), NodeId>,
}

/// The most types that a resolution may have; two schemas of unions in unions have as many pairs as their product.
const NODES_MAX: usize = 200_000;

impl Resolver<'_> {
    fn pair(&mut self, w: NodeId, r: NodeId) -> Result<NodeId, String> {
        if let Some(known) = self.pairs.get(&(w, r)) {
            return Ok(*known);
        }
        let (writer, reader) = (self.writer.node(w), self.reader.node(r));
        // Its place is taken before what it is made of: types may name themselves.
        let id = self.place(Node::plain(Kind::Null))?;
        self.pairs.insert((w, r), id);
        match self.node(writer, reader, r) {
            Ok(node) => {
                self.nodes[id] = node;
                Ok(id)
            }
            Err(why) => {
                // What was made on the way may point here.
                self.nodes[id] = Node::plain(Kind::Unreadable(why.as_str().into()));
                self.pairs.remove(&(w, r));
                Err(why)
            }
        }
    }

    fn node(&mut self, writer: &Node, reader: &Node, r: NodeId) -> Result<Node, String> {
        let kind = match (&writer.kind, &reader.kind) {
            (Kind::Union(branches), _) => {
                let branches = branches.iter().map(|&branch| self.branch(branch, r)).collect::<Result<Vec<_>, _>>()?;
                return self.union(branches).ok_or_else(|| unlike(writer, reader));
            }
            (_, Kind::Union(branches)) => return self.into_union(writer, branches),
            (Kind::Array(w), Kind::Array(r)) => Kind::Array(self.pair(*w, *r)?),
            (Kind::Map(w), Kind::Map(r)) => Kind::Map(self.pair(*w, *r)?),
            (Kind::Record(w), Kind::Record(r)) => self.record(writer, reader, w, r)?,
            (Kind::Enum(w), Kind::Enum(r)) => Kind::Enum(enumeration(w, r)),
            (Kind::Fixed(w), Kind::Fixed(r)) if w == r => Kind::Fixed(*w),
            (w, r) => primitive(w, r).ok_or_else(|| unlike(writer, reader))?,
        };
        // The bytes mean what their writer says: milliseconds stay milliseconds for a reader of microseconds.
        let said = writer.field.name.is_some() || writer.logical.is_some();
        let (meaning, logical) = if said { (writer, writer.logical) } else { (reader, reader.logical) };
        let items = match kind {
            Kind::Array(items) => Some(Box::new(self.nodes[items].field.clone())),
            _ => None,
        };
        let field = FieldSchema { items, carrier: reader.field.carrier.clone(), ..meaning.field.clone() };
        Ok(Node { kind, field, logical, name: reader.name.clone() })
    }

    /// `None`: the reader can read none of its branches.
    fn union(&self, branches: Vec<NodeId>) -> Option<Node> {
        let readable = |id: &&NodeId| !matches!(self.nodes[**id].kind, Kind::Unreadable(_));
        branches.iter().find(readable)?;
        let mut values = branches.iter().filter(|id| !matches!(self.nodes[**id].kind, Kind::Null));
        let field = match (values.next(), values.next()) {
            (Some(only), None) => self.nodes[*only].field.clone(),
            _ => FieldSchema::default(),
        };
        Some(Node { field, ..Node::plain(Kind::Union(branches.into())) })
    }

    /// A branch of the writer's union: one that the reader cannot read is an error only where it is met.
    fn branch(&mut self, w: NodeId, r: NodeId) -> Result<NodeId, String> {
        match self.pair(w, r) {
            Ok(id) => Ok(id),
            Err(why) => self.place(Node::plain(Kind::Unreadable(why.into()))),
        }
    }

    /// The writer has no union: the first branch of the reader's that it fits is what is read.
    fn into_union(&mut self, writer: &Node, branches: &[NodeId]) -> Result<Node, String> {
        let same = |id: &&NodeId| {
            let reader = self.reader.node(**id);
            std::mem::discriminant(&reader.kind) == std::mem::discriminant(&writer.kind)
                && (reader.name.is_none() || reader.short_name() == writer.short_name())
        };
        let first: Vec<NodeId> = branches.iter().filter(same).copied().collect();
        for &branch in first.iter().chain(branches) {
            if let Ok(node) = self.node(writer, self.reader.node(branch), branch) {
                return Ok(node);
            }
        }
        let names: Vec<_> = branches.iter().map(|id| self.reader.node(*id).describe()).collect();
        Err(format!("it was written as {}, and is to be read as {}", writer.describe(), names.join(" or ")))
    }

    fn record(&mut self, writer: &Node, reader: &Node, w: &Record, r: &Record) -> Result<Kind, String> {
        let of = |why: String, field: &str| format!("field `{field}` of {}: {why}", reader.describe());
        let find = |field: &Field| {
            let by_name = r.fields.iter().find(|own| own.name == field.name);
            by_name.or_else(|| r.fields.iter().find(|own| own.aliases.contains(&field.name)))
        };
        let (mut fields, mut defaults) = (Vec::with_capacity(w.fields.len()), Vec::new());
        for field in &w.fields {
            fields.push(match find(field) {
                Some(own) => {
                    let node = self.pair(field.node, own.node).map_err(|why| of(why, &own.name))?;
                    Field { name: own.name.clone(), node, ..field.clone() }
                }
                None => Field { node: self.copy(true, field.node)?, skipped: true, ..field.clone() },
            });
        }
        for own in &r.fields {
            if w.fields.iter().any(|field| find(field).is_some_and(|found| found.name == own.name)) {
                continue;
            }
            let Some(default) = &own.default else {
                let why = format!("{} was written without it, and it has no default", writer.describe());
                return Err(of(why, &own.name));
            };
            let bytes = self.reader.write_default(own.node, default).map_err(|why| of(why, &own.name))?;
            let node = self.copy(false, own.node)?;
            defaults.push(DefaultField { name: own.name.clone(), node, bytes: bytes.into() });
        }
        Ok(Kind::Record(Box::new(Record { fields, defaults })))
    }

    /// A type as it is, for what is skipped and for defaults.
    fn copy(&mut self, of_writer: bool, id: NodeId) -> Result<NodeId, String> {
        if let Some(known) = self.copied.get(&(of_writer, id)) {
            return Ok(*known);
        }
        let schema = if of_writer { self.writer } else { self.reader };
        let node = schema.node(id);
        let place = self.place(node.clone())?;
        self.copied.insert((of_writer, id), place);
        let kind = match &node.kind {
            Kind::Array(items) => Kind::Array(self.copy(of_writer, *items)?),
            Kind::Map(values) => Kind::Map(self.copy(of_writer, *values)?),
            Kind::Union(branches) => {
                let branches = branches.iter().map(|branch| self.copy(of_writer, *branch));
                Kind::Union(branches.collect::<Result<_, _>>()?)
            }
            Kind::Record(record) => {
                let fields = record
                    .fields
                    .iter()
                    .map(|field| Ok(Field { node: self.copy(of_writer, field.node)?, ..field.clone() }));
                let fields = fields.collect::<Result<_, String>>()?;
                Kind::Record(Box::new(Record { fields, defaults: Vec::new() }))
            }
            other => other.clone(),
        };
        self.nodes[place].kind = kind;
        Ok(place)
    }

    fn place(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() >= NODES_MAX {
            return Err(format!("the two schemas have more than {NODES_MAX} pairs of types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }
}

/// A symbol that the reader does not have is its default, and without one an error where it is met.
fn enumeration(writer: &Enumeration, reader: &Enumeration) -> Box<Enumeration> {
    let read = |symbol: &Symbol| {
        let known = reader.symbols.iter().any(|own| own.name == symbol.name);
        match &reader.default {
            Some(default) if !known => Symbol { name: default.clone(), known: true },
            _ => Symbol { name: symbol.name.clone(), known },
        }
    };
    Box::new(Enumeration { symbols: writer.symbols.iter().map(read).collect(), default: reader.default.clone() })
}

fn primitive(writer: &Kind, reader: &Kind) -> Option<Kind> {
    let promoted = |from, to| Some(Kind::Promoted(from, to));
    match (writer, reader) {
        (Kind::Null, Kind::Null) => Some(Kind::Null),
        (Kind::Boolean, Kind::Boolean) => Some(Kind::Boolean),
        // An int's bytes are a long's.
        (Kind::Int, Kind::Int) => Some(Kind::Int),
        (Kind::Int | Kind::Long, Kind::Long) => Some(Kind::Long),
        (Kind::Int, Kind::Float) => promoted(Primitive::Int, Promotion::Float),
        (Kind::Int, Kind::Double) => promoted(Primitive::Int, Promotion::Double),
        (Kind::Long, Kind::Float) => promoted(Primitive::Long, Promotion::Float),
        (Kind::Long, Kind::Double) => promoted(Primitive::Long, Promotion::Double),
        (Kind::Float, Kind::Float) => Some(Kind::Float),
        (Kind::Float, Kind::Double) => promoted(Primitive::Float, Promotion::Double),
        (Kind::Double, Kind::Double) => Some(Kind::Double),
        (Kind::Bytes, Kind::Bytes) => Some(Kind::Bytes),
        (Kind::Text, Kind::Text) => Some(Kind::Text),
        (Kind::Text, Kind::Bytes) => promoted(Primitive::Text, Promotion::Bytes),
        (Kind::Bytes, Kind::Text) => promoted(Primitive::Bytes, Promotion::Text),
        _ => None,
    }
}

fn unlike(writer: &Node, reader: &Node) -> String {
    format!("it was written as {}, and is to be read as {}", writer.describe(), reader.describe())
}
