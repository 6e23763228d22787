use django_kafka_rs::prelude::*;


diesel::table! { visits (id) { id -> BigInt, at -> Timestamp, until -> Nullable<Timestamp>, day -> Date, note -> Text, } }

#[derive(SyncModel)]
struct Visit {
    id: i64,
    #[sync(as = dbz::Date)]
    at: chrono::NaiveDateTime,
    #[sync(as = dbz::Date)]
    until: Option<chrono::NaiveDateTime>,
    #[sync(as = dbz::Dat)]
    day: chrono::NaiveDate,
    #[sync(as = dbz::Date, with = text)]
    note: String,
}
fn text(note: u8) -> String {
    note.to_string()
}

#[derive(SyncModel)]
#[diesel(table_name = visits)]
struct NotAPath {
    id: i64,
    #[sync(as = "micros")]
    at: chrono::NaiveDateTime,
}

fn main() {}
