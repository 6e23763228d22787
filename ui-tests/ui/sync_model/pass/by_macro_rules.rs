//! Models written by the user's own macros.
#![deny(warnings)]
#![forbid(unsafe_code)]

use django_kafka_rs::prelude::*;

macro_rules! model {
    ($name:ident, $table:ident, $from:literal, $with:path, $ty:ty, { $($field:ident: $field_ty:ty),* }) => {
        diesel::table! { $table (id) { id -> BigInt, name -> Text, extra -> Nullable<Integer>, } }
        #[derive(SyncModel)]
        #[diesel(table_name = $table)]
        #[sync(lookup(id))]
        struct $name {
            id: $ty,
            #[sync(from = $from, with = $with)]
            name: String,
            $($field: $field_ty,)*
        }
    };
}
fn shout(name: String) -> String {
    name.to_uppercase()
}
model!(One, ones, "label", shout, i64, { extra: Option<i32> });
model!(Two, twos, "title", std::convert::identity::<String>, i64, { extra: Option<i32> });

fn main() {
    // In a function too, beside a table of its own.
    diesel::table! { inners (id) { id -> BigInt, } }
    #[derive(SyncModel)]
    struct Inner {
        id: i64,
    }
}
