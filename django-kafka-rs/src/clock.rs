//! Time, as one value that tests can move: retry delays are waited for on it, and `TestApp::advance` moves it.

use std::time::{Duration, Instant};

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

    /// Moves the clock forward and wakes whoever sleeps on it.
    #[cfg(feature = "testing")]
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
