//! Whether anything waits at all: asked in each transaction of those that relations concern. So it is kept prepared,
//! which `diesel::sql_query` never is: PostgreSQL takes longer to plan it than to answer it.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Bool, HasSqlType, Text};
use serde_json::Value;

use super::Presence;
use super::sql::{Dialect, TABLE, list, on};
use crate::db::DbConn;

/// As [`MessageProcessor::presence`](super::MessageProcessor::presence).
pub(super) fn presence(conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence> {
    let d = Dialect::of(conn);
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {TABLE} w WHERE w.consumer_group = $1 AND w.topic IN {}) AS parked, \
         EXISTS (SELECT 1 FROM {TABLE} w WHERE w.relation_model_key IN {} AND NOT w.deletion) AS awaited, \
         EXISTS (SELECT 1 FROM {TABLE} w WHERE w.deletion) AS blocked",
        d.texts(2),
        d.texts(3)
    );
    let text = |items: &[&str]| list(items.iter().map(|item| Value::from(*item)));
    let (topics, models) = (text(topics), text(models));
    let asked = Asked { sql: &sql, texts: [group, &topics, &models] };
    let (parked, awaited, blocked) = on!(conn, asked, get_result::<(bool, bool, bool)>)?;
    Ok(Presence { parked, awaited, blocked })
}

/// The same text whatever is asked about: by that the connection finds it again.
struct Asked<'a> {
    /// With parameters by their numbers, each once and in order.
    sql: &'a str,
    texts: [&'a str; 3],
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
