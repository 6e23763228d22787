//! Nothing: this package only has the tests in `tests/ui.rs`.
