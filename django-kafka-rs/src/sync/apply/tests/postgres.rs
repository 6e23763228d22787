//! What only a real PostgreSQL shows: its statements, its words, its outages.

use diesel::PgConnection;
use expect_test::{Expect, expect};

use super::tables::*;
use super::*;
use crate::relations::{Declared, Related, Relations};

const ALL: &str = "SELECT concat_ws(' ', id, coalesce(n::text, 'NULL'), name, code) AS line FROM items ORDER BY id";

const TABLE: &str = "CREATE TABLE items (id BIGINT PRIMARY KEY, n INT DEFAULT 5, name TEXT, code TEXT);";

fn full(n: i64) -> Value {
    json!({ "n": n, "name": "full", "code": format!("c{n}") })
}

fn family(table: &str, offset: usize, id: i64, value: &Value) -> Arc<RawRecord> {
    record(offset, &json!({ "__dbz__physicalTableIdentifier": table, "id": id }), value)
}

/// Outcomes and rows after one batch.
fn check(topic: &'static ModelTopic, sql: &str, messages: &[(i64, Value)], expected: &Expect) {
    let Some(bench) = Bench::postgres(topic, sql) else { return };
    let mut lines = bench.outcomes(&records(messages));
    lines.push("--".to_owned());
    lines.extend(bench.rows(ALL));
    expected.assert_eq(&lines.join("\n"));
}

/// Another program's connection, in the test's schema.
fn other(bench: &Bench) -> PgConnection {
    let Place::Schema(schema) = &bench.place else { panic!("a schema was asked for") };
    PgConnection::establish(&schema.url()).unwrap()
}

fn outage(report: Report) -> String {
    assert!(report.outcomes.is_empty());
    match report.stop {
        Some(Stop::Outage(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_a_message_names_is_written() {
    check(
        &ITEMS,
        "CREATE TABLE items (id BIGINT PRIMARY KEY, n INT NOT NULL, name TEXT, code TEXT NOT NULL DEFAULT 'd');
         INSERT INTO items VALUES (1, 1, 'old', 'old'), (5, 5, 'old', 'old');",
        &[
            (1, json!({ "name": "new" })),
            (2, json!({ "name": "new" })),
            (3, json!({ "n": 3, "name": null })),
            (4, Value::Null),
            (5, json!({})),
            (6, json!({ "n": 6 })),
        ],
        &expect![[r#"
            applied
            failed: table `items`: the row cannot be written: a column without a default has no value, because the message lacks it or says null (null value in column "n" of relation "items" violates not-null constraint; Failing row contains (2, null, new, d).)
            applied
            applied
            applied
            applied
            --
            1 1 new old
            3 3 d
            5 5 old old
            6 6 d"#]],
    );
}

#[test]
fn refusals_say_table_reason_constraint_and_detail() {
    check(
        &ITEMS,
        "CREATE TABLE items (id BIGINT PRIMARY KEY, n SMALLINT CONSTRAINT small CHECK (n < 90),
             name TEXT CONSTRAINT one_name UNIQUE, code VARCHAR(3));
         INSERT INTO items VALUES (1, 1, 'taken', NULL);",
        &[
            (2, json!({ "n": 90, "name": "a", "code": null })),
            (3, json!({ "n": 3, "name": "taken", "code": null })),
            (4, json!({ "n": 4, "name": "b", "code": "long" })),
            (5, json!({ "n": 99999, "name": "c", "code": null })),
            (6, json!({ "n": 6, "name": "nul\u{0}", "code": null })),
            (7, json!({ "n": 7, "name": "d", "code": "ok" })),
        ],
        &expect![[r#"
            failed: table `items`: the row cannot be written: its values do not pass a check (new row for relation "items" violates check constraint "small"; Failing row contains (2, 90, a, null).)
            failed: table `items`: the row cannot be written: another row has this value already (duplicate key value violates unique constraint "one_name"; Key (name)=(taken) already exists.)
            failed: table `items`: the row cannot be written: the database does not take its values (value too long for type character varying(3))
            failed: table `items`: the row cannot be written: the database does not take its values (smallint out of range)
            failed: table `items`: the row cannot be written: the database does not take its values (invalid byte sequence for encoding "UTF8": 0x00)
            applied
            --
            1 1 taken
            7 7 d ok"#]],
    );
}

#[test]
fn foreign_keys_are_refused_in_both_directions() {
    let Some(bench) = Bench::postgres(&FAMILY, NO_ACTION) else { return };
    let batch = [
        family("items", 0, 1, &full(1)),
        family("children", 1, 1, &json!({ "item": 1, "name": "a" })),
        family("children", 2, 2, &json!({ "item": 2, "name": "b" })),
        family("items", 3, 1, &Value::Null),
        family("items", 4, 2, &full(2)),
    ];
    expect![[r#"
        applied
        applied
        failed: table `children`: the row cannot be written: the row that it refers to does not exist (insert or update on table "children" violates foreign key constraint "children_item_fkey"; Key (item)=(2) is not present in table "items".)
        failed: table `items`: the row cannot be deleted: other rows still refer to it (update or delete on table "items" violates foreign key constraint "children_item_fkey" on table "children"; Key (id)=(1) is still referenced from table "children".)
        applied"#]].assert_eq(&bench.outcomes(&batch).join("\n"));
}

#[test]
fn a_deferred_constraint_has_an_owner() {
    let Some(bench) = Bench::postgres(&FAMILY, DEFERRED) else { return };
    let child = |offset, id, item: i64| family("children", offset, id, &json!({ "item": item, "name": "a" }));
    let batch = [
        child(0, 1, 1),
        family("items", 1, 1, &full(1)),
        child(2, 2, 9),
        family("items", 3, 2, &full(2)),
        child(4, 3, 2),
    ];
    let outcomes = bench.outcomes(&batch);
    assert!(outcomes[2].contains("the row that it refers to does not exist"), "{outcomes:?}");
    assert_eq!([&outcomes[..2], &outcomes[3..]].concat(), ["applied"; 4]);
}

#[test]
fn a_key_that_can_be_deferred_is_no_conflict_target() {
    check(
        &ITEMS,
        "CREATE TABLE items (id BIGINT PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, n INT, name TEXT, code TEXT);
         INSERT INTO items VALUES (1, 1, 'old', 'old');",
        &[(1, full(1)), (2, full(2)), (1, Value::Null)],
        &expect![[r#"
            applied
            applied
            applied
            --
            2 2 full c2"#]],
    );
}

#[test]
fn nulls_domains_identities_and_quoted_names_are_written() {
    check(
        &ITEMS,
        "CREATE DOMAIN label AS TEXT CHECK (VALUE <> 'bad');
         CREATE TABLE items (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n NUMERIC(6, 2), name label,
             code CHAR(4));",
        &[
            (1, json!({ "n": null, "name": null, "code": null })),
            (2, full(2)),
            (3, json!({ "n": 3, "name": "bad", "code": "x" })),
            (2, json!({ "name": "again" })),
        ],
        &expect![[r#"
            applied
            applied
            failed: table `items`: the row cannot be written: its values do not pass a check (value for domain label violates check constraint "label_check")
            applied
            --
            1 NULL
            2 2.00 again c2  "#]],
    );
}

#[test]
fn a_padded_key_is_found_by_its_columns_own_equality() {
    let sql = "CREATE TABLE items (id BIGINT, n INT, name TEXT, code CHAR(5) PRIMARY KEY);";
    let Some(bench) = Bench::postgres(&ITEMS_BY_CODE, sql) else { return };
    let message = |offset, code: &str, n: i64| record(offset, &json!({ "code": code }), &json!({ "id": 1, "n": n }));
    let deleted = record(3, &json!({ "code": "b" }), &Value::Null);
    let outcomes = bench.outcomes(&[message(0, "a", 1), message(1, "a  ", 2), message(2, "b", 3), deleted]);
    assert!(outcomes.iter().all(|outcome| outcome != "failed"), "{outcomes:?}");
    assert_eq!(bench.rows(ALL), ["1 2 a    "]);
}

#[test]
fn full_rows_take_one_statement_whatever_their_number() {
    let Some(bench) = Bench::postgres(&ITEMS, TABLE) else { return };
    let statements = bench.count_statements();
    for size in [1000, 7] {
        let messages: Vec<_> = (0..size).map(|id| (id, full(id))).collect();
        bench.outcomes(&records(&messages));
        // Transaction and savepoint, constraints, and the rows.
        assert_eq!(statements.swap(0, Ordering::Relaxed), 6);
    }
    let partial: Vec<_> = (990..1010).map(|id| (id, json!({ "name": "new" }))).collect();
    bench.outcomes(&records(&partial));
    assert!(statements.swap(0, Ordering::Relaxed) <= 7);
    let deletes: Vec<_> = (0..1000).map(|id| (id, Value::Null)).collect();
    bench.outcomes(&records(&deletes));
    assert_eq!(statements.swap(0, Ordering::Relaxed), 6);
    assert_eq!(bench.rows(ALL).len(), 10);
}

#[test]
fn a_connection_that_ended_while_idle_is_replaced_unseen() {
    let Some(bench) = Bench::postgres(&ITEMS, TABLE) else { return };
    let pid = bench.rows("SELECT pg_backend_pid()::text AS line")[0].clone();
    other(&bench).batch_execute(&format!("SELECT pg_terminate_backend({pid}, 5000)")).unwrap();
    assert_eq!(bench.outcomes(&records(&[(1, full(1))])), ["applied"]);
}

#[test]
fn a_connection_that_ends_within_a_batch_is_an_outage() {
    let sql = "CREATE TABLE items (id BIGINT PRIMARY KEY, n INT, name TEXT, code TEXT);
        CREATE FUNCTION quit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.n = 13 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); END IF;
            RETURN NEW; END $$;
        CREATE TRIGGER quit BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION quit();";
    let Some(bench) = Bench::postgres(&ITEMS, sql) else { return };
    let reason = outage(bench.apply(&records(&[(1, full(1)), (2, full(13))]), Verdict::Settle));
    assert!(reason.starts_with("terminating connection"), "{reason}");
    assert_eq!(bench.rows(ALL), [""; 0]);
    assert_eq!(bench.outcomes(&records(&[(1, full(1))])), ["applied"]);
}

#[test]
fn a_locked_row_is_an_outage() {
    let Some(bench) = Bench::postgres(&ITEMS, TABLE) else { return };
    bench.outcomes(&records(&[(1, full(1))]));
    let mut blocker = other(&bench);
    blocker.batch_execute("BEGIN; UPDATE items SET n = 9").unwrap();
    bench.execute("SET lock_timeout = '50ms'");
    let reason = outage(bench.apply(&records(&[(1, full(2))]), Verdict::Settle));
    assert!(reason.contains("locked by another program") && reason.contains("lock timeout"), "{reason}");
    blocker.batch_execute("ROLLBACK").unwrap();
    assert_eq!(bench.outcomes(&records(&[(1, full(2))])), ["applied"]);
}

#[test]
fn a_deadlock_is_run_again() {
    let Some(bench) = Bench::postgres(&ALL_ITEMS, TABLE) else { return };
    bench.outcomes(&records(&[(1, full(1)), (2, full(2))]));
    // Ours takes row 1 and waits for row 2; the other holds row 2 and asks for row 1. Ours looks for deadlocks first.
    bench.execute("SET deadlock_timeout = '10ms'");
    let mut blocker = other(&bench);
    blocker.batch_execute("SET deadlock_timeout = '10s'; BEGIN; UPDATE items SET n = 7 WHERE id = 2").unwrap();
    let held = std::thread::spawn(move || blocker.batch_execute("UPDATE items SET n = 8 WHERE id = 1; COMMIT"));
    let outcomes = bench.outcomes(&records(&[(1, json!({ "n": 1 })), (2, json!({ "name": "x" }))]));
    assert_eq!(outcomes, ["applied", "applied"]);
    held.join().unwrap().unwrap();
}

#[test]
fn a_transaction_that_deletes_rows_is_not_waited_for_twice() {
    let Some(mut bench) = Bench::postgres(&CHILDREN, NO_ACTION) else { return };
    bench.execute("INSERT INTO items (id) VALUES (1), (2), (3)");
    let declared = Declared::new(std::iter::empty(), std::iter::once(&CHILDREN), false);
    let related = Related { shared: Relations::new(declared), group: "g".into() };
    bench.sync = ModelSync::new(&CHILDREN).unwrap().related(related);
    bench.sync.prepare(&bench.database).unwrap();
    // Ours refers to item 2 and waits for item 1; the other has deleted item 1, and then goes for item 2. PostgreSQL
    // looks for deadlocks once, this long after ours began to wait.
    bench.execute("SET deadlock_timeout = '500ms'");
    let pid = bench.rows("SELECT pg_backend_pid()::text AS line")[0].clone();
    let mut blocker = other(&bench);
    blocker.batch_execute("SET deadlock_timeout = '60s'; BEGIN; DELETE FROM items WHERE id = 1").unwrap();
    let deleting = std::thread::spawn(move || {
        let waits = format!("SELECT 1 / count(*) FROM pg_locks WHERE pid = {pid} AND NOT granted");
        while blocker.batch_execute(&format!("SAVEPOINT asked; {waits}")).is_err() {
            blocker.batch_execute("ROLLBACK TO asked").unwrap();
        }
        blocker.batch_execute("DELETE FROM items WHERE id = 2").unwrap();
        blocker
    });
    let child = |id: i64, item: i64| (id, json!({ "item": item, "name": "c" }));
    let outcomes = bench.outcomes(&records(&[child(1, 2), child(2, 1), child(3, 3)]));
    // And it is there still.
    let mut blocker = deleting.join().unwrap();
    assert_eq!(outcomes[1..], ["parked", "applied"]);
    blocker.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn a_server_that_takes_no_writes_is_an_outage() {
    let sql = "CREATE TABLE items (id BIGINT PRIMARY KEY, n INT, name TEXT, code TEXT);
        CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION USING MESSAGE = NEW.name, ERRCODE = NEW.code; END $$;
        CREATE TRIGGER say BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION say();";
    let Some(bench) = Bench::postgres(&ITEMS, sql) else { return };
    for (text, code) in [
        ("could not extend file \"base/1\": No space left on device", "53100"),
        ("the database system is shutting down", "57P03"),
        ("cannot execute INSERT in a read-only transaction", "25006"),
        ("permission denied for table items", "42501"),
    ] {
        let message = json!({ "n": 1, "name": text, "code": code });
        let reason = outage(bench.apply(&records(&[(1, message)]), Verdict::Settle));
        assert!(reason.starts_with(text), "{reason}");
    }
}

#[test]
fn the_statements_use_the_unique_index() {
    let Some(bench) = Bench::postgres(&ITEMS, TABLE) else { return };
    bench.execute("INSERT INTO items SELECT i, i, 'n', 'c' FROM generate_series(1, 20000) AS i; ANALYZE items");
    for statement in [
        "UPDATE items AS dk_table SET n = dk_rows.c1 FROM (SELECT unnest('{1,2}'::bigint[]), unnest('{1,2}'::bigint[]), \
         generate_series(1, 2::bigint)) AS dk_rows (c0, c1, n) WHERE dk_table.id = dk_rows.c0::bigint RETURNING dk_rows.n",
        "DELETE FROM items AS dk_table USING (SELECT unnest('{1,2}'::bigint[])) AS dk_rows (c0) \
         WHERE dk_table.id = dk_rows.c0::bigint",
    ] {
        let plan = {
            use diesel::RunQueryDsl;
            #[derive(diesel::QueryableByName)]
            struct Step {
                #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
                step: String,
            }
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN {statement}")).load(&mut other(&bench)).unwrap();
            steps.into_iter().map(|step| step.step + "\n").collect::<String>()
        };
        assert!(plan.contains("Index Scan using items_pkey"), "{plan}");
    }
}

#[test]
fn tables_are_found_along_the_search_path_and_named_in_words() {
    let Some(bench) = Bench::postgres(&ITEMS, TABLE) else { return };
    let mut sync = ModelSync::new(&BROKEN).unwrap();
    let mistakes = sync.prepare(&bench.database).unwrap_err();
    expect![[r#"
        table `nowhere` of model `Missing` (src/models.rs:1) does not exist; create it by a migration, or correct `#[diesel(table_name = …)]`
        column `items.size` (field `size` of `Wrong`, src/models.rs:1) does not exist; the table has id, n, name, code; add it by a migration, or leave the field out of the sync by `#[sync(skip)]`"#]].assert_eq(&mistakes.join("\n"));
}
