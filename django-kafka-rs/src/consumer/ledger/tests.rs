//! The books on both databases, step by step.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::db::{DatabaseSettings, DbConn, migrations};
use crate::producer::Outgoing;
use crate::record::Headers;

/// A database with the tables, and what it lives in.
struct Bench {
    database: Database,
    ledger: Ledger,
    _home: Box<dyn std::any::Any>,
}

fn bench(url: &str, home: Box<dyn std::any::Any>) -> Bench {
    let settings =
        DatabaseSettings { busy_timeout: Duration::from_millis(50), ..DatabaseSettings::new(url.to_owned()) };
    let database = Database::open(&settings).unwrap();
    migrations::run(&database, None).unwrap();
    Bench { ledger: Ledger::new(database.clone(), "crm", false, Duration::ZERO), database, _home: home }
}

/// The same on each backend that there is.
fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        benches.push(bench(folder.path().join("rows.sqlite3").to_str().unwrap(), Box::new(folder)));
    }
    #[cfg(feature = "postgres")]
    if let Some(schema) = crate::db::scratch::Scratch::new() {
        benches.push(bench(&schema.url(), Box::new(schema)));
    }
    benches
}

impl Bench {
    fn share(&self, start: i64) -> Arc<Share> {
        self.ledger.share(("orders".into(), 3), start)
    }

    fn execute(&self, sql: &str) {
        use diesel::RunQueryDsl as _;
        let query = diesel::sql_query(sql);
        let done: Result<usize, DatabaseError> = self.database.write_transaction(|conn| {
            Ok(match conn {
                #[cfg(feature = "postgres")]
                DbConn::Pg(pg) => query.execute(pg)?,
                #[cfg(feature = "sqlite")]
                DbConn::Sqlite(sqlite) => query.execute(sqlite)?,
            })
        });
        done.unwrap();
    }

    /// A transaction of this entry's; what comes of it is as if the answer to the commit had been lost.
    fn commit_unheard(&self, entry: &Entry) {
        let done: Result<(), Trouble> = self.database.write_transaction(|conn| entry.write(conn));
        done.unwrap();
    }
}

fn claimed(share: &Share) -> Found {
    share.claim(|| true).unwrap()
}

fn leaving(offset: i64) -> Leaving {
    let mut headers = Headers::new();
    headers.push("own", None);
    headers.push("why", Some(vec![0, 255]));
    let message = Outgoing {
        topic: "crm.orders.retry.1".to_owned(),
        partition: None,
        timestamp_ms: None,
        key: None,
        value: Some(vec![1, 2]),
        headers,
    };
    Leaving { offset, message }
}

fn origin(offset: i64) -> Origin {
    Origin { topic: "orders".into(), partition: 3, offset }
}

fn retried(offset: i64) -> Arc<RawRecord> {
    let retried = crate::record::Retried { origin: origin(offset), attempt: 1 };
    Arc::new(RawRecord { retried: Some(Arc::new(retried)), ..RawRecord::default() })
}

#[test]
fn a_claim_fences_whoever_had_the_partition_before() {
    for bench in benches() {
        let (first, second) = (bench.share(5), bench.share(99));
        assert_eq!(claimed(&first).position, 5, "where it starts");
        let mut entry = Entry::new(first.clone());
        entry.reach(8);
        entry.write_alone(|| true).unwrap();
        assert_eq!(claimed(&second).position, 8, "where the row stands, whatever it would have started with");
        entry.reach(9);
        assert!(matches!(entry.write_alone(|| true), Err(Trouble::Fenced)));
        assert_eq!(entry.position(), 8);
        let mut other = Entry::new(second.clone());
        other.reach(10);
        other.write_alone(|| true).unwrap();
        first.doubt();
        assert!(matches!(first.settle_doubt(), Err(Trouble::Fenced)), "it is the other's now");
        assert_eq!(claimed(&first).position, 10, "unless it is claimed back");
        let positions = bench.ledger.positions().unwrap();
        assert_eq!(positions, Positions::from([(("orders".into(), 3), 10)]));
    }
}

#[test]
fn nothing_is_claimed_or_written_where_the_partition_may_be_somebody_elses() {
    for bench in benches() {
        let share = bench.share(0);
        assert!(matches!(share.claim(|| false), Err(Trouble::NotOurs)));
        assert!(bench.ledger.positions().unwrap().is_empty());
        claimed(&share);
        let mut entry = Entry::new(share);
        entry.reach(1);
        assert!(matches!(entry.write_alone(|| false), Err(Trouble::NotOurs)));
        entry.write_alone(|| true).unwrap();
        assert_eq!(entry.position(), 1);
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_and_what_left_with_it() {
    for bench in benches() {
        let share = bench.share(0);
        claimed(&share);
        assert!(share.settle_doubt().unwrap().is_none(), "there is no doubt");
        let mut entry = Entry::new(share.clone());
        entry.reach(2);
        entry.leave(leaving(1));
        bench.commit_unheard(&entry);
        // Handled again it is refused, rather than done twice.
        assert!(matches!(entry.write_alone(|| true), Err(Trouble::Database(_) | Trouble::Fenced)));
        share.doubt();
        let found = share.settle_doubt().unwrap().unwrap();
        assert_eq!((found.position, found.outgoing.len()), (2, 1));
        let (found, sent) = (&found.outgoing[0], leaving(1));
        assert_eq!(
            (found.offset, &found.message.topic, &found.message.key, &found.message.value, &found.message.headers),
            (1, &sent.message.topic, &sent.message.key, &sent.message.value, &sent.message.headers)
        );
        share.arrived(1);
        assert!(share.settle_doubt().unwrap().is_none());
        assert!(claimed(&bench.share(0)).outgoing.is_empty());
    }
}

#[test]
fn what_has_arrived_is_not_sent_again_though_its_row_could_not_be_deleted() {
    for bench in benches() {
        let share = bench.share(0);
        claimed(&share);
        let mut entry = Entry::new(share.clone());
        for offset in [0, 1] {
            entry.leave(leaving(offset));
        }
        entry.reach(2);
        entry.write_alone(|| true).unwrap();
        assert_eq!(entry.take_leaving().len(), 2);
        bench.execute("ALTER TABLE django_kafka_outgoing RENAME TO away");
        share.arrived(0);
        bench.execute("ALTER TABLE away RENAME TO django_kafka_outgoing");
        let found = share.settle_doubt().unwrap().unwrap();
        assert_eq!(found.outgoing.iter().map(|l| l.offset).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_message_is_settled_once_and_remembered_for_its_time() {
    for bench in benches() {
        let (one, other) = (bench.share(0), bench.ledger.share(("orders".into(), 4), 0));
        claimed(&one);
        claimed(&other);
        let settle = |share: &Arc<Share>, position, offsets: &[i64]| {
            let mut entry = Entry::new(share.clone());
            entry.reach(position);
            offsets.iter().for_each(|offset| entry.settle(origin(*offset)));
            entry.write_alone(|| true)
        };
        settle(&one, 1, &[7, 8]).unwrap();
        assert!(matches!(settle(&other, 1, &[9, 8]), Err(Trouble::Repeated)), "a copy in another partition");
        let records = [retried(7), retried(9), Arc::new(RawRecord::default())];
        assert_eq!(one.repeated(&records).unwrap(), HashSet::from([origin(7)]), "9 was taken back");
        bench.execute("UPDATE django_kafka_settled SET settled_at = '2001-01-01 00:00:00' WHERE \"offset\" = 7");
        *bench.ledger.inner.purged.lock().unwrap() = None;
        one.repeated(&records).unwrap();
        assert!(one.repeated(&records).unwrap().is_empty(), "its time is over");
        assert_eq!(one.repeated(&[retried(8)]).unwrap().len(), 1, "that of others is not");
    }
}

#[test]
fn what_became_pending_since_a_mark_is_forgotten_alone() {
    for bench in benches() {
        let share = bench.share(0);
        claimed(&share);
        let mut entry = Entry::new(share);
        entry.reach(1);
        entry.leave(leaving(0));
        let mark = entry.mark();
        entry.reach(2);
        entry.settle(origin(1));
        entry.leave(leaving(1));
        entry.back_to(mark);
        entry.write_alone(|| true).unwrap();
        assert_eq!((entry.position(), entry.take_leaving().len()), (1, 1));
        assert!(!entry.is_pending());
    }
}

#[test]
fn tables_that_are_not_there_are_named_with_the_remedy() {
    for bench in benches() {
        check_tables(&bench.database).unwrap();
        bench.execute("DROP TABLE django_kafka_settled");
        let text = check_tables(&bench.database).unwrap_err();
        assert!(text.contains("django_kafka_settled") && text.contains("`migrate`"), "{text}");
        assert!(bench.ledger.forget().is_err());
    }
}

/// A database that is locked is away; PostgreSQL's lock timeouts are too long for a test.
#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn positions_are_waited_for_while_the_database_is_away_and_no_longer_than_the_consumer_lives() {
    let bench = benches().remove(0);
    claimed(&bench.share(5));
    let locked = bench.database.begin().unwrap();
    let (answer, answered) = std_mpsc::sync_channel(1);
    let (unheard, ended) = std_mpsc::sync_channel(1);
    let draining = CancellationToken::new();
    bench.ledger.clone().answer_positions(answer, CancellationToken::new());
    bench.ledger.clone().answer_positions(unheard, draining.clone());
    draining.cancel();
    let ended = tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_secs(30))).await.unwrap();
    assert_eq!(ended, Err(std_mpsc::RecvTimeoutError::Disconnected));
    assert!(answered.try_recv().is_err());
    drop(locked);
    let positions = tokio::task::spawn_blocking(move || answered.recv_timeout(Duration::from_secs(30))).await.unwrap();
    assert_eq!(positions.unwrap(), Positions::from([(("orders".into(), 3), 5)]));
}
