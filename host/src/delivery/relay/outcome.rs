//! What a server has said of a message, as the queue is told it.
//! Knows no lane and no further server.

use stagepost_smtp::{Cause, Outcome, Protocol};

use super::connection::Connection;
use super::standing::is_for_want_of_tls;
use crate::delivery::demand::Wants;
use crate::delivery::finding::Finding;
use crate::delivery::transport::{Onward, RecipientOutcome};

/// What a message has before it that was given to this server.
pub(super) fn onward(protocol: Protocol, connection: &Connection) -> Onward {
    match protocol {
        // A server of mailboxes has put it there.
        Protocol::Lmtp => Onward::End,
        Protocol::Smtp => {
            let (tells, hurries) = (connection.knows_dsn(), connection.knows_deliver_by());
            Onward::Server { tells, hurries }
        }
    }
}

/// An outcome as the queue is told it.
pub(super) fn told(shown: &str, onward: Onward, outcome: Outcome) -> RecipientOutcome {
    let status = outcome.status();
    let status = (status.class, status.subject, status.detail);
    let finding = |cause: Cause| {
        let finding = Finding::new(status, &cause).about(shown);
        let finding = Finding { in_doubt: cause.is_in_doubt(), ..finding };
        match &cause {
            Cause::Replied { reply, .. } => finding.replied(&reply.in_line()),
            _ => finding,
        }
    };
    match outcome {
        Outcome::Delivered(reply) => {
            let text = reply.in_line();
            tracing::debug!(server = shown, reply = text, "given away");
            let finding = Finding::new(status, &text).about(shown).replied(&text);
            RecipientOutcome::Delivered(finding, onward)
        }
        Outcome::Failed(cause) => RecipientOutcome::Failed(finding(cause)),
        Outcome::Deferred(cause) => RecipientOutcome::Deferred(finding(cause)),
    }
}

/// The same of a server that was left before anything was said of the message. `wants`: who wants of TLS what it may have lacked.
pub(super) fn told_of_refusal(shown: &str, wants: Wants, outcome: Outcome) -> RecipientOutcome {
    let lacks = is_for_want_of_tls(&outcome);
    let nobody = Onward::Server { tells: false, hurries: false };
    match told(shown, nobody, outcome) {
        RecipientOutcome::Deferred(finding) if lacks => {
            let text = format!("{}; wanted by {wants}", finding.text).into();
            RecipientOutcome::Deferred(Finding { text, ..finding })
        }
        told => told,
    }
}
