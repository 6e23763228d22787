//! `retry(…)` as declared.

/// How a failed message is tried again. `None`, empty and `false`: not said.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that users switch on by its own word")]
pub(crate) struct Retry {
    /// -1: for ever.
    pub(crate) max_retries: i32,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) delay_ms_max: Option<u64>,
    pub(crate) backoff: bool,
    pub(crate) jitter: bool,
    pub(crate) include: Vec<syn::Type>,
    pub(crate) exclude: Vec<syn::Type>,
    pub(crate) include_if: Option<syn::Path>,
    pub(crate) blocking: bool,
    pub(crate) log_every: Option<u32>,
    pub(crate) use_offset_tracker: bool,
}
