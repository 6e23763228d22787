//! What is declared. The registry is a value; linkme's slice is one source of it.

use crate::consumer::ConsumerDeclaration;
use crate::sync::ModelDescriptor;
use crate::topic::TopicDeclaration;

/// One declaration, as the macros register it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Declaration {
    /// `#[topic]`.
    Topic(&'static TopicDeclaration),
    /// `#[consumer]`.
    Consumer(&'static ConsumerDeclaration),
    /// `#[derive(SyncModel)]` and the derives that include it.
    Model(&'static ModelDescriptor),
}

/// Everything that is linked into the program.
#[doc(hidden)]
#[linkme::distributed_slice]
pub static DECLARATIONS: [Declaration];
