//! The derives of models, driven through serde as the runtime does.
use diesel::prelude::*;
use django_kafka_rs::__private as dk;
use django_kafka_rs_macros::{DbzConsumer, ModelTopicConsumer, SyncModel};

diesel::table! { customers (id) { id -> BigInt, first_name -> Text, email -> Nullable<Text>, joined -> Date, } }

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
fn shout(name: String) -> Result<String, std::num::ParseIntError> {
    Ok(name.to_uppercase())
}
