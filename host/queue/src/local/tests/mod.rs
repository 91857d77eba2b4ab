//! What the queue promises, checked on the embedded store.

mod audit;
mod commit;
mod crash;
mod damage;
mod delivery;
mod destinations;
mod failure;
mod fetching;
mod journal;
pub(super) mod lanes;
mod octets;
mod operator;
mod orders;
mod racing;
mod random;
mod reading;
mod rebuilding;
mod rewriting;
mod spool;
mod strangers;
