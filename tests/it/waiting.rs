//! `waiting` and `resolve-relations`, as people use them: processes beside a broker and a database.

mod leases;
mod replayed;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::{PgConnection, SqliteConnection};
use django_kafka_rs::embedded::EmbeddedBroker;
use django_kafka_rs::producer::Kafka;
use django_kafka_rs::settings::Settings;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

mod topics {
    use django_kafka_rs::prelude::*;

    #[topic(name = "shop.customers", key = serde_json::Value, value = serde_json::Value)]
    pub(super) struct Customers;
    #[topic(name = "shop.orders", key = serde_json::Value, value = serde_json::Value)]
    pub(super) struct Orders;
    #[topic(name = "shop.notes", key = serde_json::Value, value = serde_json::Value)]
    pub(super) struct Notes;
}

/// A database of a test's own.
enum Store {
    Sqlite,
    /// A schema, and the server that it is on.
    Postgres(String, String),
}

/// A broker and a database, and what a service needs to find both.
struct Shop {
    folder: tempfile::TempDir,
    broker: EmbeddedBroker,
    store: Store,
}

/// A service that runs; killed when it is dropped.
struct Running(Child);

impl Running {
    /// Asks it to end, which has to be in order.
    fn end(mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(asked.success());
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return assert!(status.success(), "{status}"),
                None => assert!(Instant::now() < deadline, "the service does not end"),
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

impl Shop {
    /// Migrated.
    fn new(store: Store) -> Self {
        let broker = EmbeddedBroker::start(1).unwrap();
        for topic in ["shop.customers", "shop.orders", "shop.notes", "shop.shop.orders.dlt", "shop.shop.notes.dlt"] {
            broker.create_topic(topic).unwrap();
        }
        let shop = Self { folder: tempfile::tempdir().unwrap(), broker, store };
        if let Store::Postgres(server, schema) = &shop.store {
            let mut conn = PgConnection::establish(server).unwrap();
            conn.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
        }
        shop.run(0, &["migrate"]);
        shop
    }

    fn url(&self) -> String {
        match &self.store {
            Store::Sqlite => self.folder.path().join("shop.sqlite3").to_str().unwrap().to_owned(),
            Store::Postgres(server, schema) => format!("{server}?options=-csearch_path%3D{schema}"),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop_service"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
            .env("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", self.broker.bootstrap_servers())
            .env("DJANGO_KAFKA__DATABASE_URL", self.url());
        if let Store::Postgres(_, schema) = &self.store {
            // By which its sessions are told from those of other tests.
            command.env("PGAPPNAME", schema);
        }
        command
    }

    /// Runs a command that is to end with this code; gives what it says.
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
        if code == 0 { stdout } else { stderr.into_owned() }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(0, arguments)).unwrap()
    }

    fn start(&self, arguments: &[&str], interval: &str) -> Running {
        let mut command = self.command(arguments);
        command.env("DJANGO_KAFKA__RELATION_RESOLVER_DAEMON_INTERVAL", interval);
        Running(command.stdout(Stdio::null()).spawn().unwrap())
    }

    fn kafka(&self) -> Kafka {
        let mut settings = Settings::default();
        settings.global_config.set("bootstrap.servers", self.broker.bootstrap_servers());
        Kafka::connect(&settings).unwrap()
    }

    async fn order(&self, id: i64, customer: i64, total: i64) {
        let value = json!({ "id": id, "customer_id": customer, "total": total });
        self.kafka().produce(&topics::Orders, json!({ "id": id }), value).await.unwrap();
    }

    async fn customer(&self, id: i64) {
        let value = json!({ "id": id, "name": format!("c{id}") });
        self.kafka().produce(&topics::Customers, json!({ "id": id }), value).await.unwrap();
    }

    /// Consumes all there is.
    fn consume(&self) {
        self.run(0, &["consume", "Shop", "--until-end"]);
    }

    /// A row that comes from elsewhere than a topic, of which nobody is told.
    fn execute(&self, sql: &str) {
        match &self.store {
            Store::Sqlite => {
                let mut conn = SqliteConnection::establish(&self.url()).unwrap();
                conn.batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")).unwrap();
            }
            Store::Postgres(..) => PgConnection::establish(&self.url()).unwrap().batch_execute(sql).unwrap(),
        }
    }

    /// `id→customer:total` of all orders.
    fn orders(&self) -> Vec<String> {
        self.lines("SELECT id || '→' || customer_id || ':' || total AS line FROM orders ORDER BY id")
    }

    /// A query's column `line`.
    fn lines(&self, query: &str) -> Vec<String> {
        let query = diesel::sql_query(query);
        let lines: Vec<Line> = match &self.store {
            Store::Sqlite => query.load(&mut SqliteConnection::establish(&self.url()).unwrap()).unwrap(),
            Store::Postgres(..) => query.load(&mut PgConnection::establish(&self.url()).unwrap()).unwrap(),
        };
        lines.into_iter().map(|line| line.line).collect()
    }

    /// Waits for a session of this test that listens; gives its process.
    fn wait_for_listener(&self) -> i64 {
        let Store::Postgres(server, schema) = &self.store else { panic!("nobody listens on SQLite") };
        let mut conn = PgConnection::establish(server).unwrap();
        let sessions = format!(
            "SELECT pid::text AS line FROM pg_stat_activity WHERE application_name = '{schema}' AND query LIKE 'LISTEN%'"
        );
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found: Vec<Line> = diesel::sql_query(&*sessions).load(&mut conn).unwrap();
            if let Some(found) = found.first() {
                return found.line.parse().unwrap();
            }
            assert!(Instant::now() < deadline, "nobody listens");
            std::thread::yield_now();
        }
    }

    /// The numbers and offsets of orders that wait.
    fn numbers(&self) -> Vec<(i64, i64)> {
        let listed = self.json(&["waiting", "list", "--json"]);
        let of = |message: &Value| (message["number"].as_i64().unwrap(), message["offset"].as_i64().unwrap());
        listed.as_array().unwrap().iter().map(of).collect()
    }

    /// Polls until these orders are there.
    fn wait_for_orders(&self, orders: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        while self.orders() != orders {
            assert!(Instant::now() < deadline, "{orders:?} did not come; there are {:?}", self.orders());
            std::thread::yield_now();
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Store::Postgres(server, schema) = &self.store {
            let dropped = PgConnection::establish(server)
                .map(|mut conn| conn.batch_execute(&format!("SET lock_timeout = '10s'; DROP SCHEMA {schema} CASCADE")));
            if !std::thread::panicking() {
                dropped.unwrap().unwrap();
            }
        }
    }
}

/// On SQLite, and on PostgreSQL where there is one.
async fn each(name: &str, test: impl AsyncFn(Shop)) {
    test(Shop::new(Store::Sqlite)).await;
    match std::env::var("DATABASE_URL") {
        Ok(url) if url.starts_with("postgres") => {
            test(Shop::new(Store::Postgres(url, format!("dk_waiting_{}_{name}", std::process::id())))).await;
        }
        _ => eprintln!("SKIPPED on PostgreSQL: DATABASE_URL names none (postgres://…)"),
    }
}

/// Compares what a person reads, without what differs from run to run: ages.
fn reads(text: &str, expected: &Expect) {
    let age = |word: &str| {
        let number = word.trim_end_matches(['s', 'm', 'h']);
        number.len() < word.len() && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    };
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').map(|word| if age(word) { "0s" } else { word }).collect();
        words.join(" ")
    };
    expected.assert_eq(&text.lines().map(|l| line(l) + "\n").collect::<String>());
}

#[tokio::test]
async fn what_waits_is_listed_and_shown_with_counts_by_relation() {
    each("listed", async |shop| {
        reads(&shop.run(0, &["waiting", "list"]), &expect!["nothing waits\n"]);
        assert_eq!(shop.json(&["waiting", "list", "--json"]), json!([]));
        for (id, customer) in [(1, 5), (2, 6), (3, 5)] {
            shop.order(id, customer, 10).await;
        }
        shop.order(1, 5, 11).await;
        shop.consume();
        reads(&shop.run(0, &["waiting", "list"]), &expect![[r#"
            NUMBER  STATUS   MESSAGE          KEY       WAITS FOR         AGE  ATTEMPTS
            1       WAITING  shop.orders/0/0  {"id":1}  customers.id = 5  0s   0
            2       WAITING  shop.orders/0/1  {"id":2}  customers.id = 6  0s   0
            3       WAITING  shop.orders/0/2  {"id":3}  customers.id = 5  0s   0
            4       BEHIND   shop.orders/0/3  {"id":1}  customers.id = 5  0s   0

            MESSAGES  OLDEST  WAIT FOR
            3         0s      customers.id = 5
            1         0s      customers.id = 6
        "#]]);
        reads(&shop.run(0, &["waiting", "list", "--limit", "1"]), &expect![[r#"
            NUMBER  STATUS   MESSAGE          KEY       WAITS FOR         AGE  ATTEMPTS
            1       WAITING  shop.orders/0/0  {"id":1}  customers.id = 5  0s   0
            no more than 1 are listed (`--limit`); the counts are of all

            MESSAGES  OLDEST  WAIT FOR
            3         0s      customers.id = 5
        "#]]);
        reads(&shop.run(0, &["waiting", "list", "--by-relation"]), &expect![[r#"
            MESSAGES  OLDEST  WAIT FOR
            3         0s      customers.id = 5
            1         0s      customers.id = 6
        "#]]);
        reads(&shop.run(0, &["waiting", "show", "4"]), &expect![[r#"
            4  BEHIND  shop.orders/0/3  group shop
              waits for  customers.id = 5
              attempts   0
              key        {"id":1}
              value      {"customer_id":5,"id":1,"total":11}
        "#]]);
        let mut counts = shop.json(&["waiting", "list", "--by-relation", "--json"]);
        for count in counts.as_array_mut().unwrap() {
            assert!(count["oldest_ms"].take().as_i64().unwrap() > 1_600_000_000_000);
            assert!(count["oldest_age_seconds"].take().as_i64().unwrap() >= 0);
        }
        let relation = |value: &str| json!({ "model_key": "customers", "field": "id", "value": value });
        let count = |value: &str, messages: i64| {
            let relation = relation(value);
            json!({ "relation": relation, "deletion": false, "messages": messages, "oldest_ms": null, "oldest_age_seconds": null })
        };
        assert_eq!(counts, json!([count("5", 3), count("6", 1)]));
        let shown = &shop.json(&["waiting", "show", "2", "--json"])[0];
        assert_eq!((&shown["relation"], &shown["status"]), (&relation("6"), &"WAITING".into()));
        assert_eq!(shown["value"], json!({ "id": 2, "customer_id": 6, "total": 10 }).to_string());
        let refused = shop.run(1, &["waiting", "show", "9"]);
        assert!(refused.contains("no message of number 9 waits; `waiting list` has the numbers"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn what_waits_is_resolved_and_forgotten_by_hand() {
    each("by_hand", async |shop| {
        for (id, customer, total) in [(1, 5, 10), (2, 5, 5000), (3, 6, 30), (4, 7, 40)] {
            shop.order(id, customer, total).await;
        }
        shop.consume();
        assert_eq!(shop.run(0, &["waiting", "resolve"]), "0 messages wait no more\n");
        let numbers = shop.numbers();
        assert_eq!(numbers.iter().map(|(_, offset)| *offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
        shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
        assert_eq!(shop.run(0, &["waiting", "resolve"]), "1 message waits no more\n");
        assert_eq!(shop.orders(), ["1→5:10"]);

        // Order 2 fails, and is due in an hour; by its number it is tried at once.
        let poison = numbers[1].0.to_string();
        let attempts = |shop: &Shop| shop.json(&["waiting", "show", &poison, "--json"])[0]["attempts"].clone();
        assert_eq!(attempts(&shop), 1);
        assert_eq!(shop.run(0, &["waiting", "resolve"]), "0 messages wait no more\n");
        assert_eq!(attempts(&shop), 1);
        shop.run(0, &["waiting", "resolve", &poison]);
        assert_eq!(attempts(&shop), 2);
        shop.execute("INSERT INTO customers VALUES (6, 'from elsewhere')");
        let third = numbers[2].0.to_string();
        assert_eq!(shop.json(&["waiting", "resolve", &third, "--json"]), json!({ "resolved": 1 }));
        assert_eq!(shop.orders(), ["1→5:10", "3→6:30"]);

        assert_eq!(shop.run(0, &["waiting", "discard", &poison, "999"]), "1 message is forgotten\n");
        assert_eq!(shop.numbers(), [numbers[3]]);
        shop.customer(7).await;
        shop.consume();
        assert_eq!(shop.orders(), ["1→5:10", "3→6:30", "4→7:40"]);
        assert_eq!(shop.run(0, &["waiting", "list"]), "nothing waits\n");
        assert_eq!(shop.json(&["waiting", "discard", &poison, "--json"]), json!({ "discarded": 0 }));
    })
    .await;
}

#[tokio::test]
async fn a_daemon_alone_resolves_what_other_processes_have_parked() {
    each("alone", async |shop| {
        shop.order(1, 5, 10).await;
        shop.consume();
        shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
        let daemon = shop.start(&["resolve-relations"], "0.1");
        shop.wait_for_orders(&["1→5:10"]);
        shop.execute("INSERT INTO customers VALUES (6, 'from elsewhere')");
        shop.order(2, 7, 20).await;
        shop.order(3, 6, 30).await;
        shop.consume();
        shop.execute("INSERT INTO customers VALUES (7, 'from elsewhere')");
        shop.wait_for_orders(&["1→5:10", "2→7:20", "3→6:30"]);
        drop(daemon);
    })
    .await;
}

#[tokio::test]
async fn a_daemon_alone_answers_probes_and_shows_what_it_does() {
    each("probed", async |shop| {
        shop.order(1, 5, 10).await;
        shop.order(2, 6, 10).await;
        shop.consume();
        // Nobody else takes it between here and the start but by bad luck.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let listening = |arguments: &[&str]| {
            let mut command = shop.command(arguments);
            command.env("DJANGO_KAFKA__METRICS__LISTEN", &address);
            command.env("DJANGO_KAFKA__RELATION_RESOLVER_DAEMON_INTERVAL", "0.1");
            command
        };
        let daemon = Running(listening(&["resolve-relations"]).stdout(Stdio::null()).spawn().unwrap());
        wait_for_answer(&address, "/ready", "ok\n").await;
        wait_for_answer(&address, "/live", "ok\n").await;
        let text = wait_for_answer(&address, "/metrics", "\ndjango_kafka_database_up 1\n").await;
        for line in
            [r#"django_kafka_waiting_messages{relation="customers.id"} 2"#, "django_kafka_waiting_resolved_total 0"]
        {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        shop.execute("INSERT INTO customers VALUES (5, 'from elsewhere')");
        shop.wait_for_orders(&["1→5:10"]);
        wait_for_answer(&address, "/metrics", "\ndjango_kafka_waiting_resolved_total 1\n").await;

        // One that only looks opens nothing, so it has the same settings; a second daemon has to be given others.
        let looked = listening(&["waiting", "list"]).output().unwrap();
        assert!(looked.status.success(), "{looked:?}");
        let second = listening(&["resolve-relations"]).output().unwrap();
        let why = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(1), "{why}");
        assert!(why.contains(&format!("`metrics.listen`: cannot listen at {address}: ")), "{why}");
        daemon.end();
    })
    .await;
}

/// Asks until the answer has this.
async fn wait_for_answer(address: &str, path: &str, wanted: &str) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = reqwest::get(format!("http://{address}{path}")).await;
        let last = match answer {
            Ok(answer) => answer.text().await.unwrap(),
            Err(error) => format!("{error}"),
        };
        if last.contains(wanted) {
            return last;
        }
        assert!(Instant::now() < deadline, "{path} has no {wanted}: {last}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_daemon_hears_of_rows_that_other_processes_write() {
    let Ok(url) = std::env::var("DATABASE_URL") else { return eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL") };
    let shop = Shop::new(Store::Postgres(url, format!("dk_waiting_{}_heard", std::process::id())));
    // By itself it would look when the test is long over.
    let daemon = shop.start(&["resolve-relations"], "3600");
    let sold = async |id, customer| {
        shop.order(id, customer, 10).await;
        shop.consume();
        assert_eq!(shop.numbers().len(), 1);
        shop.customer(customer).await;
        shop.run(0, &["consume", "Crm", "--until-end"]);
    };
    let listener = shop.wait_for_listener();
    sold(1, 5).await;
    shop.wait_for_orders(&["1→5:10"]);
    sold(2, 6).await;
    shop.wait_for_orders(&["1→5:10", "2→6:10"]);

    // A session that the server ends is opened again, and what came in between is not missed.
    shop.execute(&format!("SELECT pg_terminate_backend({listener})"));
    sold(3, 7).await;
    shop.wait_for_orders(&["1→5:10", "2→6:10", "3→7:10"]);
    assert_ne!(shop.wait_for_listener(), listener);
    sold(4, 8).await;
    shop.wait_for_orders(&["1→5:10", "2→6:10", "3→7:10", "4→8:10"]);
    daemon.end();
}
