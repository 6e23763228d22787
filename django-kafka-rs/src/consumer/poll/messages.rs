//! The messages of all assigned partitions, in one queue of our own.
//!
//! One queue, so that the client's bounds (`queued.min.messages`, `queued.max.messages.kbytes`) hold for all partitions
//! together, however many there are, and so that the end of a partition comes with its topic's name. Messages only: what
//! the group has to say comes by the consumer's own queue.
//!
//! One message at a time. librdkafka's call for many (`rd_kafka_consume_batch_queue`) counts the end of a partition, and
//! an error of it, as a message that was read: a partition that is paused there, by us or by a rebalance, would go on
//! behind the next message.

#![expect(unsafe_code, reason = "librdkafka's calls for queues and their messages have no safe wrapper")]

use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_consume_queue, rd_kafka_header_get_all, rd_kafka_message_destroy, rd_kafka_message_headers,
    rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_queue_destroy, rd_kafka_queue_forward,
    rd_kafka_queue_get_partition, rd_kafka_queue_new, rd_kafka_queue_t, rd_kafka_timestamp_type_t, rd_kafka_topic_name,
};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::super::event::PartitionId;
use super::KafkaConsumer;
use crate::record::{Headers, RawRecord};

/// The queue. It holds the consumer, which must outlive it.
pub(super) struct MessageQueue {
    queue: NonNull<rd_kafka_queue_t>,
    consumer: Arc<KafkaConsumer>,
}

// SAFETY: librdkafka's queues may be used by any thread, and by several at once.
unsafe impl Send for MessageQueue {}
// SAFETY: as above.
unsafe impl Sync for MessageQueue {}

impl MessageQueue {
    /// An empty one; `None`: there is no memory for it.
    pub(super) fn new(consumer: Arc<KafkaConsumer>) -> Option<Self> {
        // SAFETY: the client lives.
        let queue = unsafe { rd_kafka_queue_new(consumer.client().native_ptr()) };
        Some(Self { queue: NonNull::new(queue)?, consumer })
    }

    pub(super) fn consumer(&self) -> &KafkaConsumer {
        &self.consumer
    }

    /// Has the messages of these partitions put here. To be called before they are assigned, each time: the client
    /// forgets it when it stops to fetch a partition.
    pub(super) fn forward(&self, partitions: &[PartitionId]) {
        for (topic, partition) in partitions {
            // The client gave the name: it has no zero in it.
            let Ok(topic) = CString::new(&**topic) else { continue };
            // SAFETY: client and queue live; the partition's queue is given back once, and the client keeps what it
            // needs of both.
            unsafe {
                let own = rd_kafka_queue_get_partition(self.consumer.client().native_ptr(), topic.as_ptr(), *partition);
                if !own.is_null() {
                    rd_kafka_queue_forward(own, self.queue.as_ptr());
                    rd_kafka_queue_destroy(own);
                }
            }
        }
    }

    /// Takes the next; where nothing is there, waits as long as `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Option<Taken<'_>> {
        let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives; what it gives is ours until it is given back.
        let message = unsafe { rd_kafka_consume_queue(self.queue.as_ptr(), timeout_ms) };
        NonNull::new(message).map(|message| Taken { message, queue: PhantomData })
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // SAFETY: given back once, and before the client is: `consumer` is dropped behind this. What the queue still
        // holds goes with it.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A message, or what the client says in its place: an error, or the end of its partition.
pub(super) struct Taken<'q> {
    message: NonNull<rd_kafka_message_t>,
    queue: PhantomData<&'q MessageQueue>,
}

impl Taken<'_> {
    fn message(&self) -> &rd_kafka_message_t {
        // SAFETY: it is ours until it is dropped.
        unsafe { self.message.as_ref() }
    }

    /// What it says, where it is no message.
    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        let error = self.message().err;
        (error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| error.into())
    }

    pub(super) fn topic(&self) -> &CStr {
        let topic = self.message().rkt;
        if topic.is_null() {
            return c"";
        }
        // SAFETY: the message holds its topic, and the topic its name.
        unsafe { CStr::from_ptr(rd_kafka_topic_name(topic)) }
    }

    pub(super) fn partition(&self) -> i32 {
        self.message().partition
    }

    /// The message, owned; `topic` is its topic's name.
    pub(super) fn record(&self, topic: Arc<str>) -> RawRecord {
        let message = self.message();
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: it is a message of librdkafka's.
        let timestamp = unsafe { rd_kafka_message_timestamp(message, &raw mut kind) };
        let has_timestamp = kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        RawRecord {
            topic,
            partition: message.partition,
            offset: message.offset,
            timestamp_ms: Some(timestamp).filter(|ms| has_timestamp && *ms >= 0),
            is_log_append_time: kind == rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
            // SAFETY: both are the message's, which lives.
            key: unsafe { copied(message.key, message.key_len) },
            // SAFETY: as above.
            value: unsafe { copied(message.payload, message.len) },
            headers: self.headers(),
            retried: None,
        }
    }

    fn headers(&self) -> Headers {
        let mut own = Headers::new();
        let mut headers = ptr::null_mut();
        // SAFETY: it is a message of librdkafka's, which keeps the headers.
        if unsafe { rd_kafka_message_headers(self.message(), &raw mut headers) }
            != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return own;
        }
        for index in 0.. {
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; behind the last one there is an error. Names end with a
            // zero, values have their length.
            unsafe {
                let found = rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut len);
                if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    break;
                }
                own.push(CStr::from_ptr(name).to_string_lossy(), copied(value, len));
            }
        }
        own
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // SAFETY: given back once.
        unsafe { rd_kafka_message_destroy(self.message.as_ptr()) }
    }
}

/// Bytes of librdkafka's; null is none, which is not the same as empty.
///
/// # Safety
/// Where `data` is not null, `len` bytes are there.
unsafe fn copied(data: *const c_void, len: usize) -> Option<Vec<u8>> {
    // SAFETY: the caller says so.
    (!data.is_null()).then(|| unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec())
}
