//! Generated code. Nothing here can fail: what is wrong was found before.

pub(crate) mod register;
pub(crate) mod topic;
