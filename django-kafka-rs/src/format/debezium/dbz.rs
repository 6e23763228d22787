//! The encodings that `#[sync(as = dbz::…)]` names.

/// Days since 1970.
#[derive(Debug)]
pub struct Date;
