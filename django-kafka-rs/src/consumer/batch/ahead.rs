//! Decoding of a batch's messages before its turn has come: while the batch before it is written.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::super::topic::{Handler, TopicRuntime};
use crate::record::RawRecord;
use crate::sync::Ahead;

/// Messages that are being decoded, on a blocking thread.
pub(crate) struct Decoding(JoinHandle<Ahead>);

impl Decoding {
    /// Begins.
    pub(crate) fn start(topic: &Arc<TopicRuntime>, records: Vec<Arc<RawRecord>>) -> Self {
        let (topic, suppression) = (topic.clone(), topic.suppression.clone());
        let work = move || match &topic.handler {
            Handler::Models(sync) => sync.decode_ahead(records),
            _ => Ahead::default(),
        };
        Self(tokio::task::spawn_blocking(move || suppression.sync_scope(work)))
    }

    /// Whether it takes a thread.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.0.is_finished()
    }
}

/// What is known of a batch's messages. Nothing, where decoding died: it is done again, and fails where it is asked for.
pub(super) async fn taken(decoding: Option<Decoding>) -> Ahead {
    match decoding {
        Some(Decoding(task)) => task.await.unwrap_or_default(),
        None => Ahead::default(),
    }
}
