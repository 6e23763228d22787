//! What the examples share: reading captured messages and printing tables. Nothing of it is needed to use
//! `django-kafka-rs`.

mod captured;
mod print;

use django_kafka_rs::settings::Settings;

pub use self::captured::{Captured, captured};
pub use self::print::{hex, or_dash, table, text, title};

/// Settings whose topics have one partition, so that all messages of a topic have one order.
#[must_use]
pub fn one_partition() -> Settings {
    let mut settings = Settings::default();
    settings.embedded.partitions = 1;
    settings
}

/// What an example returns.
pub type ExampleResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
