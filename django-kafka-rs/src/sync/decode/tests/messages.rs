//! What wraps rows, what says a deletion, which row is meant, and what is said when it cannot be known.

#![expect(clippy::needless_raw_string_hashes, reason = "as expect-test writes them")]

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::format::debezium::{ByType, Opt};
use crate::sync::SyncContext;
use crate::sync::decode::reroute::reroute_identifier;
use crate::sync::decode::{select, with_context};
use crate::sync::model::{Dialect, Envelope, ErasedLookup, LookupField, Targets};

patch! {
    Order, ORDER, "orders",
    0 id: i64, ByType;
    1 total: f64, ByType;
    2 note: Option<String>, Opt<ByType>;
}

const DEBEZIUM: ModelTopic = topic(Dialect::Debezium, Targets::One(&ORDER));
const PLAIN: ModelTopic = topic(Dialect::Plain, Targets::One(&ORDER));

fn shown(topic: &ModelTopic, key: &str, value: &str) -> String {
    let [key, value] = [key, value].map(|text| (!text.is_empty()).then_some(text.as_bytes()));
    show::<Order>(decode(topic, key, value))
}

/// Empty texts are null keys and tombstones.
#[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes it")]
fn check(topic: &ModelTopic, messages: &[(&str, &str)], expected: Expect) {
    let rows: Vec<_> = messages.iter().map(|(key, value)| shown(topic, key, value)).collect();
    expected.assert_eq(&rows.join("\n"));
}

const ROW: &str = r#"{"id":1,"total":2.5,"note":null,"other":{"a":[1]}}"#;

#[test]
fn rows_and_tombstones() {
    check(
        &PLAIN,
        &[(KEY, ROW), (KEY, ""), (KEY, "null"), (KEY, "{}"), (KEY, r#"{"note":"a"}"#)],
        expect![[r#"
        upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
        delete by [0] Order { id: Some(1), total: None, note: None }
        delete by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: None, note: Some(Some("a")) }"#]],
    );
}

#[test]
fn deletions_by_field() {
    check(
        &DEBEZIUM,
        &[
            (KEY, r#"{"id":1,"total":1,"__deleted":true}"#),
            (KEY, r#"{"id":1,"total":1,"__deleted":"TRUE"}"#),
            (KEY, r#"{"id":1,"total":1,"__deleted":"false"}"#),
            (KEY, r#"{"id":1,"total":1,"__deleted":"maybe"}"#),
            (KEY, r#"{"id":1,"total":1,"__deleted":1}"#),
            // Blanked by Debezium, where the model has no null.
            (KEY, r#"{"id":1,"total":null,"note":{},"__deleted":"true"}"#),
            (KEY, r#"{"id":1,"total":null,"__deleted":"false"}"#),
        ],
        expect![[r#"
            delete by [0] Order { id: Some(1), total: None, note: None }
            delete by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: Some(1.0), note: None }
            error: field `__deleted`: expected true or false, as a boolean or a text, found "maybe"
            error: field `__deleted`: expected true or false, as a boolean or a text, found 1
            delete by [0] Order { id: Some(1), total: None, note: None }
            error: field `total` (column `orders.total`): expected a number (f64), found null, but the field has no NULL; make it an `Option<…>`"#]],
    );
    check(
        &PLAIN,
        &[(KEY, r#"{"id":1,"total":1,"__deleted":true}"#)],
        expect!["upsert by [0] Order { id: Some(1), total: Some(1.0), note: None }"],
    );
    let named = with(PLAIN, |options| options.deleted_field = Some("note"));
    check(
        &named,
        &[(KEY, r#"{"id":1,"note":"true"}"#), (KEY, r#"{"id":1,"note":"false"}"#)],
        expect![[r#"
        delete by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: None, note: Some(Some("false")) }"#]],
    );
}

#[test]
fn deletions_by_function() {
    fn when_free(cx: &SyncContext<'_>) -> Result<bool, ConsumeError> {
        Ok(cx.has_value() && cx.value::<serde_json::Value>()?["total"] == 0)
    }
    let topic = with(DEBEZIUM, |options| options.is_deletion = Some(when_free));
    check(
        &topic,
        &[
            (KEY, r#"{"id":1,"total":0,"note":5}"#),
            (KEY, r#"{"id":1,"total":1,"__deleted":"true"}"#),
            (KEY, ""),
            (KEY, r#"{"op":"d","source":{},"before":{"id":1,"total":1}}"#),
        ],
        expect![[r#"
            delete by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: Some(1.0), note: None }
            error: the value is null, and `is_deletion` says that the message is no deletion: there is no row of `orders` to write
            delete by [0] Order { id: Some(1), total: None, note: None }"#]],
    );
}

#[test]
fn keys() {
    check(
        &PLAIN,
        &[
            ("1", ""),
            (" 1 ", ROW),
            ("\"1\"", ""),
            ("abc", ""),
            (r#"{"id":null}"#, ""),
            (r#"{"id":"x"}"#, ROW),
            (r#"{"a":1,"b":2}"#, ""),
            (r#"{"a":1}"#, r#"{"total":1}"#),
            (r#"{"a":1}"#, ROW),
            ("[1]", ""),
            ("{}", ""),
            ("", ROW),
            ("", ""),
            ("null", ROW),
            (r#"{"id":7}"#, ROW),
            (r#"{"schema":{"type":"int64"},"payload":5}"#, ""),
            (r#"{"schema":null,"payload":{"id":5}}"#, ""),
            (r#"{"id":5,"__deleted":"true","__dbz__x":1}"#, ROW),
        ],
        expect![[r#"
            delete by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
            error: key field `id` (column `orders.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "1"
            error: key field `id` (column `orders.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "abc"
            error: key field `id` (column `orders.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found null, but the field has no NULL; make it an `Option<…>`
            error: key field `id` (column `orders.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "x"
            error: the lookup's field `id` (column `orders.id`) is missing: the key held the fields `a`, `b`, and the value is null
            error: the lookup's field `id` (column `orders.id`) is missing: the key held the fields `a`, and the value has no such field either
            upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
            error: the lookup's field `id` (column `orders.id`) is missing: the key held "[1]", and the value is null
            error: the lookup's field `id` (column `orders.id`) is missing: the key held no field, and the value is null
            error: the message has no key, so nothing tells which row of `orders` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
            error: the message has no key, so nothing tells which row of `orders` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
            error: the message has no key, so nothing tells which row of `orders` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
            upsert by [0] Order { id: Some(7), total: Some(2.5), note: Some(None) }
            delete by [0] Order { id: Some(5), total: None, note: None }
            delete by [0] Order { id: Some(5), total: None, note: None }
            upsert by [0] Order { id: Some(5), total: Some(2.5), note: Some(None) }"#]],
    );
}

#[test]
fn a_text_key_that_looks_like_a_number_is_a_text_for_a_text_column() {
    let by_note = with(PLAIN, |options| {
        options.lookup = Some(&[LookupField { field: "note", whole_key: false }]);
    });
    check(
        &by_note,
        &[("42", ""), ("abc", ""), ("\"q\"", ""), ("true", ROW)],
        expect![[r#"
        delete by [2] Order { id: None, total: None, note: Some(Some("42")) }
        delete by [2] Order { id: None, total: None, note: Some(Some("abc")) }
        delete by [2] Order { id: None, total: None, note: Some(Some("q")) }
        upsert by [2] Order { id: Some(1), total: Some(2.5), note: Some(Some("true")) }"#]],
    );
    let whole = with(PLAIN, |options| options.lookup = Some(&[LookupField { field: "note", whole_key: true }]));
    check(
        &whole,
        &[("abc", ""), (KEY, "")],
        expect![[r#"
        delete by [2] Order { id: None, total: None, note: Some(Some("abc")) }
        error: key field `note` (column `orders.note`): expected a text, found an object"#]],
    );
    let two = with(PLAIN, |options| {
        options.lookup =
            Some(&[LookupField { field: "id", whole_key: false }, LookupField { field: "note", whole_key: false }]);
    });
    check(
        &two,
        &[(r#"{"id":1,"note":"a"}"#, ""), ("5", ROW), ("5", "")],
        expect![[r#"
        delete by [0, 2] Order { id: Some(1), total: None, note: Some(Some("a")) }
        upsert by [0, 2] Order { id: Some(1), total: Some(2.5), note: Some(None) }
        error: the lookup's field `id` (column `orders.id`) is missing: the key held "5", and the value is null"#]],
    );
}

#[test]
fn a_lookup_of_the_users_own() {
    fn by_total(cx: &SyncContext<'_>) -> Result<ErasedLookup, ConsumeError> {
        let order = Order { total: Some(cx.key()?), ..Order::default() };
        Ok(ErasedLookup { patch: Box::new(order), columns: ColumnSet::of(&[1]) })
    }
    let topic = with(PLAIN, |options| options.lookup_with = Some(by_total));
    check(
        &topic,
        &[("9.5", ROW), ("9.5", ""), ("x", "")],
        expect![[r#"
        upsert by [1] Order { id: Some(1), total: Some(9.5), note: Some(None) }
        delete by [1] Order { id: None, total: Some(9.5), note: None }
        error: key: invalid type: string "x", expected f64 at line 1 column 3"#]],
    );
}

#[test]
fn values_that_do_not_fit() {
    check(
        &PLAIN,
        &[
            (KEY, r#"{"id":1,"total":"x"}"#),
            (KEY, r#"{"id":1,"total":1"#),
            (KEY, r"{'id':1}"),
            (KEY, "plain text"),
            (KEY, " "),
            (KEY, "[1,2]"),
            (KEY, "5"),
            (KEY, r#"{"id":1,"total":1} {}"#),
            (KEY, "\0\0\0\0\u{1}abc"),
        ],
        expect![[r#"
            error: field `total` (column `orders.total`): expected a number (f64), found the text "x"
            error: the value is not JSON (EOF while parsing an object at line 1 column 17): it begins with "{\"id\":1,\"total\":1"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
            error: the value is not JSON (key must be a string at line 1 column 2): it begins with "{'id':1}"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
            error: the value is not JSON (expected value at line 1 column 1): it begins with "plain text"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
            error: the value is not JSON (EOF while parsing a value at line 1 column 1): it begins with " "; if the topic has another format, name it with `value_format` in `#[topic(…)]`
            error: the value is not a row of `orders`: invalid type: sequence, expected an object with the row's fields
            error: the value is not a row of `orders`: invalid type: integer `5`, expected an object with the row's fields
            error: the value is not JSON (trailing characters at line 1 column 20): it begins with "{\"id\":1,\"total\":1} {}"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
            error: the value is not JSON (expected value at line 1 column 1): it begins with a zero byte, as Avro of a schema registry does; if the topic has another format, name it with `value_format` in `#[topic(…)]`"#]],
    );
    let empty = show::<Order>(decode(&PLAIN, Some(KEY.as_bytes()), Some(b"")));
    expect!["error: the value is not JSON (EOF while parsing a value at line 1 column 0): it is empty; if the topic has another format, name it with `value_format` in `#[topic(…)]`"].assert_eq(&empty);
    let not_text = show::<Order>(decode(&PLAIN, Some(&[0xff, 0xfe]), None));
    expect![[r#"error: the key is neither JSON nor text: it begins with "��""#]].assert_eq(&not_text);
}

#[test]
fn envelopes() {
    let envelope = |op: &str, before: &str, after: &str| {
        json!({
            "before": serde_json::from_str::<serde_json::Value>(before).unwrap(),
            "after": serde_json::from_str::<serde_json::Value>(after).unwrap(),
            "source": {"connector": "postgresql"}, "transaction": null, "op": op, "ts_ms": 1,
        })
        .to_string()
    };
    let texts = [
        envelope("c", "null", ROW),
        envelope("u", ROW, ROW),
        envelope("r", "null", ROW),
        envelope("d", ROW, "null"),
        envelope("d", "null", "null"),
        envelope("m", "null", "null"),
        envelope("t", "null", "null"),
        envelope("x", "null", ROW),
        envelope("c", "null", "null"),
        // A row whose first columns are called so.
        r#"{"op":"c","source":"web","after":{},"id":1}"#.to_owned(),
        r#"{"before":"2024","id":1}"#.to_owned(),
        r#"{"after":{"total":4}}"#.to_owned(),
    ];
    let messages: Vec<_> = texts.iter().map(|text| (KEY, text.as_str())).collect();
    check(
        &DEBEZIUM,
        &messages,
        expect![[r#"
        upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
        upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
        upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
        delete by [0] Order { id: Some(1), total: None, note: None }
        delete by [0] Order { id: Some(1), total: None, note: None }
        ignore
        error: Debezium's operation `t` says that the whole table was truncated, which is not applied; delete the rows by hand, or leave the operation out with `skipped.operations = t` in the connector
        error: unknown operation "x" in Debezium's envelope; known are c, u, r, d, t and m
        error: Debezium's operation `c` writes a row, but the message has no `after`
        upsert by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: None, note: None }"#]],
    );
    let full = with(DEBEZIUM, |options| options.envelope = Some(Envelope::Full));
    check(
        &full,
        &[(KEY, &texts[0]), (KEY, ROW), (KEY, ""), (KEY, r#"{"op":"c","after":{"total":1},"more":1}"#)],
        expect![[r#"
            upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }
            error: expected Debezium's envelope (`before`, `after`, `source`, `op`), as `envelope = full` says, found another value: it begins with "{\"id\":1,\"total\":2.5,\"note\":null,\"other\":{\"a\":[1]}}"
            delete by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: Some(1.0), note: None }"#]],
    );
    let flat = with(DEBEZIUM, |options| options.envelope = Some(Envelope::Flat));
    check(
        &flat,
        &[(KEY, &texts[0]), (KEY, ROW)],
        expect![[r#"
        upsert by [0] Order { id: Some(1), total: None, note: None }
        upsert by [0] Order { id: Some(1), total: Some(2.5), note: Some(None) }"#]],
    );
    check(&PLAIN, &[(KEY, &texts[0])], expect!["upsert by [0] Order { id: Some(1), total: None, note: None }"]);
    // The key lacks the field: the row as it was has it.
    check(
        &DEBEZIUM,
        &[(r#"{"a":1}"#, &texts[3]), (r#"{"a":1}"#, &texts[4])],
        expect![[r#"
        delete by [0] Order { id: Some(1), total: None, note: None }
        error: the lookup's field `id` (column `orders.id`) is missing: the key held the fields `a`, and the value is null"#]],
    );
}

#[test]
fn wrapped_envelopes_have_their_rows_schema() {
    let row = r#"{"type":"struct","fields":[{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"field":"total"}]}"#;
    let schema = row.replacen('{', r#"{"field":"after","#, 1);
    let before = row.replacen('{', r#"{"field":"before","#, 1);
    let wrap =
        |payload: &str| format!(r#"{{"schema":{{"type":"struct","fields":[{before},{schema}]}},"payload":{payload}}}"#);
    check(
        &DEBEZIUM,
        &[
            (KEY, &wrap(r#"{"before":null,"after":{"id":1,"total":"bg=="},"source":{},"op":"c"}"#)),
            (KEY, &format!(r#"{{"schema":{row},"payload":{{"total":"bg=="}}}}"#)),
            (KEY, &format!(r#"{{"payload":{{"total":"bg=="}},"schema":{row}}}"#)),
            (KEY, &format!(r#"{{"schema":{row},"payload":null}}"#)),
            // Rows, not wrappings.
            (KEY, r#"{"schema":"public","payload":{"total":1}}"#),
            (KEY, r#"{"schema":{},"payload":{"total":1}}"#),
            (KEY, r#"{"schema":null,"payload":{"total":1},"total":2}"#),
        ],
        expect![[r#"
            upsert by [0] Order { id: Some(1), total: Some(1.1), note: None }
            upsert by [0] Order { id: Some(1), total: Some(1.1), note: None }
            upsert by [0] Order { id: Some(1), total: Some(1.1), note: None }
            delete by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: None, note: None }
            upsert by [0] Order { id: Some(1), total: Some(2.0), note: None }"#]],
    );
}

#[test]
fn excluded_fields_stay_out() {
    let topic = with(PLAIN, |options| options.exclude = &["note", "id"]);
    check(
        &topic,
        &[(KEY, r#"{"id":{"wrong":1},"total":1,"note":"secret"}"#)],
        expect!["upsert by [0] Order { id: Some(1), total: Some(1.0), note: None }"],
    );
}

#[test]
fn plans_refuse_what_cannot_be() {
    let lookup = with(PLAIN, |options| options.lookup = Some(&[LookupField { field: "nam", whole_key: false }]));
    expect!["lookup names `nam`, but `Order` has no such field with a column; it has `id`, `total`, `note`"]
        .assert_eq(&ReadPlan::new(&lookup, &ORDER).unwrap_err());
    let full = with(PLAIN, |options| options.envelope = Some(Envelope::Full));
    expect!["`envelope = full` is Debezium's: derive `DbzConsumer` in place of `ModelTopicConsumer`"]
        .assert_eq(&ReadPlan::new(&full, &ORDER).unwrap_err());
}

#[test]
fn rerouted_keys() {
    const MAP: &[(&str, &ModelDescriptor)] = &[("public.orders", &ORDER)];
    let mapped = topic(Dialect::Debezium, Targets::Reroute(MAP));
    let identify = |topic: &ModelTopic, key: &str| match select(topic, Some(super::super::Body::Json(key.as_bytes()))) {
        Ok((index, model)) => format!("{index} {}", model.type_name),
        Err(error) => format!("error: {error}"),
    };
    let keys = [
        r#"{"id":1,"__dbz__physicalTableIdentifier":"public.orders"}"#,
        r#"{"schema":{"type":"struct"},"payload":{"id":1,"__dbz__physicalTableIdentifier":"public.orders"}}"#,
        r#"{"id":1,"__dbz__physicalTableIdentifier":"shop.public.orders"}"#,
        r#"{"id":1,"__dbz__physicalTableIdentifier":"public.others"}"#,
        r#"{"id":1,"__dbz__physicalTableIdentifier":5}"#,
        KEY,
        "1",
    ];
    let rows: Vec<_> = keys.iter().map(|key| identify(&mapped, key)).collect();
    expect![[r#"
        0 Order
        0 Order
        error: the key names the table "shop.public.orders", which `#[reroute(…)]` does not map; it maps `public.orders`; it is `public.orders` behind the connector's topic prefix: map the whole name, or cut the prefix with `key.field.regex` and `key.field.replacement` in the connector
        error: the key names the table "public.others", which `#[reroute(…)]` does not map; it maps `public.orders`
        error: key field `__dbz__physicalTableIdentifier`: expected the table's name as text, found 5
        error: the key has no field `__dbz__physicalTableIdentifier`, so nothing tells which of the topic's models the message is for; let the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps `public.orders`
        error: the key has no field `__dbz__physicalTableIdentifier`, so nothing tells which of the topic's models the message is for; let the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps `public.orders`"#]].assert_eq(&rows.join("\n"));
    let rows: Vec<_> = keys.iter().map(|key| identify(&DEBEZIUM, key)).collect();
    expect![[r#"
        error: the key names the table "public.orders" in `__dbz__physicalTableIdentifier`, but the topic maps no tables; declare `#[reroute("public.orders" => Model)]` on a unit topic
        error: the key names the table "public.orders" in `__dbz__physicalTableIdentifier`, but the topic maps no tables; declare `#[reroute("public.orders" => Model)]` on a unit topic
        error: the key names the table "shop.public.orders" in `__dbz__physicalTableIdentifier`, but the topic maps no tables; declare `#[reroute("shop.public.orders" => Model)]` on a unit topic
        error: the key names the table "public.others" in `__dbz__physicalTableIdentifier`, but the topic maps no tables; declare `#[reroute("public.others" => Model)]` on a unit topic
        error: key field `__dbz__physicalTableIdentifier`: expected the table's name as text, found 5
        0 Order
        0 Order"#]].assert_eq(&rows.join("\n"));
    assert_eq!(identify(&PLAIN, keys[0]), "0 Order");
    assert_eq!(reroute_identifier(None).unwrap(), None);
}

#[test]
fn hooks_see_the_message_unwrapped() {
    let raw = record(
        Some(br#"{"schema":{"type":"struct"},"payload":{"id":1}}"#),
        Some(br#"{"before":{"total":3},"after":null,"source":{},"op":"d"}"#),
    );
    let message = Message::new(&raw, &DEBEZIUM, &NoSchemas).unwrap();
    let plan = ReadPlan::new(&DEBEZIUM, &ORDER).unwrap();
    let seen = with_context(&plan, &message, |cx| {
        (cx.key::<serde_json::Value>().unwrap(), cx.value::<serde_json::Value>().unwrap())
    });
    assert_eq!(seen.unwrap(), (json!({"id": 1}), json!({"total": 3})));
}
