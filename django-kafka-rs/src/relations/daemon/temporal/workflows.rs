//! The workflows.
//!
//! They are replayed from their history, so they decide nothing by themselves: each asks its activity and goes by the
//! answer. What is changed here has to be able to replay what older versions began.

#![expect(unreachable_pub, reason = "what Temporal's macros make of these items is public")]

use std::time::Duration;

use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

use super::activities::{Activities, Started};

/// From an activity's start to its end; then Temporal starts it anew.
const START_TO_CLOSE: Duration = Duration::from_secs(10 * 60);
/// How long Temporal waits for a sign of life; then it starts the activity anew, on any worker.
pub(super) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);

/// Without a policy of its own an activity is tried again without end: after 1 s, then twice that, up to 100 s.
fn options() -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(START_TO_CLOSE).heartbeat_timeout(HEARTBEAT_TIMEOUT).build()
}

/// Finds the relations whose rows are there by now, and has each of them resolved; gives how many there were.
#[workflow]
#[derive(Default)]
pub struct ResolveRelations;

#[workflow_methods]
impl ResolveRelations {
    #[run(name = "ResolveRelations")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<u64> {
        let (mut count, mut after) = (0, None);
        loop {
            let started: Started = ctx.execute_activity(Activities::start_awaited_relations, after, options()).await?;
            count += started.count;
            after = started.next;
            if after.is_none() {
                break;
            }
        }
        ctx.execute_activity(Activities::resolve_rest, (), options()).await?;
        Ok(count)
    }
}

/// Resolves one relation.
#[workflow]
#[derive(Default)]
pub struct ResolveRelation;

#[workflow_methods]
impl ResolveRelation {
    #[run(name = "ResolveRelation")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, relation: String) -> WorkflowResult<()> {
        while ctx.execute_activity(Activities::resolve_relation, relation.clone(), options()).await? {}
        Ok(())
    }
}
