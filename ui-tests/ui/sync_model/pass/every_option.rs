//! Every option of a model, without a warning.
#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, rust_2018_idioms, unused_qualifications)]
#![forbid(unsafe_code)]

use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;

mod schema {
    diesel::table! {
        people (first, second) {
            first -> BigInt,
            second -> BigInt,
            name -> Text,
            r#type -> Text,
            #[sql_name = "upper"]
            upper_name -> Text,
            joined -> Date,
            seen -> Nullable<Timestamp>,
            score -> Double,
            origin -> Text,
            note -> Text,
        }
    }
    diesel::table! { contacts (id) { id -> BigInt, email -> Text, } }
    diesel::table! { labels (name) { name -> Text, } }
    diesel::table! { notes (id) { id -> BigInt, slug -> Text, } }
}
use schema::{contacts, labels, notes};

#[derive(SyncModel)]
#[diesel(table_name = schema::people, primary_key(first, second), check_for_backend(diesel::sqlite::Sqlite))]
#[sync(
    exclude(password_hash, "not-a-word"),
    lookup(first, second),
    is_deletion = is_gone,
    envelope = auto,
    after = changed,
    reduce(off),
    guard(off)
)]
struct Person {
    first: i64,
    #[sync(from = "second_key")]
    second: i64,
    #[sync(from = "full_name", with = trim)]
    name: String,
    r#type: String,
    #[diesel(column_name = upper_name)]
    #[sync(from = "full_name", with = upper)]
    upper: String,
    joined: chrono::NaiveDate,
    #[sync(as = dbz::Timestamp)]
    seen: Option<chrono::NaiveDateTime>,
    #[sync(default)]
    score: f64,
    #[sync(compute = origin)]
    origin: String,
    #[sync(compute = note)]
    note: String,
    #[sync(skip)]
    cached: Option<std::time::Instant>,
}

fn trim(name: String) -> Result<String, std::num::ParseIntError> {
    Ok(name.trim().to_owned())
}
fn upper(name: Option<String>) -> Result<String, ConsumeError> {
    name.map(|name| name.to_uppercase()).ok_or_else(|| ConsumeError::skip("no name"))
}
fn origin(cx: &SyncContext<'_>) -> String {
    cx.topic().to_owned()
}
fn note(cx: &SyncContext<'_>) -> Result<String, DecodeError> {
    cx.key()
}
fn is_gone(cx: &SyncContext<'_>) -> Result<bool, ConsumeError> {
    Ok(!cx.has_value())
}
fn changed(_cx: &SyncContext<'_>, _applied: Applied, _conn: &mut DbConn) -> Result<(), ConsumeError> {
    Ok(())
}

#[derive(SyncModel)]
#[sync(lookup_with = by_email, deleted_field = "gone")]
struct Contact {
    id: i64,
    email: String,
}
fn by_email(cx: &SyncContext<'_>) -> Result<Lookup<Contact>, ConsumeError> {
    Ok(Lookup::by(contacts::email, cx.key::<String>()?))
}

#[derive(SyncModel)]
#[diesel(primary_key(name))]
#[sync(lookup(name = key))]
struct Label {
    name: String,
}

// The database makes the key, messages know another one.
#[derive(SyncModel)]
#[sync(lookup(slug))]
struct Note {
    #[sync(skip)]
    id: i64,
    slug: String,
}

fn main() {}
