//! SASL (RFC 4422) as AUTH uses it: the mechanisms, the words of each, and what is kept to check a client by.
//! Knows no reply, no session and no store of users.

pub(crate) mod base64;
mod binding;
pub(crate) mod client;
mod cram;
pub(crate) mod exchange;
mod keys;
pub(crate) mod plain;
mod prepare;
pub(crate) mod scram;

pub use binding::ChannelBindings;
pub use client::{ClientKeys, Credentials, Derivation, LoginFault};
pub use cram::CramProof;
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
    /// CRAM-MD5 (RFC 2195), for those who fetch their mail by ATRN and know nothing else.
    CramMd5,
}

impl Mechanism {
    /// Every mechanism that leaves nothing with the server that others could log in with, the strongest first.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// The same, and behind them what wants secrets kept as they are.
    pub const WITH_SECRETS: [Self; 5] =
        [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login, Self::CramMd5];

    /// The mechanism's name, as it is announced.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
        }
    }

    /// The mechanism of a name in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// The same among those that want secrets, too.
    pub fn parse_with_secrets(name: &str) -> Option<Self> {
        Self::WITH_SECRETS.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// Whether the server gets to see the password.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login)
    }
}
