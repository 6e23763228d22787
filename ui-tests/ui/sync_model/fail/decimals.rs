use django_kafka_rs::prelude::*;


struct BigDecimal;

diesel::table! { orders (id) { id -> BigInt, total -> Numeric, tax -> Nullable<Numeric>, } }

#[derive(SyncModel)]
struct Order {
    id: i64,
    total: BigDecimal,
    tax: Option<BigDecimal>,
}

#[derive(SyncModel)]
#[diesel(table_name = orders)]
struct Encoded {
    id: i64,
    #[sync(as = dbz::Decimal)]
    total: BigDecimal,
    #[sync(as = dbz::Decimal("2"))]
    tax: Option<BigDecimal>,
}

fn main() {}
