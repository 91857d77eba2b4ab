//! How we introduce ourselves to a server, and which protocol it speaks.
//! Knows no server.

use super::login::SendingLogin;
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

/// What is made of a server's STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SendingTls {
    /// It is left alone.
    #[default]
    Never,
    /// It is used where it is offered; all goes on in clear text where it is not, or is refused.
    IfOffered,
    /// Nothing is said of a message without it.
    Must,
    /// It was on before the server said anything (RFC 8314 section 3.3).
    Before,
}

/// What a sending session begins with.
#[derive(Clone, Debug)]
pub struct SendingSettings {
    /// How we introduce ourselves.
    pub name: OwnName,
    /// What the server speaks.
    pub protocol: Protocol,
    /// What is made of STARTTLS.
    pub tls: SendingTls,
    /// As whom to log in before anything is said of a message; none: as nobody.
    pub login: Option<SendingLogin>,
    /// How long to wait for each thing.
    pub timeouts: SendingTimeouts,
}

impl SendingSettings {
    /// SMTP in clear text, as nobody in particular, with the waits of RFC 5321.
    pub fn new(name: OwnName) -> Self {
        let timeouts = SendingTimeouts::default();
        Self { name, protocol: Protocol::Smtp, tls: SendingTls::Never, login: None, timeouts }
    }
}
