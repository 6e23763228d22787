//! Options that the design has and the runtime does not: compile errors, so that none is accepted and ignored.
//! The change that builds one deletes its line here.

use crate::diag;
use crate::symbol::{self, DATABASE, OFFSETS, ORDER_BY, SUPPRESS, Vocabulary};

/// Options of an attribute, with what to do instead.
static OPTIONS: &[(&Vocabulary, &str, &str)] = &[
    (&symbol::CONSUMER, SUPPRESS, "leave it out, and do not produce in the handlers of this consumer"),
    (&symbol::CONSUMER, ORDER_BY, "leave it out; messages are handled in the order of their partition"),
];

/// Values of an option, with what to do instead.
static VALUES: &[(&str, &str, &str)] =
    &[(OFFSETS, DATABASE, "leave it out; offsets are kept in Kafka, and handlers see a message at least once")];

/// The message for an option that is not built.
pub(crate) fn option(vocabulary: &Vocabulary, name: &str) -> Option<String> {
    let (.., instead) = OPTIONS.iter().find(|(place, word, _)| place.title == vocabulary.title && *word == name)?;
    Some(diag::help(format_args!("`{name}` of {} is not built yet", vocabulary.title), instead))
}

/// The message for a value that is not built; `written` is how users write it.
pub(crate) fn value(option: &str, value: &str, written: &str) -> Option<String> {
    let (.., instead) = VALUES.iter().find(|(name, word, _)| *name == option && *word == value)?;
    Some(diag::help(format_args!("`{option} = {written}` is not built yet"), instead))
}
