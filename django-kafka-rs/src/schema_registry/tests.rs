//! The client against the registry inside the program, and against a listener that does what a test says.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::error::ConsumeError;
use crate::format::avro::{Datum, Plain, split};
use crate::settings::SchemaRegistrySettings;
use crate::topic::{Location, TopicDeclaration};

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}"#;
const ORDER_WITH_NOTE: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;
const ORDER_WITHOUT_DEFAULT: &str =
    r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"must","type":"string"}]}"#;

const LOCATION: Location = Location { file: "orders.rs", line: 1 };

fn registry_at(urls: &[&str], change: impl FnOnce(&mut SchemaRegistrySettings)) -> SchemaRegistry {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let mut settings =
        SchemaRegistrySettings { urls, timeout: Duration::from_secs(5), ..SchemaRegistrySettings::default() };
    change(&mut settings);
    SchemaRegistry::of_settings(&settings).unwrap().unwrap()
}

fn order(id: i64) -> Plain {
    Plain::from(&json!({ "id": id }))
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Answers each connection's request with this, and gives the requests' texts.
fn answering(status: &'static str, body: &'static str, times: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let mut requests = Vec::new();
        for _ in 0..times {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 64 * 1024];
            let read = stream.read(&mut request).unwrap();
            requests.push(String::from_utf8_lossy(&request[..read]).into_owned());
            let length = body.len();
            let head = "Content-Type: application/json\r\nConnection: close\r\n";
            write!(stream, "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        }
        requests
    };
    (url, std::thread::spawn(serve))
}

#[tokio::test]
async fn what_is_written_is_read_by_its_id() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[server.url()], |_| {});
    let bytes = registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    let (id, avro) = split(&bytes).unwrap();
    assert_eq!((id, avro), (1, &[14][..]));
    // Another client, which has learnt nothing yet.
    let reader = registry_at(&[server.url()], |_| {});
    let schema = reader.reading(id, None).await.unwrap();
    assert_eq!(Datum::new(&schema, avro).read::<Value>().unwrap(), json!({ "id": 7 }));
    // Once more without the server: what was learnt is kept.
    drop(server);
    assert!(reader.reading(id, None).await.is_ok());
    assert_eq!(registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap(), bytes);
}

#[tokio::test]
async fn keys_and_values_have_subjects_of_their_own_and_one_id_for_one_schema() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[server.url()], |_| {});
    let key = registry.write("orders", Part::Key, &order(1), Some(ORDER)).await.unwrap();
    let value = registry.write("orders", Part::Value, &order(1), Some(ORDER)).await.unwrap();
    assert_eq!(key, value);
    let subjects: Value = reqwest::get(format!("{}/subjects", server.url())).await.unwrap().json().await.unwrap();
    assert_eq!(subjects, json!(["orders-key", "orders-value"]));
}

#[tokio::test]
async fn a_declared_schema_reads_what_older_ones_wrote() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[server.url()], |_| {});
    let bytes = registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    let (id, avro) = split(&bytes).unwrap();
    let schema = registry.reading(id, Some(ORDER_WITH_NOTE)).await.unwrap();
    assert_eq!(Datum::new(&schema, avro).read::<Value>().unwrap(), json!({ "id": 7, "note": null }));
    let refused = registry.reading(id, Some(ORDER_WITHOUT_DEFAULT)).await.unwrap_err();
    assert_eq!(
        refused,
        SchemaError::Wrong(
            "messages written with the schema 1 cannot be read by the topic's schema: field `must` of the record \
             `Order`: the record `Order` was written without it, and it has no default"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn an_id_that_is_not_there_is_asked_for_again() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[server.url()], |_| {});
    let unknown = registry.reading(1, None).await.unwrap_err();
    let expected = format!("the schema registry at {} has no schema with the id 1", server.url());
    assert_eq!(unknown, SchemaError::Wrong(expected));
    registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    assert!(registry.reading(1, None).await.is_ok());
}

#[tokio::test]
async fn the_latest_version_writes_where_the_settings_or_nobody_says_another() {
    let server = EmbeddedRegistry::start().unwrap();
    let declaring = registry_at(&[server.url()], |_| {});
    let undeclared = declaring.write("orders", Part::Value, &order(7), None).await.unwrap_err();
    assert!(undeclared.to_string().contains("has no schema for the subject `orders-value`"), "{undeclared}");
    declaring.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    declaring.write("orders", Part::Value, &order(7), Some(ORDER_WITH_NOTE)).await.unwrap();
    let latest = registry_at(&[server.url()], |settings| settings.use_latest_version = true);
    for declared in [None, Some(ORDER)] {
        let bytes = latest.write("orders", Part::Value, &order(7), declared).await.unwrap();
        assert_eq!(split(&bytes).unwrap(), (2, &[14, 0][..]), "{declared:?}");
    }
}

#[tokio::test]
async fn without_auto_register_a_schema_has_to_be_there() {
    let server = EmbeddedRegistry::start().unwrap();
    let careful = registry_at(&[server.url()], |settings| settings.auto_register_schemas = false);
    let refused = careful.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap_err();
    assert!(refused.to_string().contains("`schema_registry.auto_register_schemas` is false"), "{refused}");
    registry_at(&[server.url()], |_| {}).write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    assert!(careful.write("orders", Part::Value, &order(7), Some(ORDER)).await.is_ok());
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_and_found_out_beforehand() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[server.url()], |_| {});
    let topic = TopicDeclaration::new("Orders", "orders", LOCATION);
    registry.check("orders", &topic.avro_values(Some(ORDER))).await.unwrap();
    registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    registry.check("orders", &topic.avro_values(Some(ORDER_WITH_NOTE))).await.unwrap();
    let found = registry.check("orders", &topic.avro_values(Some(ORDER_WITHOUT_DEFAULT))).await.unwrap_err();
    assert!(found.to_string().contains("not compatible with the latest of `orders-value`"), "{found}");
    let value = Plain::from(&json!({ "id": 1, "must": "x" }));
    let refused = registry.write("orders", Part::Value, &value, Some(ORDER_WITHOUT_DEFAULT)).await.unwrap_err();
    assert!(matches!(&refused, SchemaError::Wrong(why) if why.contains("does not take the schema")), "{refused}");
}

#[tokio::test]
async fn what_a_schema_refers_to_is_fetched_too() {
    let server = EmbeddedRegistry::start().unwrap();
    let post = |subject: &str, body: Value| {
        let request = reqwest::Client::new().post(format!("{}/subjects/{subject}/versions", server.url()));
        async move { request.json(&body).send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let money = r#"{"type":"fixed","name":"shop.Money","size":1}"#;
    let line = r#"{"type":"record","name":"shop.Line","fields":[{"name":"price","type":"shop.Money"}]}"#;
    let order = r#"{"type":"record","name":"shop.Order","fields":[
        {"name":"total","type":"shop.Money"},{"name":"line","type":"shop.Line"}]}"#;
    let reference = |name: &str, subject: &str| json!({ "name": name, "subject": subject, "version": 1 });
    post("money", json!({ "schema": money })).await;
    let answer = post("line", json!({ "schema": line, "references": [reference("shop.Money", "money")] })).await;
    assert_eq!(answer, json!({ "id": 2 }));
    let references = json!([reference("shop.Line", "line"), reference("shop.Money", "money")]);
    post("orders-value", json!({ "schema": order, "references": references })).await;
    let schema = registry_at(&[server.url()], |_| {}).reading(3, None).await.unwrap();
    let read: Value = Datum::new(&schema, &[65, 66])
        .read_with(|decoder| {
            #[derive(serde::Deserialize)]
            struct Line {
                price: String,
            }
            #[derive(serde::Deserialize)]
            struct Order {
                total: String,
                line: Line,
            }
            let order: Order = serde::Deserialize::deserialize(decoder)?;
            Ok(json!([order.total, order.line.price]))
        })
        .unwrap();
    assert_eq!(read, json!(["A", "B"]));
}

#[tokio::test]
async fn the_next_address_is_asked_where_one_is_away() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[&nobody(), server.url()], |_| {});
    assert!(registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.is_ok());
}

/// Else a poison message would wait for ever where the last address is away.
#[tokio::test]
async fn one_answer_is_enough_where_others_are_away() {
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[&nobody(), server.url(), &nobody()], |_| {});
    let unknown = registry.reading(9, None).await.unwrap_err();
    assert!(matches!(&unknown, SchemaError::Wrong(why) if why.contains("has no schema with the id 9")), "{unknown}");
}

#[tokio::test]
async fn the_next_address_is_asked_where_one_is_out_of_order() {
    let server = EmbeddedRegistry::start().unwrap();
    let answers = [
        ("503 Service Unavailable", "{}"),
        ("500 Internal Server Error", r#"{"error_code":50002,"message":"no leader"}"#),
        ("401 Unauthorized", "{}"),
    ];
    for (status, body) in answers {
        let (url, served) = answering(status, body, 1);
        let registry = registry_at(&[&url, server.url()], |_| {});
        registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
        served.join().unwrap();
    }
}

#[tokio::test]
async fn a_registry_that_never_answers_is_away_when_its_time_is_over() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hurried = |settings: &mut SchemaRegistrySettings| settings.timeout = Duration::from_millis(100);
    let error = registry_at(&[&url], hurried).reading(1, None).await.unwrap_err();
    assert!(matches!(&error, SchemaError::Away(why) if why.contains("does not answer")), "{error}");
    let topic = TopicDeclaration::new("Orders", "orders", LOCATION).avro_values(Some(ORDER));
    let error = registry_at(&[&url], hurried).check("orders", &topic).await.unwrap_err();
    assert!(matches!(&error, SchemaError::Away(_)), "{error}");
    let server = EmbeddedRegistry::start().unwrap();
    let registry = registry_at(&[&url, server.url()], |settings| settings.timeout = Duration::from_millis(500));
    registry.write("orders", Part::Value, &order(7), Some(ORDER)).await.unwrap();
    registry.check("orders", &topic).await.unwrap();
}

#[tokio::test]
async fn asking_about_compatibility_goes_to_all_addresses_with_the_credentials() {
    let (url, served) = answering("200 OK", r#"{"is_compatible":true}"#, 1);
    let with_token = |settings: &mut SchemaRegistrySettings| settings.bearer_auth_token = Some("t0ken".to_owned());
    let topic = TopicDeclaration::new("Orders", "orders", LOCATION).avro_values(Some(ORDER));
    registry_at(&[&nobody(), &url], with_token).check("orders", &topic).await.unwrap();
    let request = served.join().unwrap().remove(0);
    assert!(request.starts_with("POST /compatibility/subjects/orders-value/versions/latest "), "{request}");
    assert!(request.contains("authorization: Bearer t0ken"), "{request}");
    let (url, served) = answering("200 OK", r#"{"is_compatible":true}"#, 1);
    let with_password = |settings: &mut SchemaRegistrySettings| {
        settings.basic_auth_user_info = Some("me:s3cret".to_owned());
    };
    registry_at(&[&url], with_password).check("orders", &topic).await.unwrap();
    assert!(served.join().unwrap()[0].contains("authorization: Basic bWU6czNjcmV0"));
}

#[tokio::test]
async fn why_nobody_answers_about_compatibility_is_said() {
    let topic = TopicDeclaration::new("Orders", "orders", LOCATION).avro_values(Some(ORDER));
    let error = registry_at(&[&nobody()], |_| {}).check("orders", &topic).await.unwrap_err();
    assert!(matches!(&error, SchemaError::Away(why) if why.to_lowercase().contains("refused")), "{error}");
}

#[tokio::test]
async fn a_wrong_path_is_not_taken_for_a_subject_without_schemas() {
    let topic = TopicDeclaration::new("Orders", "orders", LOCATION).avro_values(Some(ORDER));
    let (url, served) = answering("404 Not Found", r#"{"error_code":40401,"message":"no subject"}"#, 1);
    registry_at(&[&url], |_| {}).check("orders", &topic).await.unwrap();
    served.join().unwrap();
    for body in ["<html>no</html>", "{}"] {
        let (url, served) = answering("404 Not Found", body, 1);
        let error = registry_at(&[&url], |_| {}).check("orders", &topic).await.unwrap_err();
        let why = "is the path in the address right?";
        assert!(matches!(&error, SchemaError::Away(text) if text.contains(why)), "{error}");
        served.join().unwrap();
    }
}

#[tokio::test]
async fn a_registry_that_is_away_or_refuses_us_is_nobodys_message() {
    let nobody = nobody();
    let away = registry_at(&[&nobody], |_| {}).reading(1, None).await.unwrap_err();
    assert!(matches!(&away, SchemaError::Away(why) if why.contains("does not answer")), "{away}");
    let error = ConsumeError::from(away);
    assert!(error.error().is::<crate::error::RegistryAway>());
    let answers = [
        ("503 Service Unavailable", "{}", "does not answer"),
        ("500 Internal Server Error", r#"{"error_code":50001,"message":"store"}"#, "answers 500: store (error 50001)"),
        ("401 Unauthorized", r#"{"error_code":401,"message":"who are you"}"#, "refuses the credentials"),
        ("404 Not Found", "<html>no</html>", "is the path in the address right?"),
        ("200 OK", "<html>welcome</html>", "gives no answer that can be read"),
    ];
    for (status, body, expected) in answers {
        let (url, served) = answering(status, body, 1);
        let error = registry_at(&[&url], |_| {}).reading(1, None).await.unwrap_err();
        assert!(matches!(&error, SchemaError::Away(why) if why.contains(expected)), "{status}: {error}");
        served.join().unwrap();
    }
}

#[tokio::test]
async fn another_kind_of_schema_is_the_messages_fault() {
    let (url, served) = answering("200 OK", r#"{"schemaType":"PROTOBUF","schema":"syntax"}"#, 1);
    let error = registry_at(&[&url], |_| {}).reading(9, None).await.unwrap_err();
    assert_eq!(error, SchemaError::Wrong("the schema 9 in the schema registry is Protobuf, not Avro".to_owned()));
    served.join().unwrap();
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let body = r#"{"schema":"\"long\""}"#;
    let (url, served) = answering("200 OK", body, 1);
    let registry = registry_at(&[&url], |settings| settings.basic_auth_user_info = Some("me:s3cret".to_owned()));
    registry.reading(1, None).await.unwrap();
    assert!(served.join().unwrap()[0].contains("authorization: Basic bWU6czNjcmV0"));
    let (url, served) = answering("200 OK", body, 1);
    let registry = registry_at(&[&url], |settings| settings.bearer_auth_token = Some("t0ken".to_owned()));
    registry.reading(1, None).await.unwrap();
    assert!(served.join().unwrap()[0].contains("authorization: Bearer t0ken"));
    let with_password = nobody().replace("http://", "http://me:s3cret@");
    let registry = registry_at(&[&with_password], |_| {});
    let error = registry.reading(1, None).await.unwrap_err().to_string();
    assert!(!error.contains("s3cret") && !format!("{registry:?}").contains("s3cret"), "{error}");
}

#[test]
fn an_address_that_cannot_be_used_is_said_at_start() {
    let wrong = |url: &str| {
        let settings = SchemaRegistrySettings { urls: vec![url.to_owned()], ..SchemaRegistrySettings::default() };
        SchemaRegistry::of_settings(&settings).map(|registry| registry.is_some())
    };
    assert_eq!(wrong("http://registry:8081"), Ok(true));
    assert!(wrong("registry:8081").unwrap_err().contains("expected an address like http://registry:8081"));
    let https = wrong("https://registry");
    assert_eq!(https.is_ok(), cfg!(feature = "https"), "{https:?}");
}

#[test]
fn a_blocking_thread_can_ask_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = EmbeddedRegistry::start().unwrap();
    let registry = runtime.block_on(async { registry_at(&[server.url()], |_| {}) });
    runtime.block_on(registry.write("orders", Part::Value, &order(7), Some(ORDER))).unwrap();
    let fresh = runtime.block_on(async { registry_at(&[server.url()], |_| {}) });
    let read = runtime.spawn_blocking(move || fresh.reading_blocking(1, None).is_ok());
    assert!(runtime.block_on(read).unwrap());
}
