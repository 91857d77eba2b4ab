//! How we introduce ourselves to a server, and which protocol it speaks.
//! Knows no server.

use super::name::OwnName;
use super::timeouts::SendingTimeouts;

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP: one reply for all recipients at the end of a message.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): one reply for each.
    Lmtp,
}

/// What a sending session begins with.
#[derive(Clone, Debug)]
pub struct SendingSettings {
    /// How we introduce ourselves.
    pub name: OwnName,
    /// What the server speaks.
    pub protocol: Protocol,
    /// How long to wait for each thing.
    pub timeouts: SendingTimeouts,
}

impl SendingSettings {
    /// SMTP with the waits of RFC 5321.
    pub fn new(name: OwnName) -> Self {
        Self { name, protocol: Protocol::Smtp, timeouts: SendingTimeouts::default() }
    }
}
