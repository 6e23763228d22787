//! The thread on which a consumer's client polls.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::StartError;
use crate::consumer::event::Event;
use crate::consumer::poll::{self, KafkaConsumer};
use crate::embedded::EmbeddedBroker;
use crate::record::RawRecord;

/// What the poll thread of a consumer is started with.
pub(super) struct PollThread {
    pub(super) consumer: Arc<KafkaConsumer>,
    pub(super) sender: mpsc::Sender<Event>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) drained: std_mpsc::Receiver<()>,
    /// Messages that are done with, to be dropped.
    pub(super) spent: std_mpsc::Receiver<Vec<Arc<RawRecord>>>,
    pub(super) poll_timeout: Duration,
    /// Told, by being dropped, when the consumer is closed.
    pub(super) closed: oneshot::Sender<()>,
    /// A consumer that closes without its broker waits long: the embedded one lives until then.
    pub(super) broker: Option<Arc<EmbeddedBroker>>,
}

impl PollThread {
    pub(super) fn spawn(self, name: &str) -> Result<(), StartError> {
        let body = move || {
            let Self { consumer, sender, stop, drained, spent, poll_timeout, closed, broker } = self;
            let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                poll::run(consumer, &sender, &stop, &drained, &spent, poll_timeout);
            }));
            if polled.is_err() {
                let _ = sender.blocking_send(Event::Fatal("the poll thread ended by a fault of ours".to_owned()));
            }
            drop(closed);
            drop(broker);
        };
        let spawned = std::thread::Builder::new().name(format!("poll {name}")).spawn(body);
        spawned.map(drop).map_err(|e| StartError::System(format!("no thread for consumer `{name}`: {e}")))
    }
}
