//! One test binary, against the embedded broker and SQLite: nothing has to be installed.

mod hand_expanded;
mod tidy;
