//! Single properties of the writer, each on the smallest table that shows it.

use expect_test::{Expect, expect};

use super::tables::*;
use super::*;

const ALL: &str =
    "SELECT id || ' ' || quote(n) || ' ' || quote(name) || ' ' || quote(code) AS line FROM items ORDER BY id";

fn full(n: i64) -> Value {
    json!({ "n": n, "name": "full", "code": format!("c{n}") })
}

fn family(table: &str, offset: usize, id: i64, value: &Value) -> Arc<RawRecord> {
    record(offset, &json!({ "__dbz__physicalTableIdentifier": table, "id": id }), value)
}

/// Outcomes and rows after one batch.
fn check(topic: &'static ModelTopic, sql: &str, messages: &[(i64, Value)], expected: &Expect) {
    let bench = Bench::new(topic, sql);
    let mut lines = bench.outcomes(&records(messages));
    lines.push("--".to_owned());
    lines.extend(bench.rows(ALL));
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn only_what_a_message_names_is_written() {
    check(
        &ITEMS,
        "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT DEFAULT 5, name TEXT, code TEXT NOT NULL DEFAULT 'd');
         INSERT INTO items VALUES (1, 1, 'old', 'old');",
        &[
            (1, json!({ "name": "new" })),
            (2, json!({ "name": "new" })),
            (3, json!({ "n": null, "name": null, "code": "c" })),
            (4, Value::Null),
        ],
        &expect![[r#"
            applied
            applied
            applied
            applied
            --
            1 1 'new' 'old'
            2 5 'new' 'd'
            3 NULL NULL 'c'"#]],
    );
}

#[test]
fn a_message_of_the_key_alone_makes_a_row_once() {
    check(
        &ITEMS,
        "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT DEFAULT 5, name TEXT, code TEXT);
         INSERT INTO items VALUES (1, 1, 'old', 'old');",
        &[(1, json!({})), (2, json!({}))],
        &expect![[r#"
            applied
            applied
            --
            1 1 'old' 'old'
            2 5 NULL NULL"#]],
    );
}

#[test]
fn an_insert_default_is_no_update() {
    check(
        &ITEMS_WITH_DEFAULT,
        "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT NOT NULL, name TEXT, code TEXT);
         INSERT INTO items VALUES (1, 7, 'old', 'old');",
        &[(1, json!({ "name": "new", "code": "c" })), (2, json!({ "name": "new", "code": "c" }))],
        &expect![[r#"
            applied
            applied
            --
            1 7 'new' 'c'
            2 0 'new' 'c'"#]],
    );
}

#[test]
fn a_partial_row_updates_where_it_could_not_be_inserted() {
    check(
        &ITEMS,
        "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT NOT NULL, name TEXT, code TEXT);
         INSERT INTO items VALUES (1, 7, 'old', 'old');",
        &[(1, json!({ "name": "new" })), (2, json!({ "name": "new" }))],
        &expect![[r#"
            applied
            failed: table `items`: the row cannot be written: a column without a default has no value, because the message lacks it or says null (NOT NULL constraint failed: items.n)
            --
            1 7 'new' 'old'"#]],
    );
}

#[test]
fn a_default_that_is_not_written_refuses_no_update() {
    for sql in [REFUSED_DEFAULT, TAKEN_DEFAULT] {
        let bench = Bench::new(&ITEMS, sql);
        bench.execute("INSERT INTO items VALUES (1, 1, 'one', 'a'), (2, 2, 'two', 'b'), (3, 3, 'three', 'c')");
        let partial = records(&[(2, json!({ "name": "new" })), (3, json!({ "name": "new" }))]);
        assert_eq!(bench.outcomes(&partial[..1]), ["applied"], "{sql}");
        assert_eq!(bench.outcomes(&partial), ["applied", "applied"], "{sql}");
        assert_eq!(bench.rows(ALL), ["1 1 'one' 'a'", "2 2 'new' 'b'", "3 3 'new' 'c'"]);
    }
}

#[test]
fn a_delete_that_a_later_one_would_allow_is_refused() {
    let bench = Bench::new(&FAMILY, TWO_WAYS);
    bench.execute("INSERT INTO items VALUES (1, 1, 'one', 'a'), (2, 2, 'two', 'b')");
    bench.execute("INSERT INTO children VALUES (1, 1, 'b')");
    // The child goes with the first row; until then it keeps the second.
    let outcomes = bench.outcomes(&[family("items", 0, 2, &Value::Null), family("items", 1, 1, &Value::Null)]);
    assert!(outcomes[0].contains("other rows still refer to it"), "{outcomes:?}");
    assert_eq!(outcomes[1], "applied");
}

#[test]
fn refusals_say_table_reason_and_the_databases_words() {
    check(
        &ITEMS,
        "CREATE TABLE items (id INTEGER PRIMARY KEY, n INT CHECK (n < 90), name TEXT UNIQUE, code TEXT);
         INSERT INTO items VALUES (1, 1, 'taken', NULL);",
        &[
            (2, json!({ "n": 90, "name": "a", "code": null })),
            (3, json!({ "n": 3, "name": "taken", "code": null })),
            (4, json!({ "poison": true })),
            (5, json!({ "panic": true })),
            (6, json!({ "ignore": true })),
        ],
        &expect![[r#"
            failed: table `items`: the row cannot be written: its values do not pass a check (CHECK constraint failed: n < 90)
            failed: table `items`: the row cannot be written: another row has this value already (UNIQUE constraint failed: items.name)
            failed: poison
            failed: reading the message panicked: told to panic
            ignored
            --
            1 1 'taken' NULL"#]],
    );
}

#[test]
fn foreign_keys_are_refused_in_both_directions() {
    let bench = Bench::new(&FAMILY, NO_ACTION);
    let batch = [
        family("items", 0, 1, &full(1)),
        family("children", 1, 1, &json!({ "item": 1, "name": "a" })),
        family("children", 2, 2, &json!({ "item": 2, "name": "b" })),
        family("items", 3, 1, &Value::Null),
        family("items", 4, 2, &full(2)),
        family("elsewhere", 5, 2, &full(2)),
    ];
    let outcomes = bench.outcomes(&batch);
    assert_eq!(
        outcomes[..5],
        [
            "applied",
            "applied",
            "failed: table `children`: the row cannot be written: the row that it refers to does not exist (FOREIGN KEY constraint failed)",
            "failed: table `items`: the row cannot be deleted: other rows still refer to it (FOREIGN KEY constraint failed)",
            "applied",
        ]
    );
    assert!(outcomes[5].contains("elsewhere"), "{}", outcomes[5]);
}

#[test]
fn a_lookup_that_matches_more_than_one_row_is_an_error() {
    check(
        &ITEMS,
        "CREATE TABLE items (id INT, n INT, name TEXT, code TEXT);
         INSERT INTO items VALUES (1, 1, 'a', NULL), (1, 2, 'b', NULL), (2, 2, 'c', NULL);",
        &[(1, json!({ "n": 3 })), (2, json!({ "n": 3 })), (3, json!({ "n": 3 })), (1, Value::Null)],
        &expect![[r#"
            failed: table `items`: more than one row has this message's `id`; a message is about one row: make the columns unique, or look up by others with `#[sync(lookup(…))]`
            applied
            applied
            failed: table `items`: more than one row has this message's `id`; a message is about one row: make the columns unique, or look up by others with `#[sync(lookup(…))]`
            --
            1 1 'a' NULL
            1 2 'b' NULL
            2 3 'c' NULL
            3 3 NULL NULL"#]],
    );
}

#[test]
fn a_held_message_holds_what_is_behind_it() {
    let bench = Bench::new(&ITEMS, CHECKED);
    let batch = records(&[(1, full(1)), (2, full(99)), (3, full(3)), (4, json!({ "poison": true }))]);
    let report = bench.apply(&batch, Verdict::Hold);
    assert!(matches!(report.outcomes[..], [Outcome::Applied]));
    let Some(Stop::Held(error)) = report.stop else { panic!("{:?}", report.stop) };
    assert!(error.to_string().contains("CHECK constraint failed"), "{error}");
    assert_eq!(bench.rows(ALL), ["1 1 'full' 'c1'"]);

    let report = bench.apply(&batch[2..], Verdict::Hold);
    assert!(matches!(report.outcomes[..], [Outcome::Applied]));
    let Some(Stop::Held(error)) = report.stop else { panic!("{:?}", report.stop) };
    assert_eq!(error.to_string(), "poison");
}

fn outage(report: Report) -> String {
    assert!(report.outcomes.is_empty());
    match report.stop {
        Some(Stop::Outage(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_locked_database_is_an_outage() {
    let bench = Bench::new(&ITEMS, PLAIN);
    let Place::Folder(folder) = &bench.place else { panic!("a file was asked for") };
    let path = folder.path().join("rows.sqlite3");
    let mut other = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let reason = outage(bench.apply(&records(&[(1, full(1))]), Verdict::Settle));
    assert!(reason.contains("locked by another program"), "{reason}");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(bench.outcomes(&records(&[(1, full(1))])), ["applied"]);
}

#[test]
fn a_full_disk_is_an_outage_and_nothing_is_committed() {
    let bench = Bench::new(&ITEMS, PLAIN);
    let pages = bench.rows("SELECT CAST(page_count AS TEXT) AS line FROM pragma_page_count")[0].clone();
    bench.execute(&format!("PRAGMA max_page_count = {pages}"));
    let large = json!({ "n": 1, "name": "x".repeat(50_000), "code": null });
    let batch = records(&[(1, full(1)), (2, large)]);
    let reason = outage(bench.apply(&batch, Verdict::Settle));
    assert!(reason.contains("full; free some space"), "{reason}");
    assert_eq!(bench.rows(ALL), [""; 0]);
    bench.execute("PRAGMA max_page_count = 10000");
    assert_eq!(bench.outcomes(&batch), ["applied", "applied"]);
}

#[test]
fn one_unknown_error_for_different_keys_is_an_outage() {
    let bench = Bench::new(&ITEMS, PLAIN);
    bench.execute("ALTER TABLE items RENAME TO elsewhere");
    let reason = outage(bench.apply(&records(&[(1, full(1)), (2, full(2))]), Verdict::Settle));
    assert!(reason.contains("messages of different keys fail alike") && reason.contains("no such table"), "{reason}");
    bench.execute("ALTER TABLE elsewhere RENAME TO items");
    assert_eq!(bench.outcomes(&records(&[(1, full(1)), (2, full(2))])), ["applied", "applied"]);
}

#[test]
fn an_unknown_error_is_remembered_from_batch_to_batch() {
    let bench = Bench::new(&ITEMS, PLAIN);
    bench.execute("ALTER TABLE items RENAME TO elsewhere");
    let first = bench.outcomes(&records(&[(1, full(1))]));
    assert!(first[0].contains("the row was not written: no such table"), "{first:?}");
    outage(bench.apply(&records(&[(2, full(2))]), Verdict::Settle));
}

#[test]
fn a_triggers_own_words_are_the_messages_failure() {
    check(
        &ITEMS,
        TRIGGER,
        &[(1, full(90)), (2, full(91)), (3, full(3))],
        &expect![[r#"
            failed: table `items`: the row was not written: too many
            failed: table `items`: the row was not written: too many
            applied
            --
            3 3 'full' 'c3'"#]],
    );
}

#[test]
fn a_trigger_that_rolls_back_everything_costs_only_its_message() {
    check(
        &ITEMS,
        TRIGGER,
        &[(1, full(1)), (3, full(3)), (1, full(96)), (5, full(5)), (3, full(97)), (3, full(4))],
        &expect![[r#"
            applied
            applied
            failed: table `items`: the row was not written: far too many
            applied
            failed: table `items`: the row was not written: far too many
            applied
            --
            1 1 'full' 'c1'
            3 4 'full' 'c4'
            5 5 'full' 'c5'"#]],
    );
}

#[test]
fn a_deferred_constraint_has_an_owner() {
    let bench = Bench::new(&FAMILY, DEFERRED);
    let child = |offset, id, item: i64| family("children", offset, id, &json!({ "item": item, "name": "a" }));
    let batch = [
        child(0, 1, 1),
        family("items", 1, 1, &full(1)),
        child(2, 2, 9),
        family("items", 3, 2, &full(2)),
        child(4, 3, 2),
        family("items", 5, 3, &full(3)),
    ];
    // With the parent in the same transaction, as deferring is meant.
    assert_eq!(bench.outcomes(&batch[..2]), ["applied", "applied"]);
    let outcomes = bench.outcomes(&batch[2..]);
    assert!(outcomes[0].contains("the row that it refers to does not exist (FOREIGN KEY"), "{outcomes:?}");
    assert_eq!(outcomes[1..], ["applied", "applied", "applied"]);
}

#[test]
fn hooks_see_each_applied_change_in_order() {
    let bench = Bench::new(&ITEMS_WITH_HOOK, CALLS);
    let batch = records(&[(1, full(1)), (2, Value::Null), (3, full(3)), (3, full(4)), (1, json!({ "n": 2 }))]);
    assert_eq!(bench.outcomes(&batch), ["applied", "applied", "reduced", "applied", "applied"]);
    let calls = bench.rows("SELECT at || ' ' || what AS line FROM calls ORDER BY rowid");
    assert_eq!(calls, ["0 Upserted", "1 Deleted", "3 Upserted", "4 Upserted"]);
}

#[test]
fn a_failing_hook_takes_its_row_with_it() {
    let bench = Bench::new(&ITEMS_WITH_HOOK, CALLS);
    let batch = records(&[(1, full(1)), (2, full(77)), (3, full(76)), (4, full(78)), (5, full(5))]);
    assert_eq!(
        bench.outcomes(&batch),
        [
            "applied",
            "failed: the `after` function failed: the hook refuses",
            "failed: the `after` function failed: it panicked: the hook panics",
            "failed: the `after` function failed: it panicked: inside a transaction of its own",
            "applied"
        ]
    );
    assert_eq!(bench.rows(ALL), ["1 1 'full' 'c1'", "5 5 'full' 'c5'"]);
    assert_eq!(bench.rows("SELECT CAST(at AS TEXT) AS line FROM calls ORDER BY rowid"), ["0", "4"]);
}

#[test]
fn a_hook_that_meets_the_same_unknown_error_for_every_key_is_an_outage() {
    let bench = Bench::new(&ITEMS_WITH_HOOK, CALLS);
    bench.execute("DROP TABLE calls");
    let reason = outage(bench.apply(&records(&[(1, full(1)), (2, full(2))]), Verdict::Settle));
    assert!(reason.contains("no such table: calls"), "{reason}");
}

#[test]
fn nothing_is_committed_for_a_partition_that_another_may_own() {
    let bench = Bench::new(&ITEMS, PLAIN);
    let mut caller = Covering { refuses: true, ..Covering::default() };
    assert_eq!(outage(bench.sync.apply(&bench.database, &records(&[(1, full(1))]), &mut caller)), "not ours");
    assert_eq!(bench.rows(ALL), [""; 0]);
    assert_eq!(caller.committed, [0; 0]);
}

/// What a caller that commits something with each message is told.
#[derive(Default)]
struct Covering {
    refuses: bool,
    asked: Vec<String>,
    committed: Vec<usize>,
}

impl Caller for Covering {
    fn decide(&mut self, _index: usize, error: &ConsumeError) -> Verdict {
        if error.to_string().contains("wait") { Verdict::Hold } else { Verdict::Leave }
    }

    fn commits_all(&self) -> bool {
        true
    }

    fn before_commit(&mut self, _conn: &mut DbConn, covered: &Covered<'_>) -> Result<(), Refused> {
        let failed: Vec<usize> = covered.failed.iter().map(|(index, _)| *index).collect();
        self.asked.push(format!("upto {} failed {failed:?}", covered.upto));
        if self.refuses { Err(Refused::NotOurs("not ours".to_owned())) } else { Ok(()) }
    }

    fn committed(&mut self, upto: usize) {
        self.committed.push(upto);
    }
}

/// What the caller was asked, for a batch of these messages.
fn covered(bench: &Bench, batch: &[Arc<RawRecord>]) -> Vec<String> {
    let mut caller = Covering::default();
    let report = bench.sync.apply(&bench.database, batch, &mut caller);
    assert_eq!(caller.committed.last().copied().unwrap_or(0), report.outcomes.len());
    caller.asked
}

#[test]
fn each_transaction_names_the_messages_it_covers_and_their_failures() {
    let bench = Bench::new(&ITEMS, PLAIN);
    let bad = json!({ "poison": true });
    assert_eq!(covered(&bench, &records(&[(1, full(1)), (2, bad.clone()), (3, full(3))])), ["upto 3 failed [1]"]);
    assert_eq!(covered(&bench, &records(&[(1, full(1)), (2, bad.clone())])), ["upto 2 failed [1]"]);
    assert_eq!(covered(&bench, &records(&[(1, bad.clone()), (2, bad)])), ["upto 2 failed [0, 1]"]);
    assert_eq!(covered(&bench, &[]), [""; 0]);

    // Where transactions are lost, several in order; the last covers what the lost one alone leaves behind.
    let bench = Bench::new(&FAMILY, DEFERRED);
    let child = |offset, id, item: i64| family("children", offset, id, &json!({ "item": item, "name": "a" }));
    let orphan_last = [family("items", 0, 1, &full(1)), child(1, 1, 1), child(2, 2, 9)];
    let asked = covered(&bench, &orphan_last);
    assert_eq!(asked.last().map(String::as_str), Some("upto 3 failed [2]"), "{asked:?}");
}

#[test]
fn tables_are_checked_with_remedies_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&DatabaseSettings::new(folder.path().join("x").to_str().unwrap())).unwrap();
    database.writer().unwrap().batch_execute(PLAIN).unwrap();
    let mut sync = ModelSync::new(&BROKEN).unwrap();
    let mistakes = sync.prepare(&database).unwrap_err();
    expect![[r#"
        table `nowhere` of model `Missing` (src/models.rs:1) does not exist; create it by a migration, or correct `#[diesel(table_name = …)]`
        column `items.size` (field `size` of `Wrong`, src/models.rs:1) does not exist; the table has id, n, name, code; add it by a migration, or leave the field out of the sync by `#[sync(skip)]`"#]].assert_eq(&mistakes.join("\n"));
}

#[test]
fn full_rows_take_few_statements() {
    let bench = Bench::new(&ITEMS, PLAIN);
    let messages: Vec<_> = (0..1000).map(|id| (id, full(id))).collect();
    let batch = records(&messages);
    let statements = bench.count_statements();
    bench.outcomes(&batch);
    // Transaction and savepoint, 7 × 128 rows, 64, 32 and 8.
    assert_eq!(statements.swap(0, Ordering::Relaxed), 4 + 7 + 3);
    let deletes: Vec<_> = (0..1000).map(|id| (id, Value::Null)).collect();
    bench.outcomes(&records(&deletes));
    assert_eq!(statements.load(Ordering::Relaxed), 4 + 7 + 3);
}

#[test]
fn one_percent_of_failures_costs_few_statements() {
    let bench = Bench::new(&ITEMS, CHECKED);
    let batches: Vec<_> = (0..4)
        .map(|batch: i64| {
            let id = |at: i64| batch * 500 + at;
            let messages: Vec<_> =
                (0..500).map(|at| (id(at), full(if at % 100 == 42 { 99 } else { at % 80 }))).collect();
            records(&messages)
        })
        .collect();
    let statements = bench.count_statements();
    for batch in batches {
        let outcomes = bench.outcomes(&batch);
        assert_eq!(outcomes.iter().filter(|outcome| outcome.starts_with("failed")).count(), 5);
    }
    let each = statements.load(Ordering::Relaxed) / 4;
    assert!(each < 260, "{each} statements for a batch of 500");
}

#[test]
fn the_statements_use_the_unique_index() {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let bench = Bench::new(&ITEMS_BY_CODE, UNIQUE);
    let mut writer = bench.database.writer().unwrap();
    let conn = writer.sqlite();
    for condition in ["(code) IN (VALUES ('a'), ('b'))", "code IS 'a'", "(id) IN (VALUES (1), (2))", "id IS 1"] {
        let sql = format!("EXPLAIN QUERY PLAN DELETE FROM items WHERE {condition}");
        let steps: Vec<Step> = diesel::sql_query(sql).load(conn).unwrap();
        assert!(steps[0].detail.starts_with("SEARCH items"), "{condition}: {}", steps[0].detail);
    }
}
