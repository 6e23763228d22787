//! What only a look inside can provoke.

use super::{Outgoing, Producer};
use crate::embedded::EmbeddedBroker;
use crate::kafka::ClientEvents;
use crate::record::Headers;
use crate::settings::Settings;

fn message() -> Outgoing {
    Outgoing {
        topic: "orders".to_owned(),
        partition: None,
        timestamp_ms: None,
        key: None,
        value: Some(b"value".to_vec()),
        headers: Headers::new(),
    }
}

/// What an idempotent producer that lost track does for ever after.
#[tokio::test]
async fn a_fatal_error_is_told_and_no_outage() {
    let broker = EmbeddedBroker::start(1).unwrap();
    let mut settings = Settings::default();
    settings.global_config.set("bootstrap.servers", broker.bootstrap_servers());
    let producer = Producer::of_settings(&settings, ClientEvents::new("producer", None)).unwrap();
    producer.send(&message()).await.unwrap();
    producer.fail_fatally();
    let reason = producer.failed().await;
    assert!(reason.contains("as planned"), "{reason}");
    let refused = producer.send(&message()).await.unwrap_err();
    assert!(refused.is_fatal() && !refused.is_outage(), "{refused}");
}
