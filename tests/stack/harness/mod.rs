//! What the tests share: the services' addresses, databases, topics, connectors, and our own services as processes.
//!
//! Everything made here has a name of its own, so that tests run side by side and again on the same services, and
//! removes itself.

mod broker;
mod connect;
mod database;
mod dice;
mod gateway;
mod load;
mod own_stack;
mod service;
#[cfg(feature = "temporal-tests")]
mod temporal;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

pub(crate) use self::broker::Broker;
pub(crate) use self::connect::{Connector, Published, Shape, is_passing};
pub(crate) use self::database::{Postgres, Replica, psql};
pub(crate) use self::dice::Dice;
pub(crate) use self::gateway::Gateway;
pub(crate) use self::load::Load;
pub(crate) use self::own_stack::OwnStack;
pub(crate) use self::service::{Service, ServiceConfig, handled};
#[cfg(feature = "temporal-tests")]
pub(crate) use self::temporal::Namespace;

/// How long a test waits for anything: longer than any healthy wait, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// How long to pause between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The address of a service, from the environment that `scripts/stack/up` prints.
pub(crate) fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: these tests need the real services: run \
             `scripts/stack/up kafka postgres connect`, then `. ~/.cache/dkrs-stack/env`"
        )
    })
}

/// A name that no other test has, now or in an earlier run: fit for databases, topics, slots and groups.
pub(crate) fn fresh_name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    format!("{what}_{ms:x}_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Looks again and again until there is an answer; past the deadline it panics with `what` and the last reason why
/// not.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    wait_at_most(DEADLINE, what, look)
}

/// The same with a deadline of its own.
pub(crate) fn wait_at_most<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(why) if Instant::now() > deadline => panic!("{what}: not within {limit:?}: {why}"),
            Err(_) => pause(),
        }
    }
}

/// Waits until the condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || if holds() { Ok(()) } else { Err("it does not hold".to_owned()) });
}

/// Whether two tables' rows are equal; else those that only one of them has, cut to a readable length.
pub(crate) fn compare(wanted: &[String], found: &[String]) -> Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let only = |of: &[String], other: &[String]| -> Vec<String> {
        let missing = of.iter().filter(|row| !other.contains(row));
        missing.take(10).map(|row| row.chars().take(200).collect()).collect()
    };
    Err(format!(
        "{} and {} rows; only the first has {:#?}; only the second has {:#?}",
        wanted.len(),
        found.len(),
        only(wanted, found),
        only(found, wanted)
    ))
}

/// Between two looks, so that looking does not take the processor from what is looked at.
fn pause() {
    std::thread::park_timeout(LOOK_INTERVAL);
}
