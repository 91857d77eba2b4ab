//! What can go wrong in a plug-in's call, in the words that the operator reads.
//! Knows no contract: what a fault means for the command is decided in the chain.

use std::time::Duration;

use stagepost_smtp::RewriteError;

use crate::figures::FaultKind;

/// How long a call may take, and which setting says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) time: Duration,
    pub(crate) source: &'static str,
}

/// One fault of one call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// A status that no handler may return.
    #[error("bad verdict: handler returned status {0:#06x}")]
    Status(u16),
    /// EM_FAULT: the plug-in says that it failed, by a caught panic or as it sees fit.
    #[error("failed: the handler returned EM_FAULT")]
    Failed,
    /// EM_VERDICT without a verdict on the sheet.
    #[error("bad verdict: handler returned EM_VERDICT and gave none")]
    NoVerdict,
    /// A verdict on the sheet and a status that says otherwise.
    #[error(
        "bad verdict: handler gave a verdict and returned status {0:#06x} instead of EM_VERDICT"
    )]
    Contradiction(u16),
    /// Handled where that would put client and server out of step.
    #[error("bad verdict: handled is not possible at this event")]
    Handled,
    /// A client is to be logged in, and the handler has not said as whom.
    #[error("bad verdict: handled at AUTH without the name of a user (EmEditsService.identity)")]
    NoIdentity,
    /// A connection is to be reversed, and the handler has not said for whose mail.
    #[error("bad verdict: handled at ATRN without destinations (EmEditsService.reverse)")]
    NoMail,
    /// Handled with a reply that says something else to a client.
    #[error("bad verdict: handled can't be answered {code} at {event}")]
    HandledCode {
        /// The code given.
        code: u16,
        /// The event's name.
        event: &'static str,
    },
    /// A command line that can't stand in the place of the one in hand.
    #[error("bad edit: {0}")]
    Rewrite(#[from] RewriteError),
    /// What it wrote into the body is not there, so that the message would come without it.
    #[error("lost edit: text for the body could not be kept: {0}")]
    Lost(Box<str>),
    /// A verdict that the descriptor does not declare.
    #[error("bad verdict: the descriptor does not declare EM_EDIT_VERDICT")]
    Undeclared,
    /// The call did not return in time.
    #[error("overrun: the handler did not return within {} ms ({})", .0.time.as_millis(), .0.source)]
    Late(Allowance),
    /// The token of a pending call was not completed in time.
    #[error("overrun: the token of a pending call was not completed within {} ms ({})", .0.time.as_millis(), .0.source)]
    Unfinished(Allowance),
    /// A token was taken and nobody is to wait for it.
    #[error("leaked token: handler took one and returned status {0:#06x} instead of EM_PENDING")]
    Leaked(u16),
    /// EM_PENDING without a token: nobody could ever answer.
    #[error("bad verdict: handler returned EM_PENDING and took no token")]
    NoToken,
    /// Those before it in the chain left it no time at all.
    #[error("overrun: nothing was left of the {} ms of chain_budget_ms", .0.as_millis())]
    Spent(Duration),
    /// All its threads were busy until the deadline.
    #[error("overrun: no thread became free within {} ms (threads_max {threads_max} are busy)", .waited.as_millis())]
    Exhausted {
        /// How long the call waited for a thread.
        waited: Duration,
        /// How many threads the plug-in may have.
        threads_max: usize,
    },
    /// An earlier call for this session has not returned yet.
    #[error("overrun: an earlier call for this session has not returned")]
    Busy,
    /// The host's own code failed around the call.
    #[error("the call could not be made: {0}")]
    Host(String),
}

impl Fault {
    /// As which kind it is counted.
    pub(crate) fn kind(&self) -> FaultKind {
        match self {
            Self::Failed => FaultKind::Failure,
            Self::Status(_)
            | Self::NoVerdict
            | Self::Contradiction(_)
            | Self::Handled
            | Self::HandledCode { .. }
            | Self::NoIdentity
            | Self::NoMail
            | Self::Rewrite(_)
            | Self::Undeclared
            | Self::Leaked(_)
            | Self::NoToken => FaultKind::BadVerdict,
            Self::Late(_)
            | Self::Unfinished(_)
            | Self::Spent(_)
            | Self::Exhausted { .. }
            | Self::Busy => FaultKind::Overrun,
            Self::Host(_) | Self::Lost(_) => FaultKind::Host,
        }
    }
}
