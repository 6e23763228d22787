//! How far `--until-end` is: a bar on a terminal, nothing elsewhere.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use crate::app::Summary;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bars of this process: log lines have to get around them.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Runs `write` while no bar is on the screen.
pub(crate) fn suspended(write: impl FnOnce()) {
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// A bar on standard error. Where that is no terminal, it shows nothing.
#[derive(Debug)]
pub(crate) struct ProgressView {
    bar: ProgressBar,
}

impl ProgressView {
    pub(crate) fn new() -> Self {
        let bars = BARS.get_or_init(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        let bar = bars.add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is right");
        bar.set_style(style.progress_chars("=> "));
        Self { bar }
    }

    /// Shows how many messages are done of how many, after how long. `total` may grow: topics go on.
    pub(crate) fn update(&self, done: u64, total: u64, elapsed: Duration) {
        self.bar.set_length(total);
        self.bar.set_position(done.min(total));
        self.bar.set_message(progress_text(done, total, elapsed));
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

// Writing to a `String` below cannot fail.

/// `12 300 of 50 000 messages, 4 100/s, 10s left`.
fn progress_text(done: u64, total: u64, elapsed: Duration) -> String {
    let mut text = format!("{} of {} messages", grouped(done), grouped(total));
    let Some(rate) = rate(done, elapsed) else {
        return text;
    };
    let _ = write!(text, ", {}/s", grouped(rate));
    let left = total.saturating_sub(done);
    if left > 0 && rate > 0 {
        let _ = write!(text, ", {} left", humantime::format_duration(Duration::from_secs(left.div_ceil(rate))));
    }
    text
}

/// `done: 50 000 messages in 12s, 4 100/s, 3 of them in dead letter topics`: the last line of `consume`.
pub(crate) fn summary_text(summary: &Summary, elapsed: Duration) -> String {
    let Summary { handled, dead_lettered, superseded, lost } = *summary;
    let shown = Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    let shown = if shown >= Duration::from_secs(10) { Duration::from_secs(shown.as_secs()) } else { shown };
    let mut text = format!("done: {} messages in {}", grouped(handled), humantime::format_duration(shown));
    if let Some(rate) = rate(handled, elapsed) {
        let _ = write!(text, ", {}/s", grouped(rate));
    }
    if dead_lettered > 0 {
        let _ = write!(text, ", {} of them in dead letter topics", grouped(dead_lettered));
    }
    if superseded > 0 {
        let _ = write!(text, ", {} of them superseded by newer ones", grouped(superseded));
    }
    if lost > 0 {
        let _ = write!(text, "; {} more were dropped by the embedded broker before they were read", grouped(lost));
    }
    text
}

/// Messages a second; not before there is something to divide.
fn rate(done: u64, elapsed: Duration) -> Option<u64> {
    let seconds = elapsed.as_secs_f64();
    (seconds >= 0.5 && done > 0).then(|| (done as f64 / seconds).round() as u64)
}

/// Digits in groups of three, as ISO 80000 writes them.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_in_words() {
        let text = |done, total, ms| progress_text(done, total, Duration::from_millis(ms));
        assert_eq!(text(0, 50_000, 0), "0 of 50 000 messages");
        assert_eq!(text(12_300, 50_000, 3_000), "12 300 of 50 000 messages, 4 100/s, 10s left");
        assert_eq!(text(1_234_567, 1_234_567, 60_000), "1 234 567 of 1 234 567 messages, 20 576/s");
        assert_eq!(text(7, 5, 10_000), "7 of 5 messages, 1/s");
    }

    #[test]
    fn the_summary_says_what_was_dead_lettered() {
        let text = |handled, dead_lettered, lost, ms| {
            summary_text(&Summary { handled, dead_lettered, superseded: 0, lost }, Duration::from_millis(ms))
        };
        let superseded = Summary { handled: 3, superseded: 1, ..Summary::default() };
        assert_eq!(
            summary_text(&superseded, Duration::from_millis(120)),
            "done: 3 messages in 120ms, 1 of them superseded by newer ones"
        );
        assert_eq!(text(3, 0, 0, 120), "done: 3 messages in 120ms");
        assert_eq!(
            text(3, 0, 2, 120),
            "done: 3 messages in 120ms; 2 more were dropped by the embedded broker before they were read"
        );
        assert_eq!(
            text(50_000, 3, 0, 12_345),
            "done: 50 000 messages in 12s, 4 050/s, 3 of them in dead letter topics"
        );
    }

    #[test]
    fn a_bar_can_be_fed_without_a_terminal() {
        let view = ProgressView::new();
        view.update(1, 2, Duration::from_secs(1));
        suspended(|| {});
        view.finish();
    }
}
