use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, } }

mod above {
    use super::*;

    #[topic(name = "customers")]
    #[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, DbzConsumer)]
    #[diesel(table_name = customers)]
    pub struct Customer {
        id: i64,
        name: String,
    }
}

mod below {
    use super::*;

    #[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, ModelTopicConsumer)]
    #[topic(name = "customers.too")]
    #[diesel(table_name = customers)]
    pub struct Customer {
        id: i64,
        name: String,
    }
}

mod below_without_attributes {
    use super::*;

    // Nothing but its type tells that this one is a model.
    #[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, DbzConsumer)]
    #[topic(name = "customers.also")]
    pub struct Customer {
        id: i64,
        name: String,
    }
}

#[consumer(group = "crm", topics(above::Customer, below::Customer, below_without_attributes::Customer))]
struct Crm;

fn json<T: Topic<Key = serde_json::Value, Value = serde_json::Value>>() {
    assert!(T::__construct().is_none());
}

fn main() {
    json::<above::Customer>();
    json::<below::Customer>();
    json::<below_without_attributes::Customer>();
}
