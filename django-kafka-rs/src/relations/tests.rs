//! The store and the resolver on real databases.

use std::sync::Arc;

use diesel::connection::SimpleConnection;

use super::message::{Awaited, Chain, Parking, WaitingStatus};
use super::store::{Claim, MessageProcessor, ParkedKey, Presence, Still, TableProcessor, Which};
use super::{RelationResolver, TableResolver};
use crate::db::{Database, DatabaseSettings, DbConn, migrations};
use crate::record::{Headers, RawRecord};
use crate::sync::{ColumnDescriptor, ModelDescriptor, ModelRelation, SyncOptions, TableName};

const GROUP: &str = "crm";

/// Runs a test on SQLite, and on PostgreSQL where there is one.
fn on_each(test: impl Fn(&Database)) {
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.sqlite3");
        let database = Database::open(&DatabaseSettings::new(path.to_str().unwrap())).unwrap();
        migrations::run(&database, None).unwrap();
        test(&database);
    }
    #[cfg(feature = "postgres")]
    if let Some(schema) = crate::db::scratch::Scratch::new() {
        let database = Database::open(&DatabaseSettings::new(schema.url())).unwrap();
        migrations::run(&database, None).unwrap();
        test(&database);
    }
}

fn execute(conn: &mut DbConn, sql: &str) {
    match conn {
        #[cfg(feature = "postgres")]
        DbConn::Pg(pg) => pg.batch_execute(sql).unwrap(),
        #[cfg(feature = "sqlite")]
        DbConn::Sqlite(sqlite) => sqlite.batch_execute(sql).unwrap(),
    }
}

fn record(offset: i64, key: Option<&str>) -> Arc<RawRecord> {
    let mut headers = Headers::new();
    headers.push("h", Some(vec![0, 1, 255]));
    Arc::new(RawRecord {
        topic: "orders".into(),
        offset,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(format!("v{offset}\0").into_bytes()),
        headers,
        timestamp_ms: Some(5),
        ..RawRecord::default()
    })
}

fn customer(id: i64) -> Awaited {
    Awaited { model_key: "customers".to_owned(), field: "id".to_owned(), value: id.to_string() }
}

fn parking(offset: i64, key: Option<&str>, relation: Option<Awaited>) -> Parking {
    let record = record(offset, key);
    let status = if relation.is_some() { WaitingStatus::Waiting } else { WaitingStatus::Behind };
    Parking { chain: Chain::of(&record), record, status, deletion: false, full_row: false, relation }
}

fn claim<'a>(groups: &'a [String], token: &'a str) -> Claim<'a> {
    Claim { groups, token, lease_ms: 60_000, now_ms: 1_000, chains_max: 100, messages_max: 100 }
}

fn groups() -> Vec<String> {
    vec![GROUP.to_owned()]
}

/// The offsets of claimed messages.
fn claimed(conn: &mut DbConn, which: Which<'_>, token: &str) -> Vec<i64> {
    let groups = groups();
    let messages = TableProcessor.claim(conn, which, &claim(&groups, token)).unwrap();
    messages.iter().map(|message| message.record.offset).collect()
}

#[test]
fn messages_come_back_as_they_were_parked() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let parked = [parking(7, Some("1"), Some(customer(5))), parking(8, None, Some(customer(6)))];
        TableProcessor.park(&mut conn, GROUP, &parked).unwrap();
        // Twice is once.
        TableProcessor.park(&mut conn, GROUP, &parked).unwrap();
        let all = TableProcessor.list(&mut conn, &groups(), 0, 10).unwrap();
        assert_eq!(all.len(), 2);
        let first = TableProcessor.find(&mut conn, all[0].id).unwrap().unwrap();
        assert_eq!(
            (first.status, first.relation.clone(), first.attempts),
            (WaitingStatus::Waiting, Some(customer(5)), 0)
        );
        let (stored, sent) = (&first.record, &parked[0].record);
        assert_eq!((&stored.key, &stored.value, &stored.headers), (&sent.key, &sent.value, &sent.headers));
        assert_eq!((stored.offset, stored.timestamp_ms, &*stored.topic), (7, Some(5), "orders"));
        assert!(first.parked_at_ms > 1_600_000_000_000);
        assert_eq!(TableProcessor.discard(&mut conn, &[first.id, 99]).unwrap(), 1);
        assert!(TableProcessor.find(&mut conn, first.id).unwrap().is_none());
    });
}

#[cfg(feature = "postgres")]
#[test]
fn rows_that_are_about_to_go_do_not_count_for_who_gives_way_and_the_others_stay() {
    use diesel::Connection as _;
    let Some(schema) = crate::db::scratch::Scratch::new() else { return };
    let database = Database::open(&DatabaseSettings::new(schema.url())).unwrap();
    let resolver = TableResolver::default();
    execute(
        &mut database.writer().unwrap(),
        "CREATE TABLE parents (id BIGINT PRIMARY KEY, name TEXT); INSERT INTO parents VALUES (1, 'a'), (2, 'b')",
    );
    let mut other = diesel::PgConnection::establish(&schema.url()).unwrap();
    let asked = [1, 2, 3].map(|id| ModelRelation::of(&PARENTS, "id", id.to_string()));
    let asked: Vec<&ModelRelation> = asked.iter().collect();
    other.batch_execute("BEGIN; DELETE FROM parents WHERE id = 1").unwrap();
    {
        let mut conn = database.begin().unwrap();
        assert_eq!(resolver.exist(&mut conn, &asked).unwrap(), [true, true, false]);
        assert_eq!(resolver.stay(&mut conn, &asked).unwrap(), [false, true, false]);
        assert!(other.batch_execute("SELECT 1 FROM parents WHERE id = 2 FOR UPDATE NOWAIT").is_err());
        other.batch_execute("ROLLBACK").unwrap();
    }
    // Written before it is deleted, it would have to be waited for: then nothing counts.
    other.batch_execute("BEGIN; UPDATE parents SET name = 'c' WHERE id = 1; DELETE FROM parents WHERE id = 1").unwrap();
    {
        let mut conn = database.begin().unwrap();
        assert_eq!(resolver.stay(&mut conn, &asked).unwrap(), [false; 3]);
        other.batch_execute("ROLLBACK").unwrap();
        assert_eq!(resolver.stay(&mut conn, &asked).unwrap(), [true, true, false]);
    }
    // What cannot be locked counts as it is.
    execute(
        &mut database.writer().unwrap(),
        "ALTER TABLE parents RENAME TO own; CREATE VIEW parents AS SELECT DISTINCT id, name FROM own",
    );
    let mut conn = database.begin().unwrap();
    assert_eq!(resolver.stay(&mut conn, &asked).unwrap(), [true, true, false]);
    execute(&mut conn, "SELECT 1");
}

#[test]
fn what_waits_is_seen_by_topic_by_key_and_by_row() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let presence = |conn: &mut DbConn, topic: &str, model: &str| {
            TableProcessor.presence(conn, GROUP, &[topic], &[model]).unwrap()
        };
        assert_eq!(presence(&mut conn, "orders", "customers"), Presence::default());
        let deletion = Parking { deletion: true, ..parking(3, Some("2"), Some(customer(2))) };
        TableProcessor.park(&mut conn, GROUP, &[parking(1, Some("1"), Some(customer(5))), deletion]).unwrap();
        assert_eq!(presence(&mut conn, "orders", "customers"), Presence { parked: true, awaited: true, blocked: true });
        assert_eq!(presence(&mut conn, "other", "orders"), Presence { blocked: true, ..Presence::default() });

        let keys: Vec<Chain> = ["1", "2", "3"].iter().map(|key| Chain::of(&record(9, Some(key)))).collect();
        let keys: Vec<&Chain> = keys.iter().collect();
        let mut parked = TableProcessor.parked(&mut conn, GROUP, &keys).unwrap();
        parked.sort_by_key(|(chain, _)| chain.key.clone());
        let of = |rows, deletion| ParkedKey { rows, deletion, resolving: false };
        assert_eq!(parked, [(keys[0].clone(), of(Some(1), None)), (keys[1].clone(), of(None, Some(3)))]);
        assert_eq!(TableProcessor.parked(&mut conn, "other", &keys).unwrap(), []);

        // A deletion waits for nothing that could come.
        let asked = [customer(2), customer(5), customer(6)];
        assert_eq!(TableProcessor.awaited(&mut conn, &asked).unwrap(), [customer(5)]);
        assert_eq!(TableProcessor.relations(&mut conn, &groups(), None, 10).unwrap(), [customer(5)]);
        assert_eq!(TableProcessor.relations(&mut conn, &groups(), Some(&customer(5)), 10).unwrap(), []);

        let counts = TableProcessor.counts(&mut conn, &groups(), 10).unwrap();
        let counts: Vec<_> = counts.into_iter().map(|c| (c.relation.unwrap(), c.deletion, c.messages)).collect();
        assert!(counts.contains(&(customer(5), false, 1)) && counts.contains(&(customer(2), true, 1)), "{counts:?}");
        assert_eq!(TableProcessor.counts(&mut conn, &groups(), 1).unwrap().len(), 1);
        let totals = TableProcessor.totals(&mut conn, &groups()).unwrap();
        let mut totals: Vec<_> = totals.into_iter().map(|c| (c.relation.unwrap(), c.deletion, c.messages)).collect();
        totals.sort_by_key(|(_, deletion, _)| *deletion);
        let relation = Awaited { value: String::new(), ..customer(5) };
        assert_eq!(totals, [(relation.clone(), false, 1), (relation, true, 1)], "by relation, whatever the row");

        TableProcessor.forget(&mut conn, GROUP, &[(keys[0], 0)]).unwrap();
        assert!(presence(&mut conn, "orders", "customers").awaited);
        TableProcessor.forget(&mut conn, GROUP, &[(keys[0], 1)]).unwrap();
        assert!(!presence(&mut conn, "orders", "customers").awaited);
    });
}

#[test]
fn a_chain_is_taken_whole_and_by_one_daemon() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let full = Parking { full_row: true, ..parking(4, Some("2"), None) };
        let parked = [
            parking(1, Some("1"), Some(customer(5))),
            parking(2, Some("2"), Some(customer(5))),
            parking(3, Some("1"), None),
            full,
            parking(5, Some("3"), Some(customer(6))),
        ];
        TableProcessor.park(&mut conn, GROUP, &parked).unwrap();
        // Of key 2, what is before the whole row does not matter.
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(5)]), "a"), [1, 3, 4]);
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(5)]), "b"), [0; 0]);
        assert_eq!(claimed(&mut conn, Which::Unseen, "b"), [0; 0]);
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(6)]), "b"), [5]);
        let all = TableProcessor.list(&mut conn, &groups(), 0, 10).unwrap();
        assert!(all.iter().all(|message| message.status == WaitingStatus::Resolving));
        let ids: Vec<i64> = all.iter().map(|message| message.id).collect();
        assert_eq!(TableProcessor.held(&mut conn, "a", &ids).unwrap().len(), 4);

        // Key 1 still waits, for another row.
        let still = Still { chain: parked[0].chain.clone(), relation: Some(customer(7)), now_ms: 1_000 };
        TableProcessor.still(&mut conn, GROUP, "a", &[still]).unwrap();
        TableProcessor.release(&mut conn, "a").unwrap();
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(7)]), "c"), [1, 3]);
        assert_eq!(claimed(&mut conn, Which::Unseen, "e"), [4]);

        // A lease that has run out is anybody's.
        TableProcessor.renew(&mut conn, "c", -1).unwrap();
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(7)]), "d"), [1, 3]);
        assert_eq!(TableProcessor.held(&mut conn, "c", &ids).unwrap().len(), 0);
        assert_eq!(TableProcessor.held(&mut conn, "e", &ids).unwrap().len(), 2);
    });
}

#[test]
fn a_chain_whose_message_failed_is_left_until_it_is_due() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let parked = [parking(1, Some("1"), Some(customer(5))), parking(2, Some("1"), None)];
        TableProcessor.park(&mut conn, GROUP, &parked).unwrap();
        let id = TableProcessor.list(&mut conn, &groups(), 0, 1).unwrap()[0].id;
        TableProcessor.failed(&mut conn, id, 2, "no", 1_001).unwrap();
        assert_eq!(claimed(&mut conn, Which::Relations(&[customer(5)]), "a"), [0; 0]);
        assert_eq!(claimed(&mut conn, Which::Failed, "a"), [0; 0]);
        // Nor does it come sooner because something came behind it.
        TableProcessor.park(&mut conn, GROUP, &[parking(3, Some("1"), None)]).unwrap();
        assert_eq!(claimed(&mut conn, Which::Unseen, "a"), [0; 0]);
        // By hand, at any time.
        assert_eq!(claimed(&mut conn, Which::Ids(&[id]), "a"), [1, 2, 3]);
        TableProcessor.release(&mut conn, "a").unwrap();
        TableProcessor.failed(&mut conn, id, 3, "no", 1_000).unwrap();
        assert_eq!(claimed(&mut conn, Which::Failed, "a"), [1, 2, 3]);
        let first = TableProcessor.find(&mut conn, id).unwrap().unwrap();
        assert_eq!((first.attempts, first.last_error.as_deref(), first.record.retry_number()), (3, Some("no"), 3));
    });
}

#[test]
fn what_is_left_of_a_chain_is_judged_anew_and_nothing_else() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let deletion = Parking { deletion: true, ..parking(4, Some("1"), Some(customer(9))) };
        let parked = [
            parking(1, Some("1"), Some(customer(5))),
            parking(2, Some("1"), Some(customer(6))),
            parking(3, Some("2"), Some(customer(5))),
            deletion,
        ];
        TableProcessor.park(&mut conn, GROUP, &parked).unwrap();
        let of = |conn: &mut DbConn| -> Vec<_> {
            let all = TableProcessor.list(conn, &groups(), 0, 10).unwrap();
            all.into_iter().map(|message| (message.record.offset, message.status, message.relation)).collect()
        };
        let (waiting, behind) = (WaitingStatus::Waiting, WaitingStatus::Behind);
        let chain = &parked[0].chain;
        // Of another group, nothing.
        TableProcessor.judge_anew(&mut conn, "other", &[chain]).unwrap();
        assert_eq!(of(&mut conn)[0], (1, waiting, Some(customer(5))));

        // What it waited for was that of the chain as a whole; a deletion keeps the row that it is about.
        TableProcessor.judge_anew(&mut conn, GROUP, &[chain]).unwrap();
        let rest = [(3, waiting, Some(customer(5))), (4, waiting, Some(customer(9)))];
        let [third, fourth] = rest.clone();
        assert_eq!(of(&mut conn), [(1, behind, None), (2, behind, None), third, fourth]);

        // Where nothing goes, nothing is judged anew; where a part goes, the rest of its chain is.
        let chain = &parked[2].chain;
        TableProcessor.forget(&mut conn, GROUP, &[(chain, 2)]).unwrap();
        assert_eq!(of(&mut conn)[2..], rest);
        TableProcessor.park(&mut conn, GROUP, &[parking(7, Some("2"), Some(customer(5)))]).unwrap();
        TableProcessor.forget(&mut conn, GROUP, &[(chain, 3)]).unwrap();
        assert_eq!(of(&mut conn)[3], (7, behind, None));
        assert_eq!(claimed(&mut conn, Which::Unseen, "a"), [1, 2, 4, 7]);
    });
}

const fn column(name: &'static str) -> ColumnDescriptor {
    ColumnDescriptor {
        field: name,
        column: name,
        message_field: Some(name),
        insert_default: false,
        stores_postgres: true,
        stores_sqlite: true,
    }
}

static PARENTS: ModelDescriptor = ModelDescriptor {
    type_name: "Parent",
    columns: &[column("id"), column("code"), column("bytes")],
    primary_key: &[0],
    relations: &[],
    options: SyncOptions::NONE,
    table: || TableName {
        plain: "parents",
        #[cfg(feature = "postgres")]
        postgres: "\"parents\"".to_owned(),
        #[cfg(feature = "sqlite")]
        sqlite: "`parents`".to_owned(),
    },
    decode: |_, _| Err("not decoded here".into()),
    location: crate::topic::Location { file: file!(), line: line!() },
};

#[test]
fn rows_are_found_by_values_of_any_type() {
    on_each(|database| {
        let mut conn = database.writer().unwrap();
        let bytes = match &*conn {
            #[cfg(feature = "postgres")]
            DbConn::Pg(_) => ("BYTEA", "'\\x01ff'"),
            #[cfg(feature = "sqlite")]
            DbConn::Sqlite(_) => ("BLOB", "x'01ff'"),
        };
        execute(
            &mut conn,
            &format!(
                "CREATE TABLE parents (id BIGINT PRIMARY KEY, code VARCHAR(9), bytes {}); \
                 INSERT INTO parents VALUES (5, '007', {})",
                bytes.0, bytes.1
            ),
        );
        let relation = |field, value: &str| ModelRelation::of(&PARENTS, field, value.to_owned());
        let relations = [
            relation("id", "5"),
            relation("code", "007"),
            relation("id", "6"),
            relation("code", "7"),
            relation("bytes", "\\x01ff"),
            relation("bytes", "\\x01"),
        ];
        let asked: Vec<&ModelRelation> = relations.iter().collect();
        let resolver = TableResolver::default();
        assert_eq!(resolver.exist(&mut conn, &asked).unwrap(), [true, true, false, false, true, false]);
        assert_eq!(resolver.exist(&mut conn, &[]).unwrap(), [false; 0]);
        let text = resolver.exist(&mut conn, &[&relation("idd", "1")]).unwrap_err().to_string();
        assert_eq!(
            text,
            "a relation names `idd`, but `Parent` has no such field with a column; it has `id`, `code`, `bytes`"
        );
    });
}
