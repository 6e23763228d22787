//! From tokens to values: one file for each attribute, on one reader of option lists.

pub(crate) mod config;
pub(crate) mod connector;
pub(crate) mod consumer;
pub(crate) mod diesel;
pub(crate) mod duration;
pub(crate) mod item;
pub(crate) mod name;
pub(crate) mod options;
mod pattern;
pub(crate) mod reroute;
pub(crate) mod retry;
pub(crate) mod schema;
pub(crate) mod sync;
pub(crate) mod topic;
