//! The command `connect` against Kafka Connect: `src/bin/connectors.rs` declares the connectors.

use std::path::Path;

use rdkafka::Message as _;
use serde_json::{Value, json};

use crate::harness::{
    Broker, Gateway, OwnStack, Postgres, Published, Replica, ServiceConfig, address, compare, fresh_name, is_passing,
    wait_for,
};

/// A program whose connectors nobody else has.
struct Scene {
    name: String,
    folder: tempfile::TempDir,
    published: Published,
    program: ServiceConfig,
}

impl Scene {
    fn new() -> Self {
        Self::named(fresh_name("con"))
    }

    /// Made after the broker and the database of a test, so that it goes first: connectors hold a slot of their
    /// database, and create their topics again.
    fn named(name: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lines.txt"), "one\ntwo\n").unwrap();
        let program = program(&name, folder.path(), &address("CONNECT_URL"));
        Self { published: Published { prefix: name.clone() }, name, folder, program }
    }

    fn topic(&self) -> String {
        format!("{}-lines", self.name)
    }

    /// Runs `connect …` to a good end.
    fn connect(&self, arguments: &str) -> String {
        let (code, output, stderr) = self.outcome(arguments);
        assert_eq!(code, 0, "{arguments}: {output}{stderr}");
        output
    }

    fn outcome(&self, arguments: &str) -> (i32, String, String) {
        outcome(&self.program, arguments)
    }
}

fn program(name: &str, folder: &Path, connect: &str) -> ServiceConfig {
    ServiceConfig::of(env!("CARGO_BIN_EXE_connectors"), folder)
        .set("CONNECT_HOST", connect)
        .set("CONNECTOR_NAME_PREFIX", name)
        .set("TOPIC_VARIABLES__OLD_LINES", "OldLines")
        .set("LINES__TOPIC", format!("{name}-lines"))
        .set("CRM__PREFIX", name)
        .set("CRM__SLOT", name)
        .variable("LINES_FILE", folder.join("lines.txt").display().to_string())
}

fn outcome(program: &ServiceConfig, arguments: &str) -> (i32, String, String) {
    let arguments: Vec<&str> = std::iter::once("connect").chain(arguments.split_whitespace()).collect();
    program.outcome(&arguments)
}

#[test]
fn a_connector_is_validated_published_and_runs() {
    let name = fresh_name("con");
    let broker = Broker::new(&name);
    let scene = Scene::named(name);
    let plan = scene.connect("Lines --publish --dry-run");
    assert!(plan.contains("would create") && plan.contains("+ file = env(LINES_FILE)"), "{plan}");
    assert_eq!(scene.published.config("Lines"), None);

    // From nothing through 404 and UNASSIGNED to RUNNING.
    let output = scene.connect("Lines --validate --publish --check-status");
    assert!(output.contains("validate  Lines: ok\n"), "{output}");
    assert!(output.contains(&format!("publish   Lines: created as `{}.Lines`\n", scene.name)), "{output}");
    assert!(output.contains("status    Lines: RUNNING on "), "{output}");
    let config = scene.published.config("Lines").unwrap();
    assert_eq!(config["batch.size"], "100", "{config}");
    wait_for("the file's lines come", || {
        let ends = broker.ends(&scene.topic())?;
        if ends.iter().sum::<i64>() == 2 { Ok(()) } else { Err(format!("{ends:?}")) }
    });

    assert_eq!(scene.connect("Lines --publish"), "publish   Lines: nothing changed\n");
    let longer = scene.program.clone().set("LINES__TOPIC", format!("{}-more", scene.topic()));
    let (code, output, _) = outcome(&longer, "Lines --publish --check-status");
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("updated") && output.contains("~ topic = setting(lines.topic) (before: ***)"), "{output}");
}

#[test]
fn a_connector_is_paused_resumed_and_restarted() {
    let scene = Scene::new();
    let absent = scene.outcome("pause Lines");
    assert_eq!(absent.0, 1, "{absent:?}");
    assert!(absent.1.contains("it is not there: publish it"), "{absent:?}");
    scene.connect("Lines --publish --check-status");
    assert!(scene.connect("pause Lines").contains("PAUSED"));
    let (code, output, _) = scene.outcome("Lines --check-status");
    assert_eq!(code, 1);
    assert!(output.contains("it is PAUSED: `connect resume Lines` lets it run"), "{output}");
    assert!(scene.connect("resume Lines").contains("RUNNING"));
    assert!(scene.connect("restart Lines").contains("RUNNING"));
    let steps: Value = serde_json::from_str(&scene.connect("restart Lines --only-failed --json")).unwrap();
    assert_eq!((&steps[0]["ok"], &steps[0]["status"]["state"]), (&json!(true), &json!("RUNNING")), "{steps}");
}

#[test]
fn what_kafka_connect_refuses_is_named_key_by_key_and_stops_no_other() {
    let scene = Scene::new();
    let program = scene.program.clone().variable("TASKS", "many");
    let (code, output, stderr) = outcome(&program, "Refused Unknown Lines --validate --publish");
    assert_eq!(code, 1, "{output}");
    assert!(stderr.contains("error: 2 of 3 connectors failed"), "{stderr}");
    for part in [
        "validate  Refused: FAILED: 2 keys are not right\n    tasks.max: ",
        "    topic: ",
        "warning: `batch.siz` is no key of this class, and ignored; did you mean `batch.size`?",
        "validate  Unknown: FAILED: Kafka Connect has no class `org.apache.kafka.connect.file.FileStreamSource`; did you \
         mean `org.apache.kafka.connect.file.FileStreamSourceConnector`?",
        "publish   Refused: skipped",
        "publish   Lines: created",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("never-to-be-seen") && !output.contains("many"), "{output}");
    assert_eq!(scene.published.config("Refused"), None);
    // Kafka Connect refuses it by itself too.
    let (code, output, _) = outcome(&program, "Refused --publish --ignore-failures");
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("publish   Refused: FAILED: Kafka Connect answers 400"), "{output}");
    assert!(output.contains("1 of 1 connectors failed; ignored"), "{output}");
    assert!(!output.contains("many"), "{output}");
}

#[test]
fn what_is_missing_is_said_together_and_nothing_is_sent() {
    let scene = Scene::new();
    let (code, output, stderr) = scene.outcome("Lines Refused Crm --publish");
    assert_eq!((code, output.as_str()), (2, ""), "{stderr}");
    for variable in ["TASKS", "DB_HOST", "DB_PASSWORD"] {
        assert!(stderr.contains(&format!("the environment variable `{variable}` is not set")), "{stderr}");
    }
    assert_eq!(scene.published.config("Lines"), None);
}

#[test]
fn a_task_that_fails_is_reported_with_its_cause() {
    let scene = Scene::new();
    let (code, output, _) = scene.outcome("Failing --publish --check-status");
    assert_eq!(code, 1, "{output}");
    for part in [
        "status    Failing: FAILED: 1 of 1 tasks failed",
        "`connect restart Failing --only-failed`",
        "    RUNNING on ",
        "    task 0: FAILED on ",
        "Couldn't find or create file '/nowhere/at/all'",
        "      Caused by: java.nio.file.NoSuchFileException: /nowhere/at/all",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("\tat "), "{output}");
}

#[test]
fn a_connector_that_is_marked_for_removal_goes() {
    let scene = Scene::new();
    let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    let file = scene.folder.path().join("lines.txt").display().to_string();
    scene.published.put("OldLines", &json!({ "connector.class": class, "topic": scene.topic(), "file": file }));
    let plan = scene.connect("OldLines --validate --publish --dry-run --check-status");
    assert!(plan.contains("would remove") && plan.contains("status    OldLines: skipped"), "{plan}");
    assert!(scene.published.config("OldLines").is_some());
    assert!(scene.connect("OldLines --publish").contains("removed"));
    assert_eq!(scene.published.config("OldLines"), None);
    assert!(scene.connect("OldLines --publish").contains("to be removed, and not there"));
}

#[test]
fn two_connectors_of_one_name_are_refused_at_start() {
    let scene = Scene::new();
    let program = scene.program.clone().set("TOPIC_VARIABLES__OLD_LINES", "Lines");
    let (code, _, stderr) = outcome(&program, "--list");
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains(&format!("another connector has the name `{}.Lines` too", scene.name)), "{stderr}");
}

#[test]
fn a_gateway_that_asks_for_a_login_is_told_it() {
    let scene = Scene::new();
    let gateway = Gateway::start(&address("CONNECT_URL"), "publisher", "gateway-secret");
    let through = program(&scene.name, scene.folder.path(), gateway.address());
    let (code, output, stderr) = outcome(&through, "Lines --publish");
    assert_eq!(code, 1, "{output}{stderr}");
    assert!(output.contains("refuses to be asked without a login: set `connect_auth`"), "{output}");
    let wrong = through.clone().set("CONNECT_AUTH", "publisher:guessed-secret");
    let (_, output, stderr) = outcome(&wrong, "Lines --publish");
    assert!(output.contains("refuses this login"), "{output}");
    assert!(!format!("{output}{stderr}").contains("guessed-secret"), "{output}{stderr}");

    let known = through.set("CONNECT_AUTH__USERNAME", "publisher").set("CONNECT_AUTH__PASSWORD", "gateway-secret");
    let known = known.set("CONNECT_RETRY__BACKOFF_FACTOR", "10ms");
    gateway.refuse(3);
    let before = gateway.seen();
    let (code, output, stderr) = outcome(&known, "Lines --validate --publish --check-status");
    assert_eq!(code, 0, "{output}{stderr}");
    assert!(output.contains("created") && output.contains("RUNNING"), "{output}");
    assert!(stderr.contains("503 Service Unavailable"), "what is tried again is in the log: {stderr}");
    assert!(!format!("{output}{stderr}").contains("gateway-secret"), "{output}{stderr}");
    assert!(gateway.seen() >= before + 3 + 4);
    gateway.refuse(1);
    let (_, check, _) = known.outcome(&["check"]);
    assert!(check.contains("connect       Kafka Connect 4.") && !check.contains("gateway-secret"), "{check}");
}

#[test]
fn workers_that_are_away_are_waited_for() {
    let stack = OwnStack::start(&["kafka", "connect"]);
    let scene = Scene::new();
    let own = program(&scene.name, scene.folder.path(), &stack.connect_url());
    let (code, output, stderr) = outcome(&own, "Lines --publish --check-status");
    assert_eq!(code, 0, "{output}{stderr}");

    stack.down(&["connect"]);
    let hasty = own.clone().set("CONNECT_RETRY__CONNECT", "0");
    let (code, output, _) = outcome(&hasty, "Lines Failing --check-status");
    assert_eq!(code, 1);
    assert!(output.contains("status    Lines: FAILED: Kafka Connect at `http://127.0.0.1:"), "{output}");
    assert!(output.contains("cannot be reached: Connection refused"), "{output}");
    assert!(output.contains("status    Failing: FAILED: not asked, after the failure above"), "{output}");

    // It comes back while the command is waiting.
    let patient = own.set("CONNECT_RETRY__CONNECT", "100").set("CONNECT_RETRY__BACKOFF_MAX", "1s");
    let mut waiting = patient.start("waiting", &["connect", "Lines", "--check-status"]);
    waiting.wait_for_log("is tried again in");
    stack.up(&["connect"]);
    wait_for("the command finds them", || {
        let output = waiting.output().join("\n");
        if output.contains("status    Lines: RUNNING on ") { Ok(()) } else { Err(output) }
    });
}

/// What [`debezium::Events`](django_kafka_rs::connect::debezium::Events) gives is what derived consumers need: rerouted
/// tables of two schemas, and rows that a sync wrote stay away.
#[test]
fn the_configuration_for_debezium_serves_derived_consumers() {
    let name = fresh_name("con");
    let broker = Broker::new(&name);
    let source = Postgres::create(&name);
    let scene = Scene::named(name.clone());
    let name = &name;
    source.sql(
        "create schema north; create schema south;
         create table north.notes (id bigint primary key, note text);
         create table south.notes (id bigint primary key, note text default 'given', extra int);
         create table marked (id bigint primary key, name text, kafka_skip boolean not null default false);
         alter table marked replica identity full;
         insert into north.notes values (1, 'snapshot');",
    );
    let topic = format!("{name}.notes");
    let mut program = scene.program.clone().set("LINES__TOPIC", &topic);
    for ((_, value), variable) in source.parts().iter().zip(["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"])
    {
        program = program.variable(variable, value);
    }
    let (mut code, output, stderr) = outcome(&program, "Crm --validate --publish --check-status");
    assert!(output.contains("+ database.password = env(DB_PASSWORD)"), "{output}");
    // As the command itself advises.
    let mut status = format!("{output}{stderr}");
    wait_for("the connector runs", || {
        assert!(code == 0 || is_passing(&status), "{status}");
        if code == 0 {
            return Ok(());
        }
        let (again, output, stderr) = outcome(&program, "restart Crm --only-failed");
        (code, status) = (again, format!("{output}{stderr}"));
        Err(status.clone())
    });
    wait_for("the snapshot is taken", || {
        let ends = broker.ends(&topic)?;
        if ends.iter().sum::<i64>() == 1 { Ok(()) } else { Err(format!("{ends:?}")) }
    });
    source.sql(
        "insert into south.notes values (1, null, 7), (2, 's2', 8); update south.notes set extra = null where id = 2;
         insert into north.notes values (2, 'n2'); delete from north.notes where id = 2;
         insert into marked values (1, 'one', false), (2, 'two', true); update marked set name = 'uno' where id = 1;
         update marked set kafka_skip = true where id = 1; delete from marked where id = 1;
         insert into marked values (3, 'three', false); delete from marked where id = 3;",
    );
    let replica = Replica::postgres(name);
    replica.sql(
        "create table north_notes (id bigint primary key, note text);
         create table south_notes (id bigint primary key, note text, extra int);",
    );
    let mirror = ServiceConfig::new(scene.folder.path())
        .set("GLOBAL_CONFIG__BOOTSTRAP_SERVERS", broker.servers())
        .set("DATABASE_URL", replica.url())
        .set("TOPIC_VARIABLES__PREFIX", name)
        .migrated();
    let service = mirror.start("service", &["consume", "Notes"]);
    wait_for("both replicas are equal to their sources", || {
        compare(&source.rows("north.notes", "id, note"), &replica.rows("north_notes", &["id", "note"]))?;
        compare(&source.rows("south.notes", "id, note, extra"), &replica.rows("south_notes", &["id", "note", "extra"]))
    });
    service.end();

    let marked = format!("{name}.public.marked");
    wait_for("the unmarked changes have come", || {
        let ends = broker.ends(&marked)?;
        if ends.iter().sum::<i64>() >= 4 { Ok(()) } else { Err(format!("{ends:?}")) }
    });
    let rows: Vec<String> = broker
        .read(&marked)
        .iter()
        .map(|message| {
            let row: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
            format!("{} {} {}", row["id"], row["name"], row["__deleted"])
        })
        .collect();
    assert_eq!(rows, [r#"1 "one" "false""#, r#"1 "uno" "false""#, r#"3 "three" "false""#, r#"3 "three" "true""#]);
}
