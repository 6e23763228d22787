//! Rows of models, with a function in their transaction whose effect a message applied twice would double.
