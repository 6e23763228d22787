//! The topics and tables of these tests.

use diesel::Connection;

use super::*;
use crate::sync::context::{Applied, SyncContext};
use crate::sync::model::LookupField;
#[cfg(feature = "postgres")]
use crate::sync::relation::RelationDescriptor;

fn named(plain: &'static str) -> TableName {
    TableName {
        plain,
        #[cfg(feature = "postgres")]
        postgres: format!("\"{plain}\""),
        #[cfg(feature = "sqlite")]
        sqlite: format!("`{plain}`"),
    }
}

const ITEM_COLUMNS: &[ColumnDescriptor] = &[column("id"), column("n"), column("name"), column("code")];
const DEFAULTS_COLUMNS: &[ColumnDescriptor] = &[column("id"), with_default("n"), column("name"), column("code")];
const CHILD_COLUMNS: &[ColumnDescriptor] = &[column("id"), column("item"), column("name")];

/// Fails for one value, and keeps a list of what it was called for.
fn after(cx: &SyncContext<'_>, applied: Applied, conn: &mut DbConn) -> Result<(), ConsumeError> {
    let value: Option<Value> = if cx.has_value() { Some(cx.value()?) } else { None };
    let n = value.as_ref().and_then(|value| value.get("n")).and_then(Value::as_i64);
    if n == Some(78) {
        return conn.transaction(|_| panic!("inside a transaction of its own"));
    }
    assert!(n != Some(76), "the hook panics");
    conn.batch_execute(&format!("INSERT INTO calls VALUES ({}, '{applied:?}')", cx.offset()))?;
    if n == Some(77) {
        return Err("the hook refuses".into());
    }
    Ok(())
}

const NONE: SyncOptions = SyncOptions::NONE;
const BY_CODE: &[LookupField] = &[LookupField { field: "code", whole_key: false }];
const BY_TWO: &[LookupField] =
    &[LookupField { field: "name", whole_key: false }, LookupField { field: "code", whole_key: false }];

static ITEM: ModelDescriptor = model("Item", ITEM_COLUMNS, || named("items"), NONE);
static ITEM_BY_CODE: ModelDescriptor =
    model("ItemByCode", ITEM_COLUMNS, || named("items"), SyncOptions { lookup: Some(BY_CODE), ..NONE });
static ITEM_BY_TWO: ModelDescriptor =
    model("ItemByTwo", ITEM_COLUMNS, || named("items"), SyncOptions { lookup: Some(BY_TWO), ..NONE });
static ITEM_WITH_DEFAULT: ModelDescriptor = model("ItemWithDefault", DEFAULTS_COLUMNS, || named("items"), NONE);
static ITEM_WITH_HOOK: ModelDescriptor =
    model("ItemWithHook", ITEM_COLUMNS, || named("items"), SyncOptions { after: Some(after), ..NONE });
static CHILD: ModelDescriptor = model("Child", CHILD_COLUMNS, || named("children"), NONE);
#[cfg(feature = "postgres")]
static CHILD_OF_ITEM: ModelDescriptor = ModelDescriptor {
    relations: &[RelationDescriptor { column: 1, model: || &ITEM, field: None }],
    ..model("ChildOfItem", CHILD_COLUMNS, || named("children"), NONE)
};
static MISSING: ModelDescriptor = model("Missing", ITEM_COLUMNS, || named("nowhere"), NONE);
static WRONG: ModelDescriptor = model("Wrong", &[column("id"), column("size")], || named("items"), NONE);

pub(super) static ITEMS: ModelTopic = topic(Targets::One(&ITEM), true);
pub(super) static ALL_ITEMS: ModelTopic = topic(Targets::One(&ITEM), false);
pub(super) static ITEMS_BY_CODE: ModelTopic = topic(Targets::One(&ITEM_BY_CODE), true);
pub(super) static ITEMS_BY_TWO: ModelTopic = topic(Targets::One(&ITEM_BY_TWO), true);
pub(super) static ITEMS_WITH_DEFAULT: ModelTopic = topic(Targets::One(&ITEM_WITH_DEFAULT), true);
pub(super) static ITEMS_WITH_HOOK: ModelTopic = topic(Targets::One(&ITEM_WITH_HOOK), true);
pub(super) static FAMILY: ModelTopic = topic(Targets::Reroute(&[("items", &ITEM), ("children", &CHILD)]), true);
/// Children that wait for their items.
#[cfg(feature = "postgres")]
pub(super) static CHILDREN: ModelTopic = topic(Targets::One(&CHILD_OF_ITEM), true);
pub(super) static BROKEN: ModelTopic = topic(Targets::Reroute(&[("m", &MISSING), ("w", &WRONG)]), true);

pub(super) const PLAIN: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT DEFAULT 5, name TEXT, code TEXT);";

/// A topic, its tables, and how the state is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    pub name: &'static str,
    pub topic: &'static ModelTopic,
    pub sqlite: &'static str,
    pub postgres: &'static str,
    /// The columns of a message's key.
    pub key: &'static [&'static str],
    pub family: bool,
}

impl Profile {
    pub(super) const fn new(
        name: &'static str,
        topic: &'static ModelTopic,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Self {
        Self { name, topic, sqlite, postgres, key: &["id"], family: false }
    }

    const fn key(self, key: &'static [&'static str]) -> Self {
        Self { key, ..self }
    }

    pub(super) const fn family(self) -> Self {
        Self { family: true, ..self }
    }
}

pub(super) const CHECKED: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT NOT NULL CHECK (n < 90), name TEXT DEFAULT 'x', \
    code TEXT, at INT DEFAULT 1);";
pub(super) const UNIQUE: &str =
    "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT NOT NULL, name TEXT, code TEXT UNIQUE);";
const NULLABLE: &str = "CREATE TABLE items (id TEXT PRIMARY KEY, n INT, name TEXT, code TEXT NOT NULL DEFAULT 'c');";
pub(super) const BARE: &str = "CREATE TABLE items (id INT, n INT NOT NULL, name TEXT, code TEXT);";
pub(super) const TRIGGER: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE log (line TEXT);
    CREATE TRIGGER refuse BEFORE INSERT ON items WHEN NEW.n > 89 BEGIN SELECT RAISE(ABORT, 'too many'); END;
    CREATE TRIGGER give_up BEFORE UPDATE ON items WHEN NEW.n > 95 BEGIN SELECT RAISE(ROLLBACK, 'far too many'); END;
    CREATE TRIGGER look AFTER UPDATE ON items BEGIN UPDATE items SET name = 'seen' WHERE id = OLD.id + 1; END;";
const COLLATED: &str = "CREATE TABLE items (id INT, n INT, name TEXT, code TEXT COLLATE NOCASE PRIMARY KEY);";
pub(super) const REFUSED_DEFAULT: &str =
    "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT CHECK (n IS NOT NULL), name TEXT, code TEXT);";
pub(super) const TAKEN_DEFAULT: &str =
    "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT UNIQUE DEFAULT 'a');";
pub(super) const TWO_WAYS: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT UNIQUE);
    CREATE TABLE children (id INTEGER PRIMARY KEY, item INT REFERENCES items ON DELETE CASCADE,
        name TEXT REFERENCES items (code));";
pub(super) const NO_ACTION: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, item INT NOT NULL REFERENCES items, name TEXT);";
const CASCADE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, item INT REFERENCES items ON DELETE CASCADE, name TEXT);";
const COMMON_CHILD: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, item INT, name TEXT);
    CREATE TABLE both (i INT REFERENCES items ON DELETE CASCADE, c INT REFERENCES children);
    CREATE TRIGGER tie AFTER INSERT ON items BEGIN INSERT INTO both SELECT NEW.id, id FROM children LIMIT 1; END;";
const TREE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT REFERENCES items (id), name TEXT, code TEXT);";
pub(super) const CALLS: &str =
    "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT CHECK (n < 90), name TEXT, code TEXT);
    CREATE TABLE calls (at INT, what TEXT);";

pub(super) const DEFERRED: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, name TEXT,
        item INT REFERENCES items DEFERRABLE INITIALLY DEFERRED);";

/// The same without the constraint.
pub(super) const CASCADE_FREE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, name TEXT, item INT);";

// PostgreSQL's, where the words are others.
const PG_TRIGGER: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE log (line TEXT);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.n > 89 THEN RAISE EXCEPTION 'too many'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF pg_trigger_depth() = 1 THEN UPDATE items SET name = 'seen' WHERE id = OLD.id + 1; END IF; RETURN NULL; END $$;
    CREATE TRIGGER look AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION look();";
const PG_COLLATED: &str = "
    CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT COLLATE nocase UNIQUE);";
const PG_COMMON_CHILD: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT, name TEXT, code TEXT);
    CREATE TABLE children (id INTEGER PRIMARY KEY, item INT, name TEXT);
    CREATE TABLE both_ (i INT REFERENCES items ON DELETE CASCADE, c INT REFERENCES children);
    CREATE FUNCTION tie() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO both_ SELECT NEW.id, id FROM children ORDER BY id LIMIT 1; RETURN NULL; END $$;
    CREATE TRIGGER tie AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION tie();";

pub(super) const PROFILES: &[Profile] = &[
    Profile::new("plain", &ITEMS, PLAIN, PLAIN),
    Profile::new("not reduced", &ALL_ITEMS, CHECKED, CHECKED),
    Profile::new("checked", &ITEMS, CHECKED, CHECKED),
    Profile::new("second unique index", &ITEMS, UNIQUE, UNIQUE),
    Profile::new("unique lookup that is not the key", &ITEMS_BY_CODE, UNIQUE, UNIQUE).key(&["code"]),
    Profile::new("key that can be null", &ITEMS, NULLABLE, NULLABLE),
    Profile::new("lookup without an index", &ITEMS, BARE, BARE),
    Profile::new("two columns without an index", &ITEMS_BY_TWO, BARE, BARE).key(&["name", "code"]),
    Profile::new("insert default", &ITEMS_WITH_DEFAULT, CHECKED, CHECKED),
    Profile::new("triggers", &ITEMS, TRIGGER, PG_TRIGGER),
    Profile::new("collation", &ITEMS_BY_CODE, COLLATED, PG_COLLATED).key(&["code"]),
    Profile::new("default that is refused", &ITEMS, REFUSED_DEFAULT, REFUSED_DEFAULT),
    Profile::new("default that is taken", &ITEMS, TAKEN_DEFAULT, TAKEN_DEFAULT),
    Profile::new("two ways to a parent", &FAMILY, TWO_WAYS, TWO_WAYS).family(),
    Profile::new("foreign key", &FAMILY, NO_ACTION, NO_ACTION).family(),
    Profile::new("cascade", &FAMILY, CASCADE, CASCADE).family(),
    Profile::new("common child", &FAMILY, COMMON_CHILD, PG_COMMON_CHILD).family(),
    Profile::new("tree", &ITEMS, TREE, TREE),
    Profile::new("hook", &ITEMS_WITH_HOOK, CALLS, CALLS),
];
