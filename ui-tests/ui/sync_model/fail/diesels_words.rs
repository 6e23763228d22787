use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, } }


#[derive(SyncModel)]
#[diesel(tabel_name = customers)]
struct Customer {
    id: i64,
    #[diesel(embed)]
    name: String,
    #[diesel(skip_update)]
    email: Option<String>,
}

#[derive(SyncModel)]
#[diesel(table_name = customers, table_name = customers)]
struct Twice {
    id: i64,
    #[diesel(select_expression = customers::name.is_not_null())]
    has_name: bool,
    #[diesel(column_name)]
    email: Option<String>,
}

fn main() {}
