use django_kafka_rs::prelude::*;


diesel::table! { visits (id) { id -> BigInt, day -> Date, } }

#[derive(Debug, serde::Deserialize, diesel::expression::AsExpression)]
#[diesel(sql_type = diesel::sql_types::Date)]
struct Day(chrono::NaiveDate);

impl diesel::serialize::ToSql<diesel::sql_types::Date, diesel::sqlite::Sqlite> for Day {
    fn to_sql<'b>(
        &'b self,
        out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
    ) -> diesel::serialize::Result {
        diesel::serialize::ToSql::<diesel::sql_types::Date, _>::to_sql(&self.0, out)
    }
}

#[derive(SyncModel)]
struct Visit {
    id: i64,
    #[sync(default)]
    day: Day,
}

fn main() {}
