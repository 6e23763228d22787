//! The client and the command, against a server in this process.
