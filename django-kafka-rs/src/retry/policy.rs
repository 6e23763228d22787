//! What happens to a message that failed: a plain function of the settings, the error and the attempts made.

use std::error::Error;
use std::time::Duration;

use crate::error::{Action, ConsumeError};
use crate::topic::{RetryMode, RetrySettings};

/// What is to happen to a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again in place after this time: the partition waits.
    Hold(Duration),
    /// To the retry topic of this number, to be tried again after this time.
    Hop {
        /// From 1.
        number: u32,
        /// From now.
        delay: Duration,
    },
    /// To the dead letter topic.
    DeadLetter,
    /// Pass over it.
    Skip,
    /// Pass over it: a newer message of its key is there. Said by the key offset tracker, not by the settings.
    Superseded,
}

/// Decides.
///
/// `failures` counts this failure too: 1 after the first attempt. `spread` is a random number in `0.0..1.0` for
/// `jitter`; it is an argument so that the decision stays a function.
pub(crate) fn decide(settings: Option<&RetrySettings>, error: &ConsumeError, failures: u32, spread: f64) -> Decision {
    let retry_after = match error.action() {
        Action::Skip => return Decision::Skip,
        Action::DeadLetter => return Decision::DeadLetter,
        Action::RetryAfter(delay) => Some(delay),
        Action::Policy => None,
    };
    let Some(settings) = settings else { return Decision::DeadLetter };
    let left = match u32::try_from(settings.max_retries) {
        Ok(max_retries) => failures <= max_retries,
        // Negative: -1, for ever.
        Err(_) => true,
    };
    // A handler that asks for a retry has judged its error itself.
    if !left || (retry_after.is_none() && !is_retryable(settings, error.error())) {
        return Decision::DeadLetter;
    }
    let delay = match retry_after {
        Some(delay) => settings.delay_ms_max.map_or(delay, |max| delay.min(Duration::from_millis(max))),
        None if settings.jitter => settings.delay_before(failures).mul_f64(0.5 + 0.5 * spread.clamp(0.0, 1.0)),
        None => settings.delay_before(failures),
    };
    match settings.mode {
        RetryMode::Blocking => Decision::Hold(delay),
        RetryMode::NonBlocking => Decision::Hop { number: failures, delay },
    }
}

/// Whether the retry number `failures` is to be logged.
pub(crate) fn is_logged(settings: &RetrySettings, failures: u32) -> bool {
    settings.log_every.is_some_and(|n| n != 0 && failures.is_multiple_of(n))
}

fn is_retryable(settings: &RetrySettings, error: &(dyn Error + 'static)) -> bool {
    if let Some(function) = settings.include_if {
        return any_cause(error, &function);
    }
    if !settings.include.is_empty() {
        return any_cause(error, &|e| settings.include.iter().any(|t| t.matches(e)));
    }
    !any_cause(error, &|e| settings.exclude.iter().any(|t| t.matches(e)))
}

/// Asks the error and what caused it, also where a type that we know hides its cause from `source()`.
pub(crate) fn any_cause(error: &(dyn Error + 'static), ask: &dyn Fn(&(dyn Error + 'static)) -> bool) -> bool {
    /// Longer chains are a cycle or an accident.
    const DEPTH_MAX: usize = 64;
    fn walk(error: &(dyn Error + 'static), ask: &dyn Fn(&(dyn Error + 'static)) -> bool, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        if ask(error) {
            return true;
        }
        if let Some(hidden) = hidden_cause(error)
            && walk(hidden, ask, depth + 1)
        {
            return true;
        }
        error.source().is_some_and(|source| walk(source, ask, depth + 1))
    }
    walk(error, ask, 0)
}

/// The cause that `source()` does not give: `io::Error::other(e)` and Diesel's boxed errors answer with the
/// source *of* their content.
fn hidden_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    use diesel::result::Error as DieselError;
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        return io.get_ref().map(|e| e as &(dyn Error + 'static));
    }
    match error.downcast_ref::<DieselError>()? {
        DieselError::QueryBuilderError(e)
        | DieselError::DeserializationError(e)
        | DieselError::SerializationError(e) => Some(&**e),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::ErrorType;

    #[derive(Debug, thiserror::Error)]
    #[error("mine")]
    struct Mine;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Mine);

    const MINE: &[ErrorType] = &[ErrorType::of::<Mine>("Mine")];

    fn first(settings: RetrySettings, error: impl Into<ConsumeError>) -> Decision {
        decide(Some(&settings), &error.into(), 1, 0.0)
    }

    const RETRY: Decision = Decision::Hold(Duration::from_millis(RetrySettings::DELAY_MS_DEFAULT));

    #[test]
    fn without_settings_a_failure_is_a_dead_letter() {
        assert_eq!(decide(None, &Mine.into(), 1, 0.0), Decision::DeadLetter);
        assert_eq!(decide(None, &ConsumeError::retry_after(Duration::from_secs(1)), 1, 0.0), Decision::DeadLetter);
    }

    #[test]
    fn counts_retries_after_the_first_attempt() {
        let settings = RetrySettings::new(2);
        let decisions: Vec<_> = (1..=4).map(|n| decide(Some(&settings), &Mine.into(), n, 0.0)).collect();
        assert_eq!(decisions, [RETRY, RETRY, Decision::DeadLetter, Decision::DeadLetter]);
        assert_eq!(first(RetrySettings::new(0), Mine), Decision::DeadLetter);
        assert_eq!(decide(Some(&RetrySettings::new(-1)), &Mine.into(), u32::MAX, 0.0), RETRY);
    }

    #[test]
    fn include_and_exclude_look_through_the_chain() {
        let include = RetrySettings::new(1).include(MINE);
        let exclude = RetrySettings::new(1).exclude(MINE);
        for error in [
            ConsumeError::from(Mine),
            Outer(Mine).into(),
            std::io::Error::other(Mine).into(),
            diesel::result::Error::SerializationError(Box::new(Mine)).into(),
            diesel::result::Error::QueryBuilderError(Box::new(Outer(Mine))).into(),
        ] {
            assert_eq!(decide(Some(&include), &error, 1, 0.0), RETRY, "{error:?}");
            assert_eq!(decide(Some(&exclude), &error, 1, 0.0), Decision::DeadLetter, "{error:?}");
        }
        assert_eq!(first(include, "text"), Decision::DeadLetter);
        assert_eq!(first(exclude, "text"), RETRY);
    }

    #[test]
    fn include_if_is_asked_of_each_cause() {
        let settings = RetrySettings::new(1).include_if(|e| e.to_string() == "mine");
        assert_eq!(first(settings, Outer(Mine)), RETRY);
        assert_eq!(first(settings, "other"), Decision::DeadLetter);
    }

    #[test]
    fn the_handler_overrides() {
        let settings = RetrySettings::new(1).include(MINE).delay_ms_max(5_000);
        assert_eq!(first(settings, ConsumeError::skip("no")), Decision::Skip);
        assert_eq!(first(settings, ConsumeError::dead_letter(Mine)), Decision::DeadLetter);
        let soon = ConsumeError::retry_after(Duration::from_secs(1));
        assert_eq!(decide(Some(&settings), &soon, 1, 0.0), Decision::Hold(Duration::from_secs(1)));
        assert_eq!(decide(Some(&settings), &soon, 2, 0.0), Decision::DeadLetter, "it counts as an attempt");
        let late = ConsumeError::retry_after(Duration::from_secs(60));
        assert_eq!(decide(Some(&settings), &late, 1, 0.0), Decision::Hold(Duration::from_secs(5)), "max_delay caps");
    }

    #[test]
    fn delays_double_up_to_the_cap_and_spread() {
        let settings = RetrySettings::new(-1).delay_ms(1_000).backoff(true).delay_ms_max(5_000);
        let delays: Vec<u128> = [1, 2, 3, 4, 40, u32::MAX].map(|n| settings.delay_before(n).as_millis()).to_vec();
        assert_eq!(delays, [1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        let jittered = settings.jitter(true);
        assert_eq!(decide(Some(&jittered), &Mine.into(), 1, 0.0), Decision::Hold(Duration::from_millis(500)));
        assert_eq!(decide(Some(&jittered), &Mine.into(), 1, 1.0), Decision::Hold(Duration::from_millis(1_000)));
    }

    #[test]
    fn non_blocking_retries_go_to_the_topic_of_their_number() {
        let settings = RetrySettings::new(2).blocking(false).delay_ms(1_000).backoff(true);
        let decisions: Vec<_> = (1..=3).map(|n| decide(Some(&settings), &Mine.into(), n, 0.0)).collect();
        let hop = |number, secs| Decision::Hop { number, delay: Duration::from_secs(secs) };
        assert_eq!(decisions, [hop(1, 1), hop(2, 2), Decision::DeadLetter]);
    }

    /// What the settings and the handler say, in every combination, against the rules as they are documented.
    #[test]
    fn every_combination_goes_by_the_rules() {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Said {
            Nothing,
            Skip,
            DeadLetter,
            RetryAfter,
        }
        let error = |said, is_mine: bool| match (said, is_mine) {
            (Said::Skip, _) => ConsumeError::skip("no"),
            (Said::DeadLetter, true) => ConsumeError::dead_letter(Outer(Mine)),
            (Said::DeadLetter, false) => ConsumeError::dead_letter("other"),
            (Said::RetryAfter, _) => ConsumeError::retry_after(Duration::from_secs(7)),
            (Said::Nothing, true) => Outer(Mine).into(),
            (Said::Nothing, false) => "other".into(),
        };
        type Filter = fn(RetrySettings) -> RetrySettings;
        // Which errors are retried: mine, others.
        let filters: [(Filter, [bool; 2]); 4] = [
            (|settings| settings, [true, true]),
            (|settings| settings.include(MINE), [true, false]),
            (|settings| settings.exclude(MINE), [false, true]),
            (|settings| settings.include_if(|e| e.is::<Mine>()), [true, false]),
        ];
        let mut combinations = 0;
        for max_retries in [-1, 0, 1, 3] {
            for blocking in [true, false] {
                for (filter, [mine, others]) in filters {
                    let settings = filter(RetrySettings::new(max_retries).delay_ms(1_000).blocking(blocking));
                    for said in [Said::Nothing, Said::Skip, Said::DeadLetter, Said::RetryAfter] {
                        for (is_mine, number) in [true, false].into_iter().flat_map(|m| (1..=5).map(move |n| (m, n))) {
                            let is_retried = if is_mine { mine } else { others };
                            let is_left = max_retries < 0 || i64::from(number) <= i64::from(max_retries);
                            let retried = is_left && (said == Said::RetryAfter || is_retried);
                            let delay = Duration::from_secs(if said == Said::RetryAfter { 7 } else { 1 });
                            let expected = match said {
                                Said::Skip => Decision::Skip,
                                Said::DeadLetter => Decision::DeadLetter,
                                _ if !retried => Decision::DeadLetter,
                                _ if blocking => Decision::Hold(delay),
                                _ => Decision::Hop { number, delay },
                            };
                            let decision = decide(Some(&settings), &error(said, is_mine), number, 0.5);
                            assert_eq!(decision, expected, "{settings:?} {said:?} mine: {is_mine}, failure {number}");
                            combinations += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(combinations, 4 * 2 * 4 * 4 * 10);
    }

    /// Our own errors are found below what a runtime's layer puts around them.
    #[test]
    fn own_error_types_are_found_in_the_chain() {
        use crate::error::{ConstraintViolation, DecodeError};
        const OWN: &[ErrorType] =
            &[ErrorType::of::<DecodeError>("DecodeError"), ErrorType::of::<ConstraintViolation>("ConstraintViolation")];
        let settings = RetrySettings::new(1).exclude(OWN);
        let violation = || ConstraintViolation::new("no".to_owned(), diesel::result::Error::NotFound);
        assert_eq!(first(settings, violation()), Decision::DeadLetter);
        assert_eq!(first(settings, DecodeError::new("no")), Decision::DeadLetter);
        assert_eq!(first(settings, std::io::Error::other(violation())), Decision::DeadLetter);
        assert_eq!(first(settings, DecodeError::caused_by("no", Mine)), Decision::DeadLetter);
        let mine = RetrySettings::new(1).include(MINE);
        assert_eq!(first(mine, DecodeError::caused_by("no", Mine)), RETRY, "what caused it counts too");
    }

    proptest::proptest! {
        #[test]
        fn delays_stay_between_half_and_whole_and_below_the_cap(
            delay in 1..100_000_u64,
            cap in proptest::option::of(1..1_000_000_u64),
            (backoff, jitter, failures, spread) in (
                proptest::bool::ANY, proptest::bool::ANY, 1..u32::MAX, -1.0..2.0_f64,
            ),
        ) {
            let plain = RetrySettings::new(-1).delay_ms(delay).backoff(backoff).jitter(jitter);
            let settings = cap.map_or(plain, |cap| plain.delay_ms_max(cap));
            let Decision::Hold(waited) = decide(Some(&settings), &Mine.into(), failures, spread) else {
                panic!("endless blocking retries hold");
            };
            let whole = settings.delay_before(failures);
            // A factor rounds.
            let share = waited.as_secs_f64() / whole.as_secs_f64();
            proptest::prop_assert!(if jitter { (0.499..1.001).contains(&share) } else { waited == whole }, "{share}");
            proptest::prop_assert!(cap.is_none_or(|cap| whole <= Duration::from_millis(cap)));
            let first = cap.map_or(delay, |cap| cap.min(delay));
            proptest::prop_assert!(whole >= Duration::from_millis(first), "no retry waits less than the first");
        }
    }

    #[test]
    fn logs_every_nth() {
        let settings = RetrySettings::new(-1).log_every(3);
        assert_eq!((1..=7).filter(|n| is_logged(&settings, *n)).collect::<Vec<_>>(), [3, 6]);
        assert!(!is_logged(&RetrySettings::new(1), 1));
    }
}
