use django_kafka_rs::prelude::*;

type Money = bigdecimal::BigDecimal;

diesel::table! { orders (id) { id -> BigInt, total -> Numeric, tax -> Nullable<Numeric>, rest -> Numeric, } }

#[derive(SyncModel)]
struct Order {
    id: i64,
    total: Money,
    tax: Option<Money>,
    #[sync(with = negate)]
    rest: Money,
}
fn negate(amount: Money) -> Money {
    -amount
}

fn main() {}
