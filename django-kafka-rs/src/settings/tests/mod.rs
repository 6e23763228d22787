mod client;
#[cfg(feature = "connect")]
mod connect;
mod librdkafka;
mod load;
mod metrics;
mod temporal;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsErrors> {
    Settings::parse(text, "django-kafka.toml", &environment(variables), &[])
}

/// The mistakes, or the settings that are not at their defaults with their sources.
fn render(result: Result<Settings, SettingsErrors>) -> String {
    match result {
        Err(errors) => errors.to_string(),
        Ok(settings) => settings
            .effective()
            .into_iter()
            .filter(|setting| setting.source != Source::Default)
            .map(|setting| format!("{} = {} ({})", setting.key, setting.value, setting.source))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn check(text: &str, variables: &[(&str, &str)], expected: &Expect) {
    expected.assert_eq(&render(parse(text, variables)));
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let mut settings = parse("", &[]).expect("nothing is wrong");
    assert!(settings.client_id.ends_with("-rust"), "{}", settings.client_id);
    settings.client_id = "host-rust".to_owned();
    let listing = settings.listing();
    // In programs with its feature only.
    let listing = listing.iter().filter(|(key, _)| !key.starts_with("temporal") && !key.starts_with("metrics"));
    let lines: Vec<String> = listing.map(|(key, value)| format!("{key} = {value}")).collect();
    expect![[r#"
        client_id = host-rust
        retry_consumer_config.auto.offset.reset = earliest
        retry_consumer_config.enable.auto.offset.store = false
        retry_consumer_config.topic.metadata.refresh.interval.ms = 10000
        retry_topic_suffix = retry
        dead_letter_topic_suffix = dlt
        polling_frequency = 1s
        relation_resolver_daemon = local
        relation_resolver_daemon_interval = 5s
        relation_resolver_lease = 1m
        connect_host = 
        connect_auth.username = 
        connect_auth.password = 
        connect_retry.connect = 5
        connect_retry.read = 5
        connect_retry.status = 5
        connect_retry.backoff_factor = 500ms
        connect_retry.backoff_max = 2m
        connect_retry.status_forcelist = 502,503,504
        connect_requests_timeout = 30s
        connector_name_prefix = 
        database_url = 
        database.pool_size = 8
        database.busy_timeout = 5s
        database.synchronous = 
        batch.max = 5000
        batch.bytes = 1MiB
        batch.linger = 0
        batch.workers = 4
        batch.buffer_messages = 10000
        batch.buffer_bytes = 4MiB
        key_offset_tracker.group_id = 
        reproducer_config.namespace = 
        topics.partitions = 
        topics.replication = 
        topics.retention = 
        schema_registry.url = 
        schema_registry.basic_auth_user_info = 
        schema_registry.bearer_auth_token = 
        schema_registry.ssl_ca_location = 
        schema_registry.ssl_certificate_location = 
        schema_registry.ssl_key_location = 
        schema_registry.timeout = 10s
        schema_registry.auto_register_schemas = true
        schema_registry.use_latest_version = false
        schema_registry.check_compatibility = false
        shutdown_timeout = 30s
        embedded.enabled = false
        embedded.partitions = 4"#]]
    .assert_eq(&lines.join("\n"));
    assert!(settings.effective().iter().skip(1).all(|setting| setting.source == Source::Default));
}

const ALL: &str = r#"
client_id = "shop"
retry_topic_suffix = "again"
dead_letter_topic_suffix = "dead"
polling_frequency = 0.5
database_url = "postgres://me:pass@db/shop"
shutdown_timeout = "1m"

[global_config]
bootstrap.servers = ["kafka1:9092", "kafka2:9092"]
"security.protocol" = "SASL_SSL"
sasl.password = "hidden"
sasl.mechanism = "PLAIN"

[producer_config]
linger.ms = 5

[consumer_config]
enable.auto.offset.store = false
"session.timeout.ms" = "6000"

[retry_settings]
max_retries = -1
delay = 120
max_delay = "10m"
backoff = true
log_every = 3

[database]
pool_size = 4
busy_timeout = "250ms"
synchronous = "normal"

[batch]
max = 2000
bytes = "1MiB"
linger = "5ms"
workers = 2

[topic_variables]
prefix = "shop.eu"

[topics]
partitions = 6
replication = 3
retention = "7days"

[embedded]
enabled = true
partitions = 1
"#;

#[test]
fn a_full_file_is_read_with_its_lines_and_without_its_secrets() {
    check(
        ALL,
        &[],
        &expect![[r"
            client_id = shop (django-kafka.toml:2)
            global_config.bootstrap.servers = kafka1:9092,kafka2:9092 (django-kafka.toml:10)
            global_config.sasl.mechanism = PLAIN (django-kafka.toml:13)
            global_config.sasl.password = *** (django-kafka.toml:12)
            global_config.security.protocol = SASL_SSL (django-kafka.toml:11)
            producer_config.linger.ms = 5 (django-kafka.toml:16)
            consumer_config.enable.auto.offset.store = false (django-kafka.toml:19)
            consumer_config.session.timeout.ms = 6000 (django-kafka.toml:20)
            retry_settings.max_retries = -1 (django-kafka.toml:23)
            retry_settings.delay = 2m (django-kafka.toml:24)
            retry_settings.max_delay = 10m (django-kafka.toml:25)
            retry_settings.backoff = true (django-kafka.toml:26)
            retry_settings.log_every = 3 (django-kafka.toml:27)
            retry_topic_suffix = again (django-kafka.toml:3)
            dead_letter_topic_suffix = dead (django-kafka.toml:4)
            polling_frequency = 500ms (django-kafka.toml:5)
            database_url = postgres://***@db/shop (django-kafka.toml:6)
            database.pool_size = 4 (django-kafka.toml:30)
            database.busy_timeout = 250ms (django-kafka.toml:31)
            database.synchronous = normal (django-kafka.toml:32)
            batch.max = 2000 (django-kafka.toml:35)
            batch.bytes = 1MiB (django-kafka.toml:36)
            batch.linger = 5ms (django-kafka.toml:37)
            batch.workers = 2 (django-kafka.toml:38)
            topic_variables.prefix = shop.eu (django-kafka.toml:41)
            topics.partitions = 6 (django-kafka.toml:44)
            topics.replication = 3 (django-kafka.toml:45)
            topics.retention = 7days (django-kafka.toml:46)
            shutdown_timeout = 1m (django-kafka.toml:7)
            embedded.enabled = true (django-kafka.toml:49)
            embedded.partitions = 1 (django-kafka.toml:50)"]],
    );
}

#[test]
fn the_environment_goes_before_the_file() {
    check(
        "[global_config]\nbootstrap.servers = \"a\"\n[batch]\nmax = 5\n[topic_variables]\nPrefix = \"x\"",
        &[
            ("DJANGO_KAFKA__BATCH__LINGER", "0.2"),
            ("DJANGO_KAFKA__BATCH__MAX", "7"),
            ("DJANGO_KAFKA__EMBEDDED__ENABLED", "true"),
            ("DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS", "b"),
            ("DJANGO_KAFKA__GLOBAL_CONFIG__LOG_LEVEL", "3"),
            ("DJANGO_KAFKA__GLOBAL_CONFIG__SASL_PASSWORD", "hidden"),
            ("DJANGO_KAFKA__TOPIC_VARIABLES__PREFIX", "y"),
            ("OTHER", "z"),
        ],
        &expect![[r"
            global_config.bootstrap.servers = b (environment variable DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS)
            global_config.log_level = 3 (environment variable DJANGO_KAFKA__GLOBAL_CONFIG__LOG_LEVEL)
            global_config.sasl.password = *** (environment variable DJANGO_KAFKA__GLOBAL_CONFIG__SASL_PASSWORD)
            batch.max = 7 (environment variable DJANGO_KAFKA__BATCH__MAX)
            batch.linger = 200ms (environment variable DJANGO_KAFKA__BATCH__LINGER)
            topic_variables.Prefix = y (environment variable DJANGO_KAFKA__TOPIC_VARIABLES__PREFIX)
            embedded.enabled = true (environment variable DJANGO_KAFKA__EMBEDDED__ENABLED)"]],
    );
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    check(
        r#"
CLIENT_ID = "x"
polling_frequency = 0
shutdown_timeout = "soon"
database = 5
retry_topic_suffix = "a b"
nonsense = true

[batch]
max = 0
bytes = "16 megs"
bufer_messages = 3

[topics]
partitions = "many"

[topic_variables]
prefix = "a/b"
deep.er = "x"
"#,
        &[("DJANGO_KAFKA__EMBEDDED__ENABLED", "maybe"), ("DJANGO_KAFKA__EMBEDDED__PORT", "9")],
        &expect![[r#"
            14 mistakes in the settings:
              django-kafka.toml:2: `CLIENT_ID`: unknown setting; did you mean `client_id`?
              django-kafka.toml:3: `polling_frequency`: expected a time above 0: seconds, or text like "500ms" or "2m", found 0
              django-kafka.toml:4: `shutdown_timeout`: expected a time: seconds, or text like "500ms" or "2m", found "soon"
              django-kafka.toml:5: `database`: expected a table `[database]`, found 5
              django-kafka.toml:6: `retry_topic_suffix`: `a b` has ' ' at position 2; a name may contain only letters, digits, '.', '_' and '-'
              django-kafka.toml:7: `nonsense`: unknown setting; there are: client_id, global_config, producer_config, consumer_config, retry_consumer_config, retry_settings, retry_topic_suffix, dead_letter_topic_suffix, polling_frequency, relation_resolver_daemon, relation_resolver_daemon_interval, relation_resolver_lease, temporal_task_queue, temporal, connect_host, connect_auth, connect_retry, connect_requests_timeout, connector_name_prefix, database_url, database, batch, key_offset_tracker, reproducer_config, topic_variables, topics, schema_registry, metrics, shutdown_timeout, embedded
              django-kafka.toml:10: `batch.max`: expected an integer from 1 to 1000000, found 0
              django-kafka.toml:11: `batch.bytes`: expected a size above 0: bytes, or text like "64KiB" or "16MiB", found "16 megs"
              django-kafka.toml:12: `batch.bufer_messages`: unknown setting; did you mean `buffer_messages`?
              django-kafka.toml:15: `topics.partitions`: expected an integer from 1 to 100000, found "many"
              django-kafka.toml:18: `topic_variables.prefix`: `a/b` has '/' at position 2; a name may contain only letters, digits, '.', '_' and '-'
              django-kafka.toml:19: `topic_variables.deep`: expected text, found a table; variables have no levels
              environment variable DJANGO_KAFKA__EMBEDDED__ENABLED: `embedded.enabled`: expected true or false, found "maybe"
              environment variable DJANGO_KAFKA__EMBEDDED__PORT: `embedded.port`: unknown setting; there are: enabled, partitions"#]],
    );
}

#[test]
fn librdkafkas_properties_are_checked() {
    check(
        r#"
[global_config]
bootstrap.server = "a"
socket.timeout.ms = 5
auto.offset.reset = "earliest"
error_cb = "f"
security.protocol = "ssh"
sasl.kerberos.min.time.before.relogin = "hidden"

[producer_config]
auto.offset.reset = "earliest"
compression.codec = "lz4"
compression.type = "gzip"

[consumer_config]
acks = "all"
enable.auto.commit = false
enable.auto.offset.store = true
group.id = "x"
group.instance.id = "x"
xyzzy.plugh = 1
"fetch.min.bytes" = 1
fetch = { min.bytes = 2 }
"#,
        &[("DJANGO_KAFKA__CONSUMER_CONFIG__FETCH_MAX_BITES", "1")],
        &expect![[r#"
            15 mistakes in the settings:
              django-kafka.toml:3: `global_config.bootstrap.server`: librdkafka has no such property; did you mean `bootstrap.servers`?
              django-kafka.toml:4: `global_config.socket.timeout.ms`: expected an integer from 10 to 300000, found 5; librdkafka's default is `60000`
              django-kafka.toml:6: `global_config.error_cb`: is set by a function of librdkafka's C interface, never as text: take it out
              django-kafka.toml:7: `global_config.security.protocol`: expected `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`, found "ssh"; librdkafka's default is `plaintext`
              django-kafka.toml:8: `global_config.sasl.kerberos.min.time.before.relogin`: expected an integer from 0 to 86400000, found text; librdkafka's default is `60000`
              django-kafka.toml:11: `producer_config.auto.offset.reset`: is a property of consumers, not of producers: move it to `[consumer_config]`
              django-kafka.toml:13: `producer_config.compression.type`: is the same property as `compression.codec`, which is set too: keep one of them
              django-kafka.toml:16: `consumer_config.acks`: is a property of producers, not of consumers: move it to `[producer_config]`
              django-kafka.toml:17: `consumer_config.enable.auto.commit`: belongs to the runtime, which commits what has been handled: take it out
              django-kafka.toml:18: `consumer_config.enable.auto.offset.store`: `true` would store offsets before their messages are handled, and lose them; leave it out, or write `false`
              django-kafka.toml:19: `consumer_config.group.id`: each consumer declares its own group, `#[consumer(group = "…")]`: take it out
              django-kafka.toml:20: `consumer_config.group.instance.id`: would be the same for all consumers: give it in `#[consumer(config(…))]`
              django-kafka.toml:21: `consumer_config.xyzzy.plugh`: librdkafka has no such property; its CONFIGURATION.md lists them all
              django-kafka.toml:22: `consumer_config.fetch.min.bytes`: is given twice; the other one is at django-kafka.toml:23
              environment variable DJANGO_KAFKA__CONSUMER_CONFIG__FETCH_MAX_BITES: `consumer_config.fetch.max.bites`: librdkafka has no such property; did you mean `fetch.max.bytes`?"#]],
    );
}

#[test]
fn deprecated_properties_are_warned_of() {
    let settings = parse("[global_config]\nsocket.max.fails = 1\napi.version.request = true", &[]);
    let warnings = settings.expect("nothing is wrong").warnings().join("\n");
    expect!["django-kafka.toml:3: `global_config.api.version.request`: librdkafka calls this property deprecated: take it out"].assert_eq(&warnings);
}

#[test]
fn retry_settings_have_their_rules() {
    let check = |text: &str, expected: &Expect| check(&format!("[retry_settings]\n{text}"), &[], expected);
    check(
        "delay = 0",
        &expect![[r#"
        2 mistakes in the settings:
          django-kafka.toml:1: `retry_settings`: `max_retries` is missing: write for instance `max_retries = 5` (-1: for ever)
          django-kafka.toml:2: `retry_settings.delay`: expected a time above 0: seconds, or text like "500ms" or "2m", found 0"#]],
    );
    check(
        "max_retries = -2\nlog_every = 0\nexclude = [\"ValueError\"]\nmax_retry = 1",
        &expect![[r"
            4 mistakes in the settings:
              django-kafka.toml:2: `retry_settings.max_retries`: expected a number of retries, or -1 for ever, found -2
              django-kafka.toml:3: `retry_settings.log_every`: expected an integer from 1 to 4294967295, found 0
              django-kafka.toml:4: `retry_settings.exclude`: names Rust code, which a settings file cannot: write `retry(exclude…)` in the topic's `#[topic(…)]`; take it out here
              django-kafka.toml:5: `retry_settings.max_retry`: unknown setting; did you mean `max_retries`?"]],
    );
    check(
        "max_retries = -1\nblocking = false\nuse_offset_tracker = true",
        &expect![[r#"
            django-kafka.toml:3: `retry_settings.blocking`: endless retries (`max_retries = -1`) cannot be non-blocking, since each retry has a topic of its own: give a number of retries, or leave `blocking = false` out"#]],
    );
    check(
        "max_retries = -1\ndelay = 10\nbackoff = true",
        &expect![[
            r#"django-kafka.toml:4: `retry_settings.backoff`: doubles the delay until retry 25 would wait over 1000 days: cap it, for example with `max_delay = "1h"`, or lower `max_retries`"#
        ]],
    );
    check(
        "max_retries = 2\ndelay = 10\nmax_delay = 5",
        &expect![
            "django-kafka.toml:4: `retry_settings.max_delay`: is below `delay`, and would shorten every retry: raise it, or lower `delay`"
        ],
    );
    check(
        "max_retries = 5\ndelay = 1\nbackoff = true",
        &expect![[r"
            retry_settings.max_retries = 5 (django-kafka.toml:2)
            retry_settings.delay = 1s (django-kafka.toml:3)
            retry_settings.backoff = true (django-kafka.toml:4)"]],
    );
}

#[test]
fn options_that_name_code_are_refused() {
    check(
        "\nerror_handler = \"x\"\n[schema_registry]\nurl = \"x\"\n[key_offset_tracker]\na = 1",
        &[("DJANGO_KAFKA__KEY_OFFSET_TRACKER__GROUP_ID", "")],
        &expect![[r#"
            4 mistakes in the settings:
              django-kafka.toml:2: `error_handler`: names code, which a settings file cannot: give it to `App::builder()`; take it out here
              django-kafka.toml:4: `schema_registry.url`: expected an address like "http://registry:8081", or several, found "x"
              django-kafka.toml:6: `key_offset_tracker.a`: unknown setting; there are: group_id
              environment variable DJANGO_KAFKA__KEY_OFFSET_TRACKER__GROUP_ID: `key_offset_tracker.group_id`: expected text, found empty text"#]],
    );
}

#[test]
fn reproducers_have_a_namespace() {
    check(
        "[reproducer_config]\nnamespace = \"dbz.public\"",
        &[],
        &expect!["reproducer_config.namespace = dbz.public (django-kafka.toml:2)"],
    );
    check(
        "[reproducer_config]\nnamespace = \"dbz.\"\nname = \"x\"",
        &[],
        &expect![[r#"
            2 mistakes in the settings:
              django-kafka.toml:2: `reproducer_config.namespace`: ends with a dot, and a dot follows it in the topic's name anyway: leave it out
              django-kafka.toml:3: `reproducer_config.name`: unknown setting; there are: namespace"#]],
    );
}

#[test]
fn settings_that_do_not_fit_each_other() {
    check(
        "dead_letter_topic_suffix = \"retry\"\n[batch]\nmax = 10\nbuffer_messages = 5\nbytes = 2048\nbuffer_bytes = 1024\nworkers = 9",
        &[],
        &expect![[r"
            4 mistakes in the settings:
              django-kafka.toml:1: `dead_letter_topic_suffix`: `retry_topic_suffix` and `dead_letter_topic_suffix` are both `retry`: they must differ
              django-kafka.toml:4: `batch.buffer_messages`: 5 messages cannot hold a batch of 10 (`batch.max`): raise it, or lower `batch.max`
              django-kafka.toml:6: `batch.buffer_bytes`: 1KiB cannot hold a batch of 2KiB (`batch.bytes`): raise it, or lower `batch.bytes`
              django-kafka.toml:7: `batch.workers`: 9 transactions at the same time (`batch.workers`) need as many connections, and `database.pool_size` is 8: lower the one or raise the other"]],
    );
    check("[batch]\nmax = 9000", &[], &expect!["batch.max = 9000 (django-kafka.toml:2)"]);
}

#[test]
fn broken_files_show_no_secret() {
    check(
        "client_id = \"x\nsasl = secret\n[global_config\nsasl.password = \"hidden",
        &[],
        &expect![[r#"
            4 mistakes in the settings:
              django-kafka.toml:1: not TOML: invalid basic string, expected `"`
              django-kafka.toml:2: not TOML: string values must be quoted, expected literal string
              django-kafka.toml:3: not TOML: unclosed table, expected `]`
              django-kafka.toml:4: not TOML: cannot extend value of type string with a dotted key"#]],
    );
    check("a = 1\na = 2", &[], &expect!["django-kafka.toml:2: not TOML: duplicate key"]);
    check(
        "batch.max = 99999999999999999999",
        &[],
        &expect!["django-kafka.toml:1: `batch.max`: the number is too large"],
    );
}

#[test]
fn variables_that_would_be_ignored_are_reported() {
    check(
        "",
        &[
            ("DJANGO_KAFKA_GLOBAL_CONFIG_BOOTSTRAP_SERVERS", "x"),
            ("DJANGO_KAFKA_SETTINGS", "x"),
            ("DJANGO_KAFKA_UNRELATED", "x"),
            ("DJANGO_KAFKA__BATCH____MAX", "1"),
            ("DJANGO_KAFKA__Client_Id", "1"),
            ("DJANGO_KAFKA__CLIENT_ID", "1"),
        ],
        &expect![[r"
            3 mistakes in the settings:
              environment variable DJANGO_KAFKA_GLOBAL_CONFIG_BOOTSTRAP_SERVERS: would be ignored: two underscores come before each level; write `DJANGO_KAFKA__GLOBAL_CONFIG__BOOTSTRAP_SERVERS`
              environment variable DJANGO_KAFKA__BATCH____MAX: has an empty level: write `DJANGO_KAFKA__KEY` or `DJANGO_KAFKA__TABLE__KEY`
              environment variable DJANGO_KAFKA__CLIENT_ID: `client_id`: is set by DJANGO_KAFKA__Client_Id too: keep one of them"]],
    );
}

#[test]
fn keys_that_declarations_read_are_known() {
    let text = "crm_password = \"hidden\"\n[crm]\nlevel = 5\nother = 1";
    let referenced = ["crm_password".to_owned(), "crm.level".to_owned()];
    let load = |text| Settings::parse(text, "django-kafka.toml", &[], &referenced);
    expect![[
        r#"django-kafka.toml:4: `crm.other`: unknown setting: no declaration reads it with `setting("…")`; take it out"#
    ]]
    .assert_eq(&render(load(text)));
    let settings = load("crm_password = \"hidden\"\ncrm.level = 5").expect("nothing is wrong");
    assert_eq!(settings.lookup("crm_password").as_deref(), Some("hidden"));
    assert_eq!(settings.lookup("crm.level").as_deref(), Some("5"));
    assert_eq!(settings.lookup("batch.max").as_deref(), Some("5000"));
    assert_eq!(settings.lookup("nothing"), None);
}

#[test]
fn secrets_are_in_no_debug_form() {
    let settings = parse(ALL, &[]).expect("nothing is wrong");
    for shown in
        [format!("{settings:?}"), format!("{:?}", settings.global_config), format!("{:?}", settings.effective())]
    {
        assert!(!shown.contains("hidden") && !shown.contains("me:pass"), "{shown}");
    }
}

#[test]
fn fields_set_by_the_program_are_listed_as_such() {
    let mut settings = parse("[batch]\nmax = 5", &[]).expect("nothing is wrong");
    settings.batch.max = 6;
    settings.global_config.set("metadata.broker.list", "a");
    expect![[r"
        global_config.metadata.broker.list = a (the program)
        batch.max = 6 (the program)"]]
    .assert_eq(&render(Ok(settings)));
}

#[test]
fn the_originals_documented_defaults_pass_the_check() {
    let text = "[consumer_config]\nauto.offset.reset = \"earliest\"\nenable.auto.offset.store = false\n\
                topic.metadata.refresh.interval.ms = 10000";
    assert!(parse(text, &[]).is_ok());
}

#[test]
fn the_keys_at_the_top_are_the_ones_that_are_read() {
    let errors = parse("zzzzzzzzzzzz = 1", &[]).expect_err("the key is unknown").to_string();
    for key in section::SECTIONS {
        assert!(errors.contains(key), "{key}");
    }
    assert_eq!(errors.matches(", ").count() + 1, section::SECTIONS.len(), "{errors}");
}

#[test]
fn a_lease_is_long_enough_to_be_renewed() {
    let lease = |text: &str| parse(text, &[]).map(|settings| settings.relation_resolver_lease);
    assert_eq!(lease("relation_resolver_lease = 1").expect("nothing is wrong"), Duration::from_secs(1));
    let errors = lease("relation_resolver_lease = \"999ms\"").expect_err("it is too short").to_string();
    expect![[r#"django-kafka.toml:1: `relation_resolver_lease`: expected a time of at least 1 second: seconds, or text like "30s" or "2m", found "999ms""#]].assert_eq(&errors);
}

#[test]
fn a_consumers_own_limits_go_before_the_settings() {
    let own = BatchSettings { max: Some(11_000), bytes_max: None, linger_ms: Some(3) };
    let limits = BatchLimits::default().of_consumer(&own, Some(2));
    assert_eq!((limits.max, limits.buffer_messages, limits.workers), (11_000, 11_000, 2));
    assert_eq!(limits.linger, Duration::from_millis(3));
}

/// Text that is TOML often enough to get past the parser.
fn toml() -> impl Strategy<Value = String> {
    let key =
        prop_oneof![proptest::sample::select(section::SECTIONS.to_vec()).prop_map(str::to_owned), "[a-z_.\"]{1,8}",];
    let value = prop_oneof!["-?[0-9]{1,20}", "\"[ -~]{0,8}\"", "[\\[{a-z=,}\\]]{1,8}", Just("1979-05-27".to_owned())];
    let line = prop_oneof![
        (key.clone(), value).prop_map(|(key, value)| format!("{key} = {value}")),
        key.prop_map(|key| format!("[{key}]")),
        ".{0,12}",
    ];
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn parsing_never_panics(text in toml(), name in "DJANGO_KAFKA_{1,2}[A-Z_]{0,20}", value in ".{0,8}") {
        if let Err(errors) = parse(&text, &[(&name, &value)]) {
            prop_assert!(!errors.mistakes().is_empty());
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn the_environment_and_the_file_say_the_same(max in 1_u32..1000, linger in 0_u32..100) {
        let file = parse(&format!("[batch]\nmax = {max}\nlinger = {linger}"), &[]).expect("nothing is wrong");
        let (max, linger) = (max.to_string(), linger.to_string());
        let variables = [("DJANGO_KAFKA__BATCH__MAX", &*max), ("DJANGO_KAFKA__BATCH__LINGER", &*linger)];
        prop_assert_eq!(file.batch, parse("", &variables).expect("nothing is wrong").batch);
    }

    #[test]
    fn what_is_listed_can_be_read_again(ms in 1_u64..100_000_000, bytes in 1_u64..u64::from(u32::MAX)) {
        let mut settings = Settings { shutdown_timeout: Duration::from_millis(ms), ..Settings::default() };
        settings.batch.bytes = bytes;
        let listed = |key| settings.lookup(key).expect("it is listed");
        let text = format!("shutdown_timeout = \"{}\"\nbatch.bytes = \"{}\"", listed("shutdown_timeout"), listed("batch.bytes"));
        let read = parse(&text, &[]).expect("nothing is wrong");
        prop_assert_eq!((read.shutdown_timeout, read.batch.bytes), (settings.shutdown_timeout, bytes));
    }
}
