//! One test binary, against the embedded broker and SQLite: nothing has to be installed.

mod custom;
mod derive;
mod hand_expanded;
mod service;
mod tidy;
