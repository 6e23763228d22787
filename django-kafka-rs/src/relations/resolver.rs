//! Which rows exist.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::message::Awaited;
use crate::db::DbConn;
#[cfg(feature = "postgres")]
use crate::db::failure::{self, Failure};
use crate::db::introspect::{self, quoted};
#[cfg(feature = "postgres")]
use crate::db::transaction;
use crate::sync::{ModelDescriptor, ModelRelation};

/// Says which rows exist. The default asks the models' tables, one query for each relation and batch.
///
/// What takes its place may answer from elsewhere: it is asked inside the transaction of the batch, on its connection.
pub trait RelationResolver: Send + Sync + 'static {
    /// For each relation whether its row exists. All of them have a value.
    ///
    /// # Errors
    /// The database's, or a relation names what its model does not have.
    fn exist(&self, conn: &mut DbConn, relations: &[&ModelRelation]) -> Result<Vec<bool>, RelationError>;

    /// The same where other transactions were in the way of this one, as a deadlock: rows that another one is about to
    /// delete do not count, and those that do stay until this one ends. So that it waits for none of them, and its
    /// messages may wait instead. What takes the default's place need not tell the difference.
    ///
    /// # Errors
    /// As [`exist`](Self::exist).
    fn stay(&self, conn: &mut DbConn, relations: &[&ModelRelation]) -> Result<Vec<bool>, RelationError> {
        self.exist(conn, relations)
    }
}

/// Why it cannot be told whether rows exist.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelationError {
    /// The database said no.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    /// A relation names what its model does not have: the message's own mistake.
    #[error("{0}")]
    Relation(String),
}

/// The default resolver.
#[derive(Debug, Default)]
pub struct TableResolver {
    /// What is referred to, by the model's table and the field; looked up when it is first asked for.
    targets: Mutex<HashMap<(String, String), Arc<Target>>>,
}

/// A column that is referred to, as SQL.
#[derive(Debug)]
struct Target {
    table: String,
    column: String,
    sql_type: String,
}

#[derive(QueryableByName)]
struct PlaceRow {
    #[diesel(sql_type = BigInt)]
    place: i64,
}

/// A model's table as stored: its SQL name without quotes.
pub(crate) fn model_key(conn: &DbConn, model: &ModelDescriptor) -> String {
    introspect::sql_name(conn, &(model.table)()).replace(['"', '`'], "")
}

/// A relation as stored; `None`: its value is null.
pub(crate) fn awaited(conn: &DbConn, relation: &ModelRelation) -> Option<Awaited> {
    let value = relation.value()?.to_owned();
    Some(Awaited { model_key: model_key(conn, relation.descriptor()), field: relation.field().to_owned(), value })
}

impl TableResolver {
    fn target(&self, conn: &mut DbConn, key: &str, relation: &ModelRelation) -> Result<Arc<Target>, RelationError> {
        let place = (key.to_owned(), relation.field().to_owned());
        if let Some(known) = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(known.clone());
        }
        let model = relation.descriptor();
        let Some(column) = model.columns.iter().find(|column| column.field == relation.field()) else {
            let fields: Vec<_> = model.columns.iter().map(|column| format!("`{}`", column.field)).collect();
            return Err(RelationError::Relation(format!(
                "a relation names `{}`, but `{}` has no such field with a column; it has {}",
                relation.field(),
                model.type_name,
                fields.join(", ")
            )));
        };
        let name = (model.table)();
        let missing = |what: &str| {
            RelationError::Relation(format!(
                "{what} of model `{}` ({}) does not exist; create it by a migration",
                model.type_name, model.location
            ))
        };
        let Some((_, info)) = introspect::table(conn, &name)? else {
            return Err(missing(&format!("table `{}`", name.plain)));
        };
        let Some(found) = info.columns.iter().find(|c| c.name.eq_ignore_ascii_case(column.column)) else {
            return Err(missing(&format!("column `{}.{}`", name.plain, column.column)));
        };
        let target = Arc::new(Target {
            table: introspect::sql_name(conn, &name).to_owned(),
            column: quoted(&found.name),
            sql_type: found.sql_type.clone(),
        });
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).insert(place, target.clone());
        Ok(target)
    }
}

impl RelationResolver for TableResolver {
    fn exist(&self, conn: &mut DbConn, relations: &[&ModelRelation]) -> Result<Vec<bool>, RelationError> {
        self.ask(conn, relations, |conn, target, values| Ok(absent(conn, target, values)?))
    }

    fn stay(&self, conn: &mut DbConn, relations: &[&ModelRelation]) -> Result<Vec<bool>, RelationError> {
        self.ask(conn, relations, |conn, target, values| Ok(leaving(conn, target, values)?))
    }
}

impl TableResolver {
    /// Asks once for each target: for the places in a list of values, in JSON, that do not count.
    fn ask(
        &self,
        conn: &mut DbConn,
        relations: &[&ModelRelation],
        absent: impl Fn(&mut DbConn, &Target, &str) -> Result<Vec<i64>, RelationError>,
    ) -> Result<Vec<bool>, RelationError> {
        let mut by_target: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (place, relation) in relations.iter().enumerate() {
            let (model, field) = (relation.descriptor(), relation.field());
            let location = model.location;
            by_target.entry((model.type_name, location.file, location.line, field)).or_default().push(place);
        }
        let mut exist = vec![true; relations.len()];
        for places in by_target.into_values() {
            let first = relations[places[0]];
            let key = model_key(conn, first.descriptor());
            let target = self.target(conn, &key, first)?;
            let values = serde_json::Value::Array(
                places.iter().map(|place| relations[*place].value().unwrap_or_default().into()).collect(),
            );
            for absent in absent(conn, &target, &values.to_string())? {
                if let Some(place) = usize::try_from(absent).ok().and_then(|index| places.get(index)) {
                    exist[*place] = false;
                }
            }
        }
        Ok(exist)
    }
}

/// The places of values that no row has, or one that another transaction is about to delete; the others' rows are locked
/// as a foreign key locks them.
fn leaving(conn: &mut DbConn, target: &Target, values: &str) -> QueryResult<Vec<i64>> {
    #[cfg(feature = "postgres")]
    if matches!(conn, DbConn::Pg(_)) {
        let depth = transaction::depth(conn)?;
        transaction::savepoint(conn)?;
        let error = match lock(conn, target, values) {
            Ok(places) => return transaction::release(conn).map(|()| places),
            Err(error) => error,
        };
        return match failure::classify(&error) {
            Failure::Conflict | Failure::Outage(_) if !is_refused(&error) => Err(error),
            Failure::Busy => {
                transaction::rollback_to(conn, depth)?;
                let values: Vec<serde::de::IgnoredAny> = serde_json::from_str(values).unwrap_or_default();
                Ok((0..).take(values.len()).collect())
            }
            // Not for us to lock: a view, or a table that this role may only read.
            _ => {
                transaction::rollback_to(conn, depth)?;
                absent(conn, target, values)
            }
        };
    }
    // SQLite has no other writer.
    absent(conn, target, values)
}

/// Locks the rows that nobody else has locked; gives the places of the others. A row that the other transaction has
/// written before it deleted it is waited for all the same, but not for long.
#[cfg(feature = "postgres")]
fn lock(conn: &mut DbConn, target: &Target, values: &str) -> QueryResult<Vec<i64>> {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        setting: String,
    }
    let DbConn::Pg(pg) = conn else { return Ok(Vec::new()) };
    let before: Setting =
        diesel::sql_query("SELECT current_setting('lock_timeout') AS setting").get_result(&mut *pg)?;
    diesel::sql_query("SET LOCAL lock_timeout = '50ms'").execute(&mut *pg)?;
    let Target { table, column, sql_type } = target;
    let rows = diesel::sql_query(format!(
        "WITH v AS MATERIALIZED (SELECT v.place, CAST(v.value AS {sql_type}) AS value \
         FROM json_array_elements_text($1::json) WITH ORDINALITY AS v(value, place)), \
         p AS MATERIALIZED (SELECT p.{column} AS value FROM {table} p WHERE p.{column} IN (SELECT v.value FROM v) \
         FOR KEY SHARE SKIP LOCKED) \
         SELECT v.place - 1 AS place FROM v WHERE NOT EXISTS (SELECT 1 FROM p WHERE p.value = v.value)"
    ))
    .bind::<Text, _>(values)
    .load::<PlaceRow>(&mut *pg)?;
    diesel::sql_query("SELECT set_config('lock_timeout', $1, true)").bind::<Text, _>(before.setting).execute(pg)?;
    Ok(rows.into_iter().map(|row| row.place).collect())
}

/// Whether this role may not do it.
#[cfg(feature = "postgres")]
fn is_refused(error: &diesel::result::Error) -> bool {
    error.to_string().starts_with("permission denied")
}

/// The places in a list of values, in JSON, that no row has.
fn absent(conn: &mut DbConn, target: &Target, values: &str) -> QueryResult<Vec<i64>> {
    let Target { table, column, sql_type } = target;
    let rows = match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => diesel::sql_query(format!(
            "SELECT v.place - 1 AS place FROM json_array_elements_text($1::json) WITH ORDINALITY AS v(value, place) \
             WHERE NOT EXISTS (SELECT 1 FROM {table} p WHERE p.{column} = CAST(v.value AS {sql_type}))"
        ))
        .bind::<Text, _>(values)
        .load::<PlaceRow>(pg)?,
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => {
            // A text without affinity of its own is compared as what the column prefers.
            let is_blob = sql_type.to_ascii_uppercase().contains("BLOB");
            let value = if is_blob { "unhex(substr(v.value, 3))" } else { "v.value" };
            diesel::sql_query(format!(
                "SELECT v.key AS place FROM json_each($1) AS v \
                 WHERE NOT EXISTS (SELECT 1 FROM {table} p WHERE p.{column} = {value})"
            ))
            .bind::<Text, _>(values)
            .load::<PlaceRow>(sqlite)?
        }
    };
    Ok(rows.into_iter().map(|row| row.place).collect())
}
