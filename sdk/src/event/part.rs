//! What events tell beside text and numbers: values of the contract as types, unknown ones included.
//! Knows no event as a whole.

use stagepost_abi::{
    EM_AUTH_ACCEPTED, EM_AUTH_BROKEN, EM_AUTH_OPEN, EM_AUTH_UNAVAILABLE, EM_AWAITED_MESSAGE,
    EM_DATA_BDAT, EM_DISCONNECT_HANDSHAKE, EM_DISCONNECT_HANGUP, EM_DISCONNECT_QUIT,
    EM_DISCONNECT_REVERSED, EM_DISCONNECT_SHUTDOWN, EM_DISCONNECT_TIMEOUT, EM_ETRN_DOMAIN,
    EM_ETRN_HOST, EM_ETRN_QUEUE, EM_VRFY_EXPN, EM_VRFY_VRFY, EmData,
};

/// A password. It is not to be kept, logged or shown, so `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct Password<'a>(&'a [u8]);

impl<'a> Password<'a> {
    pub(super) fn of(octets: Option<&'a [u8]>) -> Option<Self> {
        octets.map(Self)
    }

    /// The octets. Compare them in constant time.
    pub fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl std::fmt::Debug for Password<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Password")
    }
}

/// How an AUTH has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthResult {
    /// The client is logged in.
    Accepted,
    /// It is not: wrong credentials, or a plug-in has said no.
    Refused,
    /// Nobody could say, or a plug-in has said not now.
    Unavailable,
    /// The client gave it up, or did not keep to the mechanism.
    Broken,
}

impl AuthResult {
    pub(super) const fn of(result: u32) -> Option<Self> {
        Some(match result {
            EM_AUTH_OPEN => return None,
            EM_AUTH_ACCEPTED => Self::Accepted,
            EM_AUTH_UNAVAILABLE => Self::Unavailable,
            EM_AUTH_BROKEN => Self::Broken,
            // The contract wants an unknown one taken for EM_AUTH_REFUSED.
            _ => Self::Refused,
        })
    }
}

/// The first octets of a message that comes with BDAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// How many.
    pub octets: u64,
    /// Whether the message ends with them.
    pub last: bool,
}

impl Chunk {
    pub(super) fn of(raw: &EmData) -> Option<Self> {
        let bdat = raw.verb == EM_DATA_BDAT;
        bdat.then_some(Self { octets: raw.chunk_octets, last: raw.last != 0 })
    }
}

/// What the node of an ETRN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EtrnKind {
    /// `ETRN node`: this host or domain.
    Host,
    /// `ETRN @node`: the domain and everything below it.
    Domain,
    /// `ETRN #node`: a queue of that name.
    Queue,
    /// Something newer than this SDK: a node that the plug-in does not serve.
    Unknown,
}

impl EtrnKind {
    pub(super) const fn of(kind: u8) -> Self {
        match kind {
            EM_ETRN_HOST => Self::Host,
            EM_ETRN_DOMAIN => Self::Domain,
            EM_ETRN_QUEUE => Self::Queue,
            _ => Self::Unknown,
        }
    }
}

/// The commands that ask who is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VrfyVerb {
    /// VRFY: about a user or a mailbox.
    Vrfy,
    /// EXPN: about a mailing list.
    Expn,
    /// Something newer than this SDK: a question that the plug-in does not answer.
    Unknown,
}

impl VrfyVerb {
    pub(super) const fn of(verb: u8) -> Self {
        match verb {
            EM_VRFY_VRFY => Self::Vrfy,
            EM_VRFY_EXPN => Self::Expn,
            _ => Self::Unknown,
        }
    }
}

/// What a session waits for from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// A command.
    Command,
    /// The octets of a message.
    Message,
}

impl Awaited {
    pub(super) const fn of(awaited: u32) -> Self {
        match awaited {
            EM_AWAITED_MESSAGE => Self::Message,
            // The contract wants an unknown value taken for EM_AWAITED_COMMAND.
            _ => Self::Command,
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The client said QUIT.
    Quit,
    /// The client closed the connection, or it broke.
    Hangup,
    /// The client was silent for too long.
    Timeout,
    /// The server closed it: a limit, or a plug-in's verdict.
    Refused,
    /// The server is shutting down.
    Shutdown,
    /// The TLS handshake failed.
    Handshake,
    /// The connection was reversed by ATRN, and what followed is over.
    Reversed,
}

impl DisconnectReason {
    pub(super) const fn of(reason: u32) -> Self {
        match reason {
            EM_DISCONNECT_QUIT => Self::Quit,
            EM_DISCONNECT_HANGUP => Self::Hangup,
            EM_DISCONNECT_TIMEOUT => Self::Timeout,
            EM_DISCONNECT_SHUTDOWN => Self::Shutdown,
            EM_DISCONNECT_HANDSHAKE => Self::Handshake,
            EM_DISCONNECT_REVERSED => Self::Reversed,
            // The contract wants an unknown reason taken for EM_DISCONNECT_REFUSED.
            _ => Self::Refused,
        }
    }
}
