//! Messages that wait for the rows they refer to.

use super::{TestApp, TestError, TestResult};
use crate::relations::{ResolveError, Resolver, WaitingMessage};

/// Messages that a test looks at, at most.
const WAITING_MAX: i64 = 100_000;

impl From<ResolveError> for TestError {
    fn from(error: ResolveError) -> Self {
        Self(error.to_string())
    }
}

impl TestApp {
    /// The messages that wait for rows, and those of their keys behind them, in the order in which they were parked.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn waiting(&self) -> TestResult<Vec<WaitingMessage>> {
        let Some(resolver) = self.handle.resolver().cloned() else { return Ok(Vec::new()) };
        Ok(tokio::task::spawn_blocking(move || resolver.list(0, WAITING_MAX)).await??)
    }

    /// Resolves what can be resolved; `Err`, and why: something was, so there may be more to come.
    pub(super) async fn resolve(&self) -> TestResult<Result<(), String>> {
        let Some(resolver) = self.handle.resolver().cloned() else { return Ok(Ok(())) };
        Ok(tokio::task::spawn_blocking(move || look(&resolver)).await??)
    }
}

fn look(resolver: &Resolver) -> Result<Result<(), String>, ResolveError> {
    const BUSY: &str = "waiting messages are being resolved";
    // What the daemon has in hand is not seen by this look, and may be left by it.
    if resolver.is_busy()? {
        return Ok(Err(BUSY.to_owned()));
    }
    let mut after = None;
    loop {
        let done = resolver.look(&mut after)?;
        if done.resolved > 0 {
            return Ok(Err(format!("{} messages that waited were resolved", done.resolved)));
        }
        if after.is_none() {
            break;
        }
    }
    Ok(if resolver.is_busy()? { Err(BUSY.to_owned()) } else { Ok(()) })
}
