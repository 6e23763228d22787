//! What the examples share: reading captured messages and printing tables. Nothing of it is needed to use
//! `django-kafka-rs`.

mod captured;
mod print;

pub use self::captured::{Captured, captured};
pub use self::print::{hex, or_dash, table, text, title};

/// What an example returns.
pub type ExampleResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
