//! What a message's own schema says of a field.

use serde::Deserialize;

/// One field of a Kafka Connect schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSchema {
    /// The semantic type: `io.debezium.time.Date`, `org.apache.kafka.connect.data.Decimal`, …
    pub name: Option<String>,
    /// A decimal's scale.
    pub scale: Option<i32>,
    /// An array's elements.
    pub items: Option<Box<FieldSchema>>,
    /// The type that carries the value: `int32`, `int64`, `string`, `bytes`, `struct`, …
    pub carrier: Option<String>,
}

impl FieldSchema {
    /// The semantic type's name, where there is one.
    pub(crate) fn name(schema: Option<&Self>) -> Option<&str> {
        schema.and_then(|s| s.name.as_deref())
    }
}

/// A Kafka Connect schema as the JSON converter writes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConnectSchema {
    #[serde(rename = "type")]
    carrier: Option<String>,
    name: Option<String>,
    field: Option<String>,
    parameters: Option<Parameters>,
    #[serde(default)]
    fields: Vec<ConnectSchema>,
    items: Option<Box<ConnectSchema>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Parameters {
    /// Connect writes parameters as texts.
    scale: Option<String>,
}

impl ConnectSchema {
    /// Whether it is a schema at all, and not just any object.
    pub(crate) fn says_a_type(&self) -> bool {
        self.carrier.is_some()
    }

    /// What encodings ask of the value as a whole, and the fields of a struct by their names.
    pub(crate) fn into_parts(self) -> (FieldSchema, Vec<(String, Self)>) {
        let fields = self.fields.into_iter().filter_map(|mut field| field.field.take().map(|name| (name, field)));
        let fields = fields.collect();
        let whole = FieldSchema {
            name: self.name,
            scale: self.parameters.and_then(|p| p.scale).and_then(|scale| scale.parse().ok()),
            items: self.items.map(|items| Box::new(items.into_parts().0)),
            carrier: self.carrier,
        };
        (whole, fields)
    }
}
