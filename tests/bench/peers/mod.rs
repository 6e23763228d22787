//! Others who do the same: `scripts/bench --peers` installs what they need, and says here by environment variables
//! where it is.

mod jdbc_sink;
mod spring;

use std::process::Command;

pub(crate) use self::jdbc_sink::JdbcSink;
pub(crate) use self::spring::Spring;
use crate::Failure;
use crate::contender::Place;

/// The Python library django-kafka, on Django and psycopg: its `ModelTopicConsumer`, one process.
pub(crate) fn python(place: &Place<'_>) -> Result<Command, Failure> {
    let mut command = Command::new(installed("BENCH_PYTHON")?);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers/python/run.py"));
    command.args([place.servers, place.url, place.topic, place.group]);
    Ok(command)
}

fn installed(variable: &str) -> Result<String, Failure> {
    std::env::var(variable)
        .map_err(|_| format!("{variable} is not set: `scripts/bench --peers` installs the others first").into())
}
