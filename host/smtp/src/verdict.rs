//! What the plug-ins answered: a decision, and the edits they made on the way.
//! Knows no plug-in call: dispatch combines the answers into one verdict.

use std::sync::Arc;

use crate::{
    Address, Attribute, BodyText, Change, Detail, LedgerEntry, Made, MailParameters, Recipient,
    Reply, ReversePath, RewriteError,
};

/// The combined answer to one [`crate::Ask`].
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What the session is to do.
    pub decision: Decision,
    /// What plug-ins changed, in the order of the changes.
    pub edits: Vec<Attributed>,
}

/// What the session is to do. The answer to *after* is always `Continue`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decision {
    /// Go on with the core's own work.
    #[default]
    Continue,
    /// Skip the core's own work and reply positively.
    Handled(Option<Reply>),
    /// Refuse for good with this 5xx reply.
    Reject(Reply),
    /// Refuse for now with this 4xx reply; with 421 the connection is closed behind it.
    Defer(Reply),
    /// Send this reply (4xx or 5xx) and close the connection.
    Disconnect(Reply),
}

/// An edit and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributed {
    /// The plug-in's name.
    pub plugin: Arc<str>,
    /// What it asked for.
    pub edit: Edit,
    /// The call in which it asked.
    pub made: Made,
    /// What was changed for it so far. Whoever carries the edit out adds to it.
    pub changes: Vec<Change>,
}

impl Attributed {
    /// An edit of a call of which nothing is known, and that changed nothing yet.
    pub fn new(plugin: impl Into<Arc<str>>, edit: Edit) -> Self {
        Self { plugin: plugin.into(), edit, made: Made::default(), changes: Vec::new() }
    }

    /// What is to be kept of it with the message.
    pub fn into_ledger(self) -> impl Iterator<Item = LedgerEntry> {
        let Self { plugin, made, changes, .. } = self;
        changes.into_iter().map(move |change| LedgerEntry { plugin: plugin.clone(), made, change })
    }
}

/// One change asked for by a plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Set a session attribute.
    Attribute(Attribute),
    /// At EHLO: announce a keyword, or put these parameters behind it.
    AddKeyword {
        /// In capitals.
        keyword: Box<str>,
        /// May be empty.
        parameters: Box<str>,
    },
    /// At EHLO: leave a keyword out, in capitals, and with it what it announces.
    RemoveKeyword(Box<str>),
    /// At AUTH: whom the client is logged in as, when the answer is *handled*.
    Identity(Box<str>),
    /// At ATRN: which mail is sent over the connection, when the answer is *handled*. Made by [`Edit::reverse`].
    Reverse(Box<[Box<str>]>),
    /// At COMMAND: put another line, without its CRLF, in the place of the one in hand.
    ReplaceCommand(Box<str>),
    /// Add a header field at the end of the header block.
    AddHeader {
        /// The field name, without the colon.
        name: Box<str>,
        /// The field body without its last CRLF; folded lines are joined by CRLF and white space.
        value: Box<[u8]>,
    },
    /// Put a header field before the field at a position.
    InsertHeader {
        /// How many fields come before it; more than there are mean the end.
        position: u32,
        /// The field name, without the colon.
        name: Box<str>,
        /// As in `AddHeader`.
        value: Box<[u8]>,
    },
    /// Replace the body of a header field; nothing when there is no such field.
    ChangeHeader {
        /// The field name in any case.
        name: Box<str>,
        /// Which of the fields of that name, from 1.
        index: u32,
        /// As in `AddHeader`.
        value: Box<[u8]>,
    },
    /// Take a header field out; nothing when there is no such field.
    DeleteHeader {
        /// The field name in any case.
        name: Box<str>,
        /// Which of the fields of that name, from 1.
        index: u32,
    },
    /// Put text before that of the body.
    PrependBody(BodyText),
    /// Add text at the end of the body.
    AppendBody(BodyText),
    /// Put text in the place of that of the body.
    ReplaceBody(BodyText),
    /// Replace the sender of the transaction.
    Sender {
        /// The new sender.
        sender: ReversePath,
        /// The parameters of MAIL to go with it; none: those received stay.
        parameters: Option<MailParameters>,
    },
    /// Add a recipient, who needs a route or a grant like any other. One who is there already stays as they are.
    AddRecipient(Recipient),
    /// Take a recipient out; nothing when they are not there.
    RemoveRecipient(Address),
    /// Put another recipient in the place of one, which at RCPT is the one in hand and needs no naming; nothing when they
    /// are not there.
    ReplaceRecipient {
        /// In whose place; none: the one in hand.
        replaced: Option<Address>,
        /// Who comes there, and needs a route or a grant like any other.
        recipient: Address,
        /// Their parameters of RCPT; none: those of the one replaced stay.
        parameters: Option<Box<str>>,
    },
    /// At MESSAGEACCEPT: refuse the message for one of its recipients, with a 4xx or 5xx reply; nothing when they are not
    /// there. Of several the strictest counts.
    RefuseRecipient {
        /// For whom.
        recipient: Address,
        /// What the client is told.
        reply: Reply,
    },
    /// Accept the message and keep it undelivered until it is released.
    Hold {
        /// Why, for the operator.
        reason: Box<str>,
    },
    /// Mark the message for later handlers and for whoever looks at the queue. A mark that is there already stays.
    Tag {
        /// The mark.
        name: Box<str>,
    },
    /// Accept the message and drop it.
    Discard,
    /// At ROUTE: where the attempt leads, as the configuration writes it.
    Route(Box<str>),
    /// After: replace the words of the reply, as [`Reply::reword`] does. Its code, and so its class, stays.
    ReplyText(Box<str>),
    /// After: replace the code of the reply within its class, as [`Reply::refine`] does, and the words, if any are given.
    ReplyDetail {
        /// The code, but for its class.
        detail: Detail,
        /// None: those of the reply stay.
        text: Option<Box<str>>,
    },
}

/// Edits of a plug-in that can't be carried out; the plug-in is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditFault {
    /// It added a recipient who has neither a route nor a grant.
    #[error("bad edit: the recipient <{recipient}> that it added can't be: {reason}")]
    Recipient {
        /// Whom it added.
        recipient: Address,
        /// What a client would be told.
        reason: Box<str>,
    },
    /// It announced more EHLO keywords than one reply has room for.
    #[error("bad edit: there is no room for the EHLO keyword {keyword}")]
    Keywords {
        /// The first that had none.
        keyword: Box<str>,
    },
    /// It put a line in the place of another that can't be there.
    #[error("bad edit: {0}")]
    Command(#[from] RewriteError),
    /// It chose a way that can't be read.
    #[error("bad edit: no next hop: {next_hop:?}")]
    NextHop {
        /// What it chose.
        next_hop: Box<str>,
    },
    /// It removed the last recipient of a message that is not discarded.
    #[error(
        "bad edit: it removed <{recipient}>, the last recipient; a message for nobody is to be discarded"
    )]
    Emptied {
        /// Whom it removed.
        recipient: Address,
    },
}
