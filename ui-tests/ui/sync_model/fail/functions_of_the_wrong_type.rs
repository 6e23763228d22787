use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


use django_kafka_rs::db::DbConn;

#[derive(SyncModel)]
#[sync(is_deletion = is_gone, lookup_with = by_name, after = changed)]
struct Customer {
    id: i64,
    #[sync(compute = count)]
    name: String,
    #[sync(compute = of_nothing)]
    email: Option<String>,
}
fn is_gone(cx: &SyncContext<'_>) -> bool {
    cx.has_value()
}
fn by_name(cx: &SyncContext<'_>) -> Result<Lookup<Other>, ConsumeError> {
    Ok(Lookup::by(customers::name, cx.topic()))
}
fn changed(_cx: &SyncContext<'_>, _conn: &mut DbConn) -> Result<(), ConsumeError> {
    Ok(())
}
fn count(cx: &SyncContext<'_>) -> i64 {
    cx.offset()
}
fn of_nothing() -> Option<String> {
    None
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct Other {
    id: i64,
    name: String,
}

fn main() {}
