//! Generated code. Nothing here can fail: what is wrong was found before.

pub(crate) mod connector;
pub(crate) mod consumer;
pub(crate) mod kafka_skip;
pub(crate) mod model_consumer;
pub(crate) mod patch;
pub(crate) mod register;
pub(crate) mod reproducer;
pub(crate) mod row;
pub(crate) mod sync;
pub(crate) mod topic;
