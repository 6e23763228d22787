//! When a request is repeated (`[connect_retry]`). Pure.

use std::time::Duration;

use crate::settings::ConnectRetry;

/// A rebalance of the workers is in progress.
pub(crate) const CONFLICT: u16 = 409;

/// Why a request did not do what it was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection came about: nothing was sent.
    Connect,
    /// The answer did not come, or not in time: what was sent may have been done.
    Read,
    /// The answer's status, and how long it asks to wait.
    Status(u16, Option<Duration>),
}

/// The repetitions of one request so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Repetitions {
    connect: u32,
    read: u32,
    status: u32,
}

impl Repetitions {
    /// How long to wait before the next try; `None`: there is none.
    ///
    /// `repeatable`: doing it twice is as doing it once. `spread`, from 0 to 1, is the jitter's chance; it is an argument
    /// so that the decision stays a function.
    pub(crate) fn next(
        &mut self,
        settings: &ConnectRetry,
        trouble: Trouble,
        repeatable: bool,
        spread: f64,
    ) -> Option<Duration> {
        let (count, limit, asked) = match trouble {
            Trouble::Connect => (&mut self.connect, settings.connect, None),
            Trouble::Read if repeatable => (&mut self.read, settings.read, None),
            Trouble::Status(status, asked) if status == CONFLICT || settings.status_forcelist.contains(&status) => {
                (&mut self.status, settings.status, asked)
            }
            Trouble::Read | Trouble::Status(..) => return None,
        };
        if *count >= limit {
            return None;
        }
        *count += 1;
        let done = self.connect + self.read + self.status;
        let doubled = settings.backoff_factor.saturating_mul(2_u32.saturating_pow(done - 1));
        let jittered = doubled.min(settings.backoff_max).mul_f64(0.5 + 0.5 * spread.clamp(0.0, 1.0));
        Some(jittered.max(asked.unwrap_or_default()).min(settings.backoff_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(settings: &ConnectRetry, trouble: Trouble, repeatable: bool) -> Vec<u128> {
        let mut repetitions = Repetitions::default();
        std::iter::from_fn(|| repetitions.next(settings, trouble, repeatable, 1.0))
            .map(|wait| wait.as_millis())
            .take(1000)
            .collect()
    }

    #[test]
    fn waits_double_up_to_their_limit_and_end() {
        let settings = ConnectRetry::default();
        let all = [500, 1000, 2000, 4000, 8000];
        assert_eq!(waits(&settings, Trouble::Connect, true), all);
        assert_eq!(waits(&settings, Trouble::Read, true), all);
        assert_eq!(waits(&settings, Trouble::Status(503, None), true), all);
        let short = ConnectRetry { backoff_max: Duration::from_secs(3), connect: 100, ..settings };
        assert_eq!(waits(&short, Trouble::Connect, true)[..5], [500, 1000, 2000, 3000, 3000]);
        assert_eq!(waits(&short, Trouble::Connect, true).len(), 100);
    }

    #[test]
    fn jitter_takes_up_to_half_of_a_wait() {
        let of = |spread| Repetitions::default().next(&ConnectRetry::default(), Trouble::Connect, true, spread);
        assert_eq!(of(0.0), Some(Duration::from_millis(250)));
        assert_eq!(of(1.0), Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_rebalance_is_waited_for_and_other_refusals_are_not() {
        let settings = ConnectRetry::default();
        assert_eq!(waits(&settings, Trouble::Status(409, None), false).len(), 5);
        for status in [400, 401, 404, 422, 500] {
            assert!(waits(&settings, Trouble::Status(status, None), true).is_empty(), "{status}");
        }
        assert!(waits(&ConnectRetry { status: 0, ..settings }, Trouble::Status(409, None), true).is_empty());
    }

    #[test]
    fn what_must_not_be_done_twice_is_not_sent_again_once_it_may_have_arrived() {
        let settings = ConnectRetry::default();
        assert!(waits(&settings, Trouble::Read, false).is_empty());
        assert_eq!(waits(&settings, Trouble::Connect, false).len(), 5);
    }

    #[test]
    fn waits_as_long_as_the_answer_asks_within_the_limit() {
        let settings = ConnectRetry { backoff_max: Duration::from_secs(20), ..ConnectRetry::default() };
        let of = |secs| {
            let trouble = Trouble::Status(503, Some(Duration::from_secs(secs)));
            Repetitions::default().next(&settings, trouble, true, 1.0)
        };
        assert_eq!(of(7), Some(Duration::from_secs(7)));
        assert_eq!(of(0), Some(Duration::from_millis(500)));
        assert_eq!(of(900), Some(Duration::from_secs(20)));
    }
}
