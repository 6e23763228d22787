use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, uuid -> Text, } }
diesel::table! { lines (order_id, number) { order_id -> BigInt, number -> Integer, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, line_id -> BigInt, weight -> Double, } }

#[derive(SyncModel)]
struct Customer {
    id: i64,
    uuid: String,
}

#[derive(SyncModel)]
#[diesel(table_name = lines, primary_key(order_id, number))]
struct Line {
    order_id: i64,
    number: i32,
}

struct Plain;

// A primary key of two columns.
#[derive(SyncModel)]
#[diesel(table_name = orders, belongs_to(Line))]
#[sync(relations(auto))]
struct ToComposite {
    id: i64,
    line_id: i64,
}

// A field that the parent has not.
#[derive(SyncModel)]
#[diesel(table_name = orders)]
struct ToNoField {
    id: i64,
    #[sync(relation(Customer, field = uid))]
    customer_id: i64,
}

// No model; and a value that names no row.
#[derive(SyncModel)]
#[diesel(table_name = orders)]
struct ToNoModel {
    id: i64,
    #[sync(relation(Plain))]
    customer_id: i64,
    #[sync(relation(Customer))]
    weight: f64,
}

// A function of another type.
#[derive(SyncModel)]
#[diesel(table_name = orders)]
#[sync(relations_with = parent)]
struct ByFunction {
    id: i64,
}
fn parent(_cx: &SyncContext<'_>) -> Result<ModelRelation, ConsumeError> {
    Ok(ModelRelation::new::<Customer>("id", 1))
}

fn main() {}
