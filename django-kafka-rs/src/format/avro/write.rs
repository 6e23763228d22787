//! A value written in Avro as a schema says.

use super::logical;
use super::plain::Plain;
use super::schema::{Field, Kind, Logical, Node, NodeId, Record, Schema};

impl Schema {
    /// Writes a value.
    ///
    /// # Errors
    /// Which field does not fit, and why.
    pub(crate) fn write(&self, value: &Plain) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        Pen { schema: self, texts: Texts::AsTheyAre }.write(self.root(), value, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes a field's default, in which bytes are texts of one character for each.
    pub(super) fn write_default(&self, node: NodeId, default: &serde_json::Value) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        Pen { schema: self, texts: Texts::MayBeBytes }.write(node, &Plain::from(default), &mut bytes)?;
        Ok(bytes)
    }
}

#[derive(Clone, Copy)]
struct Pen<'s> {
    schema: &'s Schema,
    texts: Texts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Texts {
    AsTheyAre,
    MayBeBytes,
}

impl Pen<'_> {
    fn write(self, id: NodeId, value: &Plain, out: &mut Vec<u8>) -> Result<(), String> {
        let node = self.schema.node(id);
        match (&node.kind, value) {
            (Kind::Null, Plain::Null) => {}
            (Kind::Boolean, Plain::Boolean(v)) => out.push(u8::from(*v)),
            (Kind::Int | Kind::Long, _) => long(integer(node, value)?, out),
            (Kind::Float, Plain::Float(v)) => out.extend((*v as f32).to_le_bytes()),
            (Kind::Float, Plain::Int(v)) => out.extend((*v as f32).to_le_bytes()),
            (Kind::Double, Plain::Float(v)) => out.extend(v.to_le_bytes()),
            (Kind::Double, Plain::Int(v)) => out.extend((*v as f64).to_le_bytes()),
            (Kind::Text, Plain::Text(v)) => bytes(v.as_bytes(), out),
            (Kind::Bytes, _) => bytes(&self.raw(node, value)?, out),
            (Kind::Fixed(size), _) => out.extend(fixed(node, *size, self.raw(node, value)?)?),
            (Kind::Enum(of), Plain::Text(name)) => match of.symbols.iter().position(|symbol| *symbol.name == **name) {
                Some(index) => long(index as i64, out),
                None => {
                    let names: Vec<_> = of.symbols.iter().map(|symbol| format!("`{}`", symbol.name)).collect();
                    return Err(format!("{} has no symbol `{name}`; it has {}", node.describe(), names.join(", ")));
                }
            },
            (Kind::Array(items), Plain::Items(values)) => self.array(*items, values, out)?,
            (Kind::Array(items), Plain::Bytes(values)) => {
                let values: Vec<Plain> = values.iter().map(|byte| Plain::Int((*byte).into())).collect();
                self.array(*items, &values, out)?;
            }
            (Kind::Map(values), Plain::Fields(entries)) => {
                if !entries.is_empty() {
                    long(entries.len() as i64, out);
                }
                for (key, value) in entries {
                    bytes(key.as_bytes(), out);
                    self.write(*values, value, out).map_err(|why| format!("entry `{key}`: {why}"))?;
                }
                out.push(0);
            }
            (Kind::Union(branches), _) => self.union(branches, value, out)?,
            (Kind::Record(record), Plain::Fields(fields)) => self.record(node, record, fields, out)?,
            (Kind::Record(_), Plain::Variant(name, content)) if node.short_name() == *name => {
                self.write(id, content, out)?;
            }
            _ => return Err(mismatch(node, value)),
        }
        Ok(())
    }

    fn array(self, items: NodeId, values: &[Plain], out: &mut Vec<u8>) -> Result<(), String> {
        if !values.is_empty() {
            long(values.len() as i64, out);
        }
        for (index, value) in values.iter().enumerate() {
            self.write(items, value, out).map_err(|why| format!("item {index}: {why}"))?;
        }
        out.push(0);
        Ok(())
    }

    fn record(
        self,
        node: &Node,
        record: &Record,
        values: &[(std::borrow::Cow<'static, str>, Plain)],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        if let Some((name, _)) = values.iter().find(|(name, _)| !record.fields.iter().any(|f| *f.name == **name)) {
            return Err(format!(
                "{} has no field `{name}`, which the value has; add it to the schema, or leave it out with \
                 `#[serde(skip_serializing)]`",
                node.describe()
            ));
        }
        for field in &record.fields {
            let of_field = |why: String| format!("field `{}`: {why}", field.name);
            match values.iter().find(|(name, _)| **name == *field.name) {
                Some((_, value)) => self.write(field.node, value, out).map_err(of_field)?,
                None => self.missing(field, out).map_err(of_field)?,
            }
        }
        Ok(())
    }

    /// A field that the value does not have.
    fn missing(self, field: &Field, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(default) = &field.default {
            out.extend(self.schema.write_default(field.node, default)?);
            return Ok(());
        }
        let null = self.write(field.node, &Plain::Null, out);
        null.map_err(|_| "the value has no such field, and the schema gives no default".to_owned())
    }

    /// Writes the first branch of the value's own type, else the first that takes it.
    fn union(self, branches: &[NodeId], value: &Plain, out: &mut Vec<u8>) -> Result<(), String> {
        let (value, named) = match value {
            Plain::Variant(name, content) => (&**content, Some(*name)),
            other => (other, None),
        };
        let start = out.len();
        let is_named = |id: NodeId| named.is_none_or(|name| self.schema.node(id).short_name() == name);
        let mut last = None;
        for exact in [true, false] {
            for (index, &id) in branches.iter().enumerate() {
                if !is_named(id) || is_own(&self.schema.node(id).kind, value) != exact {
                    continue;
                }
                long(index as i64, out);
                match self.write(id, value, out) {
                    Ok(()) => return Ok(()),
                    Err(why) => {
                        out.truncate(start);
                        // What the branch of its own type says tells more than that no other takes it.
                        last = last.or(exact.then_some(why));
                    }
                }
            }
        }
        let names: Vec<_> = branches.iter().map(|id| self.schema.node(*id).describe()).collect();
        Err(last.unwrap_or_else(|| format!("expected {}, found {}", names.join(" or "), value.describe())))
    }

    /// The bytes of a `bytes` or `fixed`.
    fn raw(self, node: &Node, value: &Plain) -> Result<Vec<u8>, String> {
        match (node.logical, value) {
            (_, Plain::Bytes(bytes)) => Ok(bytes.clone()),
            (_, Plain::Items(items)) => {
                let byte = |item: &Plain| match item {
                    Plain::Int(v) => u8::try_from(*v).ok(),
                    _ => None,
                };
                items.iter().map(byte).collect::<Option<_>>().ok_or_else(|| mismatch(node, value))
            }
            (_, Plain::Text(text)) if self.texts == Texts::MayBeBytes => {
                let byte = |c: char| u8::try_from(u32::from(c)).ok();
                text.chars().map(byte).collect::<Option<_>>().ok_or_else(|| mismatch(node, value))
            }
            (Some(Logical::Decimal { scale }), Plain::Text(text)) => logical::unscaled(text, scale),
            (Some(Logical::Decimal { scale }), Plain::Int(v)) => logical::unscaled(&v.to_string(), scale),
            (Some(Logical::Decimal { scale }), Plain::Float(v)) => logical::unscaled(&v.to_string(), scale),
            (Some(Logical::Uuid), Plain::Text(text)) => {
                logical::uuid_bytes(text).map(Vec::from).ok_or_else(|| mismatch(node, value))
            }
            _ => Err(mismatch(node, value)),
        }
    }
}

/// Whether the type is the one that a value of this form has by itself.
fn is_own(kind: &Kind, value: &Plain) -> bool {
    match value {
        Plain::Null => matches!(kind, Kind::Null),
        Plain::Boolean(_) => matches!(kind, Kind::Boolean),
        Plain::Int(v) => match kind {
            Kind::Int => i32::try_from(*v).is_ok(),
            Kind::Long => i64::try_from(*v).is_ok(),
            _ => false,
        },
        Plain::Float(_) => matches!(kind, Kind::Double | Kind::Float),
        Plain::Text(_) => matches!(kind, Kind::Text | Kind::Enum(_)),
        Plain::Bytes(_) => matches!(kind, Kind::Bytes | Kind::Fixed(_)),
        Plain::Items(_) => matches!(kind, Kind::Array(_)),
        Plain::Fields(_) | Plain::Variant(..) => matches!(kind, Kind::Record(_) | Kind::Map(_)),
    }
}

/// The number of an `int` or `long`: itself, or what a text means there.
fn integer(node: &Node, value: &Plain) -> Result<i64, String> {
    let number = match (value, node.logical) {
        (Plain::Int(v), _) => i64::try_from(*v).map_err(|_| mismatch(node, value))?,
        (Plain::Text(text), Some(logical)) => {
            logical::number_of(logical, text).unwrap_or_else(|| Err(mismatch(node, value)))?
        }
        _ => return Err(mismatch(node, value)),
    };
    if matches!(node.kind, Kind::Int) && i32::try_from(number).is_err() {
        return Err(format!("{number} is out of the range of an int ({} to {})", i32::MIN, i32::MAX));
    }
    Ok(number)
}

/// The bytes of a `fixed`: a decimal is filled up by its sign.
fn fixed(node: &Node, size: usize, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if bytes.len() == size {
        return Ok(bytes);
    }
    match node.logical {
        Some(Logical::Decimal { .. }) if bytes.len() < size => {
            let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
            let mut filled = vec![sign; size - bytes.len()];
            filled.extend(bytes);
            Ok(filled)
        }
        _ => Err(format!("{} has {size} bytes, found {}", node.describe(), bytes.len())),
    }
}

#[cold]
fn mismatch(node: &Node, value: &Plain) -> String {
    format!("expected {}, found {}", node.describe(), value.describe())
}

/// A number, zigzag, in groups of seven bits.
pub(super) fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn bytes(content: &[u8], out: &mut Vec<u8>) {
    long(content.len() as i64, out);
    out.extend(content);
}
