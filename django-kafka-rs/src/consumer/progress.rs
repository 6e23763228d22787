//! Counters of a run, shared with whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far a consumer has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    delivered: AtomicU64,
    handled: AtomicU64,
    dead_lettered: AtomicU64,
    retried: AtomicU64,
    superseded: AtomicU64,
    lost: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages taken from the broker.
    pub(crate) delivered: u64,
    /// Messages that are done: applied, skipped, or sent to the dead letter topic.
    pub(crate) handled: u64,
    /// Of these, messages in the dead letter topic.
    pub(crate) dead_lettered: u64,
    /// Of these, messages in a retry topic.
    pub(crate) retried: u64,
    /// Of these, messages that were skipped because a newer one of their key was there.
    pub(crate) superseded: u64,
    /// Messages that the embedded broker dropped before they were read.
    pub(crate) lost: u64,
}

impl Progress {
    pub(crate) fn delivered(&self, messages: usize) {
        self.delivered.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(crate) fn handled(&self, messages: usize, dead_lettered: usize, retried: usize) {
        self.handled.fetch_add(messages as u64, Ordering::Relaxed);
        self.dead_lettered.fetch_add(dead_lettered as u64, Ordering::Relaxed);
        self.retried.fetch_add(retried as u64, Ordering::Relaxed);
    }

    pub(crate) fn superseded(&self, messages: usize) {
        self.superseded.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, messages: usize) {
        self.lost.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            delivered: self.delivered.load(Ordering::Relaxed),
            handled: self.handled.load(Ordering::Relaxed),
            dead_lettered: self.dead_lettered.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            superseded: self.superseded.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}
