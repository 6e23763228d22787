//! Generated code. Nothing here can fail: what is wrong was found before.
