//! Decimals say how they are written.
#![deny(warnings)]

use bigdecimal::BigDecimal;
use django_kafka_rs::prelude::*;

diesel::table! {
    orders (id) {
        id -> BigInt,
        total -> Numeric,
        tax -> Nullable<Numeric>,
        rest -> Numeric,
        scaled -> Numeric,
        exact -> Text,
    }
}

#[derive(SyncModel)]
struct Order {
    id: i64,
    #[sync(as = dbz::Decimal(2))]
    total: BigDecimal,
    #[sync(as = dbz::DecimalText)]
    tax: Option<BigDecimal>,
    #[sync(with = negate)]
    rest: BigDecimal,
    #[sync(as = dbz::Decimal(-3), with = half)]
    scaled: BigDecimal,
    #[sync(as = dbz::FromSchema)]
    exact: String,
}
fn negate(amount: i64) -> BigDecimal {
    BigDecimal::from(-amount)
}
fn half(amount: Option<BigDecimal>) -> BigDecimal {
    amount.unwrap_or_default().half()
}

fn main() {}
