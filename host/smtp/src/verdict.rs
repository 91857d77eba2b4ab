//! What the plug-ins answered: a decision, and the edits they made on the way.
//! Knows no plug-in call: dispatch combines the answers into one verdict.

use std::sync::Arc;

use crate::{Attribute, Reply};

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
    /// What it changed.
    pub edit: Edit,
}

/// One change asked for by a plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Set a session attribute.
    Attribute(Attribute),
    /// Add a header field at the end of the header block.
    AddHeader {
        /// The field name, without the colon.
        name: Box<str>,
        /// The field body without its last CRLF; folded lines are joined by CRLF and white space.
        value: Box<[u8]>,
    },
    /// Accept the message and keep it undelivered until it is released.
    Hold {
        /// Why, for the operator.
        reason: Box<str>,
    },
    /// Accept the message and drop it.
    Discard,
    /// After: replace the words of the reply, as [`Reply::reword`] does. Its code, and so its class, stays.
    ReplyText(Box<str>),
}
