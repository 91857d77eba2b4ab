//! What becomes of each recipient after an attempt, and what its sender is to be told of it.
//! Knows the wishes of RFC 3461; no store, no clock and nobody who tells.

use std::time::SystemTime;

use stagepost_queue::{Lease, Step, StoredMessage};
use stagepost_smtp::{DeliverBy, Enhanced, Late, RecipientWish, SenderWish};
use tracing::{debug, error, info, warn};

use crate::delivery::finding::Finding;
use crate::delivery::notification::{Action, Noticed, NotifyError, Told};
use crate::delivery::transport::{Onward, RecipientOutcome};

/// What becomes of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Delivered, or dropped in silence.
    Done,
    /// To be tried again.
    Again(Finding),
    /// To be kept until it is released.
    Held(Finding),
    /// Never to be delivered, and somebody has to be told.
    Lost(Finding),
    /// Never to be delivered, and its sender does not want to know.
    Dropped(Finding),
}

/// How old a message is, as far as that decides anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Until this time it is tried.
    Young { until: SystemTime },
    /// The same, and its sender is to be told that it takes so long.
    Late { until: SystemTime },
    /// It is not tried again.
    Expired,
}

/// Judges the outcomes of an attempt; the second list is for the sender. `put_off`: it was not made.
pub(super) fn judge(
    message: &StoredMessage,
    lease: &Lease,
    outcomes: Vec<RecipientOutcome>,
    age: Age,
    put_off: bool,
    now: SystemTime,
) -> (Vec<Fate>, Vec<Told>) {
    let by = SenderWish::of(&message.envelope.parameters).deliver_by;
    let promise = Promise::of(by, message.received_at, now);
    let mut told = Vec::new();
    let mut fates = Vec::with_capacity(outcomes.len());
    for (&index, outcome) in lease.recipients.iter().zip(outcomes) {
        let recipient = message.envelope.recipients.get(index as usize);
        let wish = recipient.map(RecipientWish::of).unwrap_or_default().wanted();
        let address = recipient.map_or("", |recipient| recipient.address.as_str());
        let fate = fate(outcome, age);
        log(lease, address, &fate, put_off);
        let mut tell = |action, finding: Finding, until| {
            told.push(Told { recipient: index, action, finding, until });
        };
        fates.push(match fate {
            Judged::Delivered(finding, onward) => {
                match onward {
                    Onward::End if wish.success => tell(Action::Delivered, finding, None),
                    // The next server was asked to tell (RFC 3461 section 5.2.1), unless it can't.
                    Onward::Server { tells, .. } if wish.success && !tells => {
                        tell(Action::Relayed, finding, None);
                    }
                    Onward::Server { hurries, .. }
                        if !wish.is_never() && promise.wants_relayed(hurries) =>
                    {
                        tell(Action::Relayed, finding, None);
                    }
                    // It is there, but its sender was to be told when the time was over, and was not yet.
                    _ if wish.delay && promise.is_broken() && matches!(age, Age::Late { .. }) => {
                        tell(Action::Delayed, promise.about(finding), None);
                    }
                    Onward::End | Onward::Server { .. } => {}
                }
                Fate::Done
            }
            Judged::Again(finding, until) => {
                if let Some(until) = until.filter(|_| wish.delay) {
                    tell(Action::Delayed, promise.about(finding.clone()), Some(until));
                }
                Fate::Again(finding)
            }
            Judged::Held(finding) => Fate::Held(finding),
            Judged::Dropped(_) => Fate::Done,
            Judged::Failed(finding) if wish.failure => {
                tell(Action::Failed, finding.clone(), None);
                Fate::Lost(finding)
            }
            Judged::Failed(finding) => Fate::Dropped(finding),
        });
    }
    (fates, told)
}

/// What a sender was promised of the time (RFC 2852 section 4.1), in the light of what time it is.
#[derive(Clone, Copy)]
struct Promise {
    by: Option<DeliverBy>,
    over: bool,
}

impl Promise {
    fn of(by: Option<DeliverBy>, received_at: SystemTime, now: SystemTime) -> Self {
        Self { by, over: by.is_some_and(|by| now >= by.time(received_at)) }
    }

    /// Whether a server that was given the message is told of: one that each server on the way tells of, or one where the promise
    /// ends (section 4.1.4.2).
    fn wants_relayed(self, hurries: bool) -> bool {
        let ends = |by: DeliverBy| by.late == Late::Notify && !hurries && !self.over;
        self.by.is_some_and(|by| by.trace || ends(by))
    }

    /// Whether the time was over while the message was here.
    fn is_broken(self) -> bool {
        self.over && self.by.is_some_and(|by| by.late == Late::Notify && !by.is_over())
    }

    /// A finding as it is told of: that the time is over is what has happened then (section 4.1.3).
    fn about(self, finding: Finding) -> Finding {
        let late = self.over && self.by.is_some_and(|by| by.late == Late::Notify);
        let status = if late { Enhanced::new(4, 4, 7) } else { finding.status };
        Finding { status, ..finding }
    }
}

/// An outcome in the light of the message's age.
enum Judged {
    Delivered(Finding, Onward),
    /// Its sender is told of it when a time is given.
    Again(Finding, Option<SystemTime>),
    Held(Finding),
    Dropped(Finding),
    Failed(Finding),
}

fn fate(outcome: RecipientOutcome, age: Age) -> Judged {
    match (outcome, age) {
        (RecipientOutcome::Delivered(finding, onward), _) => Judged::Delivered(finding, onward),
        (RecipientOutcome::Failed(finding), _) => Judged::Failed(finding),
        (RecipientOutcome::Held(finding), _) => Judged::Held(finding),
        (RecipientOutcome::Dropped(finding), _) => Judged::Dropped(finding),
        (RecipientOutcome::Deferred(finding), Age::Expired) => {
            let text = format!("expired: {} {}", finding.status, finding.text);
            // RFC 3463 section 3.5: delivery time expired.
            let finding = Finding { text: text.into(), ..finding };
            Judged::Failed(Finding { status: Enhanced::new(5, 4, 7), ..finding })
        }
        (RecipientOutcome::Deferred(finding), Age::Young { .. }) => Judged::Again(finding, None),
        (RecipientOutcome::Deferred(finding), Age::Late { until }) => {
            Judged::Again(finding, Some(until))
        }
    }
}

fn log(lease: &Lease, recipient: &str, fate: &Judged, put_off: bool) {
    let (id, destination, attempt) = (lease.id, &lease.destination, lease.attempts + 1);
    match fate {
        Judged::Delivered(said, _) => {
            info!(%id, recipient, %destination, attempt, %said, "delivered");
        }
        // Its lane has a line for all that is put off.
        Judged::Again(reply, _) if put_off => {
            debug!(%id, recipient, %destination, attempt, %reply, "put off");
        }
        Judged::Again(reply, _) => {
            warn!(%id, recipient, %destination, attempt, %reply, "deferred");
        }
        Judged::Dropped(reason) => {
            info!(%id, recipient, %destination, attempt, %reason, "dropped");
        }
        Judged::Held(reason) => {
            warn!(%id, recipient, %destination, attempt, %reason, "held");
        }
        Judged::Failed(reply) => {
            warn!(%id, recipient, %destination, attempt, %reply, "undeliverable");
        }
    }
}

/// What the queue is told, once somebody was told, or nobody could be. Nothing is lost in silence: a recipient that nobody
/// was told of is held.
pub(super) fn steps(
    lease: &Lease,
    fates: Vec<Fate>,
    noticed: Option<&Result<Noticed, NotifyError>>,
) -> Vec<Step> {
    match noticed {
        Some(Ok(Noticed::Sender(notification))) => {
            info!(id = %lease.id, %notification, "the sender is told");
        }
        Some(Ok(Noticed::Postmaster(notification))) => {
            warn!(id = %lease.id, %notification, "the postmaster is told: the message has no sender to tell");
        }
        Some(Ok(Noticed::Suppressed)) => {
            info!(id = %lease.id, "nobody is told: a plug-in has it so");
        }
        Some(Ok(Noticed::Nobody)) | None => {}
        Some(Err(error)) => {
            error!(id = %lease.id, %error, "the sender can't be told yet");
        }
    }
    let step = |fate| match (fate, noticed) {
        (Fate::Done | Fate::Dropped(_), _) => Step::Done,
        (Fate::Again(finding), _) => Step::Retry(finding.to_string().into()),
        (Fate::Held(finding), _) => Step::Hold(finding.text),
        (
            Fate::Lost(_),
            Some(Ok(Noticed::Sender(_) | Noticed::Postmaster(_) | Noticed::Suppressed)),
        ) => Step::Done,
        (Fate::Lost(finding), Some(Err(error))) => {
            Step::Retry(format!("{finding}; its sender can't be told yet: {error}").into())
        }
        // It is the operator who gives it up: there is nobody else to ask.
        (Fate::Lost(_), Some(Ok(Noticed::Nobody)) | None) if lease.give_up.is_some() => Step::Done,
        (Fate::Lost(finding), Some(Ok(Noticed::Nobody)) | None) => {
            error!(id = %lease.id, destination = %lease.destination, reply = %finding, "nobody can be told of an undeliverable message; it is held");
            Step::Hold(finding.to_string().into())
        }
    };
    fates.into_iter().map(step).collect()
}
