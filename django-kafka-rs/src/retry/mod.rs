//! Retries: the policy, which is pure. (Retry topics and the key offset tracker are built by a later issue.)

pub(crate) mod message;
pub(crate) mod policy;
