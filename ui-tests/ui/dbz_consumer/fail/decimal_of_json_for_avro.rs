use bigdecimal::BigDecimal;
use django_kafka_rs::prelude::*;

diesel::table! { orders (id) { id -> BigInt, total -> Numeric, tax -> Nullable<Numeric>, } }

#[topic(name = "orders")]
#[derive(DbzConsumer)]
struct Order {
    id: i64,
    total: BigDecimal,
    tax: Option<BigDecimal>,
}

fn main() {}
