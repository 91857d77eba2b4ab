//! Servers that a message which requires TLS on all of its way can't be given to (RFC 8689 section 4.2.1).
//! Knows what was found out about them, no connection.

use stagepost_smtp::{Cause, Outcome};

use super::super::demand::Unmet;

/// Why a server can't be given such a message, today or tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unable {
    /// It would not see to it that the message goes on so.
    #[error("{0}")]
    Promise(Cause),
    /// There is no TLS with it, or nobody knows with whom.
    #[error("the message requires TLS: {0}")]
    Tls(Cause),
    /// It is not known who it is, or the operator wants no TLS with it.
    #[error("the message requires TLS: {0}")]
    Unmet(Unmet),
}

impl Unable {
    /// What the outcomes of a message that requires TLS say of a server, if it is that. `disbelieved`: its certificates were looked at,
    /// and are not right; a handshake that came to nothing otherwise may succeed another day.
    pub(super) fn of(outcomes: &[Outcome], disbelieved: bool) -> Option<Self> {
        match outcomes.first()? {
            Outcome::Failed(cause @ Cause::RequireTls) => Some(Self::Promise(cause.clone())),
            Outcome::Deferred(cause @ Cause::NoTls) => Some(Self::Tls(cause.clone())),
            Outcome::Deferred(cause @ Cause::Handshake(_)) if disbelieved => {
                Some(Self::Tls(cause.clone()))
            }
            _ => None,
        }
    }

    /// The enhanced code.
    pub(super) fn status(&self) -> (u8, u16, u16) {
        match self {
            Self::Promise(_) => (5, 7, 30),
            Self::Tls(_) | Self::Unmet(_) => (5, 7, 10),
        }
    }
}
