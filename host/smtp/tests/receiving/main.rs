//! The receiving session from outside: what the dialogue scripts can't say.

mod addresses;
mod atrn;
mod auth;
mod cells;
mod chunks;
mod ending;
mod envelope;
mod exchange;
mod extending;
mod lending;
mod model;
mod property;
mod refusals;
mod rewriting;
mod rig;
mod slots;
mod smuggling;
mod splitting;
mod starttls;
mod verdict;
mod watching;
mod xclient;
