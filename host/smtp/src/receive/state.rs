//! The states of a receiving session: where it is in the dialogue, and what it does at the moment.
//! Each state holds what is valid in it and nothing else; the moves are in `session`.

use std::sync::Arc;
use std::time::Instant;

use super::admit::Admission;
use super::auth::Verifying;
use super::command::{Command, Rcpt};
use super::line::Framing;
use super::message::{Message, Tail};
use super::session::Expired;
use super::transaction::Transaction;
use crate::sasl::exchange::Exchange;
use crate::{Address, Attributed, DisconnectReason, Question, Reply, Secret};

/// Where the session is in the dialogue.
#[derive(Debug)]
pub(crate) enum Place {
    /// Refused at the door: only QUIT is answered (RFC 5321 section 3.1).
    Unwelcome,
    /// Has not said HELO or EHLO.
    Stranger,
    /// May begin a transaction.
    Greeted,
    /// Between MAIL and DATA.
    Transaction(Box<Transaction>),
    /// Between two chunks of a message.
    Chunks(Box<Message>),
    /// Behind a chunk that was answered so: those that belong to it may still come. Otherwise as greeted.
    Failed(Box<Reply>),
}

/// What the session does at the moment.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing yet: the connection is new.
    Opening,
    /// Reads a command line.
    Ready,
    /// A question is open.
    Deciding(Then),
    /// The router is asked about a recipient that the plug-ins let pass.
    Routing { rcpt: Rcpt, edits: Vec<Attributed> },
    /// The router is asked about who VRFY names; the question comes then.
    LookingUp(Box<(Address, Option<Question>)>),
    /// The router is asked about a recipient that plug-ins add.
    Admitting(Box<Admission>),
    /// Reads the octets of a message.
    Receiving(Box<Message>),
    /// So many octets of the message are lent.
    Lending { message: Box<Message>, octets: usize },
    /// A message is being made durable.
    Storing { tail: Tail },
    /// Drops the octets of a chunk that is refused; asks and answers then.
    Swallowing { octets: u64, started: Instant, question: Option<Question>, answer: Answer },
    /// Reads a line that answers words of an authentication.
    Responding(Box<Exchange>),
    /// The connection finds out who logs in.
    Verifying(Box<Verifying>),
    /// The connection is reversed: the client is the server of another conversation.
    Reversed,
    /// Writes what is left to say in clear text; the handshake begins then.
    Securing,
    /// The TLS handshake is under way.
    Handshaking,
    /// Writes what is left to say; the end begins then.
    Leaving(DisconnectReason),
    /// Over.
    Closed,
}

/// What is done when the open question is answered.
#[derive(Debug)]
pub(crate) enum Then {
    /// before(CONNECT): greet or refuse.
    Welcome,
    /// before(COMMAND): parse, check and go on. `line` is what plug-ins may see, `whole` the line of AUTH with all its words.
    Run { line: Arc<[u8]>, whole: Option<Secret>, framing: Framing },
    /// Before the stage of a command: do it. What plug-ins made of its line is among the edits of the transaction.
    Proceed { command: Command, rewrites: Vec<Attributed> },
    /// before(AUTH): find out whether it is who it says.
    Login(Box<Exchange>),
    /// before(HEADERS, BODY): read on.
    Receive(Box<Message>),
    /// before(MESSAGEACCEPT): store it.
    Accept(Box<Message>),
    /// after(MESSAGEACCEPT): go on with what is behind the last octet of the message.
    Finish { tail: Tail, answer: Answer },
    /// After the stage of a command, or after(CONNECT): ask after(COMMAND).
    Conclude(Answer),
    /// after(CONNECT, COMMAND): say it.
    Say(Answer),
    /// after(STARTTLS): read on.
    Secured,
    /// before(TIMEOUT): say that it is over.
    Expire(Expired),
    /// before(DISCONNECT): ask after(DISCONNECT).
    Leave(DisconnectReason),
    /// after(DISCONNECT): close.
    Close,
}

/// A composed reply and what follows when it is said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) next: Next,
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next command.
    Command,
    /// The octets of a message.
    Message,
    /// The next command; the transaction is over.
    Fresh,
    /// The next command; a chunk was refused, and the message with it.
    Failed,
    /// A TLS handshake.
    Handshake,
    /// The connection is reversed.
    Reverse,
    /// The end.
    Leave(DisconnectReason),
}

impl Answer {
    /// A reply behind which the dialogue goes on.
    pub(crate) fn plain(reply: Reply) -> Self {
        let next = Next::Command;
        Self { reply, next }
    }

    /// A reply behind which the session ends.
    pub(crate) fn last(reply: Reply, reason: DisconnectReason) -> Self {
        let next = Next::Leave(reason);
        Self { reply, next }
    }
}
