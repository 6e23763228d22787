use std::time::Duration;

use expect_test::{Expect, expect};

use super::server::{Reply, Server, json, refused};
use super::{client, settings};
use crate::connect::answer::Looks;
use crate::connect::command::{Operation, Ready, Run, Wanted};
use crate::connect::resolve::{FilledConfig, resolve};
use crate::connect::step::{Outcome, Step};
use crate::connect::{ConnectorConfig, ConnectorDeclaration, env};
use crate::topic::Location;

const AT: Location = Location { file: "src/main.rs", line: 1 };

const CRM: ConnectorDeclaration = ConnectorDeclaration::new("Crm", AT).config_of(|| {
    Ok(ConnectorConfig::of_class("org.acme.Source")
        .set("tasks.max", 1)
        .set("database.hostname", env("DB_HOST"))
        .set("database.password", "my-own-secret"))
});
const OTHER: ConnectorDeclaration =
    ConnectorDeclaration::new("Other", AT).config_of(|| Ok(ConnectorConfig::of_class("org.acme.Sorce")));
const OLD: ConnectorDeclaration = ConnectorDeclaration::new("Old", AT).mark_for_removal();

const LOOKS: Looks = Looks { more: 3, first_wait: Duration::ZERO };

const VALID: &str = r#"{"name": "x", "error_count": 0, "groups": [], "configs": []}"#;

fn ready(declarations: &[ConnectorDeclaration]) -> Vec<Ready> {
    let settings = settings("http://unused");
    let named = resolve(declarations, &settings).expect("the declarations are right");
    let filled = |connector| {
        let config = FilledConfig::of(&connector, &settings, &|_| Some("db.internal".to_owned()));
        Ready { connector, config: config.expect("it is complete") }
    };
    named.into_iter().map(filled).collect()
}

/// What is shown of the run, and what the server was asked.
async fn check(declarations: &[ConnectorDeclaration], wanted: Wanted, replies: Vec<Reply>, expected: &Expect) {
    let server = Server::start(replies);
    let mut settings = settings(&server.address);
    settings.connect_retry.connect = 0;
    settings.connect_retry.read = 0;
    let client = client(&settings);
    let mut steps: Vec<Step> = Vec::new();
    let failed = Run::new(&client, LOOKS, |step| steps.push(step)).manage(&ready(declarations), wanted).await;
    let shown: String = steps.iter().map(crate::cli::connect_step).collect();
    let shown = shown.replace(&server.address, "http://connect");
    assert!(!shown.contains("my-own-secret") && !shown.contains("db.internal"), "{shown}");
    expected.assert_eq(&format!("{shown}{failed} failed\n{}", server.lines().join("\n")));
}

fn status(connector: &str, tasks: &[(&str, &str)]) -> Reply {
    let tasks: Vec<_> = (0..)
        .zip(tasks)
        .map(|(id, (state, trace))| serde_json::json!({ "id": id, "state": state, "worker_id": "w:1", "trace": trace }))
        .collect();
    let connector = serde_json::json!({ "state": connector, "worker_id": "w:1" });
    json(200, &serde_json::json!({ "name": "x", "connector": connector, "tasks": tasks, "type": "source" }).to_string())
}

fn not_there() -> Reply {
    refused(404, "No status found for connector x")
}

const PUBLISH: Wanted = Wanted { list: false, validate: false, publish: true, dry_run: false, check_status: false };
const DRY_RUN: Wanted = Wanted { dry_run: true, ..PUBLISH };
const VALIDATE: Wanted = Wanted { validate: true, publish: false, ..PUBLISH };
const CHECK: Wanted = Wanted { check_status: true, publish: false, ..PUBLISH };
const ALL: Wanted = Wanted { validate: true, publish: true, check_status: true, ..PUBLISH };

#[tokio::test]
async fn validates_publishes_and_waits_until_it_runs() {
    let replies = vec![
        json(200, VALID),
        not_there(),
        json(201, "{}"),
        not_there(),
        status("UNASSIGNED", &[]),
        status("RUNNING", &[("UNASSIGNED", "")]),
        status("RUNNING", &[("RUNNING", ""), ("RUNNING", "")]),
    ];
    check(
        &[CRM],
        ALL,
        replies,
        &expect![[r#"
        validate  Crm: ok
        publish   Crm: created as `Crm`
            + connector.class = org.acme.Source
            + database.hostname = env(DB_HOST)
            + database.password = ***
            + tasks.max = 1
        status    Crm: RUNNING on w:1, 2 tasks
        0 failed
        PUT /connector-plugins/org.acme.Source/config/validate
        GET /connectors/Crm/config
        PUT /connectors/Crm/config
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status"#]],
    )
    .await;
}

#[tokio::test]
async fn shows_what_changes_without_the_secrets_of_either_side() {
    let running = serde_json::json!({
        "name": "Crm", "connector.class": "org.acme.Source", "tasks.max": "2", "database.hostname": "db.other",
        "database.password": "another-secret", "old.secret": "old-secret", "topic.prefix": "shop",
    });
    let replies = vec![json(200, &running.to_string()), json(200, "{}")];
    check(
        &[CRM],
        PUBLISH,
        replies,
        &expect![[r#"
        publish   Crm: updated `Crm`
            ~ database.hostname = env(DB_HOST) (before: ***)
            ~ database.password = *** (before: ***)
            - old.secret = ***
            ~ tasks.max = 1 (before: 2)
            - topic.prefix = shop
        0 failed
        GET /connectors/Crm/config
        PUT /connectors/Crm/config"#]],
    )
    .await;
}

#[tokio::test]
async fn sends_nothing_where_nothing_changed_or_in_a_dry_run() {
    let same = serde_json::json!({
        "name": "Crm", "connector.class": "org.acme.Source", "tasks.max": "1", "database.hostname": "db.internal",
        "database.password": "my-own-secret",
    });
    check(
        &[CRM],
        PUBLISH,
        vec![json(200, &same.to_string())],
        &expect![[r#"
        publish   Crm: nothing changed
        0 failed
        GET /connectors/Crm/config"#]],
    )
    .await;
    let replies = vec![not_there(), json(200, r#"{"name": "Old"}"#)];
    check(
        &[OTHER, OLD],
        DRY_RUN,
        replies,
        &expect![[r#"
        publish   Other: would create `Other`
            + connector.class = org.acme.Sorce
        publish   Old: would remove `Old`
        0 failed
        GET /connectors/Other/config
        GET /connectors/Old/config"#]],
    )
    .await;
}

#[tokio::test]
async fn removes_what_is_marked_and_nothing_else_is_done_with_it() {
    check(
        &[OLD],
        ALL,
        vec![json(204, "")],
        &expect![[r#"
        validate  Old: skipped: it is marked for removal
        publish   Old: removed `Old`
        status    Old: skipped: it is marked for removal
        0 failed
        DELETE /connectors/Old"#]],
    )
    .await;
    check(
        &[OLD],
        PUBLISH,
        vec![refused(404, "Connector Old not found")],
        &expect![[r#"
        publish   Old: to be removed, and not there
        0 failed
        DELETE /connectors/Old"#]],
    )
    .await;
}

#[tokio::test]
async fn a_refused_configuration_is_not_published_and_stops_no_other() {
    let refusal = r#"{"name": "Crm", "error_count": 2, "groups": [], "configs": [
        {"value": {"name": "database.password", "errors": ["`my-own-secret` is too short", "`my-own-secret` is too short"]}},
        {"value": {"name": "database.port", "errors": ["no port for db.internal"]}},
        {"value": {"name": "tasks.max", "errors": []}}]}"#;
    let replies =
        vec![json(200, refusal), json(200, VALID), not_there(), json(201, "{}"), status("RUNNING", &[("RUNNING", "")])];
    check(
        &[CRM, OTHER],
        ALL,
        replies,
        &expect![[r#"
        validate  Crm: FAILED: 2 keys are not right
            database.password: `***` is too short
            database.port: no port for ***
        validate  Other: ok
        publish   Crm: skipped: it did not pass the validation, see above
        publish   Other: created as `Other`
            + connector.class = org.acme.Sorce
        status    Crm: skipped: it did not pass the validation, see above
        status    Other: RUNNING on w:1, 1 task
        1 failed
        PUT /connector-plugins/org.acme.Source/config/validate
        PUT /connector-plugins/org.acme.Sorce/config/validate
        GET /connectors/Other/config
        PUT /connectors/Other/config
        GET /connectors/Other/status"#]],
    )
    .await;
}

#[tokio::test]
async fn an_unknown_class_and_a_misspelt_key_have_their_nearest() {
    let unknown = refused(500, "BadRequestException: Failed to find any class that implements Connector and …");
    let plugins = r#"[{"class": "org.acme.Sink", "type": "sink"}, {"class": "org.acme.Source", "type": "source"}]"#;
    let misspelt = r#"{"name": "Crm", "error_count": 0, "configs": [{"value": {"name": "connector.class"}},
        {"value": {"name": "tasks.max"}}, {"value": {"name": "database.host.name"}}, {"value": {"name": "database.hostnam"}},
        {"value": {"name": "database.password"}}]}"#;
    check(
        &[OTHER, CRM],
        VALIDATE,
        vec![unknown, json(200, plugins), json(200, misspelt)],
        &expect![[r#"
        validate  Other: FAILED: Kafka Connect has no class `org.acme.Sorce`; did you mean `org.acme.Source`?
        validate  Crm: ok
            warning: `database.hostname` is no key of this class, and ignored; did you mean `database.hostnam`?
        1 failed
        PUT /connector-plugins/org.acme.Sorce/config/validate
        GET /connector-plugins
        PUT /connector-plugins/org.acme.Source/config/validate"#]],
    )
    .await;
}

#[tokio::test]
async fn says_why_a_connector_does_not_run() {
    let trace =
        "org.acme.ConnectException: login as my-own-secret failed\n\tat org.acme.A.b(A.java:1)\nCaused by: no route";
    check(
        &[CRM],
        CHECK,
        vec![status("RUNNING", &[("RUNNING", ""), ("FAILED", trace)])],
        &expect![[r#"
        status    Crm: FAILED: 1 of 2 tasks failed: mend the cause, then `connect restart Crm --only-failed`
            RUNNING on w:1, 2 tasks
            task 1: FAILED on w:1
              org.acme.ConnectException: login as *** failed
              Caused by: no route
        1 failed
        GET /connectors/Crm/status"#]],
    )
    .await;
    check(
        &[CRM],
        CHECK,
        vec![status("PAUSED", &[("PAUSED", "")])],
        &expect![[r#"
        status    Crm: FAILED: it is PAUSED: `connect resume Crm` lets it run
            PAUSED on w:1, 1 task
        1 failed
        GET /connectors/Crm/status"#]],
    )
    .await;
    check(
        &[CRM],
        CHECK,
        vec![status("RUNNING", &[]); 4],
        &expect![[r#"
        status    Crm: RUNNING on w:1, without tasks
        0 failed
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status"#]],
    )
    .await;
    check(
        &[CRM],
        CHECK,
        vec![not_there(); 4],
        &expect![[r#"
        status    Crm: FAILED: it is not there: publish it
        1 failed
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status"#]],
    )
    .await;
    check(
        &[CRM],
        CHECK,
        vec![status("UNASSIGNED", &[]); 4],
        &expect![[r#"
        status    Crm: FAILED: it does not run yet, after 0ns: look again
            UNASSIGNED on w:1, without tasks
        1 failed
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status
        GET /connectors/Crm/status"#]],
    )
    .await;
}

/// Kafka Connect shows a connector without tasks until its task has started, or failed to.
#[tokio::test]
async fn a_task_that_fails_at_its_start_is_waited_for() {
    check(
        &[CRM],
        CHECK,
        vec![status("RUNNING", &[]), status("RUNNING", &[("FAILED", "no slot")])],
        &expect![[r#"
        status    Crm: FAILED: 1 of 1 tasks failed: mend the cause, then `connect restart Crm --only-failed`
            RUNNING on w:1, 1 task
            task 0: FAILED on w:1
              no slot
        1 failed
        GET /connectors/Crm/status
        GET /connectors/Crm/status"#]],
    )
    .await;
    let failed = status("RUNNING", &[("FAILED", "no slot")]);
    let replies = [json(202, ""), status("RUNNING", &[])].into_iter().chain(std::iter::repeat_n(failed, 3)).collect();
    let (outcome, _) = operated(Operation::Resume, replies).await;
    assert!(matches!(outcome, Outcome::NotOk { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_publication_that_is_refused_is_not_waited_for() {
    let replies = vec![not_there(), refused(400, "Connector configuration is invalid: my-own-secret")];
    check(
        &[CRM],
        Wanted { validate: false, ..ALL },
        replies,
        &expect![[r#"
        publish   Crm: FAILED: Kafka Connect answers 400: Connector configuration is invalid: ***
        status    Crm: skipped: it could not be published, see above
        1 failed
        GET /connectors/Crm/config
        PUT /connectors/Crm/config"#]],
    )
    .await;
}

#[tokio::test]
async fn once_nobody_answers_nobody_is_asked_again() {
    check(&[CRM, OTHER, OLD], PUBLISH, vec![], &expect![[r#"
        publish   Crm: FAILED: Kafka Connect at `http://connect` cannot be reached: connection closed before message completed; is it running, and is `connect_host` right?
        publish   Other: FAILED: not asked, after the failure above
        publish   Old: FAILED: not asked, after the failure above
        3 failed
        GET /connectors/Crm/config"#]]).await;
}

async fn operated(operation: Operation, replies: Vec<Reply>) -> (Outcome, Vec<String>) {
    let server = Server::start(replies);
    let client = client(&settings(&server.address));
    let mut outcome = None;
    Run::new(&client, LOOKS, |step| outcome = Some(step.outcome)).operate(&ready(&[CRM]), operation).await;
    (outcome.expect("there was a step"), server.lines())
}

#[tokio::test]
async fn an_operation_is_waited_for() {
    let replies = vec![json(202, ""), status("RUNNING", &[("RUNNING", "")]), status("PAUSED", &[("PAUSED", "")])];
    let (outcome, asked) = operated(Operation::Pause, replies).await;
    assert!(matches!(outcome, Outcome::Ok { .. }), "{outcome:?}");
    assert_eq!(asked[0], "PUT /connectors/Crm/pause");

    let (outcome, _) = operated(Operation::Resume, vec![refused(404, "Unknown connector: Crm")]).await;
    assert!(matches!(&outcome, Outcome::NotOk { why, .. } if why.contains("publish it")), "{outcome:?}");

    let failed = status("RUNNING", &[("FAILED", "x")]);
    let replies = std::iter::once(json(202, "{}")).chain(std::iter::repeat_n(failed, 4)).collect();
    let (outcome, asked) = operated(Operation::Restart { only_failed: true }, replies).await;
    assert!(matches!(&outcome, Outcome::NotOk { status: Some(_), .. }), "{outcome:?}");
    assert_eq!(asked.len(), 5);
}
