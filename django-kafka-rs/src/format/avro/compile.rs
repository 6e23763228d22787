//! From a schema's text to its table.
//!
//! Names are not judged: a writer's namespace may have characters that Avro forbids (a topic's dash), and its messages
//! are read all the same.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::schema::{Enumeration, Field, Kind, Node, NodeId, Record, Schema, Symbol};
use super::semantics;

/// The types of one schema at most: beyond is no schema that anybody wrote.
const NODES_MAX: usize = 100_000;

impl Schema {
    /// Compiles a schema. `references` are the texts of the schemas whose names it uses, before those that use them.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn parse(text: &str, references: &[String]) -> Result<Self, String> {
        let mut compiler = Compiler { nodes: Vec::new(), names: HashMap::new() };
        for reference in references {
            compiler.text(reference).map_err(|why| format!("a schema that it refers to: {why}"))?;
        }
        let root = compiler.text(text)?;
        Ok(Self::new(compiler.nodes, root))
    }
}

struct Compiler {
    nodes: Vec<Node>,
    /// By full name.
    names: HashMap<String, NodeId>,
}

impl Compiler {
    fn text(&mut self, text: &str) -> Result<NodeId, String> {
        match serde_json::from_str(text) {
            Ok(json) => self.node(&json, ""),
            // A registry gives primitive schemas as JSON; files may have the bare word.
            Err(_) if text.trim().chars().all(|c| c.is_ascii_lowercase()) => self.node(&Value::from(text.trim()), ""),
            Err(error) => Err(format!("not JSON: {error}")),
        }
    }

    fn node(&mut self, json: &Value, namespace: &str) -> Result<NodeId, String> {
        match json {
            Value::String(word) => self.word(word, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace)).collect::<Result<_, _>>()?;
                self.union(branches)
            }
            Value::Object(object) => self.object(object, namespace),
            other => Err(format!("expected a type (a text, an object or an array), found {other}")),
        }
    }

    fn word(&mut self, word: &str, namespace: &str) -> Result<NodeId, String> {
        if let Some(kind) = primitive(word) {
            return self.push(Node::plain(kind));
        }
        let full = full_name(word, namespace);
        match self.names.get(&full).or_else(|| self.names.get(word)) {
            Some(id) => Ok(*id),
            None => Err(format!("unknown type `{word}`")),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let kind = match object.get("type") {
            Some(Value::String(word)) => word.as_str(),
            Some(nested) => return self.node(nested, namespace),
            None => return Err("an object without `type`".to_owned()),
        };
        match kind {
            "record" | "error" => self.record(object, namespace),
            "enum" => {
                let symbols = texts(object, "symbols")?;
                let symbols = symbols.into_iter().map(|name| Symbol { name: name.into(), known: true }).collect();
                let default = object.get("default").and_then(Value::as_str).map(Into::into);
                self.named(object, namespace, Kind::Enum(Box::new(Enumeration { symbols, default })))
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or("a fixed without `size`")?;
                self.named(object, namespace, Kind::Fixed(size))
            }
            "array" => {
                let items = self.node(object.get("items").ok_or("an array without `items`")?, namespace)?;
                let mut node = Node::plain(Kind::Array(items));
                node.field.items = Some(Box::new(self.nodes[items].field.clone()));
                self.push_meaning(node, object)
            }
            "map" => {
                let values = self.node(object.get("values").ok_or("a map without `values`")?, namespace)?;
                self.push_meaning(Node::plain(Kind::Map(values)), object)
            }
            word => match primitive(word) {
                Some(kind) => self.push_meaning(Node::plain(kind), object),
                None => self.word(word, namespace),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        // Its place is taken before its fields: they may name it.
        let id = self.named(object, namespace, Kind::Record(Box::default()))?;
        let name = self.nodes[id].name.clone().unwrap_or_default();
        let inner = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let fields = object.get("fields").and_then(Value::as_array);
        let fields = fields.ok_or_else(|| format!("the record `{name}` has no `fields`"))?;
        let fields = fields.iter().map(|field| self.field(field, inner).map_err(|why| format!("in `{name}`: {why}")));
        let fields = fields.collect::<Result<_, _>>()?;
        self.nodes[id].kind = Kind::Record(Box::new(Record { fields, defaults: Vec::new() }));
        Ok(id)
    }

    fn field(&mut self, json: &Value, namespace: &str) -> Result<Field, String> {
        let name = json.get("name").and_then(Value::as_str).ok_or("a field without `name`")?;
        let of_field = |why: String| format!("field `{name}`: {why}");
        let ty = json.get("type").ok_or_else(|| of_field("no `type`".to_owned()))?;
        let mut node = self.node(ty, namespace).map_err(of_field)?;
        // Some writers put the meaning beside the type of the field, not into it.
        if let (Some(object), Value::String(_)) = (json.as_object(), ty) {
            let with_meaning = semantics::give(self.nodes[node].clone(), object);
            if with_meaning.logical.is_some() && with_meaning.name.is_none() {
                node = self.push(with_meaning)?;
            }
        }
        let aliases = match json.get("aliases") {
            Some(Value::Array(aliases)) => aliases.iter().filter_map(Value::as_str).map(Into::into).collect(),
            _ => Box::default(),
        };
        Ok(Field { name: name.into(), aliases, node, default: json.get("default").cloned(), skipped: false })
    }

    fn named(&mut self, object: &Map<String, Value>, namespace: &str, kind: Kind) -> Result<NodeId, String> {
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| format!("a {} without `name`", kind.word()))?;
        let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, namespace);
        if self.names.contains_key(&full) {
            return Err(format!("the name `{full}` is given twice"));
        }
        let node = Node { name: Some(full.as_str().into()), ..Node::plain(kind) };
        let id = self.push_meaning(node, object)?;
        self.names.insert(full, id);
        Ok(id)
    }

    fn union(&mut self, branches: Box<[NodeId]>) -> Result<NodeId, String> {
        let mut values = branches.iter().filter(|branch| !matches!(self.nodes[**branch].kind, Kind::Null));
        let field = match (values.next(), values.next()) {
            // `["null", T]` means what `T` means.
            (Some(only), None) => self.nodes[*only].field.clone(),
            _ => crate::format::FieldSchema::default(),
        };
        if branches.is_empty() {
            return Err("a union without branches".to_owned());
        }
        self.push(Node { field, ..Node::plain(Kind::Union(branches)) })
    }

    fn push_meaning(&mut self, node: Node, object: &Map<String, Value>) -> Result<NodeId, String> {
        self.push(semantics::give(node, object))
    }

    fn push(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() >= NODES_MAX {
            return Err(format!("more than {NODES_MAX} types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }
}

fn primitive(word: &str) -> Option<Kind> {
    Some(match word {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::Text,
        _ => return None,
    })
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn texts(object: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let list = object.get(key).and_then(Value::as_array);
    let list = list.and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect());
    list.ok_or_else(|| format!("expected `{key}`, a list of texts"))
}
