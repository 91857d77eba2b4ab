//! What the tests of the whole system share.
//! Knows no single test.
#![forbid(unsafe_code)]

pub mod access;
pub mod add_in;
pub mod authority;
pub mod cargo;
pub mod chance;
pub mod client;
pub mod dialogue;
pub mod dovecot;
pub mod exim;
pub mod inetd;
pub mod line;
pub mod log;
pub mod name_server;
pub mod own_network;
pub mod peer;
pub mod plugin;
pub mod postfix;
pub mod process;
pub mod scram;
pub mod script;
pub mod sendmail;
pub mod server;
pub mod sink;
pub mod slapd;
pub mod verify;
pub mod web_site;
pub mod wire;
