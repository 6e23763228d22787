//! SQLite's own tables of tables.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::{QueryResult, SqliteConnection};

use super::{ColumnInfo, ForeignKey, Node, TableInfo, UniqueInfo, quoted};

/// The table or view `name` in `schema` (`main` where none is said); `None` where there is none.
pub(super) fn table(conn: &mut SqliteConnection, schema: &str, name: &str) -> QueryResult<Option<TableInfo>> {
    let Some(object) = diesel::sql_query(format!(
        "SELECT coalesce(sql, '') AS sql FROM {}.sqlite_master \
         WHERE type IN ('table', 'view') AND lower(name) = lower(?)",
        quoted(schema)
    ))
    .bind::<Text, _>(name)
    .get_result::<Sql>(conn)
    .optional()?
    else {
        return Ok(None);
    };
    let columns = columns(conn, schema, name)?;
    let indices = diesel::sql_query(
        "SELECT name, origin = 'pk' AS primary_key, partial FROM pragma_index_list(?, ?) WHERE \"unique\"",
    )
    .bind::<Text, _>(name)
    .bind::<Text, _>(schema)
    .load::<IndexRow>(conn)?;
    let key: Vec<_> = columns.iter().filter(|c| c.pk > 0).collect();
    // A primary key without an index of its own is the rowid under another name.
    let rowid = key.len() == 1 && !indices.iter().any(|i| i.primary_key);

    let mut unique = indices.iter().map(|i| unique_index(conn, schema, i)).collect::<QueryResult<Vec<_>>>()?;
    if rowid {
        unique.push(UniqueInfo { columns: vec![Some(key[0].name.clone())], partial: false, binary: true });
    }
    let triggers = diesel::sql_query(format!(
        "SELECT coalesce(sql, '') AS sql FROM {}.sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?)",
        quoted(schema)
    ))
    .bind::<Text, _>(name)
    .load::<Sql>(conn)?;
    Ok(Some(TableInfo {
        columns: columns.into_iter().map(|c| c.info(rowid)).collect(),
        unique,
        triggers: !triggers.is_empty(),
        raises: triggers.iter().any(|trigger| trigger.sql.to_ascii_lowercase().contains("raise")),
        checks: object.sql.to_ascii_lowercase().contains("check"),
    }))
}

/// All foreign keys of `schema`.
pub(super) fn foreign_keys(conn: &mut SqliteConnection, schema: &str) -> QueryResult<Vec<ForeignKey>> {
    let rows = diesel::sql_query(format!(
        "SELECT lower(m.name) AS child, lower(f.\"table\") AS parent, f.id AS id, lower(f.\"to\") AS target \
         FROM {}.sqlite_master AS m, pragma_foreign_key_list(m.name, ?) AS f \
         WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq",
        quoted(schema)
    ))
    .bind::<Text, _>(schema)
    .load::<ForeignKeyRow>(conn)?;
    let mut keys: Vec<ForeignKey> = Vec::new();
    for group in rows.chunk_by(|a, b| a.child == b.child && a.id == b.id) {
        keys.push(ForeignKey {
            child: (schema.to_owned(), group[0].child.clone()),
            parent: (schema.to_owned(), group[0].parent.clone()),
            parent_columns: group.iter().map(|row| row.target.clone()).collect(),
        });
    }
    Ok(keys)
}

/// The tables of `schema` that have triggers, in lower case.
pub(super) fn triggered_tables(conn: &mut SqliteConnection, schema: &str) -> QueryResult<Vec<Node>> {
    let rows = diesel::sql_query(format!(
        "SELECT DISTINCT lower(tbl_name) AS sql FROM {}.sqlite_master WHERE type = 'trigger'",
        quoted(schema)
    ))
    .load::<Sql>(conn)?;
    Ok(rows.into_iter().map(|row| (schema.to_owned(), row.sql)).collect())
}

fn columns(conn: &mut SqliteConnection, schema: &str, name: &str) -> QueryResult<Vec<ColumnRow>> {
    diesel::sql_query(
        "SELECT name, type AS declared, \"notnull\" AS not_null, dflt_value, pk, hidden \
         FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1 ORDER BY cid",
    )
    .bind::<Text, _>(name)
    .bind::<Text, _>(schema)
    .load(conn)
}

fn unique_index(conn: &mut SqliteConnection, schema: &str, index: &IndexRow) -> QueryResult<UniqueInfo> {
    let parts = diesel::sql_query("SELECT name, coll FROM pragma_index_xinfo(?, ?) WHERE key ORDER BY seqno")
        .bind::<Text, _>(&index.name)
        .bind::<Text, _>(schema)
        .load::<IndexColumn>(conn)?;
    Ok(UniqueInfo {
        binary: parts.iter().all(|p| p.coll.eq_ignore_ascii_case("BINARY")),
        columns: parts.into_iter().map(|p| p.name).collect(),
        partial: index.partial,
    })
}

/// Takes `` `schema`.`table` `` apart; `main` where no schema is said.
pub(super) fn split_name(sql: &str) -> (String, String) {
    let mut parts = sql.trim_matches('`').split("`.`").map(|part| part.replace("``", "`"));
    match (parts.next(), parts.next()) {
        (Some(schema), Some(table)) => (schema, table),
        (Some(table), None) => ("main".to_owned(), table),
        (None, _) => ("main".to_owned(), String::new()),
    }
}

/// Whether SQLite makes numbers of texts that look like one when it stores or compares values of such a column.
fn prefers_numbers(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    !(has(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"]) || declared.is_empty())
}

/// A default as an expression. SQLite takes a bare or doubly quoted word behind DEFAULT for a text; elsewhere that is a
/// column's name.
fn default_expression(written: &str) -> String {
    const KEYWORDS: &[&str] = &["null", "true", "false", "current_date", "current_time", "current_timestamp"];
    let text = |word: &str| format!("'{}'", word.replace('\'', "''"));
    if let Some(word) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return text(&word.replace("\"\"", "\""));
    }
    let is_word = written.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && written.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    if is_word && !KEYWORDS.iter().any(|keyword| written.eq_ignore_ascii_case(keyword)) {
        return text(written);
    }
    format!("({written})")
}

#[derive(QueryableByName)]
struct Sql {
    #[diesel(sql_type = Text)]
    sql: String,
}

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Nullable<Text>)]
    dflt_value: Option<String>,
    #[diesel(sql_type = BigInt)]
    pk: i64,
    #[diesel(sql_type = BigInt)]
    hidden: i64,
}

impl ColumnRow {
    fn info(self, rowid_table: bool) -> ColumnInfo {
        let rowid = rowid_table && self.pk > 0;
        let generated = self.hidden == 2 || self.hidden == 3;
        ColumnInfo {
            name: self.name,
            inexact: prefers_numbers(&self.declared),
            sql_type: self.declared,
            array: false,
            not_null: self.not_null || rowid,
            optional: self.dflt_value.is_some() || generated || rowid,
            default: self.dflt_value.as_deref().map(default_expression),
            primary_key: self.pk > 0,
            generated,
            identity_always: false,
        }
    }
}

#[derive(QueryableByName)]
struct IndexRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    primary_key: bool,
    #[diesel(sql_type = Bool)]
    partial: bool,
}

#[derive(QueryableByName)]
struct IndexColumn {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
    #[diesel(sql_type = Text)]
    coll: String,
}

#[derive(QueryableByName)]
struct ForeignKeyRow {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<Text>)]
    target: Option<String>,
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;

    fn database(sql: &str) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute(sql).unwrap();
        conn
    }

    fn read(sql: &str, name: &str) -> TableInfo {
        table(&mut database(sql), "main", name).unwrap().unwrap()
    }

    fn column<'t>(table: &'t TableInfo, name: &str) -> &'t ColumnInfo {
        table.columns.iter().find(|c| c.name == name).unwrap()
    }

    fn unique(columns: &[&str]) -> UniqueInfo {
        UniqueInfo { columns: columns.iter().map(|c| Some((*c).to_owned())).collect(), partial: false, binary: true }
    }

    #[test]
    fn a_missing_table_is_none() {
        assert_eq!(table(&mut database(""), "main", "t").unwrap(), None);
    }

    #[test]
    fn the_rowid_is_unique_never_null_and_optional() {
        let t = read("CREATE TABLE T (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INT DEFAULT 1)", "t");
        assert_eq!(t.unique, [unique(&["id"])]);
        let id = column(&t, "id");
        assert!(id.not_null && id.optional && id.primary_key);
        assert!(column(&t, "name").not_null && !column(&t, "name").optional);
        assert!(!column(&t, "n").not_null && column(&t, "n").optional);
        assert!(!t.checks && !t.triggers);
    }

    #[test]
    fn defaults_stand_for_themselves() {
        let sql = r#"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b DEFAULT 5, c DEFAULT -1.5, d DEFAULT 'it''s', e DEFAULT word,
            f DEFAULT "w""o'rd", g DEFAULT (1 + 2), h DEFAULT current_date, i DEFAULT NULL, j DEFAULT TRUE,
            k DEFAULT (upper('x') || 'y'), l DEFAULT x'00ff', "m n" DEFAULT ''); INSERT INTO t (id) VALUES (1);"#;
        let mut conn = database(sql);
        let t = table(&mut conn, "main", "t").unwrap().unwrap();
        for column in t.columns.iter().filter(|column| column.default.is_some()) {
            // A row whose every value is another one, so that a name taken for a column is found out.
            conn.batch_execute(
                "DELETE FROM t WHERE id = 2; INSERT INTO t SELECT 2, 'z', 'z', 'z', 'z', 'z', 'z', 'z', \
                'z', 'z', 'z', 'z', 'z', 'z';",
            )
            .unwrap();
            let (name, default) = (quoted(&column.name), column.default.as_deref().unwrap());
            conn.batch_execute(&format!("UPDATE t SET {name} = {default} WHERE id = 2")).unwrap();
            let same = diesel::sql_query(format!(
                "SELECT CASE WHEN a.{name} IS b.{name} AND typeof(a.{name}) = typeof(b.{name}) THEN 'same' \
                 ELSE quote(a.{name}) || ' / ' || quote(b.{name}) END AS sql FROM t AS a, t AS b WHERE a.id = 1 AND b.id = 2"
            ))
            .get_result::<Sql>(&mut conn)
            .unwrap();
            assert_eq!(same.sql, "same", "column {name}, default {default}");
        }
        assert_eq!(t.columns.iter().filter(|column| column.default.is_some()).count(), 12);
    }

    #[test]
    fn other_primary_keys_can_hold_null_unless_they_say_so() {
        let t = read("CREATE TABLE t (id TEXT PRIMARY KEY)", "t");
        assert_eq!(t.unique, [unique(&["id"])]);
        assert!(!column(&t, "id").not_null && !column(&t, "id").optional);
        let t = read("CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID", "t");
        assert_eq!(t.unique, [unique(&["a", "b"])]);
        assert!(column(&t, "a").not_null && !column(&t, "a").optional);
        // BIGINT is not the rowid, whatever it looks like.
        let t = read("CREATE TABLE t (id BIGINT PRIMARY KEY)", "t");
        assert!(!column(&t, "id").not_null);
    }

    #[test]
    fn indices_say_what_they_cover() {
        let t = read(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT COLLATE NOCASE UNIQUE, c INT);
             CREATE UNIQUE INDEX partial ON t (a) WHERE c > 0;
             CREATE UNIQUE INDEX expression ON t (lower(a), c);
             CREATE INDEX plain ON t (c);",
            "t",
        );
        assert!(t.unique.contains(&unique(&["id"])));
        assert!(t.unique.contains(&UniqueInfo { partial: true, ..unique(&["a"]) }));
        assert!(t.unique.contains(&UniqueInfo { binary: false, ..unique(&["b"]) }));
        assert!(t.unique.contains(&UniqueInfo {
            columns: vec![None, Some("c".to_owned())],
            partial: false,
            binary: true
        }));
        assert_eq!(t.unique.len(), 4);
    }

    #[test]
    fn triggers_checks_generated_columns_and_views_are_seen() {
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT CHECK (n > 0), twice INT AS (n * 2) STORED NOT NULL);
             CREATE TRIGGER no BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END;
             CREATE VIEW v AS SELECT n FROM t;";
        let t = read(sql, "t");
        assert_eq!(triggered_tables(&mut database(sql), "main").unwrap(), [("main".to_owned(), "t".to_owned())]);
        assert!(t.checks && t.triggers && t.raises);
        assert!(column(&t, "twice").generated && column(&t, "twice").optional);
        let v = read(sql, "v");
        assert_eq!((v.columns.len(), v.unique.len()), (1, 0));
    }

    #[test]
    fn foreign_keys_of_all_tables() {
        let mut conn = database(
            "CREATE TABLE Parent (id INTEGER PRIMARY KEY, a INT, b INT, UNIQUE (a, b));
             CREATE TABLE child (id INTEGER PRIMARY KEY, p INT REFERENCES parent, a INT, b INT,
                 FOREIGN KEY (a, b) REFERENCES parent (a, B));",
        );
        let mut keys = foreign_keys(&mut conn, "main").unwrap();
        keys.sort_by_key(|k| k.parent_columns.is_some());
        let key = |parent_columns| ForeignKey {
            child: ("main".into(), "child".into()),
            parent: ("main".into(), "parent".into()),
            parent_columns,
        };
        assert_eq!(keys, [key(None), key(Some(vec!["a".to_owned(), "b".to_owned()]))]);
    }
}
