use django_kafka_rs::error::DecodeError;
use django_kafka_rs::prelude::*;
use django_kafka_rs::topic::Decode;

diesel::table! { customers (id) { id -> BigInt, } }

struct BigEndian;

impl Decode<i64> for BigEndian {
    fn decode(bytes: &[u8]) -> Result<i64, DecodeError> {
        Ok(bytes.len() as i64)
    }
}

#[topic(name = "customers", key = i64, key_format = BigEndian)]
#[derive(DbzConsumer)]
struct Customer {
    id: i64,
}

fn main() {}
