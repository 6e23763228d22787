//! `[retry_settings]`: the rules that `retry(…)` has at compile time, at start.

use std::time::Duration;

use super::section::{Findings, Section};
use super::values::{DURATION_MAX, duration, flag, integer, positive_duration};
use crate::topic::{RetryMode, RetrySettings};

/// Reads the table; `None` where it is wrong.
pub(super) fn retry_settings(mut section: Section, findings: &mut Findings) -> Option<RetrySettings> {
    let mistakes_before = findings.mistakes.len();
    let table = section.source.clone();

    let max_retries_is_set = section.has("max_retries");
    let max_retries = section.read("max_retries", findings, |node| {
        integer(node, -1..=i32::MAX).map_err(|_| "a number of retries, or -1 for ever".to_owned())
    });
    if !max_retries_is_set {
        let message = "`max_retries` is missing: write for instance `max_retries = 5` (-1: for ever)";
        findings.mistake(&table, "retry_settings", message);
    }
    let mut settings = RetrySettings::new(max_retries.unwrap_or(0));
    if let Some(delay) = section.read("delay", findings, positive_duration) {
        settings = settings.delay_ms(ms(delay));
    }
    if let Some(delay_max) = section.read("max_delay", findings, duration) {
        settings = settings.delay_ms_max(ms(delay_max));
        if ms(delay_max) < settings.delay_ms {
            findings.mistake_at(
                "retry_settings.max_delay",
                "is below `delay`, and would shorten every retry: raise it, or lower `delay`",
            );
        }
    }
    settings = settings.backoff(section.read("backoff", findings, flag).unwrap_or(false));
    settings = settings.jitter(section.read("jitter", findings, flag).unwrap_or(false));
    if let Some(n) = section.read("log_every", findings, |node| integer(node, 1..=u32::MAX)) {
        settings = settings.log_every(n);
    }
    settings = settings.blocking(section.read("blocking", findings, flag).unwrap_or(true));
    if settings.mode == RetryMode::NonBlocking && settings.max_retries < 0 {
        findings.mistake_at(
            "retry_settings.blocking",
            "endless retries (`max_retries = -1`) cannot be non-blocking, since each retry has a topic of its own: \
             give a number of retries, or leave `blocking = false` out",
        );
    }
    settings = settings.use_offset_tracker(section.read("use_offset_tracker", findings, flag).unwrap_or(false));
    refuse_types(&mut section, findings);
    check_growth(&settings, findings);
    section.finish(findings);
    (findings.mistakes.len() == mistakes_before).then_some(settings)
}

/// Error types are Rust's: no file can name them.
fn refuse_types(section: &mut Section, findings: &mut Findings) {
    for key in ["include", "exclude", "include_if"] {
        if let Some(node) = section.take_unlisted(key) {
            let message = format!(
                "names Rust code, which a settings file cannot: write `retry({key}…)` in the topic's `#[topic(…)]`; \
                 take it out here"
            );
            findings.mistake(&node.source, &section.path(key), message);
        }
    }
}

/// A doubling delay that grows out of all bounds, where nothing caps it.
fn check_growth(settings: &RetrySettings, findings: &mut Findings) {
    if !settings.backoff || settings.delay_ms_max.is_some() {
        return;
    }
    let ratio = ms(DURATION_MAX) / settings.delay_ms.max(1);
    // Retry n waits delay × 2^(n-1).
    let overflow = ratio.checked_ilog2().map_or(1, |doublings| doublings + 2);
    if u32::try_from(settings.max_retries).is_ok_and(|last| last < overflow) {
        return;
    }
    findings.mistake_at(
        "retry_settings.backoff",
        format!(
            "doubles the delay until retry {overflow} would wait over 1000 days: cap it, for example with \
             `max_delay = \"1h\"`, or lower `max_retries`"
        ),
    );
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(u64::from(!duration.is_zero()))
}
