use expect_test::{Expect, expect};

use super::*;
use crate::settings::Settings;
use crate::telemetry::LogFormat;

fn words(line: &str) -> Vec<OsString> {
    std::iter::once("/usr/bin/shop".into()).chain(line.split_whitespace().map(OsString::from)).collect()
}

fn read(line: &str) -> CommandLine {
    args::parse(words(line)).unwrap_or_else(|error| panic!("{error}"))
}

fn check_refused(line: &str, expected: &Expect) {
    let error = args::parse(words(line)).expect_err("the line is refused");
    expected.assert_eq(&error.to_string());
}

#[test]
fn the_definition_is_sound() {
    args::command("shop").debug_assert();
}

#[test]
fn options_stand_before_or_after_the_command() {
    let line = read("--settings a.toml consume Crm Audit --until-end --embedded -vv --log-format json");
    assert_eq!(line.program, "shop");
    assert_eq!(line.global.settings.as_deref(), Some(std::path::Path::new("a.toml")));
    assert!(line.global.embedded);
    assert_eq!(line.global.log_format, LogFormat::Json);
    assert_eq!(line.global.verbosity().0, 2);
    let Some(Command::Consume(consume)) = line.command else { panic!("it is `consume`") };
    assert_eq!(consume, ConsumeArgs { consumers: vec!["Crm".to_owned(), "Audit".to_owned()], until_end: true });
}

#[test]
fn the_originals_name_of_consume_works() {
    assert!(matches!(read("kafka_consume").command, Some(Command::Consume(_))));
    #[cfg(feature = "temporal")]
    {
        for name in ["sync-temporal-schedules", "sync_temporal_schedules", "sync_temporalio_schedules"] {
            assert!(matches!(read(name).command, Some(Command::SyncTemporalSchedules)), "{name}");
        }
        for name in ["temporal-worker", "temporal_worker"] {
            assert!(matches!(read(name).command, Some(Command::TemporalWorker)), "{name}");
        }
    }
    assert!(read("").command.is_none());
}

#[test]
fn wrong_lines_are_refused_with_a_remedy() {
    check_refused(
        "consum",
        &expect![[r"
        error: unrecognized subcommand 'consum'

          tip: a similar subcommand exists: 'consume'

        Usage: shop [OPTIONS] [COMMAND]

        For more information, try '--help'.
    "]],
    );
    check_refused(
        "consume --dry-run",
        &expect![[r"
        error: unexpected argument '--dry-run' found

          tip: to pass '--dry-run' as a value, use '-- --dry-run'

        Usage: shop consume [OPTIONS] [CONSUMER]...

        For more information, try '--help'.
    "]],
    );
    check_refused(
        "topics --log-format xml",
        &expect![[r"
        error: invalid value 'xml' for '--log-format <FORMAT>'
          [possible values: text, json]

        For more information, try '--help'.
    "]],
    );
}

fn check_help(line: &str, expected: &Expect) {
    // Not the width of the terminal in which the tests run.
    let command = args::command("shop").term_width(100);
    let error = command.try_get_matches_from(words(line)).expect_err("help is an error to clap");
    let lines: Vec<String> = error.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    expected.assert_eq(&lines.join("\n"));
}

#[cfg(not(feature = "temporal"))]
#[test]
fn the_programs_help_teaches() {
    check_help(
        "--help",
        &expect![[r#"
            Keeps database tables in step with Kafka topics.

            Settings come from django-kafka.toml in the working directory (or from --settings, or from the file
            that DJANGO_KAFKA_SETTINGS names) and from DJANGO_KAFKA__… environment variables, which go before
            the file.

            Usage: shop [OPTIONS] [COMMAND]

            Commands:
              consume            Run the consumers [alias: kafka_consume]
              topics             List the topics: declared and derived names, and which of them the broker has
              dlq                Dead letters: list them, show them, handle them again
              waiting            Messages that wait for rows they refer to: list them, show them, handle them,
                                 forget them
              resolve-relations  Handle messages that wait for rows as soon as these are there
              connect            Validate, publish and watch connectors of Kafka Connect [alias: kafka_connect]
              migrate            Create or update the database's tables
              check              Look for what would keep the consumers from working
              completions        Write a shell's completions to standard output

            Options:
                  --settings <PATH>
                      The settings file. Without it: what DJANGO_KAFKA_SETTINGS names, else django-kafka.toml in
                      the working directory, if it is there.

                  --embedded
                      Run a broker inside this program, and SQLite where the settings name no database. For
                      trying things out: the broker keeps nothing when the program ends, and about 5 MiB of each
                      partition while it runs. Its address is logged, so that other programs can produce to it.

                  --log-format <FORMAT>
                      How log lines are written; they go to standard error

                      Possible values:
                      - text: For people: one line each, in colours on a terminal
                      - json: For machines: one JSON object a line

                      [default: text]

              -v, --verbose...
                      Log more: -v what this library does, -vv what the libraries under it do, -vvv everything.
                      RUST_LOG says it in detail and goes before this.

              -h, --help
                      Print help (see a summary with '-h')

            Exit codes:
              0  done
              1  failed
              2  wrong use, settings or declarations
              3  ended by a second signal"#]],
    );
}

#[test]
fn the_commands_help_teaches() {
    check_help(
        "consume --help",
        &expect![[r"
            Run the consumers, side by side, until SIGINT or SIGTERM: then they finish what is under way, commit
            and leave their groups. A second signal ends the program at once; what was not committed will be
            read again.

            Usage: shop consume [OPTIONS] [CONSUMER]...

            Arguments:
              [CONSUMER]...
                      Run only these consumers, by their types' names

            Options:
                  --settings <PATH>
                      The settings file. Without it: what DJANGO_KAFKA_SETTINGS names, else django-kafka.toml in
                      the working directory, if it is there.

                  --until-end
                      End when all messages that the topics have are handled, instead of waiting for more: for
                      backfills, and for jobs that a scheduler starts. Shows how far it is on a terminal.

                  --embedded
                      Run a broker inside this program, and SQLite where the settings name no database. For
                      trying things out: the broker keeps nothing when the program ends, and about 5 MiB of each
                      partition while it runs. Its address is logged, so that other programs can produce to it.

                  --log-format <FORMAT>
                      How log lines are written; they go to standard error

                      Possible values:
                      - text: For people: one line each, in colours on a terminal
                      - json: For machines: one JSON object a line

                      [default: text]

              -v, --verbose...
                      Log more: -v what this library does, -vv what the libraries under it do, -vvv everything.
                      RUST_LOG says it in detail and goes before this.

              -h, --help
                      Print help (see a summary with '-h')

            Examples:
              shop consume
              shop consume Crm Audit
              shop consume --until-end              # a backfill
              shop consume --embedded -v            # without a broker or a database"]],
    );
    check_help(
        "topics --help",
        &expect![[r#"
            List the topics of this program: the declared ones with their names filled in, and the retry and
            dead letter topics that belong to them. Says which of them the broker has, and with how many
            partitions.

            Usage: shop topics [OPTIONS]

            Options:
                  --create
                      Create those that are missing, first: with the partitions, replicas and retention of
                      `[topics]` in the settings; retry topics keep their messages for twice their longest
                      delay, dead letter topics without limit.

                  --settings <PATH>
                      The settings file. Without it: what DJANGO_KAFKA_SETTINGS names, else django-kafka.toml in
                      the working directory, if it is there.

                  --embedded
                      Run a broker inside this program, and SQLite where the settings name no database. For
                      trying things out: the broker keeps nothing when the program ends, and about 5 MiB of each
                      partition while it runs. Its address is logged, so that other programs can produce to it.

                  --json
                      As JSON, for programs

                  --log-format <FORMAT>
                      How log lines are written; they go to standard error

                      Possible values:
                      - text: For people: one line each, in colours on a terminal
                      - json: For machines: one JSON object a line

                      [default: text]

              -v, --verbose...
                      Log more: -v what this library does, -vv what the libraries under it do, -vvv everything.
                      RUST_LOG says it in detail and goes before this.

              -h, --help
                      Print help (see a summary with '-h')

            Examples:
              shop topics
              shop topics --create
              shop topics --json | jq -r '.[] | select(.exists | not).name'"#]],
    );
}

fn consumers() -> Vec<RegisteredConsumer> {
    let consumer = |name: &str, group: &str, topics: &[&str], line: u32| RegisteredConsumer {
        name: name.to_owned(),
        group: group.to_owned(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        declared_at: format!("src/main.rs:{line}"),
    };
    vec![
        consumer("Crm", "${prefix}-crm", &["${prefix}.public.customers", "${prefix}.public.orders"], 31),
        consumer("Auditor", "audit", &["audit"], 40),
    ]
}

#[test]
fn the_registered_consumers() {
    expect![[r"
        Registered consumers:
          Crm      group ${prefix}-crm  ${prefix}.public.customers, ${prefix}.public.orders  src/main.rs:31
          Auditor  group audit          audit                                                src/main.rs:40

        Run them with `shop consume`.
    "]]
    .assert_eq(&registered(&consumers(), "shop"));
    expect![[r#"
        No consumer is registered. Declare one with `#[consumer(group = "…", topics(…))]`; if it is in another crate, name that crate once, or the linker leaves it out: `use my_models as _;`
    "#]].assert_eq(&registered(&[], "shop"));
}

#[test]
fn the_registered_connectors() {
    assert_eq!(listing::registered_connectors(&[], "shop"), "");
    let connector = RegisteredConnector { name: "CrmSource".to_owned(), declared_at: "src/main.rs:50".to_owned() };
    let text = listing::registered_connectors(&[connector], "shop");
    assert!(text.starts_with("\nRegistered connectors:\n  CrmSource  src/main.rs:50\n"), "{text}");
}

fn topic_rows() -> Vec<TopicRow> {
    let row = |name: &str, kind, consumer: Option<&str>, existence| TopicRow {
        name: name.to_owned(),
        kind,
        consumer: consumer.map(str::to_owned),
        existence,
        declared_at: "src/main.rs:12".to_owned(),
    };
    vec![
        row("shop.public.orders", TopicKind::Consumed, Some("Crm"), Existence::Exists { partitions: 4 }),
        row("crm.shop.public.orders.dlt", TopicKind::DeadLetter, Some("Crm"), Existence::Missing),
        row("shop.public.customers", TopicKind::Consumed, Some("Crm"), Existence::Missing),
        row(r"^logs\..*", TopicKind::Pattern, Some("Logs"), Existence::Matches(vec!["logs.a".into(), "logs.b".into()])),
        row(r"^old\..*", TopicKind::Pattern, Some("Logs"), Existence::Matches(vec![])),
        row("mirror", TopicKind::Produced, None, Existence::Exists { partitions: 1 }),
    ]
}

#[test]
fn topics_as_a_table_and_as_json() {
    expect![[r"
        TOPIC                       KIND          CONSUMER  PARTITIONS              DECLARED
        shop.public.orders          consumed      Crm       4                       src/main.rs:12
        crm.shop.public.orders.dlt  dead letters  Crm       not yet there           src/main.rs:12
        shop.public.customers       consumed      Crm       missing                 src/main.rs:12
        ^logs\..*                   pattern       Logs      matches logs.a, logs.b  src/main.rs:12
        ^old\..*                    pattern       Logs      matches none            src/main.rs:12
        mirror                      produced      -         1                       src/main.rs:12
    "]]
    .assert_eq(&listing::topics(&topic_rows()));
    expect![[r"
        no topic is declared in this program
    "]]
    .assert_eq(&listing::topics(&[]));
    expect![[r#"
        [
          {
            "name": "^logs\\..*",
            "kind": "pattern",
            "consumer": "Logs",
            "exists": true,
            "partitions": null,
            "matches": [
              "logs.a",
              "logs.b"
            ],
            "declared_at": "src/main.rs:12"
          },
          {
            "name": "^old\\..*",
            "kind": "pattern",
            "consumer": "Logs",
            "exists": false,
            "partitions": null,
            "matches": [],
            "declared_at": "src/main.rs:12"
          },
          {
            "name": "mirror",
            "kind": "produced",
            "consumer": null,
            "exists": true,
            "partitions": 1,
            "declared_at": "src/main.rs:12"
          }
        ]"#]]
    .assert_eq(&listing::topics_json(&topic_rows()[3..]));
}

#[test]
fn migrations_that_were_run() {
    expect![[r"
        the database is up to date
    "]]
    .assert_eq(&listing::migrated(&[]));
    expect![[r"
        ran 1 migration: a
    "]]
    .assert_eq(&listing::migrated(&["a".to_owned()]));
    expect![[r"
        ran 2 migrations:
          a
          b
    "]]
    .assert_eq(&listing::migrated(&["a".to_owned(), "b".to_owned()]));
}

fn report() -> CheckReport {
    let mut report = CheckReport::default();
    report.add("settings", Finding::Ok("django-kafka.toml and 1 environment variable".to_owned()));
    report.add("broker", Finding::Warning("no topic `shop.public.customers`: create it".to_owned()));
    report
}

#[test]
fn a_check_says_what_is_ready_and_what_is_not() {
    let mut report = report();
    assert_eq!(report.exit(), Exit::Done);
    expect![[r"
        ok       settings  django-kafka.toml and 1 environment variable
        warning  broker    no topic `shop.public.customers`: create it

        ready, with 1 warning
    "]]
    .assert_eq(&report.render());
    report.add(
        "tables",
        Finding::Failed { exit: Exit::Failed, message: "no table `orders`\nno table `customers`".to_owned() },
    );
    report.add("models", Finding::Skipped("because of the tables".to_owned()));
    let settings = Settings::parse(
        "client_id = \"shop\"\n[global_config]\nsasl.password = \"hidden\"",
        "django-kafka.toml",
        &[("DJANGO_KAFKA__BATCH__MAX".to_owned(), "5".to_owned())],
        &[],
    );
    let effective = settings.expect("nothing is wrong").effective();
    report.set_settings(effective.into_iter().take(8).collect());
    assert_eq!(report.exit(), Exit::Failed);
    expect![[r#"
        ok       settings  django-kafka.toml and 1 environment variable
        warning  broker    no topic `shop.public.customers`: create it
        FAILED   tables    no table `orders`
                           no table `customers`
        skipped  models    because of the tables

        Settings in effect:
          client_id                                                 shop      django-kafka.toml:1
          global_config.sasl.password                               ***       django-kafka.toml:3
          retry_consumer_config.auto.offset.reset                   earliest  default
          retry_consumer_config.enable.auto.offset.store            false     default
          retry_consumer_config.topic.metadata.refresh.interval.ms  10000     default
          retry_topic_suffix                                        retry     default
          dead_letter_topic_suffix                                  dlt       default
          polling_frequency                                         1s        default

        not ready: 1 failure above
    "#]]
    .assert_eq(&report.render());
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let Some(Command::Completions { shell }) = read(&format!("completions {shell}")).command else {
            panic!("it is `completions`")
        };
        assert!(args::completions(shell, "shop").contains("until-end"));
    }
}

struct Fake;

impl Commands for Fake {
    async fn waiting(self, _limit: i64) -> Result<super::Waiting, Failure> {
        Ok(super::Waiting::default())
    }

    async fn waiting_counts(self, _limit: i64) -> Result<super::Waiting, Failure> {
        Ok(super::Waiting::default())
    }

    async fn waiting_messages(self, _numbers: Vec<i64>) -> Result<super::Waiting, Failure> {
        Err(Failure::new(Exit::Failed, "no message of number 7 waits"))
    }

    async fn resolve_waiting(self, numbers: Vec<i64>) -> Result<usize, Failure> {
        Ok(numbers.len())
    }

    async fn discard_waiting(self, numbers: Vec<i64>) -> Result<usize, Failure> {
        Ok(numbers.len())
    }

    async fn resolve_relations(self) -> Result<String, Failure> {
        Ok(String::new())
    }

    #[cfg(feature = "temporal")]
    async fn sync_temporal_schedules(self) -> Result<String, Failure> {
        Ok("created".to_owned())
    }

    #[cfg(feature = "temporal")]
    async fn temporal_worker(self) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn registered(&self) -> Vec<RegisteredConsumer> {
        consumers()
    }

    fn registered_connectors(&self) -> Vec<RegisteredConnector> {
        Vec::new()
    }

    async fn consume(self, _: ConsumeArgs) -> Result<String, Failure> {
        Err(Failure::new(Exit::WrongUse, "there is no consumer `X`"))
    }

    async fn topics(self, _create: bool) -> Result<Vec<TopicRow>, Failure> {
        Ok(topic_rows())
    }

    #[cfg(feature = "connect")]
    async fn connect(self, _: ConnectArgs, _: impl FnMut(crate::connect::step::Step)) -> Result<String, Failure> {
        Err(Failure::new(Exit::Failed, "1 of 2 connectors failed"))
    }

    async fn migrate(self) -> Result<Vec<String>, Failure> {
        Err(Failure::new(Exit::Failed, "the database is away"))
    }

    async fn dead_letters(self, selection: DlqSelection, look: Look) -> Result<Letters, Failure> {
        assert_eq!((selection.matching.as_deref(), look.limit, look.is_full), (Some("key"), 50, false));
        Ok(Letters { replayed: 1, ..Letters::default() })
    }

    async fn replay(self, selection: DlqSelection, how: Replay) -> Result<ReplayReport, Failure> {
        assert_eq!((selection.letters.len(), how.limit, how.is_dry, how.is_forced), (1, Some(3), false, true));
        Ok(ReplayReport { failed: 1, ..ReplayReport::default() })
    }

    async fn check(self) -> CheckReport {
        report()
    }
}

#[test]
fn commands_end_with_their_codes() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let code = |line: &str| format!("{:?}", runtime.block_on(dispatch(read(line), Fake)));
    let of = |exit: Exit| format!("{:?}", ExitCode::from(exit));
    assert_eq!(code(""), of(Exit::Done));
    assert_eq!(code("topics"), of(Exit::Done));
    assert_eq!(code("check"), of(Exit::Done));
    assert_eq!(code("consume X"), of(Exit::WrongUse));
    assert_eq!(code("migrate"), of(Exit::Failed));
    assert_eq!(code("dlq list --match key"), of(Exit::Done));
    assert_eq!(code("dlq replay crm.orders.dlt/0/3 --limit 3 --force"), of(Exit::Failed));
}
