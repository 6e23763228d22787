//! A service as a process of its own: the command line, exit codes, signals, restarts. The broker is in this process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use django_kafka_rs::embedded::EmbeddedBroker;
use django_kafka_rs::producer::Kafka;
use django_kafka_rs::settings::Settings;
use expect_test::{Expect, expect};

const DEADLINE: Duration = Duration::from_secs(30);

mod topics {
    use django_kafka_rs::prelude::*;

    // Producers of what the service consumes.
    #[topic(name = "shop.customers", key = serde_json::Value, value = serde_json::Value)]
    pub(super) struct Customers;
    #[topic(name = "shop.commands")]
    pub(super) struct Commands;
}

/// A broker, a folder with a database, and what a service needs to find both.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) broker: EmbeddedBroker,
}

struct Service {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with_topics(&["shop.customers", "shop.commands"])
    }

    pub(crate) fn with_topics(topics: &[&str]) -> Self {
        let broker = EmbeddedBroker::start(2).unwrap();
        for topic in topics {
            broker.create_topic(topic).unwrap();
        }
        Self { folder: tempfile::tempdir().unwrap(), broker }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("shop.sqlite3")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = service(self.folder.path(), arguments);
        command
            .env("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", self.broker.bootstrap_servers())
            .env("DJANGO_KAFKA__DATABASE_URL", self.database())
            .env("DJANGO_KAFKA__TOPIC_VARIABLES__PREFIX", "shop");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        finish(self.command(arguments))
    }

    fn start(&self, arguments: &[&str]) -> Service {
        Service::of(self.command(arguments))
    }

    pub(crate) fn kafka(&self) -> Kafka {
        let mut settings = Settings::default();
        settings.global_config.set("bootstrap.servers", self.broker.bootstrap_servers());
        Kafka::connect(&settings).unwrap()
    }

    pub(crate) async fn customer(&self, id: i64, name: &str) {
        let (key, value) =
            (serde_json::json!({ "id": id }), serde_json::json!({ "id": id, "name": name, "email": null }));
        self.kafka().produce(&topics::Customers, key, value).await.unwrap();
    }

    pub(crate) async fn tell(&self, command: &str) {
        self.kafka().produce(&topics::Commands, "key", command).await.unwrap();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        diesel::table! { customers (id) { id -> BigInt, name -> Text, } }
        let mut conn = SqliteConnection::establish(self.database().to_str().unwrap()).unwrap();
        customers::table.order(customers::id).select(customers::name).load(&mut conn).unwrap_or_default()
    }

    /// Polls until the table has these names.
    fn wait_for_names(&self, names: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        while self.names() != names {
            assert!(Instant::now() < deadline, "{names:?} did not come; there are {:?}", self.names());
            std::thread::yield_now();
        }
    }
}

impl Service {
    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits for a line of its output.
    fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(found) if found == line => return,
                Ok(_) => {}
                Err(error) => panic!("`{line}` did not come: {error}"),
            }
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Sends a signal again and again: two that are sent at once are one to the process.
    fn end_by_signals(mut self, signal: &str) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the service did not end");
            self.signal(signal);
        }
    }

    fn end(mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                panic!("the service did not end");
            }
            std::thread::yield_now();
        }
    }
}

fn service(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

pub(crate) fn finish(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn lines(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Code and standard error of a service that cannot start; what differs from run to run is cut out.
pub(crate) fn refused(command: Command, code: i32, expected: &Expect) {
    let (found, _, stderr) = finish(command);
    let errors: Vec<&str> = stderr.lines().skip_while(|line| !line.starts_with("error: ")).collect();
    expected.assert_eq(&errors.join("\n"));
    assert_eq!(found, code, "{stderr}");
}

#[test]
fn without_a_command_it_shows_help_and_what_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = finish(service(folder.path(), &[]));
    assert_eq!(code, 0);
    assert!(stdout.contains("Usage: service [OPTIONS] [COMMAND]"), "{stdout}");
    assert!(stdout.contains("Crm  group ${prefix}-crm  ${prefix}.customers, ${prefix}.commands"), "{stdout}");
}

#[test]
fn wrong_use_and_wrong_settings_end_with_2_and_the_remedy() {
    let place = Place::new();
    refused(place.command(&["consume", "Nope"]), 2, &expect!["error: there is no consumer `Nope`; there are: Crm"]);
    let mut no_prefix = place.command(&["consume"]);
    no_prefix.env_remove("DJANGO_KAFKA__TOPIC_VARIABLES__PREFIX");
    refused(
        no_prefix,
        2,
        &expect![[r#"
            error: the declarations are not right:
              - tests/src/bin/service.rs:14: topic `Customer`: `${prefix}.customers`: the variable `prefix` is not set; set it under `[topic_variables]` in the settings: `prefix = "…"`
              - tests/src/bin/service.rs:23: topic `Commands`: `${prefix}.commands`: the variable `prefix` is not set; set it under `[topic_variables]` in the settings: `prefix = "…"`
              - tests/src/bin/service.rs:38: consumer `Crm`: group: `${prefix}-crm`: the variable `prefix` is not set; set it under `[topic_variables]` in the settings: `prefix = "…"`"#]],
    );
    std::fs::write(place.folder.path().join("django-kafka.toml"), "clientid = 1\n[batch]\nmax = \"many\"\n").unwrap();
    refused(
        place.command(&["consume"]),
        2,
        &expect![[r#"
        error: 2 mistakes in the settings:
          django-kafka.toml:1: `clientid`: unknown setting; did you mean `client_id`?
          django-kafka.toml:3: `batch.max`: expected an integer from 1 to 1000000, found "many""#]],
    );
}

#[test]
fn what_is_not_there_ends_with_1_and_the_remedy() {
    let place = Place::new();
    refused(
        place.command(&["consume"]),
        1,
        &expect![[r#"
            error: the database's tables are not as the models need them:
              - table `customers` of model `Customer` (tests/src/bin/service.rs:15) does not exist; create it by a migration, or correct `#[diesel(table_name = …)]`
              - table `django_kafka_key_version`, which guards the order of each key's messages, does not exist; run `migrate`"#]],
    );
    let mut no_broker = place.command(&["consume"]);
    no_broker.env("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", "127.0.0.1:1");
    refused(
        no_broker,
        1,
        &expect![
            "error: the broker at `127.0.0.1:1` does not answer within 10 s: Connect to ipv4#127.0.0.1:1 failed: Connection refused; is it running, and is the address right (`bootstrap.servers`)? For a broker inside this program: `--embedded`"
        ],
    );
    let mut no_database = place.command(&["consume"]);
    no_database.env("DJANGO_KAFKA__DATABASE_URL", "sqlite:///nowhere/at/all.sqlite3");
    refused(
        no_database,
        1,
        &expect![
            "error: the database `sqlite:///nowhere/at/all.sqlite3` cannot be opened: unable to open database file; the folder must exist and be writable"
        ],
    );
}

#[tokio::test]
async fn migrate_check_and_topics_tell_how_things_stand() {
    let place = Place::new();
    let (code, stdout, _) = place.run(&["check"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("run `migrate`"), "{stdout}");
    let (code, stdout, stderr) = place.run(&["migrate"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("00000000000001_customers"), "{stdout}");
    let (code, stdout, _) = place.run(&["check"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.ends_with("everything is ready\n"), "{stdout}");
    let (code, stdout, _) = place.run(&["topics", "--json"]);
    assert_eq!(code, 0);
    let topics: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(topics[0]["name"], "shop.customers");
    assert_eq!(topics[0]["partitions"], 2);
    assert_eq!(topics[1]["name"], "shop-crm.shop.customers.dlt");
    assert_eq!(topics[1]["exists"], false);
}

#[tokio::test]
async fn until_end_handles_what_is_there_and_ends() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).0, 0);
    // The embedded broker creates topics for its own process only.
    place.broker.create_topic("shop-crm.shop.customers.dlt").unwrap();
    place.customer(1, "Ann").await;
    place.customer(2, "refused").await;
    place.customer(3, "Bob").await;
    let (code, stdout, stderr) = place.run(&["consume", "--until-end"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("done: 3 messages"), "{stdout}");
    assert!(stdout.contains("1 of them in dead letter topics"), "{stdout}");
    assert_eq!(place.names(), ["Ann", "Bob"]);
}

#[tokio::test]
async fn one_signal_finishes_and_commits() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).0, 0);
    let first = place.start(&["consume"]);
    place.customer(1, "Ann").await;
    place.wait_for_names(&["Ann"]);
    first.signal("-TERM");
    assert_eq!(first.end().code(), Some(0));
    // What was committed is not read again: the second run finds a new row only.
    place.customer(2, "Bob").await;
    let (code, stdout, _) = place.run(&["kafka_consume", "--until-end"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("done: 1 messages"), "{stdout}");
    assert_eq!(place.names(), ["Ann", "Bob"]);
}

#[tokio::test]
async fn until_end_ends_without_a_topic_that_is_not_there() {
    let place = Place::with_topics(&["shop.customers"]);
    assert_eq!(place.run(&["migrate"]).0, 0);
    place.customer(1, "Ann").await;
    let (code, stdout, stderr) = place.run(&["consume", "--until-end"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("done: 1 messages"), "{stdout}");
    let place = Place::with_topics(&[]);
    assert_eq!(place.run(&["migrate"]).0, 0);
    let (code, stdout, stderr) = place.run(&["consume", "--until-end"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("done: 0 messages"), "{stdout}");
}

#[tokio::test]
async fn a_handler_that_never_ends_is_given_up_in_order() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).0, 0);
    let mut command = place.command(&["consume"]);
    command.env("DJANGO_KAFKA__SHUTDOWN_TIMEOUT", "1");
    let first = Service::of(command);
    place.tell("hang").await;
    first.wait_for("command hang");
    first.signal("-TERM");
    assert_eq!(first.end().code(), Some(0));
    let second = place.start(&["consume"]);
    second.wait_for("command hang");
    second.signal("-KILL");
    second.end();
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_nothing_is_lost() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).0, 0);
    let first = place.start(&["consume"]);
    place.tell("hang").await;
    first.wait_for("command hang");
    assert_eq!(first.end_by_signals("-INT").code(), Some(3));
    let second = place.start(&["consume"]);
    second.wait_for("command hang");
    second.signal("-KILL");
    second.end();
}

#[tokio::test]
async fn a_killed_service_leaves_its_work_to_the_next() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).0, 0);
    let first = place.start(&["consume"]);
    place.customer(1, "Ann").await;
    place.wait_for_names(&["Ann"]);
    first.signal("-KILL");
    first.end();
    place.customer(2, "Bob").await;
    let mut second = place.start(&["consume"]);
    place.wait_for_names(&["Ann", "Bob"]);
    second.child.kill().unwrap();
    let mut rest = String::new();
    if let Some(stderr) = &mut second.child.stderr {
        stderr.read_to_string(&mut rest).unwrap();
    }
}
