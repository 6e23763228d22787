//! The fence before COMMIT: a process that was stopped (SIGSTOP, a suspended host) and wakes after its session timed
//! out may no longer own its partitions, and must not write what it had in hand.
//!
//! The poll thread says each time that it polls. A batch takes a permit when it starts, and asks it before COMMIT.
//! With offsets in Kafka a small window remains, between this question and the COMMIT's arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

/// Shared between the poll thread and the batches.
#[derive(Debug)]
pub(crate) struct Fence {
    started: Instant,
    started_system: SystemTime,
    certain_for: Duration,
    /// Milliseconds since `started`.
    last_poll_ms: AtomicU64,
    /// How often polling has paused for longer than that.
    lapses: AtomicU64,
}

impl Fence {
    /// `certain_for`: how long this process may stand still and still be sure of its partitions.
    pub(crate) fn new(certain_for: Duration) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            started_system: SystemTime::now(),
            certain_for,
            last_poll_ms: AtomicU64::new(0),
            lapses: AtomicU64::new(0),
        })
    }

    /// The poll thread polls. `true`: its last poll is so long ago that partitions may be somebody else's.
    pub(crate) fn polled(&self) -> bool {
        self.polled_at(self.elapsed())
    }

    fn polled_at(&self, now: Duration) -> bool {
        let now = now.as_millis() as u64;
        let before = self.last_poll_ms.swap(now, Ordering::AcqRel);
        let lapsed = Duration::from_millis(now.saturating_sub(before)) >= self.certain_for;
        if lapsed {
            self.lapses.fetch_add(1, Ordering::AcqRel);
        }
        lapsed
    }

    /// Since the poll thread last polled.
    pub(crate) fn since_poll(&self) -> Duration {
        let last_poll = Duration::from_millis(self.last_poll_ms.load(Ordering::Acquire));
        self.elapsed().saturating_sub(last_poll)
    }

    /// A permit for a batch that starts now.
    pub(crate) fn permit(self: &Arc<Self>, cancel: CancellationToken) -> Permit {
        Permit { lapses: self.lapses.load(Ordering::Acquire), fence: self.clone(), cancel }
    }

    /// The monotonic clock stands still while a host is suspended, the system's clock can be set back: the later of
    /// the two counts.
    fn elapsed(&self) -> Duration {
        self.started.elapsed().max(self.started_system.elapsed().unwrap_or_default())
    }
}

/// A batch's right to commit.
#[derive(Debug, Clone)]
pub(crate) struct Permit {
    fence: Arc<Fence>,
    lapses: u64,
    cancel: CancellationToken,
}

impl Permit {
    /// Whether the batch may still commit: its partition was not taken away, and polling never paused for
    /// too long.
    pub(crate) fn is_valid(&self) -> bool {
        self.is_valid_at(self.fence.elapsed())
    }

    fn is_valid_at(&self, now: Duration) -> bool {
        let last_poll = Duration::from_millis(self.fence.last_poll_ms.load(Ordering::Acquire));
        !self.cancel.is_cancelled()
            && self.fence.lapses.load(Ordering::Acquire) == self.lapses
            && now.saturating_sub(last_poll) < self.fence.certain_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pause_longer_than_the_session_voids_permits_also_after_polling_goes_on() {
        let fence = Fence::new(6 * SECOND);
        let permit = fence.permit(CancellationToken::new());
        assert!(permit.is_valid_at(5 * SECOND));
        assert!(!permit.is_valid_at(6 * SECOND), "not polled since");
        assert!(!fence.polled_at(5 * SECOND));
        assert!(permit.is_valid_at(10 * SECOND));
        assert!(fence.polled_at(11 * SECOND));
        assert!(!permit.is_valid_at(11 * SECOND), "the poll thread woke first");
        assert!(fence.permit(CancellationToken::new()).is_valid_at(11 * SECOND));
    }

    #[test]
    fn a_partition_that_is_taken_away_voids_its_permits() {
        let fence = Fence::new(6 * SECOND);
        let cancel = CancellationToken::new();
        let permit = fence.permit(cancel.clone());
        cancel.cancel();
        assert!(!permit.is_valid_at(SECOND));
    }
}
