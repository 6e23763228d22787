//! What a handler can do besides reading its message.

/// A handler's access to the rest: producing, the database, the application's state.
#[derive(Debug)]
#[non_exhaustive]
pub struct Context {}
