use django_kafka_rs::prelude::*;

use django_kafka_rs::prelude::{Decode, DecodeError};

#[derive(serde::Deserialize)]
struct Order {
    id: i64,
}

struct Csv<const SEPARATOR: char>;
impl<const SEPARATOR: char> Decode<Vec<String>> for Csv<SEPARATOR> {
    fn decode(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
        let text = std::str::from_utf8(bytes).map_err(|e| DecodeError::caused_by("not text", e))?;
        Ok(text.split(SEPARATOR).map(str::to_owned).collect())
    }
}

#[topic(name = "texts")]
struct Texts;
impl TopicConsumer for Texts {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let (_key, _value): (String, String) = (record.key()?, record.value()?);
        Ok(())
    }
}

#[topic(name = "orders", key = std::string::String, value = Order)]
struct Orders;
impl TopicConsumer for Orders {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let key: String = record.key()?;
        let order: Order = record.value()?;
        if key.is_empty() { Err(ConsumeError::skip(format!("order {}", order.id))) } else { Ok(()) }
    }
}

#[topic(name = "bytes", format = bytes)]
struct Bytes;
impl TopicConsumer for Bytes {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let (_key, _value): (Vec<u8>, Vec<u8>) = (record.key()?, record.value()?);
        Ok(())
    }
}

#[topic(name = "any", key_format = string, value_format = json)]
struct AnyJson;
impl TopicConsumer for AnyJson {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let _key: String = record.key()?;
        let _value: serde_json::Value = record.value()?;
        Ok(())
    }
}

#[topic(name = "csv", value = Vec<String>, value_format = Csv<';'>)]
struct Lines;
impl TopicConsumer for Lines {
    async fn consume(&self, record: &Record<Self>, _cx: &Context) -> ConsumeResult {
        let _cells: Vec<String> = record.value()?;
        Ok(())
    }
}

#[consumer(group = "formats", topics(Texts, Orders, Bytes, AnyJson, Lines))]
struct All;

fn main() {}
