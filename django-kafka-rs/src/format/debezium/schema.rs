//! What a message's own schema says of a field.

/// One field of a Kafka Connect schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSchema {
    /// The semantic type: `io.debezium.time.Date`, `org.apache.kafka.connect.data.Decimal`, …
    pub name: Option<String>,
    /// A decimal's scale.
    pub scale: Option<i32>,
    /// An array's elements.
    pub items: Option<Box<FieldSchema>>,
}
