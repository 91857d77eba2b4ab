//! What a session may ask its plug-ins: an event with its arguments, and what is known beside them.
//! Knows no plug-in and no answer.

use std::sync::Arc;

use crate::{
    Address, Attempt, Draft, Edit, Event, Facts, Mechanism, RecipientResult, Reply, ReversePath,
    Secret, Stage, Telling,
};

/// One question to the plug-ins; while it is open the session takes no input.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is about to happen, or has happened.
    pub question: Question,
    /// Before or after it happened.
    pub stage: Stage,
    /// Which exchange with the client it belongs to, counted up: the client waits once for all questions of one.
    pub exchange: u64,
    /// After: the reply as composed. Before: none.
    pub reply: Option<Reply>,
    /// The session as it is now.
    pub facts: Arc<Facts>,
    /// Before HEADERS and MESSAGEACCEPT: the message, without its octets until the connection gives them.
    pub message: Option<Draft>,
    /// For those alone who may see credentials: before COMMAND the whole line of AUTH, before AUTH the password.
    pub secret: Option<Secret>,
}

impl Ask {
    /// Shows an edit of message or envelope to whoever is asked next: of the command in hand in the question, of what was
    /// accepted already in the facts. Other edits change nothing here.
    pub fn edit(&mut self, edit: &Edit) {
        if let Some(message) = &mut self.message {
            message.edit(edit);
        }
        match (&mut self.question, edit) {
            (
                Question::Mail { sender, parameters },
                Edit::Sender { sender: new, parameters: given },
            ) => {
                *sender = new.clone();
                if let Some(given) = given {
                    *parameters = given.text.clone();
                }
            }
            (
                Question::Rcpt { recipient, parameters },
                Edit::ReplaceRecipient { recipient: new, parameters: given, .. },
            ) => {
                *recipient = new.clone();
                if let Some(given) = given {
                    *parameters = given.clone();
                }
            }
            (Question::Route { next_hop, .. }, Edit::Route(new)) => *next_hop = new.clone(),
            (Question::Command { line }, Edit::ReplaceCommand(new)) => {
                *line = new.as_bytes().into();
            }
            (
                Question::Ehlo { keywords, extended: true, .. },
                Edit::AddKeyword { .. } | Edit::RemoveKeyword(_),
            ) => {
                let mut lines = String::from(&**keywords);
                crate::receive::edit_keywords(&mut lines, edit);
                *keywords = lines.into();
            }
            (_, Edit::Sender { sender, .. }) => {
                Arc::make_mut(&mut self.facts).sender = Some(sender.clone());
            }
            (_, Edit::AddRecipient(recipient)) => {
                Arc::make_mut(&mut self.facts).add_recipient(&recipient.address);
            }
            (_, Edit::RemoveRecipient(recipient)) => {
                Arc::make_mut(&mut self.facts).remove_recipient(recipient);
            }
            (_, Edit::ReplaceRecipient { replaced: Some(replaced), recipient, .. }) => {
                Arc::make_mut(&mut self.facts).replace_recipient(replaced, recipient);
            }
            (_, Edit::Tag { name }) => Arc::make_mut(&mut self.facts).add_tag(name),
            _ => {}
        }
    }
}

/// An event with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A client has connected; the facts say who.
    Connect,
    /// A command line as received, or as a plug-in rewrote it, without its CRLF.
    Command {
        /// The octets of the line.
        line: Arc<[u8]>,
    },
    /// The client introduces itself.
    Ehlo {
        /// The name it gives.
        name: Box<str>,
        /// EHLO rather than HELO.
        extended: bool,
        /// The keywords, one a line, separated by LF: before, those that would be announced; after, those that are. None
        /// to HELO.
        keywords: Box<str>,
    },
    /// The client is about to begin a TLS handshake (before), or it has succeeded (after).
    StartTls,
    /// The client wants to log in (before), or that has ended (after). The password is in [`Ask::secret`].
    Auth {
        /// By which mechanism.
        mechanism: Mechanism,
        /// The user's name as the client gives it, prepared.
        identity: Box<str>,
        /// On whose behalf it wants to act; empty: its own.
        authorization: Box<str>,
        /// After: how it has ended.
        result: Option<AuthResult>,
    },
    /// A transaction begins.
    Mail {
        /// Its sender.
        sender: ReversePath,
        /// The parameters as received.
        parameters: Box<str>,
    },
    /// A recipient is named.
    Rcpt {
        /// The recipient.
        recipient: Address,
        /// The parameters as received.
        parameters: Box<str>,
    },
    /// The client is about to send the message.
    Data {
        /// With BDAT: its first chunk. None: with DATA.
        chunk: Option<Chunk>,
    },
    /// The header block of the message is complete; none of the body was looked at.
    Headers,
    /// Some of the body was received and is not kept yet.
    Body {
        /// Its octets, dots removed. All of them, one behind the other, are the body, which begins with an empty line.
        octets: Arc<[u8]>,
        /// How many octets of the body came before them.
        offset: u64,
        /// Nothing of the message follows.
        last: bool,
    },
    /// The message is complete and not yet stored (before), or stored or refused (after).
    MessageAccept {
        /// Octets of the message as sent, dots removed.
        octets: u64,
    },
    /// The client asks for mail waiting for a node (RFC 1985).
    Etrn {
        /// Which mail it asks for.
        node: EtrnNode,
    },
    /// The client wants its mail over this connection (RFC 2645).
    Atrn {
        /// Whose mail, as received, one a line, separated by LF; empty: all that is its.
        domains: Box<str>,
    },
    /// The client asks who is here (RFC 5321 section 3.5).
    Vrfy {
        /// With which command.
        verb: VrfyVerb,
        /// What it asks about, as received.
        argument: Box<str>,
    },
    /// The client drops the transaction.
    Rset,
    /// A command that a plug-in claims.
    Verb {
        /// Its verb, in capitals.
        verb: Box<str>,
        /// What follows the verb and a space, as received.
        argument: Box<str>,
    },
    /// The client leaves.
    Quit,
    /// The client was silent for too long; the session ends.
    Timeout {
        /// What was waited for.
        awaited: Awaited,
    },
    /// The session is over, or about to be.
    Disconnect {
        /// Why it ends.
        reason: DisconnectReason,
    },
    /// A message is about to be queued (before), or is on disk (after).
    Queue {
        /// Its id.
        id: Box<str>,
        /// Octets of header block and body.
        octets: u64,
    },
    /// An attempt to deliver begins; the recipients are in the facts.
    Route {
        /// Which.
        attempt: Arc<Attempt>,
        /// Where it leads, as the configuration writes it; empty: nowhere.
        next_hop: Box<str>,
    },
    /// An attempt to deliver is made.
    Deliver {
        /// Which.
        attempt: Arc<Attempt>,
        /// Where it leads.
        next_hop: Box<str>,
        /// After: what became of each recipient.
        results: Arc<[RecipientResult]>,
    },
    /// A sender is about to be told, or is.
    Bounce(Box<Telling>),
    /// A message is not tried again.
    Expire {
        /// The attempt that has failed.
        attempt: Arc<Attempt>,
    },
}

impl Question {
    /// The kind of this question.
    pub fn event(&self) -> Event {
        match self {
            Self::Connect => Event::Connect,
            Self::Command { .. } => Event::Command,
            Self::Ehlo { .. } => Event::Ehlo,
            Self::StartTls => Event::StartTls,
            Self::Auth { .. } => Event::Auth,
            Self::Mail { .. } => Event::Mail,
            Self::Rcpt { .. } => Event::Rcpt,
            Self::Data { .. } => Event::Data,
            Self::Headers => Event::Headers,
            Self::Body { .. } => Event::Body,
            Self::MessageAccept { .. } => Event::MessageAccept,
            Self::Etrn { .. } => Event::Etrn,
            Self::Atrn { .. } => Event::Atrn,
            Self::Vrfy { .. } => Event::Vrfy,
            Self::Rset => Event::Rset,
            Self::Verb { .. } => Event::Verb,
            Self::Quit => Event::Quit,
            Self::Timeout { .. } => Event::Timeout,
            Self::Disconnect { .. } => Event::Disconnect,
            Self::Queue { .. } => Event::Queue,
            Self::Route { .. } => Event::Route,
            Self::Deliver { .. } => Event::Deliver,
            Self::Bounce(_) => Event::Bounce,
            Self::Expire { .. } => Event::Expire,
        }
    }
}

/// Some octets of a message, sent with BDAT (RFC 3030 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many.
    pub octets: u64,
    /// The message ends with them.
    pub last: bool,
}

/// The argument of ETRN (RFC 1985, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtrnNode {
    /// `ETRN example.org`: this host or domain.
    Host(Box<str>),
    /// `ETRN @example.org`: the domain and everything below it.
    Domain(Box<str>),
    /// `ETRN #name`: a queue of that name.
    Queue(Box<str>),
}

/// The commands that ask who is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VrfyVerb {
    /// VRFY: about a user or a mailbox.
    Vrfy,
    /// EXPN: about a mailing list.
    Expn,
}

/// How an authentication has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthResult {
    /// The client has logged in.
    Accepted,
    /// It has not: wrong credentials, or a plug-in said no.
    Refused,
    /// Nobody could say, or a plug-in said not now.
    Unavailable,
    /// The client gave it up, or did not keep to the mechanism.
    Broken,
}

impl AuthResult {
    /// The result's name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Broken => "broken",
        }
    }
}

/// What a session waits for from its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A command.
    Command,
    /// The octets of a message.
    Message,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client said QUIT.
    Quit,
    /// The client closed the connection or it broke.
    Hangup,
    /// The client was silent for too long.
    Timeout,
    /// The server closed it: a limit, a plug-in's verdict.
    Refused,
    /// The TLS handshake failed.
    Handshake,
    /// The server is shutting down.
    Shutdown,
    /// The connection was reversed, and what followed is over.
    Reversed,
}

impl DisconnectReason {
    /// The reason's name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Hangup => "hangup",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Handshake => "handshake",
            Self::Shutdown => "shutdown",
            Self::Reversed => "reversed",
        }
    }
}
