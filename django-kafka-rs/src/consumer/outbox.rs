//! Messages on their way from the poll thread to the engine: in chunks, and no more at a time than the engine has
//! room for.
//!
//! Not polling is how a consumer that is slower than its broker is held back; pausing partitions is for those that
//! stand still. A resumed partition begins with nothing: librdkafka drops what it had fetched, and looks again within
//! a second only.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::event::Event;
use super::fence::Fence;
use crate::record::RawRecord;

/// Messages handed over at once.
const CHUNK_MAX: usize = 1_000;
/// Their bytes; a single message may be larger.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be under way before the engine has to say that it has them.
const UNDER_WAY_BYTES_MAX: usize = 1 << 20;
/// How often a wait for room says that the process lives.
const WAIT_SLICE: Duration = Duration::from_millis(100);

pub(super) struct Outbox<'e> {
    events: &'e mpsc::Sender<Event>,
    fence: &'e Fence,
    records: Vec<Arc<RawRecord>>,
    bytes: usize,
    /// Sent since the engine last said that it has all.
    under_way_bytes: usize,
}

/// The engine is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl<'e> Outbox<'e> {
    pub(super) fn new(events: &'e mpsc::Sender<Event>, fence: &'e Fence) -> Self {
        Self { events, fence, records: Vec::new(), bytes: 0, under_way_bytes: 0 }
    }

    /// Says that the poll thread lives.
    pub(super) fn polled(&mut self) -> Result<(), Closed> {
        if self.fence.polled() { self.send(Event::Lapsed) } else { Ok(()) }
    }

    pub(super) fn push(&mut self, record: RawRecord) {
        self.bytes += record.weight_bytes();
        self.records.push(Arc::new(record));
    }

    /// Whether it is time to hand over.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= CHUNK_MAX || self.bytes >= CHUNK_BYTES_MAX
    }

    /// Sends what was pushed, and waits for room where much is under way; the engine makes room within a fraction of a
    /// second.
    pub(super) fn hand_over(&mut self) -> Result<(), Closed> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.under_way_bytes += std::mem::take(&mut self.bytes);
        let records = std::mem::take(&mut self.records);
        self.send_now(Event::Records(records))?;
        if self.under_way_bytes >= UNDER_WAY_BYTES_MAX {
            let (done, taken) = std_mpsc::sync_channel(1);
            self.send_now(Event::Taken(done))?;
            self.under_way_bytes = 0;
            loop {
                match taken.recv_timeout(WAIT_SLICE) {
                    Ok(()) => break,
                    Err(std_mpsc::RecvTimeoutError::Disconnected) => return Err(Closed),
                    Err(std_mpsc::RecvTimeoutError::Timeout) => self.polled()?,
                }
            }
        }
        Ok(())
    }

    /// Sends an event, behind the messages before it.
    pub(super) fn send(&mut self, event: Event) -> Result<(), Closed> {
        self.hand_over()?;
        self.send_now(event)
    }

    fn send_now(&self, event: Event) -> Result<(), Closed> {
        self.events.blocking_send(event).map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Headers;

    fn record(bytes: usize) -> RawRecord {
        RawRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: Some(vec![0; bytes]),
            headers: Headers::new(),
            ..RawRecord::default()
        }
    }

    /// The engine's side: takes everything, and gives the greatest number of bytes that were there at once.
    fn engine(mut events: mpsc::Receiver<Event>) -> std::thread::JoinHandle<(usize, usize)> {
        std::thread::spawn(move || {
            let (mut taken, mut at_once, mut at_once_max) = (0, 0, 0);
            while let Some(event) = events.blocking_recv() {
                match event {
                    Event::Records(records) => {
                        taken += records.len();
                        at_once += records.iter().map(|record| record.weight_bytes()).sum::<usize>();
                        at_once_max = at_once_max.max(at_once);
                    }
                    Event::Taken(done) => {
                        at_once = 0;
                        done.send(()).unwrap();
                    }
                    event => panic!("{event:?}"),
                }
            }
            (taken, at_once_max)
        })
    }

    fn sent(records: usize, bytes: usize) -> (usize, usize) {
        let (events, received) = mpsc::channel(1_000);
        let engine = engine(received);
        let fence = Fence::new(Duration::from_secs(6));
        let mut outbox = Outbox::new(&events, &fence);
        for _ in 0..records {
            outbox.push(record(bytes));
            if outbox.is_full() {
                outbox.hand_over().unwrap();
            }
        }
        outbox.hand_over().unwrap();
        drop(events);
        engine.join().unwrap()
    }

    #[test]
    fn what_is_under_way_is_bounded_whatever_the_messages_weigh() {
        let (taken, at_once_max) = sent(100, 1 << 20);
        assert_eq!(taken, 100);
        assert!(at_once_max <= UNDER_WAY_BYTES_MAX + (2 << 20), "{at_once_max}");
        let (taken, at_once_max) = sent(50_000, 200);
        assert_eq!(taken, 50_000);
        assert!(at_once_max <= UNDER_WAY_BYTES_MAX + 2 * CHUNK_BYTES_MAX, "{at_once_max}");
    }

    #[test]
    fn a_wait_for_room_says_that_the_process_lives() {
        let (events, mut received) = mpsc::channel(10);
        let engine = std::thread::spawn(move || {
            let Some(Event::Records(_)) = received.blocking_recv() else { panic!("messages first") };
            let Some(Event::Taken(done)) = received.blocking_recv() else { panic!("then the question") };
            // So short a session that each sign of life comes too late for it.
            let Some(Event::Lapsed) = received.blocking_recv() else { panic!("then signs of life") };
            done.send(()).unwrap();
        });
        let fence = Fence::new(Duration::from_millis(1));
        let mut outbox = Outbox::new(&events, &fence);
        outbox.push(record(UNDER_WAY_BYTES_MAX));
        assert_eq!(outbox.hand_over(), Ok(()));
        engine.join().unwrap();
    }

    #[test]
    fn an_engine_that_is_gone_is_noticed() {
        let (events, received) = mpsc::channel(1);
        drop(received);
        let fence = Fence::new(Duration::from_secs(6));
        let mut outbox = Outbox::new(&events, &fence);
        assert_eq!(outbox.hand_over(), Ok(()), "nothing to hand over");
        outbox.push(record(1));
        assert_eq!(outbox.hand_over(), Err(Closed));
    }
}
