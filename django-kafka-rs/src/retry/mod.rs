//! Retries, both pure: the policy, and what messages in retry topics carry.

pub(crate) mod message;
pub(crate) mod policy;
