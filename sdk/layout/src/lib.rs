//! The load-time check of Rust plug-ins: their view of the contract against the host's, compared by abi_stable.
//! Knows layouts only: nobody calls through these types, and C plug-ins have no need of them.
#![allow(
    unsafe_code,
    reason = "abi_stable derives unsafe implementations, and an offer comes in as a pointer"
)]

mod difference;
mod mirror;
mod offer;

pub use offer::{LayoutError, Offer, compare, offer};
