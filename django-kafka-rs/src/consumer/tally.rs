//! What is told of a batch, and decides nothing.

use crate::sync::Stages;

/// What a batch's report has beside what the engine goes by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Messages that failed with an error that says to skip them.
    pub(crate) skipped: usize,
    /// Messages that wait for rows now.
    pub(crate) parked: usize,
    /// What it took.
    pub(crate) stages: Stages,
}
