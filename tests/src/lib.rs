//! Tests across crates: `it` is one binary against the embedded broker and SQLite. This library holds nothing but the
//! README's code, which is compiled and run as doctests.

/// The code of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
