//! The targets, one a file.

pub(crate) mod address;
pub(crate) mod bdat;
pub(crate) mod command;
pub(crate) mod data;
pub(crate) mod descriptor;
pub(crate) mod edits;
pub(crate) mod line;
pub(crate) mod receiving;
pub(crate) mod reply;
pub(crate) mod sending;
