//! `kafka_skip`: who writes a row says whether connectors are to tell of it. On SQLite, and on PostgreSQL where
//! `DATABASE_URL` names one.

use std::io::Write as _;

use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use django_kafka_rs::db::DbConn;
use django_kafka_rs::prelude::*;
use django_kafka_rs::producer::Suppression;
use django_kafka_rs::settings::Settings;
use django_kafka_rs::testing::TestApp;

diesel::table! { fish (id) { id -> BigInt, name -> Text, pond -> Nullable<Text>, kafka_skip -> Bool, } }
diesel::table! { fish_log (line) { line -> Text, } }

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("skip_migrations");

#[topic(name = "fish", register = false)]
#[derive(Debug, Clone, Queryable, Selectable, Identifiable, AsChangeset, DbzConsumer, KafkaConnectSkip)]
#[diesel(table_name = fish)]
struct Fish {
    id: i64,
    name: String,
    pond: Option<String>,
    kafka_skip: KafkaSkip,
}

impl Fish {
    fn named(name: &str) -> Self {
        Self { id: 1, name: name.to_owned(), pond: Some("old".to_owned()), kafka_skip: KafkaSkip::default() }
    }
}

/// A column that only PostgreSQL has: the model is saved there, and the program still compiles with SQLite.
mod only_on_postgres {
    use super::*;

    diesel::table! { tanks (id) { id -> Uuid, sizes -> Array<Integer>, kafka_skip -> Bool, } }

    #[derive(KafkaConnectSkip)]
    #[diesel(table_name = tanks)]
    pub(super) struct Tank {
        pub(super) id: uuid::Uuid,
        pub(super) sizes: Vec<i32>,
        pub(super) kafka_skip: KafkaSkip,
    }
}

#[consumer(group = "fish", topics(Fish))]
struct Sync;

/// The same steps with each connection: its queries are generic over none of them.
macro_rules! steps {
    ($conn:expr) => {{
        let conn: &mut _ = $conn;
        let mut seen: Vec<String> = Vec::new();
        macro_rules! look {
            ($what:literal) => {{
                let rows = fish::table.order(fish::id).select((fish::name, fish::pond, fish::kafka_skip));
                let rows: Vec<(String, Option<String>, bool)> = rows.load(conn)?;
                let rows = rows
                    .iter()
                    .map(|(name, pond, skip)| format!("{name}/{}/{}", pond.as_deref().unwrap_or("-"), u8::from(*skip)));
                seen.push(format!("{}: {}", $what, rows.collect::<Vec<_>>().join(" ")));
            }};
        }
        let mut ann = Fish::named("ann");
        ann.save(conn)?;
        look!("saved");
        ann.kafka_skip.set(true);
        ann.pond = None;
        ann.save(conn)?;
        look!("set");
        ann.save(conn)?;
        look!("saved again");
        Fish::update_rows(fish::table.find(1), fish::kafka_skip.eq(true)).execute(conn)?;
        look!("marked");
        Fish::update_rows(fish::table.find(1), (fish::name.eq("bob"), fish::pond.eq("new"))).execute(conn)?;
        look!("updated");
        Fish::update_rows(&ann, (fish::name.eq("cat"), fish::kafka_skip.eq(true))).execute(conn)?;
        look!("the changes say so");
        let mut loaded: Fish = fish::table.select(Fish::as_select()).first(conn)?;
        assert!(loaded.kafka_skip == true && !loaded.kafka_skip.is_set() && !loaded.kafka_skip.goes_out());
        Fish::update_rows(fish::table, &loaded).execute(conn)?;
        look!("what was loaded is not written back");
        Suppression::all().sync_scope(|| {
            loaded.save(conn)?;
            look!("suppressed");
            Fish::update_rows(fish::table, fish::name.eq("dan")).execute(conn)?;
            look!("suppressed too");
            QueryResult::Ok(())
        })?;
        loaded.save(conn)?;
        look!("lifted");
        let nothing: Option<diesel::dsl::Eq<fish::name, &str>> = None;
        seen.push(Fish::update_rows(fish::table, nothing).execute(conn).unwrap_err().to_string());
        assert_eq!(Fish::delete_rows(fish::table.find(1)).execute(conn)?, 1);
        Fish::named("eve").save(conn)?;
        assert_eq!(Fish::delete_rows(&Fish::named("eve")).emitted().execute(conn)?, 1);
        look!("deleted");
        let log: Vec<String> = fish_log::table.select(fish_log::line).load(conn)?;
        seen.push(log.join(" "));
        QueryResult::Ok(seen)
    }};
}

const SEEN: &[&str] = &[
    "saved: ann/old/0",
    "set: ann/-/1",
    "saved again: ann/-/0",
    "marked: ann/-/1",
    "updated: bob/new/0",
    "the changes say so: cat/new/1",
    "what was loaded is not written back: cat/new/0",
    "suppressed: cat/new/1",
    "suppressed too: dan/new/1",
    "lifted: cat/new/0",
    "There are no changes to save. This query cannot be built",
    "deleted: ",
    "-cat:1 -eve:0",
];

/// Notes each deletion, with the mark that the row had.
const LOG_ON_SQLITE: &str = "CREATE TRIGGER log_deletions AFTER DELETE ON fish BEGIN
    INSERT INTO fish_log VALUES ('-' || OLD.name || ':' || OLD.kafka_skip); END;";
const LOG_ON_POSTGRES: &str = "
    CREATE FUNCTION log_deletion() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO fish_log VALUES ('-' || OLD.name || ':' || OLD.kafka_skip::int); RETURN NULL; END $$;
    CREATE TRIGGER log_deletions AFTER DELETE ON fish FOR EACH ROW EXECUTE FUNCTION log_deletion();";

fn postgres() -> Option<String> {
    let url = std::env::var("DATABASE_URL").ok();
    if url.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: `kafka_skip` on PostgreSQL: set DATABASE_URL");
    }
    url
}

fn app() -> App {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    App::builder().consumer(Sync).migrations(MIGRATIONS).settings(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_counts_for_one_write_on_sqlite() {
    let app = TestApp::start(app()).await.unwrap();
    let seen = app.sqlite(|conn| {
        conn.batch_execute(LOG_ON_SQLITE)?;
        steps!(conn)
    });
    assert_eq!(seen.await.unwrap(), SEEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_counts_for_one_write_on_postgres() {
    let Some(url) = postgres() else { return };
    let app = TestApp::start_with_postgres(app(), &url).await.unwrap();
    let seen = app.pg(|conn| {
        conn.batch_execute(LOG_ON_POSTGRES)?;
        steps!(conn)
    });
    assert_eq!(seen.await.unwrap(), SEEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_have_columns_that_sqlite_has_not() {
    let Some(url) = postgres() else { return };
    let app = TestApp::start_with_postgres(app(), &url).await.unwrap();
    app.pg(|conn| {
        conn.batch_execute(
            "CREATE TABLE tanks (id uuid PRIMARY KEY, sizes int[] NOT NULL, kafka_skip boolean NOT NULL)",
        )?;
        let mut tank = only_on_postgres::Tank { id: uuid::Uuid::nil(), sizes: vec![1, 2], kafka_skip: true.into() };
        tank.save(conn)?;
        tank.save(conn)?;
        use only_on_postgres::tanks;
        let rows: Vec<(Vec<i32>, bool)> = tanks::table.select((tanks::sizes, tanks::kafka_skip)).load(conn)?;
        assert_eq!(rows, [(vec![1, 2], false)]);
        QueryResult::Ok(())
    })
    .await
    .unwrap();
}

// ---- In a handler, whichever database it is

#[topic(name = "renames", register = false)]
struct Renames;
impl TopicConsumer for Renames {
    async fn consume(&self, _: &Record<Self>, cx: &Context) -> ConsumeResult {
        let seen = cx.db(|conn: &mut DbConn| steps!(conn)).await?;
        assert_eq!(&seen[..12], &SEEN[..12]);
        Ok(())
    }
}
#[consumer(group = "renames", topics(Renames))]
struct Rename;

#[tokio::test(flavor = "multi_thread")]
async fn handlers_have_it_whichever_database_it_is() {
    let app = TestApp::start(App::builder().consumer(Rename).migrations(MIGRATIONS)).await.unwrap();
    app.produce("renames", "a", "b").await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(app.dead_letters("renames").await.unwrap(), []);
}

// ---- Syncs

/// Sends a few changes whose `kafka_skip` says something else.
async fn sync(app: &TestApp) {
    let key = |id: i64| format!(r#"{{"id":{id}}}"#);
    for id in 1..=3 {
        let value = format!(r#"{{"id":{id},"name":"n{id}","pond":"p","kafka_skip":false}}"#);
        app.produce("fish", key(id), value).await.unwrap();
    }
    app.settle().await.unwrap();
}

async fn delete(app: &TestApp) {
    app.produce("fish", r#"{"id":1}"#, r#"{"id":1,"__deleted":"true"}"#).await.unwrap();
    app.produce("fish", r#"{"id":2}"#, ()).await.unwrap();
    app.produce("fish", r#"{"id":3}"#, r#"{"id":3,"name":"part"}"#).await.unwrap();
    app.settle().await.unwrap();
}

type Rows = Vec<(i64, String, Option<String>, bool)>;

#[tokio::test(flavor = "multi_thread")]
async fn syncs_mark_what_they_write_and_delete_on_sqlite() {
    let app = TestApp::start(app()).await.unwrap();
    app.sqlite(|conn| conn.batch_execute(LOG_ON_SQLITE)).await.unwrap();
    sync(&app).await;
    let rows: Rows = app.sqlite(|conn| fish::table.order(fish::id).load(conn)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.3).collect::<Vec<_>>(), [true; 3]);
    // The application writes since.
    app.sqlite(|conn| Fish::update_rows(fish::table, fish::pond.eq("app")).execute(conn)).await.unwrap();
    delete(&app).await;
    let rows: Rows = app.sqlite(|conn| fish::table.load(conn)).await.unwrap();
    assert_eq!(rows, [(3, "part".to_owned(), Some("app".to_owned()), true)]);
    let log: Vec<String> =
        app.sqlite(|conn| fish_log::table.select(fish_log::line).order(fish_log::line).load(conn)).await.unwrap();
    assert_eq!(log, ["-n1:1", "-n2:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_mark_what_they_write_and_delete_on_postgres() {
    let Some(url) = postgres() else { return };
    // Together, and one after the other, as tables with triggers are written.
    for log in [false, true] {
        let app = TestApp::start_with_postgres(app(), &url).await.unwrap();
        if log {
            app.pg(|conn| conn.batch_execute(LOG_ON_POSTGRES)).await.unwrap();
        }
        sync(&app).await;
        let rows: Rows = app.pg(|conn| fish::table.order(fish::id).load(conn)).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.3).collect::<Vec<_>>(), [true; 3]);
        app.pg(|conn| Fish::update_rows(fish::table, fish::pond.eq("app")).execute(conn)).await.unwrap();
        delete(&app).await;
        let rows: Rows = app.pg(|conn| fish::table.load(conn)).await.unwrap();
        assert_eq!(rows, [(3, "part".to_owned(), Some("app".to_owned()), true)]);
        let log_lines: Vec<String> =
            app.pg(|conn| fish_log::table.select(fish_log::line).order(fish_log::line).load(conn)).await.unwrap();
        assert_eq!(log_lines, if log { vec!["-n1:1", "-n2:1"] } else { vec![] });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_takes_off_marks_that_a_statement_does_not_set() {
    let Some(url) = postgres() else { return };
    let app = TestApp::start_with_postgres(app(), &url).await.unwrap();
    // Twice: a migration may be run again.
    for _ in 0..2 {
        app.pg(|conn| conn.batch_execute(&Fish::kafka_skip_trigger())).await.unwrap();
    }
    sync(&app).await;
    let marks = async |sql: &'static str| -> Vec<bool> {
        app.pg(move |conn| {
            conn.batch_execute(sql)?;
            fish::table.order(fish::id).select(fish::kafka_skip).load(conn)
        })
        .await
        .unwrap()
    };
    assert_eq!(marks("SELECT 1").await, [true, true, true]);
    assert_eq!(marks("UPDATE fish SET name = 'sql' WHERE id = 1").await, [false, true, true]);
    assert_eq!(marks("UPDATE fish SET kafka_skip = true WHERE id < 3").await, [true, true, true]);
    assert_eq!(marks("UPDATE fish SET kafka_skip = true").await, [true, true, true]);
    assert_eq!(marks("UPDATE fish SET kafka_skip = false, name = 'x' WHERE id = 2").await, [true, false, true]);
    let upsert = "INSERT INTO fish VALUES (3, 'up', NULL, true) ON CONFLICT (id) DO UPDATE SET ";
    assert_eq!(marks(Box::leak(format!("{upsert} name = 'up'").into_boxed_str())).await, [true, false, false]);
    let again = "kafka_skip = excluded.kafka_skip";
    assert_eq!(marks(Box::leak(format!("{upsert} {again}").into_boxed_str())).await, [true, false, true]);
    // The sync sets it anew, also where it was true before.
    sync(&app).await;
    assert_eq!(marks("SELECT 1").await, [true, true, true]);
}
