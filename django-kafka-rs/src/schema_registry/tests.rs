//! The client against the registry inside the program.
