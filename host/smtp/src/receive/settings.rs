//! What an operator sets for receiving sessions: names, limits, time-outs, each with its default.
//! Knows no configuration file: the host reads one and fills this in.

use std::time::Duration;

use super::extensions::Extensions;
use crate::Mechanism;

/// Settings shared by all sessions of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What of the protocol's extensions is offered, beside those that every session has.
    pub extensions: Extensions,
    /// Our name: in the greeting, in the reply to EHLO, in trace lines. A domain.
    pub hostname: Box<str>,
    /// The words that follow the name in the 220.
    pub banner: Box<str>,
    /// Whether clients come here for their mail, with ATRN, and for nothing else (RFC 2645).
    pub odmr: bool,
    /// Whether STARTTLS can be had, and whether it must.
    pub starttls: StartTls,
    /// Whether and how clients log in.
    pub auth: Auth,
    /// What VRFY and EXPN tell.
    pub vrfy: Vrfy,
    /// What is made of a message that plug-ins refuse for some of its recipients.
    pub split: Split,
    /// How much of everything.
    pub limits: Limits,
    /// How long for everything.
    pub timeouts: Timeouts,
}

/// What STARTTLS is on a connection that begins in clear text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// There is none: no certificate.
    #[default]
    None,
    /// Offered to whoever wants it.
    Offered,
    /// Without it nothing but EHLO, NOOP and QUIT is carried out: 530. A server that takes mail for its domains from everybody
    /// must not ask for this (RFC 3207 section 4).
    Required,
}

/// What VRFY and EXPN tell where no plug-in answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vrfy {
    /// The same for everybody: 252.
    #[default]
    Hide,
    /// VRFY tells who is here.
    Answer,
    /// There are no such commands: 502. Plug-ins are not asked.
    Off,
}

/// What is made of a message that plug-ins refuse for some of its recipients, where the client can't be told of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// It is refused for all of them, for good if it is for one. Nothing is lost, and the sender is told.
    #[default]
    Strictest,
    /// It is accepted for the others, and nobody is told.
    Discard,
}

/// Whether and how clients log in (RFC 4954).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// The mechanisms that clients may use. Without any there is no AUTH.
    pub mechanisms: Vec<Mechanism>,
    /// Whether the connection knows somebody who can tell passwords. Plug-ins may, too, and are asked before.
    pub checks_passwords: bool,
    /// Whether it can be done in clear text, where everybody on the way reads the passwords.
    pub allow_plaintext: bool,
    /// Whether nobody sends or asks for anything before: 530.
    pub required: bool,
    /// Whether who has logged in may relay, unless a plug-in says otherwise.
    pub grants_relay: bool,
}

/// Bounds of one session; each names the reply given when it is passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line with its CRLF. RFC 5321 section 4.5.3.1.4 wants at least 512, and
    /// extensions add to that. More: 500 once the line has ended; the excess is never kept.
    pub line_octets_max: usize,
    /// Octets of a path of MAIL or RCPT with its angle brackets and source route. RFC 5321 section 4.5.3.1.3 has 256. More: 501.
    pub path_octets_max: usize,
    /// Octets of the local part of an address with its quotes, at most [255](crate::Address::LOCAL_OCTETS_MAX). RFC 5321
    /// section 4.5.3.1.1 has 64. More: 501.
    pub local_octets_max: usize,
    /// Octets of a line of the message with its CRLF, without a stuffed dot; 0 = no limit. RFC 5321
    /// section 4.5.3.1.6 has senders keep to 1000 and receivers impose no limit where they can: a long line costs
    /// no memory here, so the default only keeps out what no mail program makes. More: 550 after the dot.
    pub text_line_octets_max: usize,
    /// Octets of the header block. More: 552 after the dot.
    pub header_octets_max: usize,
    /// Octets of a message, as announced by SIZE (RFC 1870). More: 552, at MAIL or after the dot.
    pub message_octets_max: u64,
    /// Octets a second that a client sends of a message, over [`Timeouts::data_window`]; 0 = at any pace. Less: 421.
    pub data_rate_min: u32,
    /// Received fields of a message. RFC 5321 section 6.3 wants at least 100. More: 554 after the dot, since the
    /// message goes round in a loop.
    pub hops_max: usize,
    /// Recipients of one message. RFC 5321 section 4.5.3.1.8 wants at least 100. More: 452 for each,
    /// and 421 behind a thousand more.
    pub recipients_max: usize,
    /// Commands that could not be understood or came out of order since the last accepted message;
    /// the next command after so many gets 421.
    pub errors_max: u32,
    /// Commands and recipients that were refused for what they ask since the last accepted message;
    /// the next command after so many gets 421. It slows those who guess at addresses.
    pub refusals_max: u32,
    /// Commands that lead nowhere (NOOP, RSET, VRFY, HELP, ETRN, repeated EHLO, a recipient named again, an empty chunk, a
    /// login that nobody can check) since the last accepted message; the next command after so many gets 421.
    pub idle_commands_max: u32,
    /// Logins that were refused, or not looked at since too many were; the next command after so many gets 421.
    pub logins_refused_max: u32,
}

/// How long a session waits for its peer. While plug-ins, router or store are asked no time runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole command line, from the reply before it (RFC 5321 section 4.5.3.2.7: at least 5 minutes).
    pub command: Duration,
    /// For the next octets of a message (RFC 5321 section 4.5.3.2.5: senders take up to 3 minutes).
    pub data_block: Duration,
    /// For a TLS handshake. Longer: the connection is closed.
    pub handshake: Duration,
    /// Over which [`Limits::data_rate_min`] is taken: longer than a stall of the network, which is no slowness.
    pub data_window: Duration,
    /// For a whole message, from the 354 to the dot.
    pub message: Duration,
    /// For the client to take what we write. Longer: the connection is closed, since nothing can be said.
    pub write: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extensions: Extensions::default(),
            hostname: "localhost".into(),
            banner: "ESMTP Stagepost".into(),
            odmr: false,
            starttls: StartTls::None,
            auth: Auth::default(),
            vrfy: Vrfy::default(),
            split: Split::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_octets_max: 2048,
            path_octets_max: 256,
            local_octets_max: 64,
            text_line_octets_max: 65_536,
            header_octets_max: 262_144,
            message_octets_max: 52_428_800,
            data_rate_min: 100,
            hops_max: 100,
            recipients_max: 100,
            errors_max: 20,
            refusals_max: 100,
            idle_commands_max: 100,
            logins_refused_max: 3,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5 * 60),
            data_block: Duration::from_secs(3 * 60),
            handshake: Duration::from_secs(60),
            data_window: Duration::from_secs(5 * 60),
            message: Duration::from_secs(6 * 60 * 60),
            write: Duration::from_secs(5 * 60),
        }
    }
}
