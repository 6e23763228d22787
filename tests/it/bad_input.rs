//! Whatever a message holds, it ends in the dead letter topic with its bytes untouched and an error that a human
//! understands, and the messages around it are synced.

use std::fmt::Write as _;
use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::{DeadLetter, TestApp, TestBytes};
use expect_test::{Expect, expect};
use serde_json::json;

mod schema {
    diesel::table! { shelves (id) { id -> BigInt, name -> Text, } }
    diesel::table! {
        items (id) {
            id -> BigInt,
            name -> Text,
            code -> Nullable<Text>,
            qty -> Nullable<Integer>,
            total -> Nullable<Text>,
            due -> Nullable<Date>,
            seen -> Nullable<Timestamp>,
            shelf_id -> Nullable<BigInt>,
        }
    }
    diesel::table! { stickers (id) { id -> BigInt, item_id -> BigInt, } }
}
use schema::{items, shelves, stickers};

#[topic(name = "shop.items", retry(max_retries = 1, delay = "1m"), register = false)]
#[derive(Queryable, Selectable, Identifiable, DbzConsumer)]
#[sync(after = note)]
struct Item {
    id: i64,
    #[sync(with = named)]
    name: String,
    code: Option<String>,
    qty: Option<i32>,
    #[sync(as = dbz::Decimal(2))]
    total: Option<String>,
    due: Option<chrono::NaiveDate>,
    seen: Option<chrono::NaiveDateTime>,
    shelf_id: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
#[error("a name has at least one letter")]
struct Nameless;

fn named(name: String) -> Result<String, Nameless> {
    assert_ne!(name, "panics", "the name that panics");
    if name.is_empty() { Err(Nameless) } else { Ok(name) }
}

fn note(cx: &SyncContext<'_>, applied: Applied, conn: &mut DbConn) -> Result<(), ConsumeError> {
    if applied == Applied::Deleted {
        return Ok(());
    }
    let name = cx.value::<serde_json::Value>()?["name"].as_str().unwrap_or_default().to_owned();
    assert_ne!(name, "hook panics", "the hook that panics");
    if name == "hook fails" {
        // What a failing hook has written goes with its row.
        diesel::delete(shelves::table).execute(conn)?;
        return Err("the index does not answer".into());
    }
    if name == "hook breaks a constraint" {
        diesel::insert_into(shelves::table).values((shelves::id.eq(1), shelves::name.eq("again"))).execute(conn)?;
    }
    Ok(())
}

#[topic(name = "shop.everything", register = false)]
#[derive(DbzConsumer)]
#[reroute("public.items" => Item, "public.shelves" => Shelf)]
struct Everything;

#[derive(Queryable, Selectable, Identifiable, SyncModel)]
#[diesel(table_name = shelves)]
struct Shelf {
    id: i64,
    name: String,
}

#[topic(name = "shop.shelves", register = false)]
#[derive(DbzConsumer)]
#[sync(model = Shelf)]
struct Shelves;

#[topic(name = "shop.stickers", register = false)]
#[derive(Queryable, Selectable, Identifiable, DbzConsumer)]
#[diesel(table_name = stickers)]
struct Sticker {
    id: i64,
    item_id: i64,
}

#[consumer(group = "shop", topics(Item, Everything, Shelves, Sticker))]
struct Shop;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_bad_input");

async fn start() -> TestApp {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    TestApp::start(App::builder().consumer(Shop).settings(settings).migrations(MIGRATIONS)).await.unwrap()
}

type Message = (TestBytes, TestBytes);

fn message(key: impl Into<TestBytes>, value: impl Into<TestBytes>) -> Message {
    (key.into(), value.into())
}

/// An item's message: `fields` beside its id and name.
fn item(id: i64, fields: &serde_json::Value) -> Message {
    let mut value = json!({ "id": id, "name": format!("item {id}") });
    for (name, field) in fields.as_object().unwrap() {
        value[name] = field.clone();
    }
    message(json!({ "id": id }), value)
}

/// Produces all of them in one batch's reach, lets their retries pass, and compares the dead letters: each with its
/// key, its value, its own headers, and what we say of it.
async fn check(app: &TestApp, topic: &str, attempts: u32, messages: &[Message], summaries: Expect) -> Vec<DeadLetter> {
    let mut headers = Headers::new();
    headers.push("trace", Some(b"1".to_vec()));
    headers.push("trace", None);
    for (key, value) in messages {
        app.produce_with(topic, key.clone(), value.clone(), headers.clone(), Some(0)).await.unwrap();
    }
    for _ in 0..=messages.len() {
        app.settle().await.unwrap();
        app.advance(Duration::from_secs(60)).await;
    }
    app.settle().await.unwrap();

    let letters = app.dead_letters(topic).await.unwrap();
    let mut text = String::new();
    for letter in &letters {
        let offset = usize::try_from(letter.offset).unwrap();
        let (key, value) = messages[offset].clone();
        assert_eq!((TestBytes::from(letter.key.clone()), TestBytes::from(letter.value.clone())), (key, value));
        assert_eq!(letter.dead_letter_topic, format!("shop.{topic}.dlt"));
        assert_eq!((letter.topic.as_str(), letter.partition, letter.attempts), (topic, 0, attempts));
        let own: Vec<_> = letter.headers.iter().take(2).collect();
        assert_eq!(own, [("trace", Some(&b"1"[..])), ("trace", None)]);
        assert_eq!(letter.headers.get("DEAD_LETTER_MESSAGE_GROUP"), Some(&b"shop"[..]));
        assert!(letter.headers.get("DEAD_LETTER_MESSAGE_TIMESTAMP").is_some());
        assert!(!letter.summary.contains('\n') && letter.detail.lines().next().is_some());
        writeln!(text, "{offset}: {}", letter.summary).unwrap();
    }
    summaries.assert_eq(&text);
    letters
}

async fn item_ids(app: &TestApp) -> Vec<i64> {
    app.sqlite(|conn| items::table.order(items::id).select(items::id).load(conn)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_of_the_format() {
    let app = start().await;
    let messages = [
        item(1, &json!({})),
        message(json!({ "id": 2 }), "not JSON"),
        message(json!({ "id": 2 }), b"\x00\x00\x00\x00\x07\x02"),
        message(json!({ "id": 2 }), b"\xff\xfe\xfd"),
        message(json!({ "id": 2 }), ""),
        message(json!({ "id": 2 }), r#"{"id":2,"name":"#),
        message(json!({ "id": 2 }), r#"[1,2]"#),
        message(json!({ "id": 2 }), r#""text""#),
        message(b"\xff\xfe", json!({ "id": 2, "name": "x" })),
        message(r#"{"id":"#, json!({ "id": 2, "name": "x" })),
        item(3, &json!({})),
    ];
    check(&app, "shop.items", 2, &messages, expect![[r#"
        1: the value is not JSON (expected ident at line 1 column 2): it begins with "not JSON"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
        2: the value is not JSON (expected value at line 1 column 1): it begins with a zero byte, as Avro of a schema registry does; if the topic has another format, name it with `value_format` in `#[topic(…)]`
        3: the value is not JSON (expected value at line 1 column 1): it begins with "���"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
        4: the value is not JSON (EOF while parsing a value at line 1 column 0): it is empty; if the topic has another format, name it with `value_format` in `#[topic(…)]`
        5: the value is not JSON (EOF while parsing a value at line 1 column 15): it begins with "{\"id\":2,\"name\":"; if the topic has another format, name it with `value_format` in `#[topic(…)]`
        6: the value is not a row of `items`: invalid type: sequence, expected an object with the row's fields
        7: the value is not a row of `items`: invalid type: string "text", expected an object with the row's fields
        8: the key is neither JSON nor text: it begins with "��"
        9: key field `id` (column `items.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "{\"id\":"
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_name_no_row() {
    let app = start().await;
    let messages = [
        item(1, &json!({})),
        message((), json!({ "id": 2, "name": "no key" })),
        message((), ()),
        message("null", json!({ "id": 2, "name": "null key" })),
        message(json!({ "uid": 2 }), json!({ "name": "another key" })),
        message(json!({ "uid": 2 }), ()),
        message(json!({}), ()),
        message(json!({ "id": "two" }), json!({ "name": "a text" })),
        message("two", json!({ "name": "a text" })),
        message(json!({ "id": null }), json!({ "name": "a null" })),
        message(json!([2]), json!({ "name": "an array" })),
        // The value says what the key lacks.
        message(json!({ "uid": 3 }), json!({ "id": 3, "name": "by its value" })),
        message("4", json!({ "name": "a scalar key" })),
    ];
    check(&app, "shop.items", 2, &messages, expect![[r#"
        1: the message has no key, so nothing tells which row of `items` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
        2: the message has no key, so nothing tells which row of `items` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
        3: the message has no key, so nothing tells which row of `items` it is about (lookup by `id`); produce it with a key, or say how the row is found with `#[sync(lookup_with = path)]`
        4: the lookup's field `id` (column `items.id`) is missing: the key held the fields `uid`, and the value has no such field either
        5: the lookup's field `id` (column `items.id`) is missing: the key held the fields `uid`, and the value is null
        6: the lookup's field `id` (column `items.id`) is missing: the key held no field, and the value is null
        7: key field `id` (column `items.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "two"
        8: key field `id` (column `items.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "two"
        9: key field `id` (column `items.id`): expected an integer (i64, -9223372036854775808 to 9223372036854775807), found null, but the field has no NULL; make it an `Option<…>`
        10: the lookup's field `id` (column `items.id`) is missing: the key held "[2]", and the value has no such field either
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_another_type_or_out_of_range() {
    let app = start().await;
    let messages = [
        item(1, &json!({})),
        item(2, &json!({ "name": 7 })),
        item(2, &json!({ "name": null })),
        item(2, &json!({ "qty": "many" })),
        item(2, &json!({ "qty": 1.5 })),
        item(2, &json!({ "qty": true })),
        item(2, &json!({ "qty": { "units": 3 } })),
        item(2, &json!({ "qty": 3_000_000_000_i64 })),
        item(2, &json!({ "due": "2026-01-02" })),
        item(2, &json!({ "due": 2_000_000_000 })),
        item(2, &json!({ "seen": i64::MAX })),
        item(2, &json!({ "total": "12.50" })),
        item(2, &json!({ "__deleted": "maybe" })),
        item(3, &json!({ "qty": i32::MAX, "due": 20_000, "total": "BOI=", "seen": 1 })),
    ];
    check(&app, "shop.items", 2, &messages, expect![[r#"
        1: field `name` (column `items.name`): expected a text, found the integer 7
        2: field `name` (column `items.name`): expected a text, found null, but the field has no NULL; make it an `Option<…>`
        3: field `qty` (column `items.qty`): expected an integer (i32, -2147483648 to 2147483647), found the text "many"
        4: field `qty` (column `items.qty`): expected an integer (i32, -2147483648 to 2147483647), found the number 1.5
        5: field `qty` (column `items.qty`): expected an integer (i32, -2147483648 to 2147483647), found true
        6: field `qty` (column `items.qty`): expected an integer (i32, -2147483648 to 2147483647), found an object
        7: field `qty` (column `items.qty`): expected an integer (i32, -2147483648 to 2147483647), found the integer 3000000000
        8: field `due` (column `items.due`): expected days since 1970 (an integer), found the text "2026-01-02"; for text write `as = dbz::IsoDate`
        9: field `due` (column `items.due`): 2000000000 days since 1970 are out of the range of dates (years -262143 to 262142)
        10: field `seen` (column `items.seen`): 9223372036854775807 microseconds since 1970 are out of the range of timestamps (years -262143 to 262142); PostgreSQL's infinity arrives as such a number
        11: field `total` (column `items.total`): expected a decimal with scale 2 (base64 of its unscaled value, a number, or an object of scale and value), found the text "12.50"
        12: field `__deleted`: expected true or false, as a boolean or a text, found "maybe"
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_database_refuses() {
    let app = start().await;
    let messages = [
        item(1, &json!({ "code": "A", "shelf_id": 1 })),
        item(2, &json!({ "code": "A" })),
        message(json!({ "id": 2 }), json!({ "id": 2, "code": "B" })),
        item(2, &json!({ "qty": 13 })),
        item(2, &json!({ "shelf_id": 77 })),
        item(3, &json!({ "code": "B" })),
    ];
    check(&app, "shop.items", 2, &messages, expect![[r#"
        1: table `items`: the row cannot be written: another row has this value already (UNIQUE constraint failed: items.code)
        2: table `items`: the row cannot be written: a column without a default has no value, because the message lacks it or says null (NOT NULL constraint failed: items.name)
        3: table `items`: the row cannot be written: its values do not pass a check (CHECK constraint failed: qty <> 13)
        4: table `items`: the row cannot be written: the row that it refers to does not exist (FOREIGN KEY constraint failed)
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3]);

    // A row that others refer to, and a constraint that is checked at the commit.
    let shelves = [
        message(json!({ "id": 2 }), json!({ "id": 2, "name": "bottom" })),
        message(json!({ "id": 1 }), ()),
        message(json!({ "id": 3 }), json!({ "id": 3, "name": "middle" })),
    ];
    check(
        &app,
        "shop.shelves",
        1,
        &shelves,
        expect![[r#"
        1: table `shelves`: the row cannot be deleted: other rows still refer to it (FOREIGN KEY constraint failed)
    "#]],
    )
    .await;
    let stickers = [
        message(json!({ "id": 1 }), json!({ "id": 1, "item_id": 1 })),
        message(json!({ "id": 2 }), json!({ "id": 2, "item_id": 99 })),
        message(json!({ "id": 3 }), json!({ "id": 3, "item_id": 3 })),
    ];
    check(&app, "shop.stickers", 1, &stickers, expect![[r#"
        1: table `stickers`: the row cannot be written: the row that it refers to does not exist (FOREIGN KEY constraint failed)
    "#]]).await;
    let ids: Vec<i64> =
        app.sqlite(|conn| stickers::table.order(stickers::id).select(stickers::id).load(conn)).await.unwrap();
    assert_eq!(ids, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_fail_or_panic() {
    let app = start().await;
    let messages = [
        item(1, &json!({})),
        item(2, &json!({ "name": "" })),
        item(2, &json!({ "name": "panics" })),
        item(2, &json!({ "name": "hook fails" })),
        item(2, &json!({ "name": "hook panics" })),
        item(2, &json!({ "name": "hook breaks a constraint" })),
        item(3, &json!({ "shelf_id": 1 })),
    ];
    let letters = check(&app, "shop.items", 2, &messages, expect![[r#"
        1: field `name`: a name has at least one letter
        2: reading the message panicked: assertion `left != right` failed: the name that panics left: "panics" right: "panics"
        3: the `after` function failed: the index does not answer
        4: the `after` function failed: it panicked: assertion `left != right` failed: the hook that panics left: "hook panics" right: "hook panics"
        5: the `after` function failed: UNIQUE constraint failed: shelves.id
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3]);
    let shelves: Vec<Shelf> = app.sqlite(|conn| shelves::table.select(Shelf::as_select()).load(conn)).await.unwrap();
    assert_eq!(shelves.iter().map(|s| (s.id, s.name.as_str())).collect::<Vec<_>>(), [(1, "top")]);
    expect![[r#"
        field `name`: a name has at least one letter
        caused by: a name has at least one letter"#]]
    .assert_eq(letters[0].detail.split("\nbacktrace:").next().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_of_tables_that_lead_nowhere() {
    let app = start().await;
    let table = "__dbz__physicalTableIdentifier";
    let messages = [
        message(json!({ "id": 1, table: "public.items" }), json!({ "id": 1, "name": "an item" })),
        message(json!({ "id": 1, table: "public.itmes" }), json!({ "id": 2, "name": "an unknown table" })),
        message(json!({ "id": 2, table: "shop.public.items" }), json!({ "id": 2, "name": "with its prefix" })),
        message(json!({ "id": 2 }), json!({ "id": 2, "name": "no table" })),
        message((), json!({ "id": 2, "name": "no key" })),
        message("2", json!({ "id": 2, "name": "a scalar" })),
        message(json!({ "id": 2, table: 7 }), json!({ "id": 2, "name": "a number" })),
        message(json!({ "id": 2, table: "public.shelves" }), json!({ "id": 2, "name": "a shelf" })),
    ];
    check(&app, "shop.everything", 1, &messages, expect![[r#"
        1: the key names the table "public.itmes", which `#[reroute(…)]` does not map; it maps `public.items`, `public.shelves`
        2: the key names the table "shop.public.items", which `#[reroute(…)]` does not map; it maps `public.items`, `public.shelves`; it is `public.items` behind the connector's topic prefix: map the whole name, or cut the prefix with `key.field.regex` and `key.field.replacement` in the connector
        3: the key has no field `__dbz__physicalTableIdentifier`, so nothing tells which of the topic's models the message is for; let the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps `public.items`, `public.shelves`
        4: the key has no field `__dbz__physicalTableIdentifier`, so nothing tells which of the topic's models the message is for; let the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps `public.items`, `public.shelves`
        5: the key has no field `__dbz__physicalTableIdentifier`, so nothing tells which of the topic's models the message is for; let the connector add it (`key.enforce.uniqueness = true` of `ByLogicalTableRouter`); `#[reroute(…)]` maps `public.items`, `public.shelves`
        6: key field `__dbz__physicalTableIdentifier`: expected the table's name as text, found 7
    "#]]).await;
    // One with a table's name, to a topic of one model.
    let messages = [
        message(json!({ "id": 5 }), json!({ "id": 5, "name": "a shelf" })),
        message(json!({ "id": 6, table: "public.shelves" }), json!({ "id": 6, "name": "not rerouted" })),
        message(json!({ "id": 7 }), json!({ "id": 7, "name": "a shelf" })),
    ];
    check(&app, "shop.shelves", 1, &messages, expect![[r#"
        1: the key names the table "public.shelves" in `__dbz__physicalTableIdentifier`, but the topic maps no tables; declare `#[reroute("public.shelves" => Model)]` on a unit topic
    "#]]).await;
    let shelves: Vec<i64> =
        app.sqlite(|conn| shelves::table.order(shelves::id).select(shelves::id).load(conn)).await.unwrap();
    assert_eq!((item_ids(&app).await, shelves), (vec![1], vec![1, 2, 5, 7]));
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_that_write_no_row() {
    let app = start().await;
    let envelope = |op: &str, before: serde_json::Value, after: serde_json::Value| json!({ "before": before, "after": after, "source": { "table": "items" }, "op": op, "ts_ms": 1 });
    let row = |id: i64| json!({ "id": id, "name": "in an envelope" });
    let messages = [
        message(json!({ "id": 1 }), envelope("c", json!(null), row(1))),
        message((), envelope("t", json!(null), json!(null))),
        message(json!({ "id": 2 }), envelope("c", json!(null), json!(null))),
        message(json!({ "id": 2 }), envelope("x", json!(null), row(2))),
        message(json!({ "id": 2 }), envelope("m", json!(null), json!(null))),
        message(json!({ "id": 2 }), envelope("c", json!(null), json!({ "id": 2, "name": 5 }))),
        message(json!({ "id": 3 }), envelope("r", json!(null), row(3))),
    ];
    check(&app, "shop.items", 2, &messages, expect![[r#"
        1: Debezium's operation `t` says that the whole table was truncated, which is not applied; delete the rows by hand, or leave the operation out with `skipped.operations = t` in the connector
        2: Debezium's operation `c` writes a row, but the message has no `after`
        3: unknown operation "x" in Debezium's envelope; known are c, u, r, d, t and m
        5: field `name` (column `items.name`): expected a text, found the integer 5
    "#]]).await;
    assert_eq!(item_ids(&app).await, [1, 3]);
}
