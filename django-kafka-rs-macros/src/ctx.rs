//! Where mistakes gather, so that all of them are reported at once.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far. It must be read by [`finish`](Ctx::finish): dropping it unread would swallow them,
/// and panics.
#[derive(Debug)]
pub(crate) struct Ctx {
    /// `None` once read.
    errors: RefCell<Option<Vec<syn::Error>>>,
}

impl Ctx {
    pub(crate) fn new() -> Self {
        Self { errors: RefCell::new(Some(Vec::new())) }
    }

    /// A mistake, underlined from the first of `tokens` to the last.
    pub(crate) fn error(&self, tokens: impl ToTokens, message: impl Display) {
        self.syn(syn::Error::new_spanned(tokens, message));
    }

    /// A mistake at a span; for places that have no tokens (an attribute without content).
    pub(crate) fn error_at(&self, span: Span, message: impl Display) {
        self.syn(syn::Error::new(span, message));
    }

    /// A mistake that syn found.
    pub(crate) fn syn(&self, error: syn::Error) {
        self.errors.borrow_mut().as_mut().expect("no mistake is reported after `finish`").push(error);
    }

    /// What `result` holds, its error reported.
    pub(crate) fn ok<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.syn(error)).ok()
    }

    /// Whether there was a mistake.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors.borrow().as_ref().is_some_and(|errors| !errors.is_empty())
    }

    /// Nothing, or a `compile_error!` for each mistake.
    pub(crate) fn finish(self) -> Result<(), TokenStream> {
        let errors = self.errors.borrow_mut().take().unwrap_or_default();
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.iter().map(syn::Error::to_compile_error).collect())
    }
}

impl Drop for Ctx {
    fn drop(&mut self) {
        assert!(
            std::thread::panicking() || self.errors.borrow().is_none(),
            "the macro's mistakes were dropped unread: `Ctx::finish` must be called"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_mistake() {
        let ctx = Ctx::new();
        ctx.error_at(Span::call_site(), "one");
        ctx.error_at(Span::call_site(), "two");
        assert!(ctx.has_errors());
        let errors = ctx.finish().expect_err("two mistakes").to_string();
        assert!(errors.contains("one") && errors.contains("two"), "{errors}");
    }

    #[test]
    #[should_panic(expected = "dropped unread")]
    fn panics_when_dropped_unread() {
        drop(Ctx::new());
    }
}
