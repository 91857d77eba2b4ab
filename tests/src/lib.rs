//! What the tests of the whole system share.
//! Knows no single test.

pub mod dialogue;
pub mod plugin;
