//! What holds for any bytes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::format::debezium::{ByType, Opt};
use crate::sync::model::{Dialect, Envelope, Targets};

patch! {
    Event, EVENT, "events",
    0 id: i64, ByType;
    1 op: Option<Value>, Opt<ByType>;
    2 before: Option<Value>, Opt<ByType>;
    3 after: Option<Value>, Opt<ByType>;
    4 source: Option<String>, Opt<ByType>;
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
        Just(Value::from("__debezium_unavailable_value")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name = prop_oneof![
            Just("id"),
            Just("op"),
            Just("before"),
            Just("after"),
            Just("source"),
            Just("schema"),
            Just("payload"),
            Just("type"),
            Just("__deleted"),
            Just("__dbz__physicalTableIdentifier"),
            Just("x"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(n, v)| (n.to_owned(), v))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

fn topics() -> impl Strategy<Value = ModelTopic> {
    let envelopes = prop_oneof![Just(None), Just(Some(Envelope::Auto)), Just(Some(Envelope::Flat))];
    (any::<bool>(), envelopes).prop_map(|(debezium, envelope)| {
        let dialect = if debezium { Dialect::Debezium } else { Dialect::Plain };
        let mut topic = topic(dialect, Targets::One(&EVENT));
        topic.options.envelope = envelope;
        topic
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(topic in topics(), key in any::<Option<Vec<u8>>>(), value in any::<Option<Vec<u8>>>()) {
        let _ = decode(&topic, key.as_deref(), value.as_deref());
    }

    #[test]
    fn no_json_panics(topic in topics(), key in json_value(), value in json_value(), cut in 0_usize..200) {
        let (key, mut value) = (key.to_string(), value.to_string().into_bytes());
        let _ = decode(&topic, Some(key.as_bytes()), Some(&value));
        // And where it breaks off.
        value.truncate(cut);
        let _ = decode(&topic, Some(key.as_bytes()), Some(&value));
    }

    /// Columns of a row may have the envelope's names: without an envelope's shapes it stays a row.
    #[test]
    fn a_row_is_never_taken_for_an_envelope(
        op in json_value(), before in json_value(), after in json_value(), source in json_value(), first in 0_usize..4,
    ) {
        let mut members = [("op", &op), ("before", &before), ("after", &after), ("source", &source)];
        members.rotate_left(first);
        let text: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        let value = format!("{{{}}}", text.join(","));
        let row_or_null = |value: &Value| value.is_null() || value.is_object();
        let fits = op.is_string() && source.is_object() && row_or_null(&before) && row_or_null(&after);

        let topic = topic(Dialect::Debezium, Targets::One(&EVENT));
        let mut flat = topic;
        flat.options.envelope = Some(Envelope::Flat);
        let shown = |topic| show::<Event>(decode(topic, Some(b"1"), Some(value.as_bytes())));
        if !fits {
            prop_assert_eq!(shown(&topic), shown(&flat));
        }
    }

    /// One column more than the envelope has, and it is a row whatever the others are.
    #[test]
    fn a_row_with_another_column_is_no_envelope(op in "[crudtm]", row in json_value()) {
        let value = json!({"before": null, "after": {"id": 2}, "op": op, "source": {}, "id": row}).to_string();
        let topic = topic(Dialect::Debezium, Targets::One(&EVENT));
        let mut flat = topic;
        flat.options.envelope = Some(Envelope::Flat);
        let shown = |topic| show::<Event>(decode(topic, Some(b"1"), Some(value.as_bytes())));
        prop_assert_eq!(shown(&topic), shown(&flat));
    }
}
