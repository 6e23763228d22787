use super::ModelTopic;
use crate::db::Database;
use crate::error::ConsumeError;
use crate::record::RawRecord;
use std::sync::Arc;
pub(crate) struct ModelSync;
pub(crate) enum Verdict {
    Settle,
    Hold,
}
pub(crate) enum Outcome {
    Applied,
    Failed(ConsumeError),
}
pub(crate) enum Stop {
    Held(ConsumeError),
    Outage(String),
}
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) stop: Option<Stop>,
}
impl ModelSync {
    pub(crate) fn new(_: &'static ModelTopic) -> Result<Self, Vec<String>> {
        Ok(Self)
    }
    pub(crate) fn prepare(&mut self, _: &Database) -> Result<(), Vec<String>> {
        Ok(())
    }
    pub(crate) fn apply(
        &self,
        _: &Database,
        _: &[Arc<RawRecord>],
        _: &mut dyn FnMut(usize, &ConsumeError) -> Verdict,
    ) -> Report {
        Report { outcomes: vec![], stop: None }
    }
}
