//! What was declared, checked and typed: the form between the attributes and the generated code.

pub(crate) mod connector;
pub(crate) mod consumer;
pub(crate) mod field;
pub(crate) mod reproducer;
pub(crate) mod retry;
pub(crate) mod schema;
pub(crate) mod skip_model;
pub(crate) mod sync_model;
pub(crate) mod sync_options;
pub(crate) mod topic;
