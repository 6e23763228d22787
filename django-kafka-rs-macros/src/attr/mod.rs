//! From tokens to values: one file for each attribute, on one reader of option lists.

pub(crate) mod duration;
pub(crate) mod item;
pub(crate) mod name;
pub(crate) mod options;
mod pattern;
pub(crate) mod retry;
pub(crate) mod topic;
