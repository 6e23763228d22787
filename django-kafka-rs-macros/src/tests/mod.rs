//! What each form expands to, in process: run with `UPDATE_EXPECT=1` to take the new text over, and read the diff.

mod consumer;
mod sync;
mod topic;

use proc_macro2::TokenStream;

/// Generated code as people read it.
fn pretty(tokens: TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(tokens).expect("generated code is a list of items"))
}

fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the test's own code")
}
