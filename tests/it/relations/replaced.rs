//! What the program puts in the place of the resolver, the store and the daemon is what is asked.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::QueryResult;
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::relations::{
    Awaited, CancellationToken, Chain, Claim, Count, MessageProcessor, ParkedKey, Parking, Presence, RelationError,
    RelationResolver, Resolver, ResolverDaemon, Still, TableProcessor, TableResolver, WaitingMessage, Which,
};
use django_kafka_rs::testing::TestApp;

use super::{Shop, customer, each_of, order, orders, send, waiting};

const DEADLINE: Duration = Duration::from_secs(60);

/// Customers are there once they are cleared, too.
struct Cleared(Arc<AtomicBool>, TableResolver);

impl RelationResolver for Cleared {
    fn exist(&self, conn: &mut DbConn, relations: &[&ModelRelation]) -> Result<Vec<bool>, RelationError> {
        if self.0.load(Ordering::SeqCst) {
            return self.1.exist(conn, relations);
        }
        Ok(vec![false; relations.len()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_of_ones_own_says_which_rows_exist() {
    let cleared = Arc::new(AtomicBool::new(false));
    let app = || {
        cleared.store(false, Ordering::SeqCst);
        App::builder().consumer(Shop).relation_resolver(Cleared(cleared.clone(), TableResolver::default()))
    };
    let test = async |app: TestApp| {
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        send(&app, "orders", 1, order(1, 5, 10)).await;
        app.settle().await.unwrap();
        assert_eq!(waiting(&app).await, [r#"orders {"id":1} WAITING customers.id = 5"#]);
        cleared.store(true, Ordering::SeqCst);
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:10"]);
    };
    each_of(app, test).await;
}

/// Counts what is parked; else the default.
#[derive(Clone, Default)]
struct Counted {
    parked: Arc<AtomicUsize>,
}

impl MessageProcessor for Counted {
    fn presence(&self, conn: &mut DbConn, group: &str, topics: &[&str], models: &[&str]) -> QueryResult<Presence> {
        TableProcessor.presence(conn, group, topics, models)
    }
    fn parked(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<Vec<(Chain, ParkedKey)>> {
        TableProcessor.parked(conn, group, chains)
    }
    fn park(&self, conn: &mut DbConn, group: &str, messages: &[Parking]) -> QueryResult<()> {
        self.parked.fetch_add(messages.len(), Ordering::SeqCst);
        TableProcessor.park(conn, group, messages)
    }
    fn forget(&self, conn: &mut DbConn, group: &str, chains: &[(&Chain, i64)]) -> QueryResult<()> {
        TableProcessor.forget(conn, group, chains)
    }
    fn judge_anew(&self, conn: &mut DbConn, group: &str, chains: &[&Chain]) -> QueryResult<()> {
        TableProcessor.judge_anew(conn, group, chains)
    }
    fn awaited(&self, conn: &mut DbConn, rows: &[Awaited]) -> QueryResult<Vec<Awaited>> {
        TableProcessor.awaited(conn, rows)
    }
    fn relations(
        &self,
        conn: &mut DbConn,
        groups: &[String],
        after: Option<&Awaited>,
        limit: i64,
    ) -> QueryResult<Vec<Awaited>> {
        TableProcessor.relations(conn, groups, after, limit)
    }
    fn claim(&self, conn: &mut DbConn, which: Which<'_>, claim: &Claim<'_>) -> QueryResult<Vec<WaitingMessage>> {
        TableProcessor.claim(conn, which, claim)
    }
    fn held(&self, conn: &mut DbConn, token: &str, ids: &[i64]) -> QueryResult<HashSet<i64>> {
        TableProcessor.held(conn, token, ids)
    }
    fn renew(&self, conn: &mut DbConn, token: &str, lease_ms: i64) -> QueryResult<()> {
        TableProcessor.renew(conn, token, lease_ms)
    }
    fn still(&self, conn: &mut DbConn, group: &str, token: &str, chains: &[Still]) -> QueryResult<()> {
        TableProcessor.still(conn, group, token, chains)
    }
    fn failed(&self, conn: &mut DbConn, id: i64, attempts: u32, error: &str, due_ms: i64) -> QueryResult<()> {
        TableProcessor.failed(conn, id, attempts, error, due_ms)
    }
    fn release(&self, conn: &mut DbConn, token: &str) -> QueryResult<()> {
        TableProcessor.release(conn, token)
    }
    fn is_claimed(&self, conn: &mut DbConn, groups: &[String]) -> QueryResult<bool> {
        TableProcessor.is_claimed(conn, groups)
    }
    fn list(&self, conn: &mut DbConn, groups: &[String], after: i64, limit: i64) -> QueryResult<Vec<WaitingMessage>> {
        TableProcessor.list(conn, groups, after, limit)
    }
    fn counts(&self, conn: &mut DbConn, groups: &[String], limit: i64) -> QueryResult<Vec<Count>> {
        TableProcessor.counts(conn, groups, limit)
    }
    fn find(&self, conn: &mut DbConn, id: i64) -> QueryResult<Option<WaitingMessage>> {
        TableProcessor.find(conn, id)
    }
    fn notify(&self, conn: &mut DbConn, text: &str) -> QueryResult<()> {
        TableProcessor.notify(conn, text)
    }
    fn discard(&self, conn: &mut DbConn, ids: &[i64]) -> QueryResult<usize> {
        TableProcessor.discard(conn, ids)
    }
}

/// Those of its methods that have a default are left to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_ones_own_keeps_what_waits() {
    let counted = Counted::default();
    let app = || {
        counted.parked.store(0, Ordering::SeqCst);
        App::builder().consumer(Shop).message_processor(counted.clone())
    };
    let test = async |app: TestApp| {
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "orders", 1, order(1, 5, 20)).await;
        app.settle().await.unwrap();
        assert_eq!((counted.parked.load(Ordering::SeqCst), waiting(&app).await.len()), (2, 2));
        send(&app, "customers", 5, customer(5)).await;
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:20"]);
    };
    each_of(app, test).await;
}

/// Looks again and again, through what the library gives to daemons.
#[derive(Clone, Default)]
struct Own {
    resolved: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    stays_outside: bool,
}

impl ResolverDaemon for Own {
    fn runs_inside(&self) -> bool {
        !self.stays_outside
    }

    fn command(&self) -> &'static str {
        "our-own"
    }

    fn run(&self, resolver: Resolver, stop: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let own = self.clone();
        Box::pin(async move {
            while !stop.is_cancelled() {
                let (resolver, resolved) = (resolver.clone(), own.resolved.clone());
                let look = move || {
                    for relation in resolver.resolvable(None).unwrap().relations {
                        resolver.resolve(&relation, &|| true).unwrap();
                        resolved.fetch_add(1, Ordering::SeqCst);
                    }
                };
                tokio::task::spawn_blocking(look).await.unwrap();
            }
            own.ended.store(true, Ordering::SeqCst);
        })
    }
}

/// Polls without settling, which resolves by itself.
async fn wait_for_orders(app: &TestApp, wanted: &[&str]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = orders(app).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_ones_own_resolves_until_the_service_ends() {
    let own = Own::default();
    let app = || {
        own.resolved.store(0, Ordering::SeqCst);
        own.ended.store(false, Ordering::SeqCst);
        App::builder().consumer(Shop).resolver_daemon(own.clone())
    };
    let test = async |app: TestApp| {
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "customers", 5, customer(5)).await;
        wait_for_orders(&app, &["1→5:10"]).await;
        assert!(!own.ended.load(Ordering::SeqCst));
        app.shutdown().await.unwrap();
        assert!(own.ended.load(Ordering::SeqCst), "an end is waited for");
    };
    each_of(app, test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_ones_own_that_stays_outside_is_not_run_by_the_service() {
    let own = Own { stays_outside: true, ..Own::default() };
    let test = async |app: TestApp| {
        send(&app, "orders", 1, order(1, 5, 10)).await;
        send(&app, "customers", 5, customer(5)).await;
        // The test resolves here in its place.
        app.settle().await.unwrap();
        assert_eq!(orders(&app).await, ["1→5:10"]);
        app.shutdown().await.unwrap();
        assert_eq!(own.resolved.load(Ordering::SeqCst), 0);
        assert!(!own.ended.load(Ordering::SeqCst), "it was run");
    };
    each_of(|| App::builder().consumer(Shop).resolver_daemon(own.clone()), test).await;
}
