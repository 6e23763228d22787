//! From tokens to values: one file for each attribute, on one reader of option lists.

pub(crate) mod duration;
pub(crate) mod options;
