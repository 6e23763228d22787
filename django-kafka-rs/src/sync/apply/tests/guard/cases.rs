//! What the guard does, message by message, on both databases.

use expect_test::{Expect, expect};

use super::*;

/// A message of the key `id` at this offset; `Some(n)`: as it comes from retry topic `n`.
fn message(offset: i64, id: &Value, value: &Value, retry: Option<u32>) -> Arc<RawRecord> {
    let origin = Origin { topic: "t".into(), partition: 0, offset };
    Arc::new(RawRecord {
        topic: if retry.is_some() { "g.t.retry".into() } else { "t".into() },
        retried: retry.map(|attempt| Arc::new(Retried { origin, attempt })),
        ..(*record(usize::try_from(offset).unwrap(), &json!({ "id": id }), value)).clone()
    })
}

/// The same, failing.
fn failing(offset: i64, id: i64, value: &Value, retry: Option<u32>) -> Arc<RawRecord> {
    let mut headers = Headers::new();
    headers.push("fail", Some(Vec::new()));
    Arc::new(RawRecord { headers, ..(*message(offset, &json!(id), value, retry)).clone() })
}

fn main(offset: i64, id: i64, value: &Value) -> Arc<RawRecord> {
    message(offset, &json!(id), value, None)
}

fn late(offset: i64, id: i64, value: &Value) -> Arc<RawRecord> {
    message(offset, &json!(id), value, Some(1))
}

fn full(n: i64) -> Value {
    json!({ "n": n, "name": format!("n{n}"), "code": format!("c{n}") })
}

/// What becomes of messages that fail.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    comes_back: bool,
    forces: bool,
}

impl Caller for Lane {
    fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
        Verdict::Leave
    }

    fn comes_back(&self, _index: usize) -> bool {
        self.comes_back
    }

    fn forces(&self, _index: usize) -> bool {
        self.forces
    }

    fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

/// A place with tables, of each database that there is.
fn benches(topic: &'static ModelTopic, sql: &str) -> Vec<Bench> {
    let mut benches = Vec::new();
    #[cfg(feature = "sqlite")]
    benches.push(guarded(Bench::new(topic, sql)));
    #[cfg(feature = "postgres")]
    benches.extend(Bench::postgres(topic, sql).map(guarded));
    benches
}

fn run(bench: &Bench, lane: Lane, batch: &[Arc<RawRecord>]) -> Vec<String> {
    let report = bench.sync.apply(&bench.database, batch, &mut { lane });
    assert!(report.stop.is_none(), "{:?}", report.stop);
    report.outcomes.iter().map(short).collect()
}

const RETRIED: Lane = Lane { comes_back: true, forces: false };

fn rows(bench: &Bench) -> Vec<String> {
    bench.rows(
        "SELECT id || ' ' || coalesce('' || n, 'NULL') || ' ' || coalesce(name, 'NULL') || ' ' || \
         coalesce(code, 'NULL') AS line FROM items ORDER BY id",
    )
}

/// What the guard has stored.
fn stored(bench: &Bench) -> Vec<String> {
    bench.rows(
        "SELECT \"group\" || ' ' || topic || ' ' || \"partition\" || ' ' || \"offset\" || ' ' || state || \
         CASE WHEN purge_after IS NULL THEN ' stays' ELSE '' END AS line \
         FROM django_kafka_key_version ORDER BY \"partition\", key",
    )
}

/// The outcomes of each batch, then the rows, then what is stored.
fn check(topic: &'static ModelTopic, sql: &str, batches: &[&[Arc<RawRecord>]], expected: &Expect) {
    for bench in benches(topic, sql) {
        let mut lines: Vec<String> = batches.iter().map(|batch| run(&bench, RETRIED, batch).join(", ")).collect();
        lines.push("--".to_owned());
        lines.extend(rows(&bench));
        lines.extend(stored(&bench));
        expected.assert_eq(&lines.join("\n"));
    }
}

#[test]
fn a_late_message_is_superseded_where_newer_ones_wrote_everything() {
    check(
        &ITEMS,
        TABLES,
        &[
            &[main(1, 1, &full(1)), failing(2, 1, &full(2), None), main(3, 2, &full(3))],
            &[late(2, 1, &full(2))],
            &[late(2, 1, &full(2))],
            &[failing(4, 1, &full(4), None), main(5, 1, &full(5)), main(6, 1, &full(6))],
            &[late(4, 1, &full(4))],
            &[failing(7, 1, &full(7), None), main(8, 1, &Value::Null)],
            &[late(7, 1, &full(7))],
        ],
        &expect![[r#"
            applied, failed: poison, applied
            applied
            repeated
            failed: poison, reduced, applied
            superseded by 5
            failed: poison, applied
            superseded by 8
            --
            2 3 n3 c3
            g t 0 8 {"failed":7,"all":8,"done":[2,4,7]}"#]],
    );
}

#[test]
fn a_late_message_writes_the_columns_that_nothing_newer_wrote() {
    check(
        &ITEMS,
        TABLES,
        &[
            &[main(1, 1, &full(1)), failing(2, 1, &full(2), None), main(3, 1, &json!({ "name": "n3" }))],
            &[late(2, 1, &full(2))],
            &[main(4, 1, &json!({ "code": "c4" }))],
            &[late(2, 1, &full(2))],
        ],
        &expect![[r#"
            applied, failed: poison, applied
            applied
            applied
            repeated
            --
            1 2 n3 c4
            g t 0 4 {"failed":2,"all":2,"columns":{"code":4,"id":3,"name":3},"done":[2]}"#]],
    );
}

#[test]
fn a_late_deletion_sets_what_nothing_newer_wrote_to_its_default() {
    for topic in [&ITEMS, &DEFAULTED_ITEMS] {
        let n = if std::ptr::eq(topic, &ITEMS) { 5 } else { 0 };
        for bench in benches(topic, TABLES) {
            run(&bench, RETRIED, &[main(1, 1, &full(1)), main(2, 2, &full(2)), main(3, 3, &full(3))]);
            let deletions: Vec<_> = (1..4).map(|id| failing(3 + id, id, &Value::Null, None)).collect();
            run(&bench, RETRIED, &deletions);
            run(&bench, RETRIED, &[main(7, 1, &json!({ "name": "n7" })), main(8, 2, &full(8))]);
            let late: Vec<_> = (1..4).map(|id| late(3 + id, id, &Value::Null)).collect();
            assert_eq!(run(&bench, RETRIED, &late), ["applied", "superseded by 8", "applied"]);
            assert_eq!(rows(&bench), [format!("1 {n} n7 c"), "2 8 n8 c8".to_owned()]);
        }
    }
}

#[test]
fn a_late_deletion_fails_where_a_column_has_no_default() {
    for bench in benches(&ITEMS, REQUIRED) {
        run(&bench, RETRIED, &[main(1, 1, &full(1)), failing(2, 1, &Value::Null, None)]);
        run(&bench, RETRIED, &[main(3, 1, &json!({ "name": "n3" }))]);
        let outcome = run(&bench, RETRIED, &[late(2, 1, &Value::Null)]).concat();
        let words = "table `items`: the row cannot be set to its defaults: a column has no default, and newer messages of \
                     the key wrote a part of the row, so that it cannot go";
        assert!(outcome.contains(words), "{outcome}");
        assert_eq!(rows(&bench), ["1 1 n3 c1"]);
        run(&bench, RETRIED, &[main(4, 1, &json!({ "n": 4 }))]);
        assert_eq!(run(&bench, RETRIED, &[late(2, 1, &Value::Null)]), ["applied"]);
        assert_eq!(rows(&bench), ["1 4 n3 NULL"]);
    }
}

#[test]
fn a_copy_of_what_is_done_with_is_recognised() {
    for bench in benches(&ITEMS, TABLES) {
        run(&bench, RETRIED, &[failing(1, 1, &full(1), None)]);
        let copy = || late(1, 1, &full(1));
        assert_eq!(run(&bench, RETRIED, &[copy(), copy()]), ["applied", "repeated"]);
        assert_eq!(run(&bench, RETRIED, &[copy()]), ["repeated"]);
        // Read from its own topic again, it is what it was.
        assert_eq!(run(&bench, RETRIED, &[main(1, 1, &full(1))]), ["applied"]);
    }
}

#[test]
fn an_emptied_table_fills_again_from_the_topics_beginning() {
    for bench in benches(&ITEMS, REQUIRED) {
        let log = || [main(1, 1, &full(1)), main(2, 1, &json!({ "n": 2 })), main(3, 2, &full(3))];
        run(&bench, RETRIED, &[failing(1, 1, &full(1), None), failing(2, 1, &full(2), None), log()[2].clone()]);
        run(&bench, RETRIED, &[late(1, 1, &full(1)), late(2, 1, &json!({ "n": 2 }))]);
        bench.execute("DELETE FROM items");
        for message in log() {
            assert_eq!(run(&bench, RETRIED, &[message]), ["applied"]);
        }
        assert_eq!(rows(&bench), ["1 2 n1 c1", "2 3 n3 c3"]);
    }
}

#[test]
fn a_forced_replay_is_written_whatever_is_newer() {
    for bench in benches(&ITEMS, TABLES) {
        run(&bench, Lane::default(), &[failing(1, 1, &full(1), None), main(2, 1, &full(2))]);
        let forced = Lane { forces: true, ..Lane::default() };
        assert_eq!(run(&bench, forced, &[late(1, 1, &full(1))]), ["applied"]);
        assert_eq!(rows(&bench), ["1 1 n1 c1"]);
        assert_eq!(stored(&bench), [r#"g t 0 2 {"failed":1,"all":2,"done":[1]}"#], "none is left to be replayed");
        assert_eq!(run(&bench, Lane::default(), &[late(1, 1, &full(1))]), ["repeated"]);
        assert_eq!(run(&bench, forced, &[late(1, 1, &full(1))]), ["applied"], "again, if need be");
    }
}

#[test]
fn without_a_key_or_with_the_guard_off_nothing_is_guarded() {
    let keyless = |offset| Arc::new(RawRecord { key: None, ..(*failing(offset, 1, &full(1), None)).clone() });
    for bench in benches(&ITEMS, TABLES) {
        run(&bench, RETRIED, &[keyless(1)]);
        assert_eq!(stored(&bench), [""; 0]);
    }
    for bench in benches(&UNGUARDED, TABLES) {
        run(&bench, RETRIED, &[failing(1, 1, &full(1), None), main(2, 1, &full(2))]);
        assert_eq!(run(&bench, RETRIED, &[late(1, 1, &full(1))]), ["applied"]);
        assert_eq!(stored(&bench), [""; 0]);
    }
}

#[test]
fn rows_of_partitions_are_told_apart() {
    for bench in benches(&ITEMS, TABLES) {
        run(&bench, RETRIED, &[failing(5, 1, &full(5), None), main(6, 1, &full(6))]);
        let other = |offset, retry| {
            let mut record = (*message(offset, &json!(1), &full(offset), retry)).clone();
            record.partition = 1;
            record.retried = record.retried.map(|retried| {
                let origin = Origin { partition: 1, ..retried.origin.clone() };
                Arc::new(Retried { origin, attempt: retried.attempt })
            });
            Arc::new(record)
        };
        assert_eq!(run(&bench, RETRIED, &[other(1, None)]), ["applied"]);
        assert_eq!(run(&bench, RETRIED, &[other(2, Some(1)), late(5, 1, &full(5))]), ["applied", "superseded by 6"]);
        assert_eq!(rows(&bench), ["1 2 n2 c2"]);
    }
}

#[test]
fn keys_of_any_length_are_guarded() {
    for bench in benches(&ITEMS, TABLES) {
        let long = |offset, retry, last: &str| {
            let key = json!({ "id": 1, "more": "x".repeat(5_000) + last });
            let mut record = (*message(offset, &json!(1), &full(offset), retry)).clone();
            record.key = Some(key.to_string().into_bytes());
            Arc::new(record)
        };
        let mut failed = (*long(1, None, "a")).clone();
        failed.headers.push("fail", Some(Vec::new()));
        run(&bench, RETRIED, &[Arc::new(failed), long(2, None, "a"), long(3, None, "b")]);
        assert_eq!(
            run(&bench, RETRIED, &[long(1, Some(1), "b"), long(1, Some(1), "a")]),
            ["applied", "superseded by 2"]
        );
    }
}

#[test]
fn a_topic_with_many_rows_is_guarded_alike() {
    for bench in benches(&ITEMS, TABLES) {
        let keys = 150;
        let failed: Vec<_> = (0..keys).map(|id| failing(id, id, &full(id), None)).collect();
        run(&bench, RETRIED, &failed);
        let newer: Vec<_> = (0..keys).step_by(2).map(|id| main(keys + id, id, &full(keys + id))).collect();
        run(&bench, RETRIED, &newer);
        let late: Vec<_> = (0..keys).map(|id| late(id, id, &full(id))).collect();
        let outcomes = run(&bench, RETRIED, &late);
        for (id, outcome) in (0..keys).zip(outcomes) {
            let expected = if id % 2 == 0 { format!("superseded by {}", keys + id) } else { "applied".to_owned() };
            assert_eq!(outcome, expected, "{id}");
        }
    }
}

#[test]
fn what_was_lost_alone_at_the_commit_is_guarded() {
    for bench in benches(&ITEMS, TABLES) {
        let mut lost = (*main(1, 1, &full(1))).clone();
        lost.headers.push("fail at commit", Some(Vec::new()));
        let other = |offset| main(offset, 2, &full(offset));
        let outcomes = run(&bench, RETRIED, &[other(0), Arc::new(lost), other(2), main(3, 3, &full(3))]);
        assert!(outcomes[1].starts_with("failed") && outcomes[2..] == ["applied", "applied"], "{outcomes:?}");
        run(&bench, RETRIED, &[main(4, 1, &full(4))]);
        assert_eq!(run(&bench, RETRIED, &[late(1, 1, &full(1))]), ["superseded by 4"]);
    }
}

/// A message of a topic that was created anew.
#[test]
fn what_is_known_of_a_deleted_topic_is_forgotten() {
    struct Ending(Option<i64>, usize);
    impl Caller for Ending {
        fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
            Verdict::Leave
        }
        fn end_of(&mut self, topic: &str, partition: i32) -> Option<i64> {
            assert_eq!((topic, partition), ("t", 0));
            self.1 += 1;
            self.0
        }
        fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
            Ok(())
        }
    }
    let at = |record: Arc<RawRecord>, seconds: i64| {
        Arc::new(RawRecord { timestamp_ms: Some(1_700_000_000_000 + seconds * 1_000), ..(*record).clone() })
    };
    let apply = |bench: &Bench, batch: &[Arc<RawRecord>], end: Option<i64>| {
        let mut caller = Ending(end, 0);
        let report = bench.sync.apply(&bench.database, batch, &mut caller);
        (report.outcomes.iter().map(short).collect::<Vec<_>>().join(", "), caller.1)
    };
    let result = |outcome: &str, asked| (outcome.to_owned(), asked);
    for (seconds, end, outcome, asked) in [
        // Read again, after a crash: nothing is new.
        (5, Some(100), "superseded by 8", 1),
        (5, None, "superseded by 8", 1),
        // The topic is not that long any more.
        (5, Some(8), "applied", 1),
        // It is, but its messages are later.
        (3_600, Some(100), "applied", 0),
    ] {
        for bench in benches(&ITEMS, TABLES) {
            let old = [at(failing(7, 1, &full(7), None), 4), at(main(8, 1, &full(8)), 10)];
            assert_eq!(apply(&bench, &old, None).1, 0);
            let again = [at(main(3, 1, &full(3)), seconds), at(main(4, 2, &full(4)), seconds)];
            assert_eq!(apply(&bench, &again, end), result(&format!("{outcome}, applied"), asked), "{seconds} {end:?}");
            assert_eq!(apply(&bench, &again, end).1, 0, "the end is known for a while");
            // A retry says nothing of the topic: it is older by itself.
            let retry = [at(late(7, 1, &full(7)), seconds)];
            assert_eq!(apply(&bench, &retry, end).1, 0);
        }
    }
}

#[test]
fn the_row_is_there_before_the_caller_is_told_of_the_commit() {
    struct Looking<'a>(&'a Bench, Vec<String>);
    impl Caller for Looking<'_> {
        fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
            Verdict::Leave
        }
        fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
            Ok(())
        }
    }
    // All of the batch fails in decoding: it has a transaction for the guard's sake.
    for bench in benches(&ITEMS, TABLES) {
        let mut caller = Looking(&bench, Vec::new());
        bench.sync.apply(&bench.database, &[failing(1, 1, &full(1), None)], &mut caller);
        caller.1 = stored(caller.0);
        assert_eq!(caller.1, [r#"g t 0 1 {"failed":1,"dead":[1]} stays"#]);
    }
}

#[test]
fn rows_go_by_their_age_unless_a_dead_letter_may_be_replayed() {
    for bench in benches(&ITEMS, TABLES) {
        let clock = Clock::new();
        let guard = Guard::new("g".into(), Duration::from_secs(60), clock.clone());
        let bench = Bench { sync: ModelSync::new(&ITEMS).unwrap().guarded(guard), ..bench };
        run(&bench, RETRIED, &[failing(1, 1, &full(1), None)]);
        run(&bench, Lane::default(), &[failing(2, 2, &full(2), None)]);
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        clock.advance(days(7));
        run(&bench, RETRIED, &[main(3, 3, &full(3))]);
        assert_eq!(stored(&bench).len(), 2);
        clock.advance(days(2));
        run(&bench, RETRIED, &[main(4, 3, &full(4))]);
        assert_eq!(stored(&bench), [r#"g t 0 2 {"failed":2,"dead":[2]} stays"#]);
        // Replayed, it goes too.
        run(&bench, Lane::default(), &[late(2, 2, &full(2))]);
        clock.advance(days(9));
        run(&bench, RETRIED, &[main(5, 3, &full(5))]);
        assert_eq!(stored(&bench), [""; 0]);
    }
}

#[test]
fn a_row_that_cannot_be_read_guards_nothing_and_stops_nothing() {
    for bench in benches(&ITEMS, TABLES) {
        run(&bench, RETRIED, &[failing(1, 1, &full(1), None), main(2, 1, &full(2))]);
        bench.execute("UPDATE django_kafka_key_version SET state = '{'");
        assert_eq!(run(&bench, RETRIED, &[late(1, 1, &full(1))]), ["applied"]);
        run(&bench, RETRIED, &[failing(3, 1, &full(3), None), main(4, 1, &full(4))]);
        assert_eq!(run(&bench, RETRIED, &[late(3, 1, &full(3))]), ["superseded by 4"]);
    }
}

#[test]
fn a_topic_without_failures_costs_one_statement_a_transaction() {
    for bench in benches(&ITEMS, TABLES) {
        let batch = [main(1, 1, &full(1)), main(2, 2, &full(2))];
        run(&bench, RETRIED, &batch);
        let count = bench.count_statements();
        run(&bench, RETRIED, &batch);
        let guarded = count.swap(0, Ordering::Relaxed);
        let bench = Bench { sync: ModelSync::new(&ITEMS).unwrap(), ..bench };
        bench.sync.apply(&bench.database, &batch, &mut { RETRIED });
        count.store(0, Ordering::Relaxed);
        run(&bench, RETRIED, &batch);
        assert_eq!(guarded, count.load(Ordering::Relaxed) + 1);
    }
}

#[test]
fn a_missing_table_is_said_at_the_start() {
    for bench in benches(&ITEMS, TABLES) {
        bench.execute("DROP TABLE django_kafka_key_version");
        let mut bench = guarded(bench);
        let mistakes = bench.sync.prepare(&bench.database).unwrap_err();
        expect![[r#"["table `django_kafka_key_version`, which guards the order of each key's messages, does not exist; run `migrate`"]"#]]
            .assert_eq(&format!("{mistakes:?}"));
    }
}

/// A retry that meets newer messages of its key which are not committed yet waits for them.
#[cfg(feature = "postgres")]
#[test]
fn a_late_message_waits_for_a_transaction_with_newer_ones() {
    struct Meeting<'a> {
        bench: &'a Bench,
        late: std::sync::mpsc::Receiver<Vec<String>>,
    }
    impl Caller for Meeting<'_> {
        fn decide(&mut self, _index: usize, _error: &ConsumeError) -> Verdict {
            Verdict::Leave
        }
        fn before_commit(&mut self, _conn: &mut DbConn, _covered: &Covered<'_>) -> Result<(), Refused> {
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            loop {
                // The other transaction is either done, or waits for this one.
                assert!(self.late.try_recv().is_err(), "it did not wait");
                let waiting = "SELECT 'x' AS line FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                               AND query LIKE '%django_kafka_key_version%FOR UPDATE%' AND datname = current_database() \
                               AND pid <> pg_backend_pid()";
                if !self.bench.rows(waiting).is_empty() {
                    return Ok(());
                }
                assert!(std::time::Instant::now() < deadline, "nothing waits");
                std::thread::yield_now();
            }
        }
    }
    let Some(bench) = Bench::postgres(&ITEMS, TABLES) else { return };
    let bench = guarded(bench);
    run(&bench, RETRIED, &[failing(1, 1, &full(1), None)]);
    std::thread::scope(|scope| {
        let (send, late_outcome) = std::sync::mpsc::channel();
        let (start, started) = std::sync::mpsc::channel::<()>();
        let retry = &bench;
        let retrying = scope.spawn(move || {
            started.recv().unwrap();
            let outcomes = run(retry, RETRIED, &[late(1, 1, &full(1))]);
            let _ = send.send(outcomes.clone());
            outcomes
        });
        struct Starting<'a>(Meeting<'a>, std::sync::mpsc::Sender<()>);
        impl Caller for Starting<'_> {
            fn decide(&mut self, index: usize, error: &ConsumeError) -> Verdict {
                self.0.decide(index, error)
            }
            fn before_commit(&mut self, conn: &mut DbConn, covered: &Covered<'_>) -> Result<(), Refused> {
                self.1.send(()).unwrap();
                self.0.before_commit(conn, covered)
            }
        }
        let mut caller = Starting(Meeting { bench: &bench, late: late_outcome }, start);
        let report = bench.sync.apply(&bench.database, &[main(2, 1, &full(2))], &mut caller);
        assert!(report.stop.is_none(), "{:?}", report.stop);
        assert_eq!(retrying.join().unwrap(), ["superseded by 2"]);
    });
    assert_eq!(rows(&bench), ["1 2 n2 c2"]);
}
