use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
struct Customer {
    id: i64,
    #[sync(with = length)]
    name: String,
}
fn length(name: String) -> i64 {
    name.len() as i64
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct NotOneArgument {
    id: i64,
    #[sync(with = join)]
    name: String,
}
fn join(a: String, b: String) -> String {
    a + &b
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct Borrowed {
    id: i64,
    #[sync(with = borrow)]
    name: String,
}
fn borrow(name: &str) -> String {
    name.to_owned()
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct Generic {
    id: i64,
    #[sync(with = display)]
    name: String,
}
fn display<T: ToString>(name: T) -> String {
    name.to_string()
}

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct OddError {
    id: i64,
    #[sync(with = odd)]
    name: String,
}
struct Odd;
fn odd(name: String) -> Result<String, Odd> {
    Ok(name)
}

struct Unreadable;

#[derive(SyncModel)]
#[diesel(table_name = customers)]
struct FromUnreadable {
    id: i64,
    #[sync(with = of_unreadable)]
    name: String,
    #[sync(with = failing)]
    email: Option<String>,
}
fn of_unreadable(_: Unreadable) -> String {
    String::new()
}
fn failing(email: String) -> Result<String, std::num::ParseIntError> {
    Ok(email)
}

fn main() {}
