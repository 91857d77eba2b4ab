//! What a handler answers: a verdict, or that it failed.
//! Knows no event: which answers an event takes stands with it in the contract.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;

use stagepost_abi::{
    EM_VERDICT_DEFER, EM_VERDICT_DISCONNECT, EM_VERDICT_HANDLED, EM_VERDICT_REJECT,
};

/// What a *before* handler wants to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// The next handler is asked, and after the last one the core does its work.
    Continue,
    /// The core skips its own work and replies positively. A fault at all but COMMAND, message accept, ETRN, VRFY, VERB; with
    /// destinations named by [`Edits::reverse`](crate::Edits::reverse), ATRN; and, with a user named by
    /// [`Edits::identity`](crate::Edits::identity), AUTH by a mechanism that has a password.
    Handled,
    /// A verdict with a reply of the plug-in's own; it ends the chain.
    Verdict(Verdict),
}

/// A verdict with its reply. Made by the functions of [`Answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) kind: u32,
    pub(crate) code: u16,
    pub(crate) enhanced: Cow<'static, str>,
    pub(crate) text: Cow<'static, str>,
}

/// The arguments of a verdict:
///
/// - code: three digits, of the class that the verdict says; another one is a fault of the plug-in.
/// - enhanced: "5.7.1" or the like (RFC 3463), of the code's class; empty for none.
/// - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets; empty for the core's own words.
impl Answer {
    /// Refuses for good. Code 5yz.
    pub fn reject(
        code: u16,
        enhanced: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::verdict(EM_VERDICT_REJECT, code, enhanced.into(), text.into())
    }

    /// Refuses for now. Code 4yz.
    pub fn defer(
        code: u16,
        enhanced: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::verdict(EM_VERDICT_DEFER, code, enhanced.into(), text.into())
    }

    /// Sends the reply and closes the connection. Code 4yz or 5yz.
    pub fn disconnect(
        code: u16,
        enhanced: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::verdict(EM_VERDICT_DISCONNECT, code, enhanced.into(), text.into())
    }

    /// As `Handled`, with other words. Code 2yz, or 0 for the core's own; at AUTH 235 alone, elsewhere not 220, 221 or 235.
    pub fn handled(
        code: u16,
        enhanced: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::verdict(EM_VERDICT_HANDLED, code, enhanced.into(), text.into())
    }

    fn verdict(kind: u32, code: u16, enhanced: Cow<'static, str>, text: Cow<'static, str>) -> Self {
        Self::Verdict(Verdict { kind, code, enhanced, text })
    }
}

/// A handler failed inside. The reason is logged, and the plug-in's fault contract applies: by default the client
/// gets a 4yz reply. Made of any error, by `?`.
#[derive(Debug)]
pub struct Fault(pub(crate) String);

impl Fault {
    /// Makes a fault of a reason, for the operator.
    pub fn new(reason: impl Display) -> Self {
        Self(reason.to_string())
    }
}

// This is why `Fault` is no Error itself: it would have to be made of itself.
impl<E: Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a *before* handler returns.
pub type Outcome = Result<Answer, Fault>;
