//! What was declared, checked and typed: the form between the attributes and the generated code.

pub(crate) mod retry;
pub(crate) mod topic;
