//! Why an attempt came to nothing, and what that says of the message and of the servers.
//! Knows no connection and no queue.

use stagepost_queue::StoreError;

use super::connection::ConnectError;
use super::requiring::Unable;
use crate::delivery::demand::Unmet;
use crate::delivery::finding::Finding;
use crate::delivery::lane::Standing;
use crate::delivery::servers::NoServer;
use crate::delivery::transport::{Carried, RecipientOutcome};

/// Why an attempt came to nothing before a server said anything of the message.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error("the queued message could not be read: {0}")]
    Message(#[from] StoreError),
    #[error("the message has no recipient {0}")]
    Recipient(u32),
    #[error(transparent)]
    NoServer(#[from] NoServer),
    #[error("{error}")]
    Connect { server: Box<str>, error: ConnectError },
    #[error("{error}")]
    Unmet { server: Box<str>, error: Unmet },
    #[error("{error}")]
    Unable { server: Box<str>, error: Unable },
}

impl RelayError {
    /// The same as an attempt came to it.
    pub(super) fn carried(&self, recipients: usize) -> Carried {
        let standing = match self {
            // What one message wants of TLS says nothing of the next one.
            Self::Message(_) | Self::Recipient(_) | Self::Unable { .. } => Standing::Unknown,
            Self::Unmet { error, .. } if error.is_of_the_message() => Standing::Unknown,
            Self::Unmet { .. } => Standing::Untrusted,
            // A domain that takes no mail is no burden to anybody.
            Self::NoServer(error) if error.status().0 == 5 => Standing::Unknown,
            Self::NoServer(_) | Self::Connect { .. } => Standing::Down,
        };
        Carried { outcomes: vec![self.outcome(); recipients], standing }
    }

    /// The same for every recipient.
    fn outcome(&self) -> RecipientOutcome {
        let status = match self {
            Self::Message(_) | Self::Recipient(_) => (4, 3, 0),
            Self::NoServer(error) => error.status(),
            Self::Connect { .. } => (4, 4, 1),
            Self::Unmet { .. } => (4, 7, 5),
            Self::Unable { error, .. } => error.status(),
        };
        let finding = Finding::new(status, self);
        match self {
            Self::Connect { server, error } if error.names(server) => {
                RecipientOutcome::Deferred(finding)
            }
            Self::Connect { server, .. } | Self::Unmet { server, .. } => {
                RecipientOutcome::Deferred(finding.about(server))
            }
            Self::Unable { server, .. } => RecipientOutcome::Failed(finding.about(server)),
            _ if status.0 == 5 => RecipientOutcome::Failed(finding),
            _ => RecipientOutcome::Deferred(finding),
        }
    }
}
