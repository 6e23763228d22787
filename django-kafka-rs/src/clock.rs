//! Time, as one value that tests can move: retry delays are waited for on it, and `TestApp::advance` moves it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The process's time plus what a test has advanced it by.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    advanced: watch::Sender<Duration>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { advanced: watch::Sender::new(Duration::ZERO) }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::now() + *self.advanced.borrow()
    }

    /// Milliseconds since 1970, moved likewise: what retry topics carry from process to process.
    pub(crate) fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + *self.advanced.borrow();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }

    /// The moment that is `ms` since 1970; now, where that is past.
    pub(crate) fn at_ms(&self, ms: i64) -> Instant {
        let left = u64::try_from(ms.saturating_sub(self.now_ms())).unwrap_or(0);
        self.now() + Duration::from_millis(left)
    }

    /// Moves the clock forward and wakes whoever sleeps on it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn advance(&self, by: Duration) {
        self.advanced.send_modify(|advanced| *advanced += by);
    }

    /// Returns once `now()` has reached `until`; never for `None`.
    pub(crate) async fn sleep_until(&self, until: Option<Instant>) {
        let Some(until) = until else { return std::future::pending().await };
        let mut changes = self.advanced.subscribe();
        loop {
            let left = until.saturating_duration_since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = changes.changed() => {}
            }
        }
    }
}
