//! Messages that are handled once more because somebody asks for it: the way of a batch, but for its failures, which
//! stay where they are.

use std::sync::Arc;

use super::batch::{self, BatchEnvironment};
use super::lane::Stop;
use super::superseding::Superseding;
use super::topic::TopicRuntime;
use crate::error::ConsumeError;
use crate::record::RawRecord;
use crate::retry::policy::Decision;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Replayed {
    /// It is handled.
    Done,
    /// Its handler passed over it, and why.
    Skipped(ConsumeError),
    /// A newer message of its key is there, so it was not handled.
    Superseded,
    /// It failed again.
    Failed(ConsumeError),
}

/// Handles messages of one topic again, in this order. The topic has no retry settings: whatever fails is said, and
/// nothing else becomes of it.
///
/// # Errors
/// The database or the brokers are away, with the first message that was not handled: what is before it was.
pub(crate) async fn replay(
    topic: &Arc<TopicRuntime>,
    records: Vec<Arc<RawRecord>>,
    env: &BatchEnvironment,
) -> (Vec<Replayed>, Result<(), Stop>) {
    let mut outcomes: Vec<Option<Replayed>> = records.iter().map(|_| None).collect();
    let all: Arc<[Arc<RawRecord>]> = records.into();
    let asked = supersede(topic, &all, &mut outcomes).await;
    let mut left: Vec<usize> = (0..all.len()).filter(|index| outcomes[*index].is_none()).collect();
    let mut ended = asked;
    while ended.is_ok() && !left.is_empty() {
        let batch: Arc<[Arc<RawRecord>]> = left.iter().map(|index| all[*index].clone()).collect();
        let handled = batch::handle(topic, &batch, 0, None, env).await;
        for index in &left[..handled.count] {
            outcomes[*index] = Some(Replayed::Done);
        }
        for index in handled.superseded {
            outcomes[left[index]] = Some(Replayed::Superseded);
        }
        for settled in handled.settled {
            outcomes[left[settled.index]] = Some(match settled.decision {
                Decision::Skip => Replayed::Skipped(settled.error),
                _ => Replayed::Failed(settled.error),
            });
        }
        left.drain(..handled.count);
        ended = match handled.stop {
            // It had taken long enough for a batch.
            Some(Stop::Cancelled) if handled.count > 0 => Ok(()),
            Some(stop) => Err(stop),
            None if handled.count == 0 => Err(Stop::Cancelled),
            None => Ok(()),
        };
    }
    (outcomes.into_iter().map_while(|outcome| outcome).collect(), ended)
}

/// Finds what a newer message has superseded, before it can overwrite that one's row.
async fn supersede(
    topic: &Arc<TopicRuntime>,
    records: &Arc<[Arc<RawRecord>]>,
    outcomes: &mut [Option<Replayed>],
) -> Result<(), Stop> {
    let mut superseding = Superseding::new(topic, records);
    for (index, outcome) in outcomes.iter_mut().enumerate() {
        if superseding.is_superseded(index).await? {
            *outcome = Some(Replayed::Superseded);
        }
    }
    Ok(())
}
