//! Options that the design has and the runtime does not: compile errors, so that none is accepted and ignored.
//! The change that builds one deletes its line here.

use crate::diag;
use crate::symbol::{self, ORDER_BY, Vocabulary};

/// Options of an attribute, with what to do instead.
static OPTIONS: &[(&Vocabulary, &str, &str)] =
    &[(&symbol::CONSUMER, ORDER_BY, "leave it out; messages are handled in the order of their partition")];

/// Whether the runtime has the option; messages list only these.
pub(crate) fn is_built(vocabulary: &Vocabulary, name: &str) -> bool {
    option(vocabulary, name).is_none()
}

/// The message for an option that is not built.
pub(crate) fn option(vocabulary: &Vocabulary, name: &str) -> Option<String> {
    let (.., instead) = OPTIONS.iter().find(|(place, word, _)| place.title == vocabulary.title && *word == name)?;
    Some(diag::help(format_args!("`{name}` of {} is not built yet", vocabulary.title), instead))
}
