use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, email -> Nullable<Text>, made -> Text, kafka_skip -> Bool, } }

/// A topic and a source, with none of Diesel's own derives.
#[topic(name = "customers")]
#[derive(DbzConsumer, KafkaConnectSkip)]
struct Customer {
    id: i64,
    name: String,
    email: Option<String>,
    made: String,
    kafka_skip: KafkaSkip,
}

mod legacy {
    use django_kafka_rs::prelude::*;

    pub mod schema {
        diesel::table! { people (number, region) { number -> BigInt, region -> Text, note -> Text, kafka_skip -> Bool, } }
    }

    /// A source alone: its names differ, and its columns are not all written.
    #[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, KafkaConnectSkip)]
    #[diesel(table_name = schema::people, primary_key(number, region))]
    pub struct Person {
        #[diesel(column_name = number)]
        pub id: i64,
        pub region: String,
        #[diesel(skip_update)]
        pub note: String,
        #[diesel(column_name = kafka_skip)]
        pub skip: KafkaSkip,
    }
}

mod facade {
    pub use django_kafka_rs as dk;
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
#[kafka_skip(crate = facade::dk)]
struct Short {
    id: i64,
    kafka_skip: KafkaSkip,
}

/// Syncs set a plain column too.
#[topic(name = "plain")]
#[derive(DbzConsumer)]
#[diesel(table_name = customers)]
struct Plain {
    id: i64,
    kafka_skip: bool,
}

#[expect(dead_code, reason = "only its types matter")]
fn writes(conn: &mut SqliteConnection, pg: &mut PgConnection) -> QueryResult<()> {
    let mut short = Short { id: 1, kafka_skip: KafkaSkip::default() };
    short.kafka_skip = true.into();
    short.save(conn)?;
    short.save(pg)?;
    Customer::update_rows(customers::table.find(1), customers::name.eq("Ann")).execute(conn)?;
    let name: String =
        Customer::update_rows(customers::table.find(1), (customers::name.eq("Ann"), customers::kafka_skip.eq(true)))
            .returning(customers::name)
            .get_result(pg)?;
    Customer::delete_rows(customers::table.filter(customers::name.eq(name))).execute(pg)?;
    Customer::delete_rows(customers::table.find(1)).emitted().execute(conn)?;
    use legacy::schema::people;
    legacy::Person::update_rows(people::table, people::note.eq("new")).execute(conn)?;
    Ok(())
}

fn main() {}
