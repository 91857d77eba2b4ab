//! Tells senders what became of their messages (RFC 3461): decides who is told, and queues a message to them.
//! Knows the queue and the directory; what the message says is the report's.

mod report;

use std::sync::Arc;
use std::time::SystemTime;

use stagepost_queue::{BoxFuture, NewMessage, Origin, QueueId, Store, StoreError, StoredMessage};
use stagepost_smtp::{
    Address, Attributed, BodyKind, Envelope, LedgerEntry, Recipient, RecipientFate,
    RecipientResult, RecipientWish, Reply, Return, ReversePath, SenderWish,
};

use self::report::Report;
use super::asking::{BounceRuled, MessageThread};
use super::finding::Finding;
use super::octets::MessageOctets;
use crate::directory::{Addressed, Directory, Unaddressed};
use crate::intake::{carry_out, deliveries};

/// A failed message with more octets than this comes back without its body: who sent it has it.
const RETURNED_OCTETS_MAX: u64 = 64 * 1024;

/// Something to tell of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Which recipient: an index into the message's envelope.
    pub(crate) recipient: u32,
    /// What happened.
    pub(crate) action: Action,
    /// What an attempt found out.
    pub(crate) finding: Finding,
    /// Until when it will be tried, if it will.
    pub(crate) until: Option<SystemTime>,
}

impl Told {
    /// Whether it is of a delay that has an end: what was late is there now, or with another server.
    fn is_over(&self) -> bool {
        self.action == Action::Delayed && self.until.is_none()
    }

    /// The same as plug-ins are told of it.
    fn result(&self, message: &StoredMessage) -> Option<RecipientResult> {
        let recipient = message.envelope.recipients.get(self.recipient as usize)?;
        let fate = match self.action {
            Action::Delivered => RecipientFate::Delivered,
            Action::Relayed => RecipientFate::Relayed,
            Action::Delayed => RecipientFate::Deferred,
            Action::Failed => RecipientFate::Failed,
        };
        Some(self.finding.result(&recipient.address, fate))
    }
}

/// What happened to a recipient (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It is in the mailbox.
    Delivered,
    /// It was given to a server that tells nothing of such things.
    Relayed,
    /// It was not delivered yet.
    Delayed,
    /// It never will be.
    Failed,
}

/// Who was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noticed {
    /// The message's sender, by this message.
    Sender(QueueId),
    /// The postmaster, since the message has no sender who could be told.
    Postmaster(QueueId),
    /// Nobody: there is nobody who could be told.
    Nobody,
    /// Nobody, since a plug-in has it so.
    Suppressed,
}

/// Why somebody could not be told: to be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unaddressed(#[from] Unaddressed),
    #[error("a plug-in: {}", .0.in_line())]
    Plugin(Reply),
}

/// Tells senders what became of their messages.
pub(crate) trait Notifies: Send + Sync {
    /// Tells whom it concerns, durably.
    fn notify<'a>(
        &'a self,
        message: &'a StoredMessage,
        told: &'a [Told],
        thread: &'a mut MessageThread,
    ) -> BoxFuture<'a, Result<Noticed, NotifyError>>;
}

/// Tells by mail.
pub(crate) struct Notifier {
    store: Arc<dyn Store>,
    directory: Directory,
    hostname: Box<str>,
    /// Who is told of failures of messages that have no sender.
    postmaster: Option<Address>,
}

impl Notifier {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        directory: Directory,
        hostname: &str,
        postmaster: Option<Address>,
    ) -> Self {
        Self { store, directory, hostname: hostname.into(), postmaster }
    }

    /// The sender, if mail to them has a way to go.
    fn sender<'m>(&self, message: &'m StoredMessage) -> Option<&'m Address> {
        match &message.envelope.sender {
            ReversePath::Address(sender) if self.leads_somewhere(sender) => Some(sender),
            _ => None,
        }
    }

    /// The postmaster, unless it is mail to them that failed, also where an alias of theirs leads: that would go round for ever.
    fn postmaster(&self, message: &StoredMessage, told: &[Told]) -> Option<&Address> {
        let postmaster =
            self.postmaster.as_ref().filter(|address| self.leads_somewhere(address))?;
        let is_theirs = |recipient: &Recipient| {
            let wish = RecipientWish::of(recipient);
            let original = wish.original().and_then(|(_, text)| Address::parse(&text).ok());
            original.is_some_and(|original| original.is_same_as(postmaster))
                || recipient.address.is_same_as(postmaster)
        };
        let to_them = |told: &Told| {
            let recipient = message.envelope.recipients.get(told.recipient as usize);
            recipient.is_none_or(is_theirs)
        };
        (!told.iter().any(to_them)).then_some(postmaster)
    }

    fn leads_somewhere(&self, address: &Address) -> bool {
        {
            let router = self.directory.router();
            router.destination(&router.queue_domain(address)).is_some()
        }
    }

    async fn tell(
        &self,
        message: &StoredMessage,
        told: &[Told],
        thread: &mut MessageThread,
    ) -> Result<Noticed, NotifyError> {
        let suppressed = Noticed::Suppressed;
        if let Some(sender) = self.sender(message) {
            let queued = self.ask_and_queue(message, told, sender, thread).await?;
            return Ok(queued.map_or(suppressed, Noticed::Sender));
        }
        let failed: Vec<Told> =
            told.iter().filter(|told| told.action == Action::Failed).cloned().collect();
        match self.postmaster(message, &failed) {
            Some(postmaster) if !failed.is_empty() => {
                let queued = self.ask_and_queue(message, &failed, postmaster, thread).await?;
                Ok(queued.map_or(suppressed, Noticed::Postmaster))
            }
            _ => Ok(Noticed::Nobody),
        }
    }

    /// Queues a notification, unless plug-ins have nobody told.
    async fn ask_and_queue(
        &self,
        message: &StoredMessage,
        told: &[Told],
        to: &Address,
        thread: &mut MessageThread,
    ) -> Result<Option<QueueId>, NotifyError> {
        let results: Arc<[RecipientResult]> =
            told.iter().filter_map(|told| told.result(message)).collect();
        let queued = match thread.before_bounce(to, &results).await {
            BounceRuled::Go(edits, hold) => Some(self.queue(message, told, to, edits, hold).await?),
            BounceRuled::Suppressed => None,
            BounceRuled::Later(reply) => return Err(NotifyError::Plugin(reply)),
        };
        let id = queued.map(|id| id.to_string()).unwrap_or_default();
        thread.after_bounce(to, &results, &id).await;
        Ok(queued)
    }

    async fn queue(
        &self,
        message: &StoredMessage,
        told: &[Told],
        to: &Address,
        edits: Vec<Attributed>,
        hold: Option<Box<str>>,
    ) -> Result<QueueId, NotifyError> {
        let now = SystemTime::now();
        let (recipients, changes) = self.recipients(to).await?;
        let whole = is_returned_whole(message, told);
        // What the octets are, not what the sender declared: many declare nothing.
        let eight_bit = whole && MessageOctets::kind(message).await? == BodyKind::EightBitMime;
        let mut incoming = self.store.receive()?;
        let report = Report {
            id: &incoming.id().to_string(),
            hostname: &self.hostname,
            to,
            now,
            message,
            told,
            whole,
            eight_bit,
        };
        let (head, tail) = (report.head(), report.tail());
        *incoming.header() = report.header();
        let mut ledger = carry_out(edits, incoming.header());
        ledger.extend(changes);
        incoming.body(&head).await?;
        incoming.body(&message.header).await?;
        if report.whole {
            let mut reader = message.body.reader();
            while let Some(octets) = reader.next().await? {
                incoming.body(octets).await?;
            }
        }
        incoming.body(&tail).await?;
        let body = match report.is_eight_bit() {
            true => BodyKind::EightBitMime,
            false => BodyKind::SevenBit,
        };
        // RFC 3461 section 6.1: nothing is ever sent back to a notification.
        let (sender, parameters) = (ReversePath::Null, parameters(message, to));
        let envelope = Envelope { sender, parameters, body, recipients };
        let mut deliveries = deliveries(self.directory.router(), &envelope, now)?;
        deliveries.iter_mut().for_each(|delivery| delivery.due = delivery.due.min(now));
        let message = NewMessage {
            envelope,
            received_at: now,
            deliveries,
            hold,
            origin: Origin::here(),
            ledger,
        };
        Ok(incoming.commit(message).await?)
    }

    /// Who is told where an alias is to be, and what has changed so. An address that nobody is behind stays what it is, and so does one that
    /// comes to no end: that would be no other the next time.
    async fn recipients(
        &self,
        to: &Address,
    ) -> Result<(Vec<Recipient>, Vec<LedgerEntry>), NotifyError> {
        let recipients = vec![Recipient { address: to.clone(), parameters: "".into() }];
        match self.directory.address(&recipients).await {
            Ok(Some(Addressed { recipients, ledger })) => Ok((recipients, ledger)),
            Ok(None) => Ok((recipients, Vec::new())),
            Err(error) if error.may_pass() => Err(error.into()),
            Err(_) => Ok((recipients, Vec::new())),
        }
    }
}

/// What a notification of a message asks for at MAIL.
fn parameters(message: &StoredMessage, to: &Address) -> Box<str> {
    let wish = SenderWish::of(&message.envelope.parameters);
    // RFC 6710 section 4.6: it is as urgent as the message.
    let priority = wish.priority.map(|level| format!("MT-PRIORITY={level}"));
    // RFC 8689 section 5: it tells of the message, and is protected as that is.
    let tls = wish.require_tls.then(|| "REQUIRETLS".to_owned());
    // RFC 6533 section 4: its header block has the address, in ASCII where that can be.
    let utf8 = to.to_ascii().is_none().then(|| "SMTPUTF8".to_owned());
    priority.into_iter().chain(tls).chain(utf8).collect::<Vec<_>>().join(" ").into()
}

/// Whether the body goes back with the header block: only where something failed, unless the sender does not want it or it
/// is large (RFC 3461 section 4.3).
fn is_returned_whole(message: &StoredMessage, told: &[Told]) -> bool {
    let failed = told.iter().any(|told| told.action == Action::Failed);
    let wish = SenderWish::of(&message.envelope.parameters);
    // Binary octets are no lines: a notification goes by DATA (RFC 3030 section 3).
    let lines = message.envelope.body != BodyKind::BinaryMime;
    let small = message.body.octets() <= RETURNED_OCTETS_MAX;
    // RFC 8689 section 5: whatever RET says.
    failed && lines && small && wish.ret != Some(Return::Headers) && !wish.require_tls
}

impl Notifies for Notifier {
    fn notify<'a>(
        &'a self,
        message: &'a StoredMessage,
        told: &'a [Told],
        thread: &'a mut MessageThread,
    ) -> BoxFuture<'a, Result<Noticed, NotifyError>> {
        Box::pin(self.tell(message, told, thread))
    }
}

#[cfg(test)]
mod tests;
