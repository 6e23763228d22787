//! PostgreSQL's catalog.

use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Oid, Text};

use super::{ColumnInfo, ForeignKey, Node, Relations, TableInfo, UniqueInfo};

/// `name` is SQL: quoted, and looked for along the search path where it has no schema. Triggers of partitions count,
/// and so do rules and row security, whose checks an insert meets before it finds a conflict.
const TABLE: &str = "
SELECT c.oid AS id, n.nspname::text AS schema, c.relname::text AS name,
    EXISTS (
        SELECT FROM pg_trigger t WHERE NOT t.tgisinternal
            AND t.tgrelid IN (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid))
    ) OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND c.relkind IN ('r', 'p')) AS triggers,
    c.relrowsecurity
        OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
        OR EXISTS (
            SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND y.typtype = 'd'
        ) AS checks
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'f')";

/// Exact are the types whose equality is the one of the Rust types that fit them, as long as nothing is rounded or
/// padded. A `varchar(n)` counts as exact: it shortens nothing but blanks behind its n characters.
const COLUMNS: &str = "
SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS sql_type,
    a.attnotnull OR (y.typtype = 'd' AND y.typnotnull) AS not_null,
    a.atthasdef OR a.attidentity <> '' OR y.typdefault IS NOT NULL AS optional,
    a.attgenerated <> '' AS generated, a.attidentity = 'a' AS identity_always,
    y.typcategory NOT IN ('A', 'C', 'P') AND b.typtype <> 'c' AS can_be_array,
    EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)
    ) AS primary_key,
    (b.typtype = 'e' OR b.typname IN ('int2', 'int4', 'int8', 'oid', 'bool', 'text', 'varchar', 'uuid', 'date', 'bytea'))
        AND coalesce(l.collisdeterministic, true) AS exact
FROM pg_attribute a
    JOIN pg_type y ON y.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

/// An index that is not valid yet, an exclusion constraint, and a constraint that can be deferred hold for some of the
/// rows or at some times only: ON CONFLICT refuses them.
const UNIQUE: &str = "
SELECT i.indpred IS NOT NULL OR NOT i.indimmediate OR NOT i.indisvalid OR i.indisexclusion AS partial,
    NOT EXISTS (
        SELECT FROM unnest(i.indcollation) AS o JOIN pg_collation l ON l.oid = o WHERE NOT l.collisdeterministic
    ) AS binary,
    ARRAY (
        SELECT a.attname::text
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
            LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
        WHERE k.place <= i.indnkeyatts ORDER BY k.place
    ) AS columns
FROM pg_index i
WHERE i.indrelid = $1 AND (i.indisunique OR i.indisexclusion)";

const FOREIGN_KEYS: &str = "
SELECT cn.nspname::text AS child_schema, c.relname::text AS child,
    pn.nspname::text AS parent_schema, p.relname::text AS parent,
    ARRAY (
        SELECT a.attname::text
        FROM unnest(k.confkey) WITH ORDINALITY AS f (number, place)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = f.number
        ORDER BY f.place
    ) AS parent_columns
FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f'";

const TRIGGERED: &str = "
SELECT DISTINCT n.nspname::text AS schema, c.relname::text AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
    OR (c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid))";

/// The table or view `name`, which is SQL; `None` where there is none.
pub(super) fn table(conn: &mut PgConnection, name: &str) -> QueryResult<Option<(Node, TableInfo)>> {
    let Some(table) = diesel::sql_query(TABLE).bind::<Text, _>(name).get_result::<TableRow>(conn).optional()? else {
        return Ok(None);
    };
    let columns = diesel::sql_query(COLUMNS).bind::<Oid, _>(table.id).load::<ColumnRow>(conn)?;
    let unique = diesel::sql_query(UNIQUE).bind::<Oid, _>(table.id).load::<UniqueRow>(conn)?;
    let info = TableInfo {
        columns: columns.into_iter().map(ColumnRow::info).collect(),
        unique: unique
            .into_iter()
            .map(|row| UniqueInfo { columns: row.columns, partial: row.partial, binary: row.binary })
            .collect(),
        triggers: table.triggers,
        // Functions are not read: any of them may.
        raises: table.triggers,
        checks: table.checks,
    };
    Ok(Some(((table.schema, table.name), info)))
}

/// The foreign keys and triggers of the whole database.
pub(super) fn relations(conn: &mut PgConnection) -> QueryResult<Relations> {
    let keys = diesel::sql_query(FOREIGN_KEYS).load::<ForeignKeyRow>(conn)?;
    let triggered = diesel::sql_query(TRIGGERED).load::<NodeRow>(conn)?;
    Ok(Relations {
        keys: keys
            .into_iter()
            .map(|row| ForeignKey {
                child: (row.child_schema, row.child),
                parent: (row.parent_schema, row.parent),
                parent_columns: Some(row.parent_columns),
            })
            .collect(),
        triggered: triggered.into_iter().map(|row| (row.schema, row.name)).collect(),
    })
}

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Oid)]
    id: u32,
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    triggers: bool,
    #[diesel(sql_type = Bool)]
    checks: bool,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the catalog's answer")]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    sql_type: String,
    #[diesel(sql_type = Bool)]
    not_null: bool,
    #[diesel(sql_type = Bool)]
    optional: bool,
    #[diesel(sql_type = Bool)]
    generated: bool,
    #[diesel(sql_type = Bool)]
    identity_always: bool,
    #[diesel(sql_type = Bool)]
    can_be_array: bool,
    #[diesel(sql_type = Bool)]
    primary_key: bool,
    #[diesel(sql_type = Bool)]
    exact: bool,
}

impl ColumnRow {
    fn info(self) -> ColumnInfo {
        ColumnInfo {
            name: self.name,
            sql_type: self.sql_type,
            inexact: !self.exact,
            array: self.can_be_array,
            not_null: self.not_null,
            optional: self.optional || self.generated,
            default: None,
            primary_key: self.primary_key,
            generated: self.generated,
            identity_always: self.identity_always,
        }
    }
}

#[derive(QueryableByName)]
struct UniqueRow {
    #[diesel(sql_type = Bool)]
    partial: bool,
    #[diesel(sql_type = Bool)]
    binary: bool,
    #[diesel(sql_type = Array<Nullable<Text>>)]
    columns: Vec<Option<String>>,
}

#[derive(QueryableByName)]
struct ForeignKeyRow {
    #[diesel(sql_type = Text)]
    child_schema: String,
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Text)]
    parent_schema: String,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Array<Text>)]
    parent_columns: Vec<String>,
}

#[derive(QueryableByName)]
struct NodeRow {
    #[diesel(sql_type = Text)]
    schema: String,
    #[diesel(sql_type = Text)]
    name: String,
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;
    use crate::db::scratch::Scratch;

    /// A connection to a schema with these tables.
    fn database(sql: &str) -> Option<(Scratch, PgConnection)> {
        let scratch = Scratch::new()?;
        let mut conn = PgConnection::establish(&scratch.url()).unwrap();
        conn.batch_execute(sql).unwrap();
        Some((scratch, conn))
    }

    fn those(info: &TableInfo, wanted: impl Fn(&ColumnInfo) -> bool) -> Vec<&str> {
        info.columns.iter().filter(|column| wanted(column)).map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn columns_say_what_they_need_and_how_they_compare() {
        let sql = "CREATE TYPE mood AS ENUM ('sad', 'glad');
            CREATE TYPE pair AS (a INT, b INT);
            CREATE DOMAIN word AS TEXT NOT NULL DEFAULT 'w';
            CREATE TABLE \"T\" (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(5) NOT NULL, code CHAR(5),
                price NUMERIC(6, 2), tags TEXT[], both_ pair, mood MOOD, said word, at TIMESTAMPTZ DEFAULT now(),
                twice NUMERIC GENERATED ALWAYS AS (price * 2) STORED);";
        let Some((_scratch, mut conn)) = database(sql) else { return };
        assert_eq!(table(&mut conn, "t").unwrap(), None);
        let ((_, name), info) = table(&mut conn, "\"T\"").unwrap().unwrap();
        assert_eq!(name, "T");
        assert_eq!(those(&info, |c| c.not_null), ["id", "name", "said"]);
        assert_eq!(those(&info, |c| c.optional), ["id", "said", "at", "twice"]);
        assert_eq!(those(&info, |c| c.generated), ["twice"]);
        assert_eq!(those(&info, |c| c.identity_always), ["id"]);
        assert_eq!(those(&info, |c| c.primary_key), ["id"]);
        assert_eq!(those(&info, |c| !c.array), ["tags", "both_"]);
        assert_eq!(those(&info, |c| !c.inexact), ["id", "name", "mood", "said"]);
        // Casts to them shorten nothing.
        let types: Vec<_> = info.columns[..5].iter().map(|c| c.sql_type.as_str()).collect();
        assert_eq!(types, ["bigint", "character varying", "bpchar", "numeric", "text[]"]);
        assert!(info.checks && !info.triggers);
    }

    #[test]
    fn unique_indices_say_what_they_cover_and_when() {
        let sql = "CREATE TABLE t (id INT PRIMARY KEY, a TEXT, b TEXT UNIQUE DEFERRABLE, c INT);
            CREATE UNIQUE INDEX partial ON t (a) WHERE c > 0;
            CREATE UNIQUE INDEX expression ON t (lower(a), c);
            CREATE UNIQUE INDEX covering ON t (c, a) INCLUDE (b);
            CREATE INDEX plain ON t (c);";
        let Some((_scratch, mut conn)) = database(sql) else { return };
        let (_, info) = table(&mut conn, "t").unwrap().unwrap();
        let unique = |columns: &[Option<&str>], partial| UniqueInfo {
            columns: columns.iter().map(|c| c.map(str::to_owned)).collect(),
            partial,
            binary: true,
        };
        for expected in [
            unique(&[Some("id")], false),
            unique(&[Some("b")], true),
            unique(&[Some("a")], true),
            unique(&[None, Some("c")], false),
            unique(&[Some("c"), Some("a")], false),
        ] {
            assert!(info.unique.contains(&expected), "{expected:?} in {:?}", info.unique);
        }
        assert_eq!(info.unique.len(), 5);
        assert!(!info.checks && !info.triggers);
    }

    #[test]
    fn triggers_rules_and_foreign_keys_are_seen_across_schemas() {
        let sql = "CREATE TABLE parent (id INT PRIMARY KEY, a INT, b INT, UNIQUE (a, b));
            CREATE TABLE child (a INT, b INT, FOREIGN KEY (a, b) REFERENCES parent (a, b));
            CREATE RULE skip AS ON DELETE TO parent DO INSTEAD NOTHING;
            CREATE VIEW v AS SELECT id FROM parent;";
        let Some((_scratch, mut conn)) = database(sql) else { return };
        let (parent, info) = table(&mut conn, "parent").unwrap().unwrap();
        assert!(info.triggers && info.raises);
        let (child, _) = table(&mut conn, "child").unwrap().unwrap();
        let (_, view) = table(&mut conn, "v").unwrap().unwrap();
        assert_eq!((view.columns.len(), view.unique.len()), (1, 0));
        let relations = relations(&mut conn).unwrap();
        let parent_columns = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert!(relations.keys.contains(&ForeignKey { child, parent: parent.clone(), parent_columns }));
        assert!(relations.triggered.contains(&parent));
    }
}
