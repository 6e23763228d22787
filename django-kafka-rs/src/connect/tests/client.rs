use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::server::{Reply, Server, json, refused};
use super::{client, settings};
use crate::connect::client::Put;
use crate::settings::ConnectAuth;

/// Of a worker's web server while the worker starts.
const STARTING: &str = r#"{ "message":"Not Found", "url":"http://connect/connectors/x/status", "status":"404" }"#;

const SERVER: &str = r#"{"version": "4.3.1", "commit": "x", "kafka_cluster_id": "id"}"#;

#[tokio::test]
async fn asks_as_the_interface_wants_it() {
    let server = Server::start([
        json(201, "{}"),
        json(200, "{}"),
        json(200, r#"{"name": "a b", "tasks.max": "1"}"#),
        json(204, ""),
        json(202, r#"{"name": "x"}"#),
        json(202, ""),
        json(202, ""),
        json(200, r#"{"name": "x", "error_count": 0, "groups": [], "configs": []}"#),
    ]);
    let client = client(&settings(&server.address));
    let config = BTreeMap::from([("tasks.max", "1")]);
    assert_eq!(client.put_config("a b", &config).await.expect("taken"), Put::Created);
    assert_eq!(client.put_config("a b", &config).await.expect("taken"), Put::Updated);
    assert_eq!(client.config("a b").await.expect("told").map(|config| config.len()), Some(2));
    assert!(client.delete("a b").await.expect("deleted"));
    assert!(client.restart("x", true).await.expect("restarted"));
    assert!(client.pause("x").await.expect("paused"));
    assert!(client.resume("x").await.expect("resumed"));
    client.validate("org.acme.Source", &config).await.expect("validated");
    let asked: Vec<String> =
        server.requests().into_iter().map(|request| format!("{} {}", request.line, request.body)).collect();
    expect![[r#"
        PUT /connectors/a%20b/config {"tasks.max":"1"}
        PUT /connectors/a%20b/config {"tasks.max":"1"}
        GET /connectors/a%20b/config 
        DELETE /connectors/a%20b 
        POST /connectors/x/restart?includeTasks=true&onlyFailed=true 
        PUT /connectors/x/pause 
        PUT /connectors/x/resume 
        PUT /connector-plugins/org.acme.Source/config/validate {"tasks.max":"1"}"#]]
    .assert_eq(&asked.join("\n"));
}

#[tokio::test]
async fn a_base_path_and_a_login_go_with_each_request() {
    let server = Server::start(vec![json(200, SERVER); 3]);
    let mut settings = settings(&format!("{}/kafka/connect", server.address));
    settings.connect_auth = Some(ConnectAuth::new("me", "hid:den"));
    let answer = client(&settings).server().await.expect("answered");
    assert_eq!((answer.version.as_str(), answer.kafka_cluster_id.as_str()), ("4.3.1", "id"));
    let [request] = server.requests().try_into().expect("one request");
    assert_eq!(request.line, "GET /kafka/connect");
    assert_eq!(request.authorization.as_deref(), Some("Basic bWU6aGlkOmRlbg=="));

    // The login may stand in the address.
    settings.connect_auth = None;
    settings.connect_host = Some(server.address.replace("http://", "http://me:hid%3Aden@"));
    let client = client(&settings);
    client.server().await.expect("answered");
    assert_eq!(server.requests()[1].authorization, request.authorization);
    assert!(!format!("{} {client:?}", client.address()).contains("hid"), "{client:?}");
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    let server = Server::start([
        refused(409, "Cannot complete request momentarily due to a rebalance"),
        refused(500, "Request cannot be completed because a rebalance is expected"),
        json(503, "<html>not now</html>"),
        json(404, STARTING),
        Reply::HangUp,
        json(502, ""),
        json(200, SERVER),
    ]);
    client(&settings(&server.address)).server().await.expect("answered at last");
    assert_eq!(server.lines().len(), 7);
}

#[tokio::test]
async fn a_restart_that_may_have_arrived_is_not_sent_again() {
    let server = Server::start([refused(409, "rebalance"), Reply::HangUp, json(202, "")]);
    let restarted = client(&settings(&server.address)).restart("x", false).await;
    restarted.expect_err("nobody knows whether it was done");
    assert_eq!(server.lines(), vec!["POST /connectors/x/restart?includeTasks=true&onlyFailed=false"; 2]);
}

#[tokio::test]
async fn repetitions_end() {
    let server = Server::start(vec![json(503, ""); 50]);
    let mut settings = settings(&server.address);
    settings.connect_retry.status = 3;
    client(&settings).server().await.expect_err("it never answers");
    assert_eq!(server.lines().len(), 4);
}

/// The error of a server that gives these replies, with its address cut out.
async fn check(replies: impl IntoIterator<Item = Reply>, expected: &Expect) {
    let replies: Vec<Reply> = replies.into_iter().collect();
    let is_silent = matches!(replies.as_slice(), [Reply::Silence]);
    let server = Server::start(replies);
    let mut settings = settings(&server.address);
    settings.connect_retry.connect = 0;
    settings.connect_retry.status = 0;
    settings.connect_retry.read = 0;
    if is_silent {
        settings.connect_requests_timeout = Duration::from_millis(100);
    }
    let error = client(&settings).status("x").await.expect_err("it refuses").to_string();
    expected.assert_eq(&error.replace(&server.address, "http://connect"));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    check(
        [refused(400, "Connector configuration is invalid")],
        &expect!["Kafka Connect answers 400: Connector configuration is invalid"],
    )
    .await;
    check(
        [refused(409, "Cannot complete request momentarily")],
        &expect!["Kafka Connect answers 409: Cannot complete request momentarily"],
    )
    .await;
    check([json(401, "<html>who are you?</html>")], &expect!["Kafka Connect at `http://connect` refuses to be asked without a login: set `connect_auth`, or correct it (it answered 401)"]).await;
    check([json(404, "<html> no such\n page</html>")], &expect![[r#"what answers at `http://connect` is not Kafka Connect (it answers 404 with "<html> no such page</html>"); is `connect_host` right, with its path?"#]]).await;
    check([json(404, STARTING)], &expect!["Kafka Connect at `http://connect` cannot be reached: its worker is starting; is it running, and is `connect_host` right?"]).await;
    check([refused(404, "HTTP 404 Not Found")], &expect![[r#"what answers at `http://connect` is not Kafka Connect (it answers 404 with "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}"); is `connect_host` right, with its path?"#]]).await;
    check([json(200, "<html>welcome</html>")], &expect!["what answers at `http://connect` is not Kafka Connect (its answer is not as expected: expected value at line 1 column 1); is `connect_host` right, with its path?"]).await;
    check([json(502, "<html>bad gateway</html>")], &expect!["Kafka Connect at `http://connect` cannot be reached: it answers 502 Bad Gateway; is it running, and is `connect_host` right?"]).await;
    check([Reply::Answer(301, String::new(), Some(("Location", "https://me:pw@other/")))], &expect!["what answers at `http://connect` is not Kafka Connect (it answers 301, a redirect to `https://***@other/`); is `connect_host` right, with its path?"]).await;
    check([Reply::Silence], &expect!["Kafka Connect at `http://connect` did not answer within 100ms; give it more with `connect_requests_timeout`, or look at its workers"]).await;
    check([], &expect!["Kafka Connect at `http://connect` cannot be reached: connection closed before message completed; is it running, and is `connect_host` right?"]).await;
}

#[tokio::test]
async fn what_is_not_there_is_no_error() {
    let unknown = || refused(404, "Connector x not found");
    let server = Server::start([unknown(), unknown(), unknown(), unknown()]);
    let client = client(&settings(&server.address));
    assert!(client.config("x").await.expect("an answer").is_none());
    assert!(client.status("x").await.expect("an answer").is_none());
    assert!(!client.delete("x").await.expect("an answer"));
    assert!(!client.restart("x", false).await.expect("an answer"));
}

#[tokio::test]
async fn a_closed_port_is_told_from_other_troubles() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    let error = client(&settings(&address)).server().await.expect_err("nobody listens").to_string();
    assert!(error.contains("cannot be reached: Connection refused"), "{error}");
}

#[test]
fn without_an_address_the_setting_is_named() {
    let error = crate::connect::client::ConnectClient::new(&crate::settings::Settings::default()).expect_err("none");
    assert!(error.contains("set `connect_host`"), "{error}");
}
