//! Tells the daemon of this process that it need not wait for its next look: something that is awaited has come.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::message::Awaited;

/// Rows that are told by name at most; beyond that the daemon looks at all.
const TOLD_MAX: usize = 10_000;

/// The signal. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    news: Mutex<News>,
    notify: Notify,
    name: String,
}

impl Default for Inner {
    fn default() -> Self {
        Self { news: Mutex::default(), notify: Notify::default(), name: token() }
    }
}

/// A text that nobody else has: of this process, and random.
pub(crate) fn token() -> String {
    let random = || RandomState::new().hash_one(std::time::Instant::now());
    format!("{}-{:016x}{:016x}", std::process::id(), random(), random())
}

/// What has come since the daemon looked last.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct News {
    /// Rows that messages waited for.
    pub rows: BTreeSet<Awaited>,
    /// A message was parked behind others.
    pub unseen: bool,
    /// Rows went that may have blocked a deletion.
    pub gone: bool,
    /// More than could be told.
    pub all: bool,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.rows.extend(more.rows);
        self.unseen |= more.unseen;
        self.gone |= more.gone;
        self.all |= more.all;
        if self.rows.len() > TOLD_MAX {
            self.rows.clear();
            self.all = true;
        }
    }
}

impl Wake {
    /// Tells of news, after they were committed.
    pub(crate) fn tell(&self, news: News) {
        if news.is_empty() {
            return;
        }
        self.0.news.lock().unwrap_or_else(PoisonError::into_inner).add(news);
        self.0.notify.notify_one();
    }

    /// Its name, by which an application knows what it told itself.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// The news since this was asked last.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.0.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when there is news; at once, where some came since this was asked last.
    pub(crate) async fn woken(&self) {
        self.0.notify.notified().await;
    }
}
