//! What the queue promises, checked on the embedded store.
#![allow(
    missing_docs,
    reason = "a test program has no readers of its documentation"
)]

mod delivery;
mod spool;
