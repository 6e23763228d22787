//! Every form of a relation: by `belongs_to`, by a field, to a row of the same table, null, by a function.
use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, uuid -> Uuid, } }
diesel::table! { categories (id) { id -> Integer, parent_id -> Nullable<Integer>, } }
diesel::table! {
    orders (id) {
        id -> BigInt, customer_id -> BigInt, #[sql_name = "type"] r#type -> Nullable<Integer>, buyer -> Nullable<Uuid>,
    }
}

#[derive(SyncModel)]
struct Customer {
    id: i64,
    uuid: uuid::Uuid,
}

#[derive(Queryable, Selectable, Identifiable, Associations, SyncModel)]
#[diesel(table_name = categories, belongs_to(Category, foreign_key = parent_id))]
#[sync(relations(auto))]
struct Category {
    id: i32,
    parent_id: Option<i32>,
}

mod nested {
    use super::*;

    #[topic(name = "orders")]
    #[derive(DbzConsumer)]
    #[diesel(table_name = orders, belongs_to(super::Customer), belongs_to(Category, foreign_key = type))]
    #[sync(relations(auto))]
    pub struct Order {
        id: i64,
        customer_id: i64,
        r#type: Option<i32>,
        #[sync(relation(Customer, field = uuid))]
        buyer: Option<uuid::Uuid>,
    }

    #[consumer(group = "nested", topics(Order))]
    pub struct Nested;
}

#[derive(SyncModel)]
#[diesel(table_name = orders)]
#[sync(relations_with = parents)]
struct ByFunction {
    id: i64,
}

#[topic(name = "orders_by_function")]
#[derive(ModelTopicConsumer)]
#[sync(model = ByFunction, relations_with = parents)]
struct Orders;

fn parents(cx: &SyncContext<'_>) -> Result<Vec<ModelRelation>, ConsumeError> {
    let row: serde_json::Value = cx.value()?;
    Ok(vec![
        ModelRelation::new::<Customer>("id", &row["customer_id"]),
        ModelRelation::new::<Category>("id", None::<i32>),
        ModelRelation::new::<Customer>("uuid", "8d7f"),
    ])
}

#[consumer(group = "orders", topics(Orders))]
struct All;

fn main() {}
