//! Topic names: what is legal, and how retry and dead letter names are made.
