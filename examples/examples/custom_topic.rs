//! Code of your own for each message: `cargo run --example custom_topic`.
//!
//! Orders come in, a price is asked for, an invoice goes out. The price service is away at first, so the first order
//! is retried; an order that can never be priced goes to the dead letter topic at once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use django_kafka_rs::App;
use django_kafka_rs::prelude::*;
use django_kafka_rs::testing::TestApp;
use django_kafka_rs_examples::{ExampleResult, one_partition, table, text, title};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct OrderPlaced {
    item: String,
    quantity: u32,
}

#[derive(Serialize, Deserialize)]
struct Invoice {
    item: String,
    cents: u64,
}

/// Where orders come in. Only while the price service is away is anything retried: after 30 s, 60 s, 120 s.
#[topic(
    name = "orders.placed",
    key = String,
    value = OrderPlaced,
    retry(max_retries = 3, delay = "30s", backoff, include(std::io::Error)),
)]
struct OrdersPlaced;

/// Where invoices go out.
#[topic(name = "invoices", key = String, value = Invoice)]
struct Invoices;

impl TopicConsumer for OrdersPlaced {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let order = record.value()?;
        if order.quantity == 0 {
            return Err(ConsumeError::dead_letter("an order of nothing cannot be priced"));
        }
        let desk = cx.state::<Arc<Desk>>();
        desk.attempts.lock().map_err(|_| "the desk is gone")?.push((record.key()?, record.attempt()));
        let cents = desk.price(&order.item)? * u64::from(order.quantity);
        cx.produce(&Invoices, record.key()?, &Invoice { item: order.item, cents }).await?;
        Ok(())
    }
}

/// Our own topic is read too, to show what arrived.
impl TopicConsumer for Invoices {
    async fn consume(&self, record: &Record<Self>, cx: &Context) -> ConsumeResult {
        let invoice = record.value()?;
        cx.state::<Arc<Desk>>().invoices.lock().map_err(|_| "the desk is gone")?.push((record.key()?, invoice));
        Ok(())
    }
}

#[consumer(group = "billing", topics(OrdersPlaced, Invoices), config("auto.offset.reset" = "earliest"))]
struct Billing;

/// What the handlers share: `App::state` takes it, `cx.state` gives it.
#[derive(Default)]
struct Desk {
    prices: Mutex<HashMap<&'static str, u64>>,
    attempts: Mutex<Vec<(String, u32)>>,
    invoices: Mutex<Vec<(String, Invoice)>>,
}

impl Desk {
    fn price(&self, item: &str) -> Result<u64, ConsumeError> {
        let prices = self.prices.lock().map_err(|_| "the desk is gone")?;
        if prices.is_empty() {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the price service is away").into());
        }
        prices.get(item).copied().ok_or_else(|| format!("nothing is called `{item}`").into())
    }
}

const ORDERS: &str = "orders.placed";

#[tokio::main]
async fn main() -> ExampleResult {
    let desk = Arc::new(Desk::default());
    let app = TestApp::start(App::from_linked().settings(one_partition()).state(desk.clone())).await?;

    title("1. Three orders while the price service is away: A waits for its retry, and the others wait behind it");
    app.produce(ORDERS, "A", r#"{"item":"lamp","quantity":2}"#).await?;
    app.produce(ORDERS, "B", r#"{"item":"lamp","quantity":0}"#).await?;
    app.produce(ORDERS, "C", r#"{"item":"unicorn","quantity":1}"#).await?;
    app.settle().await?;
    show(&desk)?;

    title("2. The service is back; 30 seconds later");
    desk.prices.lock().map_err(|_| "the desk is gone")?.insert("lamp", 1950);
    app.advance(Duration::from_secs(30)).await;
    app.settle().await?;
    show(&desk)?;

    title("   Dead letters:");
    for letter in app.dead_letters(ORDERS).await? {
        text(&format!(
            "order {}: {}",
            String::from_utf8_lossy(letter.key.as_deref().unwrap_or_default()),
            letter.summary
        ));
    }
    app.shutdown().await?;
    Ok(())
}

fn show(desk: &Desk) -> ExampleResult {
    let attempts = desk.attempts.lock().map_err(|_| "the desk is gone")?;
    for (order, attempt) in attempts.iter() {
        match attempt {
            0 => text(&format!("order {order}: first attempt")),
            retry => text(&format!("order {order}: retry {retry}")),
        }
    }
    let invoices = desk.invoices.lock().map_err(|_| "the desk is gone")?;
    let rows: Vec<_> = invoices.iter().map(|(order, i)| [order.clone(), i.item.clone(), i.cents.to_string()]).collect();
    title("   invoices");
    table(["order", "item", "cents"], &rows);
    Ok(())
}
