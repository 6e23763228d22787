//! One broker and one database, and members that come, go, and die.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::prelude::*;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs::{Handle, StartError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations_exactly_once");
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// Runs an asynchronous test on each backend.
macro_rules! on_each_backend {
    ($($test:ident),* $(,)?) => { $(
        mod $test {
            use super::super::stage::{Backend, Stage};

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                super::$test(Stage::new(Backend::Sqlite).await.unwrap()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                if let Some(stage) = Stage::new(Backend::Postgres).await {
                    super::$test(stage).await;
                }
            }
        }
    )* };
}
pub(super) use on_each_backend;

/// A broker with topics of one partition, and a database with the tables.
pub(super) struct Stage {
    pub(super) broker: TestApp,
    database: Database,
}

enum Database {
    Sqlite { url: String, _folder: tempfile::TempDir },
    Postgres { server: String, schema: String },
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite { url, .. } => url.clone(),
            Self::Postgres { server, schema } => format!("{server}?options=-csearch_path%3D{schema}"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres { server, schema } = self {
            let drop = format!("SET lock_timeout = '10s'; DROP SCHEMA {schema} CASCADE");
            // What is left behind says by its name what it is.
            let _ = PgConnection::establish(server).map(|mut conn| conn.batch_execute(&drop));
        }
    }
}

#[topic(name = "nobody", register = false)]
struct Nobody;
impl TopicConsumer for Nobody {
    async fn consume(&self, _record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        Ok(())
    }
}

// The topics of the tests. The embedded broker creates them for its host alone; members would wait for it in vain.
#[topic(name = "steps", register = false)]
struct Steps;
#[topic(name = "crm.steps.retry.1", register = false)]
struct StepsRetry1;
#[topic(name = "crm.steps.retry.2", register = false)]
struct StepsRetry2;
#[topic(name = "crm.steps.dlt", register = false)]
struct StepsDead;
#[topic(name = "blocking", register = false)]
struct Blocking;
#[topic(name = "crm.blocking.dlt", register = false)]
struct BlockingDead;
#[topic(name = "items", register = false)]
struct Items;
#[topic(name = "crm.items.retry.1", register = false)]
struct ItemsRetry1;
#[topic(name = "crm.items.dlt", register = false)]
struct ItemsDead;
#[topic(name = "children", register = false)]
struct Children;
#[topic(name = "crm.children.dlt", register = false)]
struct ChildrenDead;

fn declared(app: App) -> App {
    app.declare::<Steps>()
        .declare::<StepsRetry1>()
        .declare::<StepsRetry2>()
        .declare::<StepsDead>()
        .declare::<Blocking>()
        .declare::<BlockingDead>()
        .declare::<Items>()
        .declare::<ItemsRetry1>()
        .declare::<ItemsDead>()
        .declare::<Children>()
        .declare::<ChildrenDead>()
}

/// The broker's host has to consume something.
#[consumer(group = "host", topics(Nobody))]
struct Host;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

impl Stage {
    /// `None`, said loudly: there is no PostgreSQL.
    pub(super) async fn new(backend: Backend) -> Option<Self> {
        let database = match backend {
            Backend::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                Database::Sqlite { url: folder.path().join("rows.sqlite3").display().to_string(), _folder: folder }
            }
            Backend::Postgres => {
                let Ok(server) = std::env::var("DATABASE_URL") else {
                    eprintln!("SKIPPED: DATABASE_URL names no PostgreSQL");
                    return None;
                };
                let micros = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
                let schema = format!("dk_exactly_once_{}_{micros}", std::process::id());
                let mut conn = PgConnection::establish(&server).unwrap();
                conn.batch_execute(&format!("CREATE SCHEMA {schema}")).unwrap();
                Database::Postgres { server, schema }
            }
        };
        let mut settings = Settings::default();
        settings.database_url = Some(database.url());
        settings.embedded.partitions = 1;
        let host = declared(App::builder().consumer(Host)).settings(settings).migrations(MIGRATIONS);
        let broker = TestApp::start(host).await.unwrap();
        Some(Self { broker, database })
    }

    /// Settings of a member.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.database_url = Some(self.database.url());
        settings.polling_frequency = Duration::from_millis(20);
        let servers = self.broker.handle().embedded_bootstrap_servers().unwrap();
        settings.global_config.set("bootstrap.servers", servers);
        for (property, value) in [
            ("auto.offset.reset", "earliest"),
            ("session.timeout.ms", "1300"),
            ("heartbeat.interval.ms", "50"),
            ("fetch.wait.max.ms", "10"),
            ("topic.metadata.refresh.interval.ms", "200"),
            ("auto.commit.interval.ms", "100"),
        ] {
            settings.consumer_config.set(property, value);
        }
        settings.retry_consumer_config.set("topic.metadata.refresh.interval.ms", "200");
        settings
    }

    /// Starts a member, in a runtime of its own.
    pub(super) async fn join(&self, app: App) -> Member {
        self.join_with(app, self.settings()).await.unwrap()
    }

    pub(super) async fn join_with(&self, app: App, settings: Settings) -> Result<Member, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let started = runtime.spawn(app.settings(settings).start()).await.unwrap();
        match started {
            Ok(handle) => Ok(Member { runtime: Some(runtime), handle }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(super) async fn produce(&self, topic: &str, value: &str) {
        self.broker.produce_with(topic, value, value, Headers::new(), Some(0)).await.unwrap();
    }

    /// Runs statements on a connection of the test's own.
    pub(super) fn sql(&self, statements: &str) {
        match &self.database {
            Database::Sqlite { .. } => self.sqlite().batch_execute(statements).unwrap(),
            Database::Postgres { .. } => self.postgres().batch_execute(statements).unwrap(),
        }
    }

    /// The rows of a query with the one column `line`.
    pub(super) fn lines(&self, query: &str) -> Vec<String> {
        let query = diesel::sql_query(query);
        let lines: Vec<Line> = match &self.database {
            Database::Sqlite { .. } => query.load(&mut self.sqlite()).unwrap(),
            Database::Postgres { .. } => query.load(&mut self.postgres()).unwrap(),
        };
        lines.into_iter().map(|line| line.line).collect()
    }

    /// The effects so far, sorted.
    pub(super) fn effects(&self) -> Vec<String> {
        self.lines("SELECT name AS line FROM effects ORDER BY name")
    }

    /// How many messages of each topic are handled, as `group topic number`.
    pub(super) fn positions(&self) -> Vec<String> {
        self.lines(
            r#"SELECT "group" || ' ' || topic || ' ' || sum("offset") AS line FROM django_kafka_offset
               GROUP BY "group", topic HAVING sum("offset") > 0 ORDER BY "group", topic"#,
        )
    }

    /// How many messages are on their way to other topics.
    pub(super) fn outgoing(&self) -> String {
        self.lines("SELECT CAST(count(*) AS TEXT) AS line FROM django_kafka_outgoing").remove(0)
    }

    /// Waits until the query's lines are these.
    pub(super) async fn until(&self, query: impl Fn(&Self) -> Vec<String>, wanted: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            looks.tick().await;
            let found = query(self);
            if found == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "wanted {wanted:?}, found {found:?}");
        }
    }

    pub(super) async fn until_effects(&self, wanted: &[&str]) {
        self.until(Self::effects, wanted).await;
    }

    pub(super) fn sqlite(&self) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(&self.database.url()).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
        conn
    }

    fn postgres(&self) -> PgConnection {
        PgConnection::establish(&self.database.url()).unwrap()
    }
}

/// A process of the group, as far as one process can play several.
pub(super) struct Member {
    runtime: Option<tokio::runtime::Runtime>,
    pub(super) handle: Handle,
}

impl Member {
    /// Ends in order.
    pub(super) async fn leave(mut self) {
        self.handle.shutdown().await.unwrap();
        self.end();
    }

    /// Dies: its tasks stop where they are. (Its threads go on to the end of what they are at.)
    pub(super) fn die(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.end();
    }
}
