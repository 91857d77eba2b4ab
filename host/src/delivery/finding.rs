//! What an attempt found out: a status, who said it, and the words.
//! Knows neither who is told nor what becomes of the recipient.

use std::fmt;

use stagepost_smtp::{Address, Enhanced, RecipientFate, RecipientResult};

/// Why a recipient was not delivered, or how it was; for the operator, and for the sender of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The enhanced code (RFC 3463).
    pub(crate) status: Enhanced,
    /// The server that it is about, as the configuration or the DNS names it.
    pub(crate) remote: Option<Box<str>>,
    /// What that server said, code and all, on one line.
    pub(crate) reply: Option<Box<str>>,
    /// The whole of it in words, on one line.
    pub(crate) text: Box<str>,
    /// The server may have the message all the same.
    pub(crate) in_doubt: bool,
}

impl Finding {
    /// Something that was found out here.
    pub(crate) fn new(status: (u8, u16, u16), text: impl fmt::Display) -> Self {
        let (class, subject, detail) = status;
        let status = Enhanced::new(class, subject, detail);
        Self { status, remote: None, reply: None, text: text.to_string().into(), in_doubt: false }
    }

    /// The same about a server.
    pub(crate) fn about(self, remote: &str) -> Self {
        Self { remote: Some(remote.into()), ..self }
    }

    /// The same as plug-ins are told of it.
    pub(crate) fn result(&self, recipient: &Address, fate: RecipientFate) -> RecipientResult {
        let reason = match &self.remote {
            Some(remote) => format!("{remote}: {}", self.text).into(),
            None => self.text.clone(),
        };
        RecipientResult { recipient: recipient.clone(), fate, status: self.status, reason }
    }

    /// The same with a server's own words.
    pub(crate) fn replied(self, reply: &str) -> Self {
        Self { reply: Some(reply.into()), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ", self.status)?;
        if let Some(remote) = &self.remote {
            write!(out, "{remote}: ")?;
        }
        out.write_str(&self.text)
    }
}
