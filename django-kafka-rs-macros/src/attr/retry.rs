//! `retry(…)`: reading it, and its rules.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::ToTokens;

use crate::attr::duration;
use crate::attr::options::{Entry, Given, OptionList};
use crate::ctx::Ctx;
use crate::diag;
use crate::model::retry::Retry;
use crate::symbol::{
    BACKOFF, BLOCKING, DELAY, EXCLUDE, INCLUDE, INCLUDE_IF, JITTER, LOG_EVERY, MAX_DELAY, MAX_RETRIES, RETRY_OPTIONS,
    USE_OFFSET_TRACKER,
};

/// What the runtime takes where no delay is said: `RetrySettings::DELAY_MS_DEFAULT`.
const DELAY_MS_DEFAULT: u64 = 10_000;

/// Reads `retry(…)`; `None` where it could not be read.
pub(crate) fn read(ctx: &Ctx, entry: &Entry) -> Option<Retry> {
    let arguments = entry.arguments(ctx, "its options")?;
    Options::read(ctx, arguments).check(ctx, entry)
}

/// The options as written.
struct Options {
    max_retries: Option<Given<i32>>,
    delay: Option<Given<u64>>,
    max_delay: Option<Given<u64>>,
    backoff: Option<Given<bool>>,
    jitter: Option<Given<bool>>,
    include: Option<Given<Vec<syn::Type>>>,
    exclude: Option<Given<Vec<syn::Type>>>,
    include_if: Option<Given<syn::Path>>,
    blocking: Option<Given<bool>>,
    log_every: Option<Given<u32>>,
    use_offset_tracker: Option<Given<bool>>,
    faulty: bool,
}

impl Options {
    fn read(ctx: &Ctx, arguments: TokenStream) -> Self {
        let mut list = OptionList::parse(ctx, &RETRY_OPTIONS, arguments);
        Self {
            max_retries: list.given(MAX_RETRIES, max_retries),
            delay: list.given(DELAY, time),
            max_delay: list.given(MAX_DELAY, time),
            backoff: list.given(BACKOFF, |ctx, entry| entry.flag(ctx)),
            jitter: list.given(JITTER, |ctx, entry| entry.flag(ctx)),
            include: list.given(INCLUDE, error_types),
            exclude: list.given(EXCLUDE, error_types),
            include_if: list.given(INCLUDE_IF, |ctx, entry| {
                entry.path(ctx, "the path of a function `fn(&(dyn Error + 'static)) -> bool`")
            }),
            blocking: list.given(BLOCKING, |ctx, entry| entry.boolean(ctx)),
            log_every: list.given(LOG_EVERY, log_every),
            use_offset_tracker: list.given(USE_OFFSET_TRACKER, |ctx, entry| entry.flag(ctx)),
            faulty: list.is_faulty(),
        }
    }

    fn check(self, ctx: &Ctx, whole: &Entry) -> Option<Retry> {
        let mut sound = !self.faulty;
        let mut refuse = |entry: &Entry, message: String| {
            sound = false;
            ctx.error(entry, message);
        };
        if self.max_retries.is_none() && !self.faulty {
            refuse(
                whole,
                diag::help(
                    diag::missing("`retry(…)`", MAX_RETRIES, "retry(max_retries = 5, delay = \"2s\", backoff)"),
                    "-1 retries for ever, 0 sends a failed message to the dead letter topic at once",
                ),
            );
        }
        if let (Some(_), Some(exclude)) = (&self.include, &self.exclude) {
            refuse(
                &exclude.entry,
                diag::help(
                    diag::note(
                        "`exclude(…)` cannot stand beside `include(…)`",
                        "`include` retries only the errors it names, `exclude` all but those it names",
                    ),
                    "keep one of the two; for more than types there is `include_if = path`",
                ),
            );
        }
        if let Some((entry, message)) = self.endless_without_blocking() {
            refuse(entry, message);
        }
        if let Some((entry, message)) = self.delays() {
            refuse(entry, message);
        }
        sound.then(|| self.into_model()).flatten()
    }

    fn endless_without_blocking(&self) -> Option<(&Entry, String)> {
        let (max_retries, blocking) = (self.max_retries.as_ref()?, self.blocking.as_ref()?);
        (max_retries.value == -1 && !blocking.value).then(|| {
            let message = diag::help(
                diag::note(
                    "endless retries cannot be non-blocking",
                    "every non-blocking retry has a topic of its own, `….retry.1`, `….retry.2`, and so on",
                ),
                "give `max_retries` a number of at least 0, or leave `blocking = false` out: the partition then waits \
                 until its message is handled",
            );
            (&blocking.entry, message)
        })
    }

    /// Rules on delay, its cap and backoff.
    fn delays(&self) -> Option<(&Entry, String)> {
        let delay = self.delay.as_ref().map_or(DELAY_MS_DEFAULT, |delay| delay.value);
        if let Some(max) = &self.max_delay {
            return (max.value < delay).then(|| {
                let message = diag::note(
                    format_args!("`max_delay` is shorter than the delay before the first retry, {}", show_ms(delay)),
                    "no retry would ever wait for `delay`",
                );
                (&max.entry, message)
            });
        }
        let backoff = self.backoff.as_ref().filter(|backoff| backoff.value)?;
        let max_retries = self.max_retries.as_ref()?.value;
        let overflow = first_overflow(delay);
        if max_retries != -1 && i64::from(max_retries) < i64::from(overflow) {
            return None;
        }
        let message = diag::help(
            diag::note(
                format_args!(
                    "`backoff` doubles the delay until it overflows: retry {overflow} would wait over 1000 days"
                ),
                format_args!(
                    "the first retry waits {}, each later one twice as long as the one before",
                    show_ms(delay)
                ),
            ),
            "cap it, for example with `max_delay = \"1h\"`, or lower `max_retries`",
        );
        Some((&backoff.entry, message))
    }

    fn into_model(self) -> Option<Retry> {
        let on = |flag: Option<Given<bool>>| flag.is_some_and(|flag| flag.value);
        Some(Retry {
            max_retries: self.max_retries?.value,
            delay_ms: self.delay.map(|delay| delay.value),
            delay_ms_max: self.max_delay.map(|max| max.value),
            backoff: on(self.backoff),
            jitter: on(self.jitter),
            include: self.include.map(|types| types.value).unwrap_or_default(),
            exclude: self.exclude.map(|types| types.value).unwrap_or_default(),
            include_if: self.include_if.map(|path| path.value),
            blocking: self.blocking.is_none_or(|blocking| blocking.value),
            log_every: self.log_every.map(|n| n.value),
            use_offset_tracker: on(self.use_offset_tracker),
        })
    }
}

/// The first retry that backoff would let wait longer than any time we take.
fn first_overflow(delay_ms: u64) -> u32 {
    // At most 2^37 is needed to pass the limit from one millisecond: the search ends.
    (0..u64::BITS)
        .find(|&doublings| delay_ms.checked_shl(doublings).is_none_or(|ms| ms > duration::MS_MAX))
        .map_or(u32::MAX, |doublings| doublings + 1)
}

fn show_ms(ms: u64) -> String {
    if ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

fn max_retries(ctx: &Ctx, entry: &Entry) -> Option<i32> {
    let number = entry.integer(ctx)?;
    if number < -1 {
        let message = format_args!("`max_retries` is {number}, and has to be at least -1");
        entry.value_error(ctx, diag::help(message, "write -1 to retry for ever, or a number of at least 0"));
        return None;
    }
    small(ctx, entry, number)
}

fn log_every(ctx: &Ctx, entry: &Entry) -> Option<u32> {
    let number = entry.integer(ctx)?;
    if number < 1 {
        let message = format_args!("`log_every` is {number}: every Nth retry is logged, so N is at least 1");
        entry.value_error(ctx, diag::help(message, "leave `log_every` out, and no retry is logged"));
        return None;
    }
    small(ctx, entry, number)
}

fn small<T: TryFrom<i128>>(ctx: &Ctx, entry: &Entry, number: i128) -> Option<T> {
    let small = T::try_from(number).ok();
    if small.is_none() {
        let message = format_args!("`{}` is {number}, which is too large", entry.word().name);
        entry.value_error(ctx, diag::help(message, format_args!("write `{}`", entry.word().example)));
    }
    small
}

/// Milliseconds of `delay` or `max_delay`.
fn time(ctx: &Ctx, entry: &Entry) -> Option<u64> {
    let ms = duration::seconds_or_text(ctx, entry)?;
    if ms == 0 {
        let message = format_args!("`{}` is zero", entry.word().name);
        entry.value_error(ctx, diag::help(message, format_args!("write `{}`", entry.word().example)));
        return None;
    }
    Some(ms)
}

/// The types of `include(…)` or `exclude(…)`, each once.
fn error_types(ctx: &Ctx, entry: &Entry) -> Option<Vec<syn::Type>> {
    let types: Vec<syn::Type> = entry.list_of(ctx, "an error type")?;
    let mut seen = HashSet::new();
    let mut sound = true;
    for ty in &types {
        let text = ty.to_token_stream().to_string();
        if !seen.insert(text) {
            sound = false;
            ctx.error(ty, format_args!("this type is named twice in `{}(…)`", entry.word().name));
        }
    }
    sound.then_some(types)
}
