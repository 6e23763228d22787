//! Where reading begins.
