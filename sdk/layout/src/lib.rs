//! The load-time check of Rust plug-ins: their view of the contract against the host's, compared by abi_stable.
//! Knows layouts only: nobody calls through these types, and C plug-ins have no need of them.

mod difference;
mod mirror;
mod offer;

pub use offer::{LayoutError, Offer, compare, offer};
