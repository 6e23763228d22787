use django_kafka_rs::prelude::*;

diesel::table! { customers (id) { id -> BigInt, name -> Text, kafka_skip -> Bool, } }

#[derive(KafkaConnectSkip)]
struct Unit;

#[derive(KafkaConnectSkip)]
enum Either {
    This,
    That,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
struct Generic<T> {
    id: i64,
    name: T,
    kafka_skip: KafkaSkip,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
struct NoKey {
    name: String,
    kafka_skip: KafkaSkip,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
struct Converted {
    id: i64,
    #[diesel(serialize_as = String)]
    name: &'static str,
    kafka_skip: KafkaSkip,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
struct Embedded {
    id: i64,
    #[diesel(embed)]
    rest: Converted,
    kafka_skip: KafkaSkip,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
#[kafka_skip(off)]
struct Options {
    id: i64,
    kafka_skip: KafkaSkip,
}

#[derive(KafkaConnectSkip)]
#[diesel(table_name = customers)]
#[kafka_skip()]
struct Nothing {
    id: i64,
    kafka_skip: KafkaSkip,
}

fn main() {}
