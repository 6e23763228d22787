//! What the connected database knows of its tables: what decides which statements are safe for them.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use diesel::QueryResult;

use super::DbConn;
use crate::sync::TableName;

/// A table's identity: its schema and its name. On SQLite in lower case, as it compares them.
pub(crate) type Node = (String, String);

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableInfo {
    /// Its columns, without hidden ones of virtual tables.
    pub columns: Vec<ColumnInfo>,
    /// What is unique: indices, the primary key, SQLite's rowid under its own name.
    pub unique: Vec<UniqueInfo>,
    /// Whether writing to it runs somebody's own code: triggers, rules.
    pub triggers: bool,
    /// Whether that code may raise errors of its own wording.
    pub raises: bool,
    /// Whether it may have a CHECK constraint.
    pub checks: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type as SQL, without length or precision: PostgreSQL's for casts, SQLite's as it was written.
    pub sql_type: String,
    /// Whether the database may take values for equal that are different in Rust: it rounds them, or compares them
    /// in its own way.
    pub inexact: bool,
    /// Whether many of its values can be sent as one array, and taken apart again.
    pub array: bool,
    /// Whether NULL is never stored in it.
    pub not_null: bool,
    /// Whether an insert can leave it out: it has a default, is generated, or is the rowid.
    pub optional: bool,
    /// SQLite: its default, as an expression that stands for itself. PostgreSQL has a word for it.
    pub default: Option<String>,
    /// Whether it is a part of the primary key.
    pub primary_key: bool,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether the database numbers it, and wants to be told that a message's number goes before its own.
    pub identity_always: bool,
}

/// Something unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UniqueInfo {
    /// Its columns; `None` for an expression.
    pub columns: Vec<Option<String>>,
    /// Whether it covers some of the rows only, or not at all times: ON CONFLICT cannot name it.
    pub partial: bool,
    /// Whether it compares bytes: no other collation is in it.
    pub binary: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignKey {
    /// The table that refers.
    pub child: Node,
    /// The table that is referred to.
    pub parent: Node,
    /// The columns that are referred to; `None` where the primary key is meant.
    pub parent_columns: Option<Vec<String>>,
}

/// How tables depend on each other.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// The foreign keys.
    pub keys: Vec<ForeignKey>,
    /// The tables with triggers.
    pub triggered: Vec<Node>,
}

/// The table or view of this name; `None` where there is none.
pub(crate) fn table(conn: &mut DbConn, name: &TableName) -> QueryResult<Option<(Node, TableInfo)>> {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => postgres::table(pg, &name.postgres),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => {
            let (schema, table) = sqlite::split_name(&name.sqlite);
            let info = sqlite::table(sqlite, &schema, &table)?;
            Ok(info.map(|info| ((schema, table.to_lowercase()), info)))
        }
    }
}

/// How the tables that can have to do with these depend on each other.
pub(crate) fn relations<'n>(conn: &mut DbConn, nodes: impl Iterator<Item = &'n Node>) -> QueryResult<Relations> {
    match conn {
        // Its foreign keys cross schemas.
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => {
            let _ = nodes;
            postgres::relations(pg)
        }
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => {
            let schemas: std::collections::BTreeSet<&str> = nodes.map(|(schema, _)| schema.as_str()).collect();
            let mut relations = Relations::default();
            for schema in schemas {
                relations.keys.extend(sqlite::foreign_keys(sqlite, schema)?);
                relations.triggered.extend(sqlite::triggered_tables(sqlite, schema)?);
            }
            Ok(relations)
        }
    }
}

/// The table's name as SQL for the connected database.
pub(crate) fn sql_name<'n>(conn: &DbConn, name: &'n TableName) -> &'n str {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(_) => &name.postgres,
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(_) => &name.sqlite,
    }
}

/// An identifier as SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
