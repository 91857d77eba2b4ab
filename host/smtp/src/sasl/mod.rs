//! SASL (RFC 4422) as AUTH uses it: the mechanisms, the words of each, and what is kept to check a client by.
//! Knows no reply, no session and no store of users.

pub(crate) mod base64;
mod binding;
pub(crate) mod client;
pub(crate) mod exchange;
mod keys;
pub(crate) mod plain;
mod prepare;
pub(crate) mod scram;

pub use binding::ChannelBindings;
pub use client::{ClientKeys, Credentials, Derivation, LoginFault};
pub use keys::{KeysError, ScramKeys};
pub use prepare::{prepare_name, prepare_password};

/// A mechanism of AUTH, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// SCRAM-SHA-256 that is bound to the TLS connection (RFC 7677, RFC 5802).
    ScramSha256Plus,
    /// SCRAM-SHA-256: the password does not go over the wire.
    ScramSha256,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: PLAIN in two steps, for programs that know nothing better.
    Login,
}

impl Mechanism {
    /// Every mechanism, the strongest first.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// The mechanism's name, as it is announced.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of a name in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// Whether the server gets to see the password.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}
