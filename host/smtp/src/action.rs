//! What a receiving session asks its connection to do next.
//! Holds no protocol rule: the session decides, the connection carries out.

use std::sync::Arc;

use crate::{Address, Ask, Attributed, EditFault, Envelope, Reply, Verify};

/// One thing for the connection to do; [`crate::Session::poll_action`] hands them out one at a time.
#[derive(Debug)]
pub enum Action<'a> {
    /// Write these octets to the peer. One `Send` carries the replies of a whole pipelined group.
    Send(Vec<u8>),
    /// Put the question to the plug-ins; answered by `handle_verdict`.
    Ask(Arc<Ask>),
    /// Find out where mail for this recipient goes; answered by `handle_route`.
    Route(Address),
    /// Keep these octets of the message (lent; dots removed); answered by `handle_body_taken`.
    Body {
        /// Which part of the message they belong to; header octets never follow body octets.
        part: Part,
        /// The octets, lines ended by CRLF.
        octets: &'a [u8],
    },
    /// Make the TLS handshake: all that was sent so far was in clear text, and nothing that has arrived behind it counts.
    /// Answered by `handle_tls`.
    StartTls,
    /// Turn the connection round: answered by `handle_reversed` once the other conversation is over. The session takes no
    /// more input.
    Reverse(Reversal),
    /// Find out whether a client is who it says; answered by `handle_verified`. No plug-in, log or trace gets to see it.
    Verify(Verify),
    /// Make the message durable; answered by `handle_stored`. Nothing is acknowledged before that.
    Store {
        /// Sender, recipients and their parameters.
        envelope: Envelope,
        /// What plug-ins changed in this transaction, in the order of the changes.
        edits: Vec<Attributed>,
    },
    /// The octets lent so far will not be stored: forget them. Needs no answer.
    Abandon,
    /// A plug-in's edits could not be carried out: tell its operator. Needs no answer.
    Blame {
        /// The plug-in's name.
        plugin: Arc<str>,
        /// What is wrong with them.
        fault: EditFault,
    },
    /// Close the connection; the session is over.
    Close,
}

/// The two parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The header block, without the empty line that ends it.
    Header,
    /// What follows the header block, with the empty line when there was one.
    Body,
}

/// A connection that is reversed (RFC 2645): from here on the client is the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// What the client is told, with everything that was to be said before. Whatever has arrived until this is written was sent
    /// as a client and is to be dropped.
    pub reply: Vec<u8>,
    /// The mail that it is sent then: that for these domains, each with `@` before it for all below it, too, and that in
    /// these queues, with `#` before them.
    pub destinations: Box<[Box<str>]>,
}

/// Why there is no TLS after a handshake; the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The two could not agree, or what the client sent is no TLS.
    Failed,
    /// The client took longer than [`crate::Timeouts::handshake`].
    Timeout,
}

/// Why lent octets could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// No room for the message now: 452.
    NoSpace,
    /// The store failed in another way: 451.
    Unavailable,
}

/// How an attempt to make a message durable ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is on disk under this queue id.
    Committed(String),
    /// A plug-in has taken the message over at QUEUE, and said so with this reply.
    TakenOver(Option<Reply>),
    /// A plug-in has refused it at QUEUE.
    Refused(Reply),
    /// No room: 452.
    NoSpace,
    /// The store failed in another way: 451.
    Unavailable,
}
