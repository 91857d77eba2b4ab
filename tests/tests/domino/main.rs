//! Add-ins for Domino's Extension Manager on the real server: compiled as their authors do, and every value that they return at each
//! of the four events. Knows what a client sees, and what the add-ins of `addins` write to the log.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod loading;
mod notes;
mod process;
mod published;
mod rig;
mod sanitized;
mod slow;
mod verdicts;
mod wayward;
