//! What a type means: Avro's `logicalType`, and the `connect.name` that Kafka Connect's converters add.

use serde_json::{Map, Value};

use super::schema::{Kind, Logical, Node, Unit, Zone};

const CONNECT_DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// Gives a type the meaning that its object tells. Where both are there, `connect.name` decides: it is finer.
///
/// As Avro has it, a logical type that does not fit its type is none.
pub(super) fn give(mut node: Node, object: &Map<String, Value>) -> Node {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let scale = scale(object);
    let (logical, name) = match (text("connect.name"), text("logicalType")) {
        (Some(name), logical) => {
            let by_name = by_connect_name(name, &node.kind, scale);
            (by_name.or_else(|| by_logical_type(logical?, &node.kind, scale)), Some(name))
        }
        (None, Some(logical)) => {
            let logical = by_logical_type(logical, &node.kind, scale);
            (logical, logical.and_then(Logical::connect_name))
        }
        (None, None) => return node,
    };
    node.logical = logical;
    node.field.name = name.map(str::to_owned);
    if let Some(Logical::Decimal { scale }) = logical {
        node.field.scale = Some(scale);
    }
    node
}

fn by_connect_name(name: &str, kind: &Kind, scale: Option<i32>) -> Option<Logical> {
    let local = |unit| Some(Logical::Timestamp(unit, Zone::Local));
    match (kind, name) {
        (Kind::Int, "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date") => Some(Logical::Date),
        (Kind::Int, "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time") => {
            Some(Logical::Time(Unit::Millis))
        }
        (Kind::Long, "io.debezium.time.MicroTime") => Some(Logical::Time(Unit::Micros)),
        (Kind::Long, "io.debezium.time.NanoTime") => Some(Logical::Time(Unit::Nanos)),
        (Kind::Long, "io.debezium.time.Timestamp") => local(Unit::Millis),
        (Kind::Long, "io.debezium.time.MicroTimestamp") => local(Unit::Micros),
        (Kind::Long, "io.debezium.time.NanoTimestamp") => local(Unit::Nanos),
        (Kind::Long, "org.apache.kafka.connect.data.Timestamp") => Some(Logical::Timestamp(Unit::Millis, Zone::Utc)),
        (Kind::Bytes | Kind::Fixed(_), CONNECT_DECIMAL) => scale.map(|scale| Logical::Decimal { scale }),
        _ => None,
    }
}

fn by_logical_type(name: &str, kind: &Kind, scale: Option<i32>) -> Option<Logical> {
    let timestamp = |unit, zone| Some(Logical::Timestamp(unit, zone));
    match (kind, name) {
        (Kind::Int, "date") => Some(Logical::Date),
        (Kind::Int, "time-millis") => Some(Logical::Time(Unit::Millis)),
        (Kind::Long, "time-micros") => Some(Logical::Time(Unit::Micros)),
        (Kind::Long, "timestamp-millis") => timestamp(Unit::Millis, Zone::Utc),
        (Kind::Long, "timestamp-micros") => timestamp(Unit::Micros, Zone::Utc),
        (Kind::Long, "timestamp-nanos") => timestamp(Unit::Nanos, Zone::Utc),
        (Kind::Long, "local-timestamp-millis") => timestamp(Unit::Millis, Zone::Local),
        (Kind::Long, "local-timestamp-micros") => timestamp(Unit::Micros, Zone::Local),
        (Kind::Long, "local-timestamp-nanos") => timestamp(Unit::Nanos, Zone::Local),
        // Avro's default is none behind the point.
        (Kind::Bytes | Kind::Fixed(_), "decimal") => Some(Logical::Decimal { scale: scale.unwrap_or(0) }),
        (Kind::Text | Kind::Fixed(16), "uuid") => Some(Logical::Uuid),
        _ => None,
    }
}

/// Avro's `scale`, or that of Connect's parameters, which are texts.
fn scale(object: &Map<String, Value>) -> Option<i32> {
    let own = object.get("scale").and_then(Value::as_i64);
    let connect = || object.get("connect.parameters")?.get("scale")?.as_str()?.parse().ok();
    own.or_else(connect).and_then(|scale| scale.try_into().ok())
}

impl Logical {
    /// The name by which encodings know it.
    const fn connect_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Decimal { .. } => CONNECT_DECIMAL,
            Self::Date => "org.apache.kafka.connect.data.Date",
            Self::Time(Unit::Millis) => "org.apache.kafka.connect.data.Time",
            Self::Time(Unit::Micros) => "io.debezium.time.MicroTime",
            Self::Time(Unit::Nanos) => "io.debezium.time.NanoTime",
            Self::Timestamp(Unit::Millis, _) => "org.apache.kafka.connect.data.Timestamp",
            Self::Timestamp(Unit::Micros, _) => "io.debezium.time.MicroTimestamp",
            Self::Timestamp(Unit::Nanos, _) => "io.debezium.time.NanoTimestamp",
            Self::Uuid => return None,
        })
    }
}
