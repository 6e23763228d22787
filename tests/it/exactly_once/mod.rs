//! `offsets = "database"`: an effect in the database happens once, whatever dies, wakes up or comes twice.

mod handlers;
mod models;
mod positions;
mod stage;
