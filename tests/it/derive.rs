//! The derives of models and model topics: what they generate, driven as the runtime drives it.
#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "functions in `#[sync(…)]` have the signatures that they must have"
)]

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::Hasher;

use django_kafka_rs::__private as dk;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use dk::{Patch as _, Row as _};
use expect_test::{Expect, expect};

diesel::table! {
    customers (id) { id -> BigInt, first_name -> Text, email -> Nullable<Text>, joined -> Date, }
}

#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, SyncModel)]
#[diesel(table_name = customers)]
#[sync(exclude(password_hash))]
struct Customer {
    id: i64,
    #[sync(from = "name", with = shout)]
    first_name: String,
    email: Option<String>,
    joined: chrono::NaiveDate,
}
fn shout(name: String) -> String {
    name.to_uppercase()
}

mod schema {
    diesel::table! {
        every_options (the_key) {
            the_key -> Integer,
            count -> Integer,
            label -> Text,
            score -> Nullable<Double>,
            due -> Nullable<Date>,
            #[sql_name = "type"]
            r#type -> Text,
            slug -> Text,
            origin -> Text,
            note -> Text,
            secret -> Text,
            left_over -> Text,
        }
    }
}

/// What is not read by serde, hashed or compared.
#[derive(Debug, diesel::expression::AsExpression)]
#[diesel(sql_type = diesel::sql_types::Text)]
struct Slug(String);
impl From<String> for Slug {
    fn from(text: String) -> Self {
        Self(text.to_lowercase())
    }
}
impl<DB: diesel::backend::Backend> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for Slug
where
    String: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
        self.0.to_sql(out)
    }
}

#[derive(SyncModel)]
#[diesel(table_name = schema::every_options, primary_key(the_key))]
#[sync(
    exclude(secret, left_over, "not-a-word"),
    lookup(id = key),
    is_deletion = is_gone,
    after = note_change,
    envelope = flat,
    reduce(off),
    guard(off)
)]
struct Everything {
    #[diesel(column_name = the_key)]
    id: i32,
    #[sync(from = "raw", with = parse)]
    count: i32,
    #[sync(from = "raw")]
    label: String,
    #[sync(default)]
    score: Option<f64>,
    #[sync(as = dbz::Date, with = later)]
    due: Option<chrono::NaiveDate>,
    r#type: String,
    #[diesel(serialize_as = Slug)]
    slug: String,
    #[sync(compute = origin_of)]
    origin: String,
    #[sync(compute = static_note)]
    note: String,
    #[sync(default)]
    secret: String,
    left_over: String,
    #[sync(skip)]
    cached: Option<std::time::Instant>,
}
fn parse(raw: String) -> Result<i32, std::num::ParseIntError> {
    raw.parse()
}
fn later(date: Option<chrono::NaiveDate>) -> Option<chrono::NaiveDate> {
    date.and_then(|date| date.succ_opt())
}
fn origin_of(cx: &SyncContext<'_>) -> Result<String, ConsumeError> {
    Ok(format!("{}/{}", cx.topic(), cx.offset()))
}
fn static_note(_: &SyncContext<'_>) -> String {
    "noted".to_owned()
}
fn is_gone(cx: &SyncContext<'_>) -> Result<bool, ConsumeError> {
    Ok(!cx.has_value())
}
fn note_change(_: &SyncContext<'_>, _: Applied, _: &mut DbConn) -> Result<(), ConsumeError> {
    Ok(())
}

type PatchOf<M> = <M as dk::SyncModel>::Patch;

/// Reads a JSON object as `decode` does: by `columns_of`, then `read`.
fn read<M: dk::SyncModel>(json: &str) -> Result<PatchOf<M>, (serde_json::Error, Option<TransformError>)> {
    let mut patch = PatchOf::<M>::default();
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).expect("a JSON object");
    for (field, value) in object {
        for column in PatchOf::<M>::columns_of(&field) {
            if let Err(error) = patch.read(*column, value.clone(), None) {
                return Err((error, patch.take_error()));
            }
        }
    }
    Ok(patch)
}

/// The row as the database would be given it.
fn bound<M: dk::SyncModel>(patch: &PatchOf<M>) -> String {
    let names = M::DESCRIPTOR.columns.iter().enumerate().map(|(i, column)| {
        let present = if patch.present().contains(i) { "=" } else { " absent" };
        let value = diesel::debug_query::<diesel::sqlite::Sqlite, _>(&Bound(patch, i)).to_string();
        format!("{}{present} {value}\n", column.column)
    });
    names.collect()
}

struct Bound<'p, P>(&'p P, usize);
impl<P: dk::Row> diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for Bound<'_, P> {
    fn walk_ast<'b>(
        &'b self,
        out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
    ) -> diesel::QueryResult<()> {
        self.0.bind_sqlite(self.1, out)
    }
}

fn check<M: dk::SyncModel>(json: &str, expected: Expect) {
    let patch = read::<M>(json).expect("the message fits the model");
    expected.assert_eq(&bound::<M>(&patch));
}

#[test]
fn reads_renamed_transformed_and_encoded_fields() {
    check::<Customer>(
        r#"{"id": 7, "name": "ada", "email": null, "joined": 19000, "password_hash": "x", "first_name": "no"}"#,
        expect![[r#"
            id= ? -- binds: [7]
            first_name= ? -- binds: ["ADA"]
            email= ? -- binds: [None]
            joined= ? -- binds: [2022-01-08]
        "#]],
    );
}

#[test]
fn absent_fields_are_absent_columns() {
    check::<Customer>(
        r#"{"id": 7}"#,
        expect![[r"
        id= ? -- binds: [7]
        first_name absent NULL -- binds: []
        email absent NULL -- binds: []
        joined absent NULL -- binds: []
    "]],
    );
}

#[test]
fn reads_one_message_field_into_two_columns_and_keeps_excluded_ones_out() {
    check::<Everything>(
        r#"{"id": 1, "raw": "12", "due": 0, "type": "a", "slug": "ABC", "secret": "s", "left_over": "l"}"#,
        expect![[r#"
            the_key= ? -- binds: [1]
            count= ? -- binds: [12]
            label= ? -- binds: ["12"]
            score absent NULL -- binds: []
            due= ? -- binds: [Some(1970-01-02)]
            type= ? -- binds: ["a"]
            slug= ? -- binds: [Slug("abc")]
            origin absent NULL -- binds: []
            note absent NULL -- binds: []
            secret absent NULL -- binds: []
        "#]],
    );
}

#[test]
fn a_transform_sees_null_where_its_argument_is_an_option() {
    let patch = read::<Everything>(r#"{"due": null}"#).expect("null is a value");
    assert_eq!(patch.present(), dk::ColumnSet::of(&[4]));
    let Err((error, None)) = read::<Customer>(r#"{"name": null}"#) else { panic!("a text was expected") };
    expect!["expected a text, found null, but the field has no NULL; make it an `Option<…>`"]
        .assert_eq(&error.to_string());
}

diesel::table! {
    encodeds (id) {
        id -> Text,
        seen -> Nullable<Timestamp>,
        at -> TimestamptzSqlite,
        price -> Nullable<Text>,
        raw -> Binary,
    }
}
#[derive(SyncModel)]
struct Encoded {
    id: String,
    #[sync(as = dbz::Timestamp)]
    seen: Option<chrono::NaiveDateTime>,
    #[sync(as = dbz::MicroTimestamp)]
    at: chrono::DateTime<chrono::Utc>,
    #[sync(as = dbz::Decimal(2))]
    price: Option<String>,
    raw: Vec<u8>,
}

#[test]
fn named_encodings_read_what_is_in_an_option() {
    check::<Encoded>(
        r#"{"id": "a", "seen": 1500, "at": 1500, "price": "AN8=", "raw": "AQI="}"#,
        expect![[r#"
            id= ? -- binds: ["a"]
            seen= ? -- binds: [Some(1970-01-01T00:00:01.500)]
            at= ? -- binds: [1970-01-01T00:00:00.001500Z]
            price= ? -- binds: [Some("2.23")]
            raw= ? -- binds: [[1, 2]]
        "#]],
    );
    check::<Encoded>(
        r#"{"id": "a", "seen": null, "price": null}"#,
        expect![[r#"
        id= ? -- binds: ["a"]
        seen= ? -- binds: [None]
        at absent NULL -- binds: []
        price= ? -- binds: [None]
        raw absent NULL -- binds: []
    "#]],
    );
    check::<Encoded>(
        r#"{"id": "a", "seen": "__debezium_unavailable_value"}"#,
        expect![[r#"
        id= ? -- binds: ["a"]
        seen absent NULL -- binds: []
        at absent NULL -- binds: []
        price absent NULL -- binds: []
        raw absent NULL -- binds: []
    "#]],
    );
}

#[test]
fn computes_from_the_message() {
    let raw = django_kafka_rs::record::RawRecord {
        topic: "t".into(),
        partition: 0,
        offset: 7,
        timestamp_ms: None,
        key: Some(b"1".to_vec()),
        value: Some(br#"{"id": 1}"#.to_vec()),
        headers: Headers::new(),
        ..django_kafka_rs::record::RawRecord::default()
    };
    let topic = dk::ModelTopic {
        dialect: dk::Dialect::Plain,
        targets: dk::Targets::One(&Everything::DESCRIPTOR),
        options: dk::SyncOptions::NONE,
        key_format: dk::PartFormat::Json(dk::to_json::<dk::Json>),
        value_format: dk::PartFormat::Json(dk::to_json::<dk::Json>),
    };
    let plan = dk::ReadPlan::new(&topic, &Everything::DESCRIPTOR).expect("a plan");
    let message = django_kafka_rs::sync::decode::Message::without_schemas(&raw, &topic).expect("JSON");
    let decoded = (Everything::DESCRIPTOR.decode)(&plan, &message).expect("a row");
    let dk::Decoded::Upsert { row, lookup } = decoded else { panic!("a row, not {decoded:?}") };
    assert_eq!(lookup, dk::ColumnSet::of(&[0]));
    let patch = row.as_any().downcast_ref::<PatchOf<Everything>>().expect("the model's own patch");
    expect![[r#"
        the_key= ? -- binds: [1]
        count absent NULL -- binds: []
        label absent NULL -- binds: []
        score absent NULL -- binds: []
        due absent NULL -- binds: []
        type absent NULL -- binds: []
        slug absent NULL -- binds: []
        origin= ? -- binds: ["t/7"]
        note= ? -- binds: ["noted"]
        secret absent NULL -- binds: []
    "#]]
    .assert_eq(&bound::<Everything>(patch));
}

#[test]
fn defaults_fill_what_is_absent_on_insert() {
    let mut patch = read::<Everything>(r#"{"id": 1, "score": 2.5}"#).expect("a patch");
    patch.fill_insert_defaults();
    expect![[r#"
        the_key= ? -- binds: [1]
        count absent NULL -- binds: []
        label absent NULL -- binds: []
        score= ? -- binds: [Some(2.5)]
        due absent NULL -- binds: []
        type absent NULL -- binds: []
        slug absent NULL -- binds: []
        origin absent NULL -- binds: []
        note absent NULL -- binds: []
        secret= ? -- binds: [""]
    "#]]
    .assert_eq(&bound::<Everything>(&patch));
}

#[test]
fn a_failing_transform_keeps_its_error() {
    let Err((error, Some(transform))) = read::<Everything>(r#"{"raw": "twelve"}"#) else {
        panic!("a number was expected")
    };
    expect![[r"
        count
        field `count`: invalid digit found in string"]]
    .assert_eq(&format!("{error}\n{transform}"));
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_of_serde() {
    let Err((error, None)) = read::<Customer>(r#"{"id": "seven"}"#) else { panic!("an integer was expected") };
    expect![[r#"expected an integer (i64, -9223372036854775808 to 9223372036854775807), found the text "seven""#]]
        .assert_eq(&error.to_string());
}

#[test]
fn adopts_a_column_once() {
    let mut row = read::<Customer>(r#"{"name": "ada"}"#).expect("a patch");
    let mut key = read::<Customer>(r#"{"id": 7, "email": "a@b"}"#).expect("a patch");
    row.adopt(0, &mut key);
    row.adopt(3, &mut key);
    assert_eq!(row.present(), dk::ColumnSet::of(&[0, 1]));
    assert_eq!(key.present(), dk::ColumnSet::of(&[2]));
}

#[test]
fn compares_columns_by_value() {
    let a = read::<Everything>(r#"{"id": 1, "score": 1.0, "slug": "x"}"#).expect("a patch");
    let b = read::<Everything>(r#"{"id": 1, "score": 1.0, "slug": "x"}"#).expect("a patch");
    let hash = |patch: &PatchOf<Everything>, column| {
        let mut hasher = DefaultHasher::new();
        patch.hash_column(column, &mut hasher).then(|| hasher.finish())
    };
    assert!(hash(&a, 0).is_some());
    assert_eq!(hash(&a, 0), hash(&b, 0));
    assert!(a.eq_column(0, &b));
    // Absent; and types without `Hash + Eq`: never equal.
    assert_eq!(hash(&a, 1), None);
    assert_eq!(hash(&a, 3), None);
    assert!(!a.eq_column(1, &b) && !a.eq_column(3, &b) && !a.eq_column(6, &b));
    assert!(!a.eq_column(0, &read::<Customer>(r#"{"id": 1}"#).expect("a patch")));
}

#[test]
fn describes_the_model() {
    let descriptor = Everything::DESCRIPTOR;
    let mut text = format!("{} {:?}\n", descriptor.type_name, descriptor.primary_key);
    for column in descriptor.columns {
        writeln!(text, "{column:?}").expect("a String takes all");
    }
    let options = descriptor.options;
    writeln!(text, "{:?} {:?} {:?} {:?}", options.exclude, options.lookup, options.envelope, options.reduce)
        .expect("a String takes all");
    let functions = [options.is_deletion.is_some(), options.after.is_some(), options.lookup_with.is_some()];
    writeln!(text, "{functions:?}").expect("a String takes all");
    text += &(descriptor.table)().sqlite;
    expect![[r#"
        Everything [0]
        ColumnDescriptor { field: "id", column: "the_key", message_field: Some("id"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "count", column: "count", message_field: Some("raw"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "label", column: "label", message_field: Some("raw"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "score", column: "score", message_field: Some("score"), insert_default: true, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "due", column: "due", message_field: Some("due"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "type", column: "type", message_field: Some("type"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "slug", column: "slug", message_field: Some("slug"), insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "origin", column: "origin", message_field: None, insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "note", column: "note", message_field: None, insert_default: false, stores_postgres: true, stores_sqlite: true }
        ColumnDescriptor { field: "secret", column: "secret", message_field: None, insert_default: true, stores_postgres: true, stores_sqlite: true }
        ["secret", "left_over", "not-a-word"] Some([LookupField { field: "id", whole_key: true }]) Some(Flat) Some(false)
        [true, true, false]
        `every_options`"#]].assert_eq(&text);
}

/// `lookup_with` is typed: the columns are the model's own.
fn by_email(cx: &SyncContext<'_>) -> Result<Lookup<Contact>, ConsumeError> {
    Ok(Lookup::by(contacts::email, cx.key::<String>()?).and(contacts::id, 7))
}
diesel::table! { contacts (id) { id -> BigInt, email -> Nullable<Text>, } }
#[derive(SyncModel)]
#[sync(lookup_with = by_email)]
struct Contact {
    id: i64,
    email: Option<String>,
}

#[test]
fn registers_every_model() {
    let names: Vec<_> = dk::DECLARATIONS
        .iter()
        .filter_map(|declaration| match declaration {
            dk::Declaration::Model(model) => Some(model.type_name),
            _ => None,
        })
        .collect();
    for name in ["Customer", "Everything", "Contact"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

/// What `#[topic]` writes.
macro_rules! topic {
    ($($name:ident)*) => { $(
        impl dk::Topic for $name {
            type Key = dk::serde_json::Value;
            type Value = dk::serde_json::Value;
            type KeyFormat = dk::Json;
            type ValueFormat = dk::Json;
            const DECLARATION: dk::TopicDeclaration = dk::TopicDeclaration::new(
                stringify!($name),
                "topic",
                dk::Location { file: file!(), line: line!() },
            );
            fn __construct() -> Option<Self> {
                None
            }
        }
    )* };
}
topic!(Account Plain Several One);

diesel::table! { accounts (id) { id -> BigInt, } }

#[derive(DbzConsumer)]
struct Account {
    id: i64,
}

mod plain {
    diesel::table! { plains (id) { id -> BigInt, } }
}
use plain::plains;
#[derive(ModelTopicConsumer)]
#[sync(deleted_field = "gone")]
struct Plain {
    id: i64,
}

#[derive(DbzConsumer)]
#[reroute("public.customers" => Customer, "public.accounts" => Account)]
#[sync(exclude(password_hash), lookup(id))]
struct Several;

#[derive(ModelTopicConsumer)]
#[sync(model = Contact, lookup_with = by_email)]
struct One;

fn topic_of<T: dk::ConsumedTopic>() -> String {
    let dk::HandlerSource::Models(topic) = (dk::TopicEntry::of::<T>().handler)() else { panic!("a model topic") };
    let targets = match topic.targets {
        dk::Targets::One(model) => model.type_name.to_owned(),
        dk::Targets::Reroute(routes) => {
            routes.iter().map(|(table, model)| format!("{table} => {}", model.type_name)).collect::<Vec<_>>().join(", ")
        }
    };
    let options = topic.options;
    format!(
        "{:?}: {targets}; {:?} {:?} {}\n",
        topic.dialect,
        options.exclude,
        options.lookup,
        options.lookup_with.is_some()
    )
}

#[test]
fn model_topics_name_their_models() {
    let text = [topic_of::<Account>(), topic_of::<Plain>(), topic_of::<Several>(), topic_of::<One>()].concat();
    expect![[r#"
        Debezium: Account; [] None false
        Plain: Plain; [] None false
        Debezium: public.customers => Customer, public.accounts => Account; ["password_hash"] Some([LookupField { field: "id", whole_key: false }]) false
        Plain: Contact; [] None true
    "#]].assert_eq(&text);
}
