//! Whether anything waits at all: asked in each transaction of those that relations concern. So it is kept prepared,
//! which `diesel::sql_query` never is: PostgreSQL takes longer to plan it than to answer it.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, Text};

use super::Presence;
use super::sql::{Dialect, TABLE, on};
use crate::db::DbConn;

/// As [`MessageProcessor::presence`](super::MessageProcessor::presence).
///
/// All conditions are equalities. Of a table that has just grown PostgreSQL knows nothing, and would take a list, or a
/// yes or no, for something that every other row has; then it reads them all to find none.
pub(super) fn presence(conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence> {
    let any = |from: usize, count: usize, condition: &str| {
        let one = |n: usize| format!("EXISTS (SELECT 1 FROM {TABLE} w WHERE {condition}{n})");
        if count == 0 { "FALSE".to_owned() } else { (from..from + count).map(one).collect::<Vec<_>>().join(" OR ") }
    };
    let is_deletion = if Dialect::of(conn).is_pg { " AND w.deletion::integer = 1" } else { "" };
    let of_topic = format!("w.consumer_group = {GROUP} AND w.topic = $");
    let sql = format!(
        "WITH g AS (SELECT CAST($1 AS TEXT) AS name) SELECT {} AS parked, {} AS awaited, \
         EXISTS (SELECT 1 FROM {TABLE} w WHERE w.deletion{is_deletion}) AS blocked",
        any(2, topics.len(), &of_topic),
        any(2 + topics.len(), models.len(), "NOT w.deletion AND w.relation_model_key = $"),
    );
    let texts: Vec<&str> = std::iter::once(group).chain(topics.iter().copied()).chain(models.iter().copied()).collect();
    let asked = Asked { sql: &sql, texts: &texts };
    let (parked, awaited, blocked) = on!(conn, asked, get_result::<(bool, bool, bool)>)?;
    Ok(Presence { parked, awaited, blocked })
}

/// Said once, however many topics there are.
const GROUP: &str = "(SELECT name FROM g)";

/// The same text whatever is asked about: by that the connection finds it again.
struct Asked<'a> {
    /// With parameters by their numbers, each once and in order.
    sql: &'a str,
    texts: &'a [&'a str],
}

impl<DB> QueryFragment<DB> for Asked<'_>
where
    DB: Backend + HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut pieces = self.sql.split('$');
        out.push_sql(pieces.next().unwrap_or_default());
        for (piece, text) in pieces.zip(self.texts) {
            out.push_bind_param::<Text, str>(text)?;
            out.push_sql(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        Ok(())
    }
}

impl Query for Asked<'_> {
    type SqlType = (Bool, Bool, Bool);
}

impl QueryId for Asked<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: Connection> RunQueryDsl<C> for Asked<'_> {}
