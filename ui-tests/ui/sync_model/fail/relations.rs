use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, uuid -> Text, } }
diesel::table! { orders (id) { id -> BigInt, customer_id -> BigInt, } }

#[derive(SyncModel)]
struct Customer {
    id: i64,
    uuid: String,
}

// Nothing to go by.
#[derive(SyncModel)]
#[diesel(table_name = orders)]
#[sync(relations(auto))]
struct WithoutParents {
    id: i64,
}

// No field for the column.
#[derive(SyncModel)]
#[diesel(table_name = orders, belongs_to(Customer))]
#[sync(relations(auto))]
struct WithoutColumn {
    id: i64,
}

// Two ways at once, and forms that are none.
#[derive(SyncModel)]
#[diesel(table_name = orders, belongs_to(Customer))]
#[sync(relations(auto), relations_with = parents)]
struct TwoWays {
    id: i64,
    #[sync(relation(Customer, by = uuid))]
    customer_id: i64,
}

#[derive(SyncModel)]
#[diesel(table_name = orders)]
#[sync(relations(all))]
struct Unknown {
    id: i64,
    #[sync(skip, relation(Customer))]
    customer_id: i64,
}

// A topic without fields has no columns that refer.
#[topic(name = "orders")]
#[derive(DbzConsumer)]
#[sync(model = Customer, relations(auto))]
struct Orders;

fn main() {}
