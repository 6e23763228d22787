//! Claims and their leases: what one daemon has in hand is another's once it is renewed no more, and not before.

use std::process::Stdio;
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use serde_json::json;

use super::{DEADLINE, Line, Running, Shop, Store, topics};

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Notes who claims which messages and who writes which rows, with the time of the database, by which leases go.
const WATCH: &str = "
CREATE TABLE seen (who TEXT NOT NULL, what TEXT NOT NULL, at_ms BIGINT NOT NULL);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE r jsonb := to_jsonb(NEW);
BEGIN
    INSERT INTO seen VALUES (
        regexp_replace(current_setting('application_name'), '^.*_', ''),
        concat_ws(' ', TG_ARGV[0], r ->> 'topic', coalesce(r ->> 'offset', r ->> 'id')),
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    );
    RETURN NULL;
END $$;
CREATE TRIGGER claimed AFTER UPDATE ON django_kafka_waiting_message FOR EACH ROW
    WHEN (NEW.claim_token IS NOT NULL AND NEW.claim_token IS DISTINCT FROM OLD.claim_token)
    EXECUTE FUNCTION see('claims');
CREATE TRIGGER written AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION see('writes order');
CREATE TRIGGER written AFTER INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION see('writes note');
";

/// A shop on PostgreSQL, with daemons that have names.
struct Watched {
    conn: PgConnection,
    /// Has a table locked while daemons are to get no further.
    holder: PgConnection,
    // Last: its schema is dropped when nobody uses it any more.
    shop: Shop,
}

impl Watched {
    /// `None`, said, without PostgreSQL.
    fn new(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var("DATABASE_URL") else {
            eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL");
            return None;
        };
        let shop = Shop::new(Store::Postgres(server, format!("dk_waiting_{}_{name}", std::process::id())));
        shop.execute(WATCH);
        let connect = || PgConnection::establish(&shop.url()).unwrap();
        Some(Self { conn: connect(), holder: connect(), shop })
    }

    /// By which a daemon's sessions are known.
    fn session(&self, who: &str) -> String {
        let Store::Postgres(_, schema) = &self.shop.store else { panic!("it is on PostgreSQL") };
        format!("{schema}_{who}")
    }

    /// Starts a daemon that looks all the time.
    fn daemon(&self, who: &str, lease: &str) -> Running {
        let mut command = self.shop.command(&["resolve-relations"]);
        command
            .env("PGAPPNAME", self.session(who))
            // It is to wait for the test's lock, however long.
            .env("DJANGO_KAFKA__DATABASE_URL", format!("{}%20-clock_timeout%3D5min", self.shop.url()))
            .env("DJANGO_KAFKA__RELATION_RESOLVER_DAEMON_INTERVAL", "0.1")
            .env("DJANGO_KAFKA__RELATION_RESOLVER_LEASE", lease);
        Running(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn lines(&mut self, sql: &str) -> Vec<String> {
        let lines: Vec<Line> = diesel::sql_query(sql).load(&mut self.conn).unwrap();
        lines.into_iter().map(|line| line.line).collect()
    }

    /// Lets nobody write this table.
    fn hold(&mut self, table: &str) {
        self.holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN SHARE MODE")).unwrap();
    }

    /// Waits until a daemon does not get further.
    fn wait_until_held(&mut self) {
        // Asked by the session that holds it.
        let blocked = "SELECT pid::text AS line FROM pg_locks \
                       WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let holder = &mut self.holder;
        wait_for("a daemon waits for the lock", || {
            let blocked: Vec<Line> = diesel::sql_query(blocked).load(holder).unwrap();
            !blocked.is_empty()
        });
    }

    fn release(&mut self) {
        self.holder.batch_execute("ROLLBACK").unwrap();
    }

    /// When the claim on what waits of this topic ends, by the database's clock.
    fn claimed_until_ms(&mut self, topic: &str) -> i64 {
        let sql = "SELECT claimed_until_ms::text AS line FROM django_kafka_waiting_message \
                   WHERE claim_token IS NOT NULL AND topic = ";
        let claimed = self.lines(&format!("{sql}'{topic}'"));
        let [until] = &claimed[..] else { panic!("{} messages of {topic} are claimed, not one", claimed.len()) };
        until.parse().unwrap()
    }

    /// What daemons did, in no order.
    fn seen(&mut self) -> Vec<String> {
        let mut seen = self.lines("SELECT who || ' ' || what AS line FROM seen");
        seen.sort();
        seen
    }
}

/// Polls until it is so.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: this did not come");
        std::thread::park_timeout(LOOK_INTERVAL);
    }
}

#[tokio::test]
async fn what_a_killed_daemon_had_claimed_is_taken_over_once_its_lease_is_over() {
    let Some(mut watched) = Watched::new("killed") else { return };
    watched.shop.order(1, 5, 10).await;
    watched.shop.consume();
    watched.shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
    watched.hold("orders");
    let first = watched.daemon("first", "2s");
    watched.wait_until_held();
    // Killed. Its sessions notice when they have something to tell it: then what it had begun is rolled back.
    drop(first);
    watched.release();
    let sessions = watched.session("first");
    let sessions = format!("SELECT pid::text AS line FROM pg_stat_activity WHERE application_name = '{sessions}'");
    wait_for("the killed daemon's sessions are gone", || watched.lines(&sessions).is_empty());
    let until_ms = watched.claimed_until_ms("shop.orders");
    let longer = "SELECT topic AS line FROM django_kafka_waiting_message \
                  WHERE claimed_until_ms > extract(epoch FROM clock_timestamp()) * 1000 + 2000";
    assert_eq!(watched.lines(longer), [""; 0], "claimed for longer than the settings say");

    let second = watched.daemon("second", "2s");
    watched.shop.wait_for_orders(&["1→5:10"]);
    assert_eq!(watched.shop.run(0, &["waiting", "list"]), "nothing waits\n");
    second.end();
    let seen = watched.seen();
    assert_eq!(seen, ["first claims shop.orders 0", "second claims shop.orders 0", "second writes order 1"]);
    let early = format!("SELECT what AS line FROM seen WHERE who = 'second' AND at_ms <= {until_ms}");
    assert_eq!(watched.lines(&early), [""; 0], "before the lease was over");
}

#[tokio::test]
async fn a_claim_is_renewed_for_as_long_as_its_daemon_is_at_work() {
    const LEASE_MS: i64 = 4_000;
    let Some(mut watched) = Watched::new("renewed") else { return };
    let note = json!({ "id": 1, "customer_id": 5 });
    watched.shop.kafka().produce(&topics::Notes, json!({ "id": 1 }), note).await.unwrap();
    watched.shop.order(1, 5, 10).await;
    watched.shop.order(2, 6, 20).await;
    watched.shop.consume();
    watched.shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
    // Notes come before orders, which are claimed with them and wait.
    watched.hold("notes");
    let first = watched.daemon("first", "4s");
    watched.wait_until_held();
    let until_ms = watched.claimed_until_ms("shop.orders");
    let second = watched.daemon("second", "4s");
    wait_for("the claim is renewed", || watched.claimed_until_ms("shop.orders") >= until_ms + 2 * LEASE_MS);
    // The second one is there, and takes what is nobody's.
    watched.shop.execute("INSERT INTO customers VALUES (6, 'from elsewhere')");
    watched.shop.wait_for_orders(&["2→6:20"]);
    watched.release();
    watched.shop.wait_for_orders(&["1→5:10", "2→6:20"]);
    assert_eq!(watched.shop.run(0, &["waiting", "list"]), "nothing waits\n");
    first.end();
    second.end();
    assert_eq!(
        watched.seen(),
        [
            "first claims shop.notes 0",
            "first claims shop.orders 0",
            "first writes note 1",
            "first writes order 1",
            "second claims shop.orders 1",
            "second writes order 2",
        ]
    );
}
