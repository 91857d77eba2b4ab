//! One message on its way into the queue: octets as they are lent, then header edits, trace and commit.
//! Knows no socket and no session; the queue makes it durable.

mod body_change;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use stagepost_extmgr::Dispatch;
use stagepost_queue::{
    Destination, Incoming, NewDelivery, NewMessage, Origin, OriginTls, Store, StoreError,
};
use stagepost_smtp::{
    Ask, Attributed, BodyFault, Change, Content, Decision, Draft, Edit, Envelope, Event, Facts,
    LedgerEntry, Part, Priority, Question, SenderWish, Stage, Stored, Tls, Verdict, change_header,
    empty_line_before, parameter, received, received_from_plugin,
};

use self::body_change::edits_body;
use crate::config::Retry;
use crate::delivery::{answer, next_exchange, reason_to_hold};
use crate::directory::{Addressed, Directory};
use crate::router::Router;
use crate::throttle::{Line, Throttle};

/// Takes the messages of one session, one after the other.
pub(crate) struct Intake {
    store: Arc<dyn Store>,
    directory: Directory,
    hostname: Box<str>,
    /// One for all sessions: on a full disk each of their messages fails.
    faults: Arc<Throttle>,
    incoming: Option<Box<dyn Incoming>>,
    /// The plug-in that makes the messages, if no client sends them.
    plugin: Option<Arc<str>>,
    /// Counts what was stored, for who wants to know.
    stored: Option<Arc<AtomicU64>>,
}

impl Intake {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        directory: Directory,
        hostname: &str,
        faults: Arc<Throttle>,
    ) -> Self {
        Self {
            store,
            directory,
            hostname: hostname.into(),
            faults,
            incoming: None,
            plugin: None,
            stored: None,
        }
    }

    /// Takes messages that a plug-in makes.
    pub(crate) fn of_plugin(self, plugin: Arc<str>) -> Self {
        Self { plugin: Some(plugin), ..self }
    }

    /// Counts there what is stored.
    pub(crate) fn counting(self, stored: Arc<AtomicU64>) -> Self {
        Self { stored: Some(stored), ..self }
    }

    /// Keeps lent octets.
    ///
    /// # Errors
    /// Why they can't be kept; what was kept of the message is forgotten then.
    pub(crate) async fn take(
        &mut self,
        session: u64,
        part: Part,
        octets: &[u8],
    ) -> Result<(), BodyFault> {
        let kept = match self.incoming() {
            Ok(incoming) => keep(incoming, part, octets).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| {
            self.incoming = None;
            if let Some(Line { left_out }) = self.faults.line(Instant::now()) {
                tracing::error!(session, left_out, "a message can't be kept: {error}");
            }
            match error {
                StoreError::NoSpace { .. } => BodyFault::NoSpace,
                _ => BodyFault::Unavailable,
            }
        })
    }

    /// The message as far as it was taken; none: the store takes no message now.
    pub(crate) fn content(&mut self) -> Option<Arc<dyn Content>> {
        self.incoming().ok().map(|incoming| incoming.content())
    }

    /// Forgets the message.
    pub(crate) fn abandon(&mut self) {
        self.incoming = None;
    }

    /// Makes the message durable.
    pub(crate) async fn store(
        &mut self,
        facts: &Arc<Facts>,
        envelope: Envelope,
        edits: Vec<Attributed>,
        dispatch: &mut Dispatch,
    ) -> Stored {
        match self.commit(facts, envelope, edits, dispatch).await {
            Ok(stored) => {
                if let (Stored::Committed(_), Some(count)) = (&stored, &self.stored) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                stored
            }
            Err(error) => {
                if let Some(Line { left_out }) = self.faults.line(Instant::now()) {
                    tracing::error!(
                        session = facts.id,
                        left_out,
                        "a message can't be stored: {error}"
                    );
                }
                match error {
                    StoreError::NoSpace { .. } => Stored::NoSpace,
                    _ => Stored::Unavailable,
                }
            }
        }
    }

    async fn commit(
        &mut self,
        facts: &Arc<Facts>,
        mut envelope: Envelope,
        edits: Vec<Attributed>,
        dispatch: &mut Dispatch,
    ) -> Result<Stored, StoreError> {
        // A message without octets has lent none.
        self.incoming()?;
        let Some(mut incoming) = self.incoming.take() else {
            return Err(StoreError::unavailable("no message was begun"));
        };
        let now = SystemTime::now();
        let id = incoming.id().to_string();
        // Before plug-ins are asked, since it may have to be put off.
        let addressed = self.directory.address(&envelope.recipients).await;
        let addressed = addressed.map_err(StoreError::unavailable)?;
        let hold = reason_to_hold(&edits);
        let edits = edit_body(incoming.as_mut(), edits).await?;
        let mut ledger = carry_out(edits, incoming.header());
        let octets = incoming.header().len() as u64 + incoming.body_octets();
        let queue = Queue { facts, id: &id, octets };
        let Verdict { decision, edits } = queue.ask(dispatch, Some(incoming.content())).await;
        match decision {
            Decision::Continue => {}
            Decision::Handled(reply) => return Ok(Stored::TakenOver(reply)),
            Decision::Reject(reply) | Decision::Defer(reply) | Decision::Disconnect(reply) => {
                return Ok(Stored::Refused(reply));
            }
        }
        let hold = hold.or_else(|| reason_to_hold(&edits));
        ledger.extend(carry_out(noting_holds(edits), incoming.header()));
        let utf8 = parameter(&envelope.parameters, "SMTPUTF8").is_some();
        let priority = SenderWish::of(&envelope.parameters).priority;
        let only = match &envelope.recipients[..] {
            [one] if utf8 || one.address.is_ascii() => Some(one.address.as_str()),
            _ => None,
        };
        let (hostname, date) = (&self.hostname, date(now));
        let trace = match &self.plugin {
            Some(plugin) => received_from_plugin(plugin, hostname, &id, &date, only, utf8),
            None => received(facts, hostname, &id, &date, only, priority, utf8),
        };
        incoming.header().splice(0..0, trace);
        let queued_octets = incoming.header().len() as u64 + incoming.body_octets();
        if let Some(Addressed { recipients, ledger: changes }) = addressed {
            envelope.recipients = recipients;
            ledger.extend(changes);
        }
        let message = NewMessage {
            deliveries: deliveries(self.directory.router(), &envelope, now)?,
            received_at: now,
            hold,
            origin: self.origin(facts),
            envelope,
            ledger,
        };
        let (sender, recipients) =
            (message.envelope.sender.to_string(), message.envelope.recipients.len());
        let (edits, client) = (message.ledger.len(), message.origin.client.clone());
        incoming.commit(message).await?;
        let (session, client) = (facts.id, &*client);
        // RFC 6710 section 4.1: logged where there is one.
        let priority = priority.map(Priority::level);
        let proxy = facts.peer.proxy.as_ref().map(|proxy| &*proxy.text);
        tracing::info!(
            session,
            id,
            client,
            proxy,
            sender,
            recipients,
            octets = queued_octets,
            priority,
            edits,
            "message queued"
        );
        queue.ask(dispatch, None).await;
        Ok(Stored::Committed(id))
    }

    fn origin(&self, facts: &Facts) -> Origin {
        let session = facts.id;
        if let Some(plugin) = &self.plugin {
            let client = format!("plug-in {plugin}").into();
            return Origin { client, session, ..Origin::default() };
        }
        let helo = facts.helo.as_ref();
        let tls =
            |tls: &Arc<Tls>| OriginTls { version: tls.version.clone(), cipher: tls.cipher.clone() };
        Origin {
            client: facts.peer.remote_text.clone(),
            helo: helo.map(|helo| helo.name.clone()).unwrap_or_default(),
            session,
            listener: facts.peer.listener.clone(),
            extended: helo.is_some_and(|helo| helo.extended),
            login: facts.authenticated.as_deref().cloned(),
            tls: facts.tls.as_ref().map(tls),
        }
    }

    fn incoming(&mut self) -> Result<&mut dyn Incoming, StoreError> {
        match &mut self.incoming {
            Some(incoming) => Ok(incoming.as_mut()),
            none => Ok(none.insert(self.store.receive()?).as_mut()),
        }
    }
}

/// Groups the recipients by the domain that they are queued under.
pub(crate) fn deliveries(
    router: &Router,
    envelope: &Envelope,
    received_at: SystemTime,
) -> Result<Vec<NewDelivery>, StoreError> {
    let wish = SenderWish::of(&envelope.parameters);
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    let mut places: HashMap<Destination, usize> = HashMap::new();
    for (recipient, index) in envelope.recipients.iter().zip(0u32..) {
        let domain = router.queue_domain(&recipient.address);
        let destination = Destination::new(&domain).map_err(StoreError::unavailable)?;
        match places.get(&destination) {
            Some(place) => deliveries[*place].recipients.push(index),
            None => {
                places.insert(destination.clone(), deliveries.len());
                let queue = router.queue(&domain).cloned();
                let due = first_due(router.retry(None, &domain), &wish, received_at);
                deliveries.push(NewDelivery { destination, queue, recipients: vec![index], due });
            }
        }
    }
    Ok(deliveries)
}

async fn keep(incoming: &mut dyn Incoming, part: Part, octets: &[u8]) -> Result<(), StoreError> {
    if part == Part::Header {
        incoming.header().extend_from_slice(octets);
        return Ok(());
    }
    if incoming.body_octets() == 0 {
        incoming.body(empty_line_before(octets)).await?;
    }
    incoming.body(octets).await
}

/// Carries out the edits of the body; all edits, with what they changed of it.
async fn edit_body(
    incoming: &mut dyn Incoming,
    mut edits: Vec<Attributed>,
) -> Result<Vec<Attributed>, StoreError> {
    if !edits_body(&edits) {
        return Ok(edits);
    }
    let received = incoming.content();
    let noted = tokio::task::spawn_blocking(move || {
        let body = body_change::note(&mut edits, &received)?;
        Ok((edits, body))
    });
    let noted: io::Result<_> = noted.await.map_err(StoreError::unavailable)?;
    let (edits, body) = noted.map_err(StoreError::unavailable)?;
    incoming.edit_body(body).await?;
    Ok(edits)
}

/// A message that is about to be queued, or is.
struct Queue<'q> {
    facts: &'q Arc<Facts>,
    id: &'q str,
    octets: u64,
}

impl Queue<'_> {
    /// Asks plug-ins about it, before it is queued; tells them without content, when it is.
    async fn ask(&self, dispatch: &mut Dispatch, content: Option<Arc<dyn Content>>) -> Verdict {
        let stage = if content.is_some() { Stage::Before } else { Stage::After };
        if !dispatch.interest().contains(Event::Queue, stage) {
            return Verdict::default();
        }
        let message = content.map(|content| {
            let mut draft = Draft::new(std::iter::empty(), 0, false);
            draft.fill(content);
            draft
        });
        let asked = dispatch.ask(Ask {
            question: Question::Queue { id: self.id.into(), octets: self.octets },
            stage,
            exchange: next_exchange(),
            reply: None,
            facts: self.facts.clone(),
            message,
            secret: None,
        });
        answer(asked).await
    }
}

/// The edits, of which each that holds the message tells so.
fn noting_holds(mut edits: Vec<Attributed>) -> Vec<Attributed> {
    for Attributed { edit, changes, .. } in &mut edits {
        if let Edit::Hold { reason } = edit {
            changes.push(Change::Hold { reason: reason.clone() });
        }
    }
    edits
}

/// Carries out the edits of the header block, in their order; what was changed of the whole message.
pub(crate) fn carry_out(mut edits: Vec<Attributed>, header: &mut Vec<u8>) -> Vec<LedgerEntry> {
    for Attributed { edit, changes, .. } in &mut edits {
        changes.extend(change_header(header, edit));
    }
    edits.into_iter().flat_map(Attributed::into_ledger).collect()
}

/// The date of a trace field (RFC 5322 section 3.3).
pub(crate) fn date(now: SystemTime) -> String {
    let zoned =
        jiff::Timestamp::try_from(now).unwrap_or_default().to_zoned(jiff::tz::TimeZone::system());
    jiff::fmt::rfc2822::to_string(&zoned).unwrap_or_default()
}

/// When a message is due first: not before its sender lets it go (RFC 4865), and among others that are due by how urgent it
/// is (RFC 6710 section 4). An urgent one counts as if it had waited for an hour more for each level, another one waits.
fn first_due(retry: &Retry, wish: &SenderWish, received_at: SystemTime) -> SystemTime {
    const URGENT: Duration = Duration::from_secs(3600);
    const NOT_URGENT: Duration = Duration::from_secs(30);
    if let Some(release) = wish.release {
        return retry.first_due(release.time(received_at).max(received_at));
    }
    let due = retry.first_due(received_at);
    let level = wish.priority.unwrap_or_default().level();
    // What waits to be fetched is not in a hurry.
    let changed = match (due == received_at, u32::from(level.unsigned_abs())) {
        (false, _) | (_, 0) => None,
        (true, levels) if level > 0 => due.checked_sub(URGENT * levels),
        (true, levels) => due.checked_add(NOT_URGENT * levels),
    };
    changed.unwrap_or(due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_hold_counts() {
        let edit = |edit| Attributed::new("p", edit);
        let hold = |reason: &str| edit(Edit::Hold { reason: reason.into() });
        assert_eq!(reason_to_hold(&[edit(Edit::Discard)]), None);
        let edits = [edit(Edit::Discard), hold("first"), hold("second")];
        assert_eq!(reason_to_hold(&edits).as_deref(), Some("p: first"));
    }

    #[test]
    fn a_message_is_due_as_its_sender_asks() {
        let second = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let received = second(1_000_000);
        let hour = Duration::from_secs(3600);
        let retry = Retry {
            first: hour,
            max: hour,
            factor: 2,
            expire: hour * 24,
            notice: None,
            parked: false,
        };
        let parked = Retry { parked: true, ..retry.clone() };
        let cases = [
            ("", 1_000_000, 1_086_400),
            ("MT-PRIORITY=0", 1_000_000, 1_086_400),
            ("MT-PRIORITY=2", 992_800, 1_086_400),
            ("MT-PRIORITY=-3", 1_000_090, 1_086_400),
            ("HOLDFOR=60", 1_000_060, 1_086_460),
            ("HOLDFOR=60 MT-PRIORITY=9", 1_000_060, 1_086_460),
            ("HOLDUNTIL=1970-01-01T00:00:09Z", 1_000_000, 1_086_400),
            ("BY=60;R", 1_000_000, 1_086_400),
        ];
        for (parameters, due, held) in cases {
            let wish = SenderWish::of(parameters);
            assert_eq!(first_due(&retry, &wish, received), second(due), "{parameters}");
            assert_eq!(first_due(&parked, &wish, received), second(held), "{parameters}");
        }
    }

    #[test]
    fn dates_are_those_of_mail() {
        let date = date(SystemTime::UNIX_EPOCH);
        assert!(date.contains(" 1970 ") || date.contains(" 1969 "), "{date}");
    }
}
