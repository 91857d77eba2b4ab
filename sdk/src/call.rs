//! What the host says to a call of the plug-in that it does not carry out.
//! Knows no particular call.

use stagepost_abi::{
    EM_ERR_CLAIMED, EM_ERR_CLASS, EM_ERR_IO, EM_ERR_LIMIT, EM_ERR_OVER, EM_ERR_REFUSED,
    EM_ERR_ROUTE, EM_ERR_STAGE, EM_PENDING, ERR_EM_NOTAUTHORIZED, ERR_MISC_INVALID_ARGS, NOERROR,
    STATUS,
};

/// The host refused a call. The plug-in is to blame, except at `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host refuses {call}: {reason}")]
pub struct Refusal {
    /// The function that was called.
    pub call: &'static str,
    /// Why it is refused.
    pub reason: Reason,
}

/// Why the host refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The plug-in was exported without this edit.
    #[error("the plug-in does not declare it")]
    NotDeclared,
    /// Not at this event or stage.
    #[error("not at this event or stage")]
    NotHere,
    /// Too many or too large.
    #[error("a limit is reached")]
    Limit,
    /// The server, or another plug-in, has it already.
    #[error("it is the server's or another plug-in's")]
    Claimed,
    /// The host could not read something; its log says what.
    #[error("it could not be read")]
    Unreadable,
    /// It is to be fetched before.
    #[error("it is to be fetched before")]
    NotFetched,
    /// The call is over already: its deadline has passed, or its client is gone.
    #[error("the call is over")]
    Over,
    /// Mail for the recipient goes nowhere from here.
    #[error("mail for this recipient goes nowhere")]
    NoRoute,
    /// The message is refused; the host's log says why.
    #[error("the message is refused")]
    Refused,
    /// The reply can't have this code: one of another class, or one that tells what becomes of the connection.
    #[error("the reply can't have this code")]
    Class,
    /// An argument can't be there.
    #[error("an argument is not acceptable")]
    Invalid,
    /// Something that the contract does not foresee.
    #[error("status {0:#06x}")]
    Other(STATUS),
}

impl Reason {
    fn of(status: STATUS) -> Self {
        match status {
            ERR_EM_NOTAUTHORIZED => Self::NotDeclared,
            EM_ERR_STAGE => Self::NotHere,
            EM_ERR_LIMIT => Self::Limit,
            EM_ERR_CLAIMED => Self::Claimed,
            EM_ERR_CLASS => Self::Class,
            EM_ERR_IO => Self::Unreadable,
            EM_PENDING => Self::NotFetched,
            EM_ERR_OVER => Self::Over,
            EM_ERR_ROUTE => Self::NoRoute,
            EM_ERR_REFUSED => Self::Refused,
            ERR_MISC_INVALID_ARGS => Self::Invalid,
            other => Self::Other(other),
        }
    }
}

impl Refusal {
    pub(crate) fn of(call: &'static str, status: STATUS) -> Self {
        Self { call, reason: Reason::of(status) }
    }
}

pub(crate) fn check(call: &'static str, status: STATUS) -> Result<(), Refusal> {
    if status == NOERROR { Ok(()) } else { Err(Refusal::of(call, status)) }
}
