//! One message on its way into the queue: octets as they are lent, then header edits, trace and commit.
//! Knows no socket and no session; the queue makes it durable.

use std::io;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stagepost_queue::{Destination, Incoming, NewDelivery, NewMessage, Origin, Store, StoreError};
use stagepost_smtp::{
    Attributed, BodyFault, Content, Edit, Envelope, Facts, LedgerEntry, Part, Stored,
    change_header, empty_line_before, parameter, received, received_from_plugin,
};

use crate::body_change::{self, edits_body};
use crate::router::Router;
use crate::throttle::{Line, Throttle};

/// Takes the messages of one session, one after the other.
pub(crate) struct Intake {
    store: Arc<dyn Store>,
    router: Arc<Router>,
    hostname: Box<str>,
    /// One for all sessions: on a full disk each of their messages fails.
    faults: Arc<Throttle>,
    incoming: Option<Box<dyn Incoming>>,
    /// The plug-in that makes the messages, if no client sends them.
    plugin: Option<Arc<str>>,
}

impl Intake {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        router: Arc<Router>,
        hostname: &str,
        faults: Arc<Throttle>,
    ) -> Self {
        Self { store, router, hostname: hostname.into(), faults, incoming: None, plugin: None }
    }

    /// Takes messages that a plug-in makes.
    pub(crate) fn of_plugin(self, plugin: Arc<str>) -> Self {
        Self { plugin: Some(plugin), ..self }
    }

    /// Keeps lent octets.
    ///
    /// # Errors
    /// Why they can't be kept; what was kept of the message is forgotten then.
    pub(crate) async fn take(&mut self, part: Part, octets: &[u8]) -> Result<(), BodyFault> {
        let kept = match self.incoming() {
            Ok(incoming) => keep(incoming, part, octets).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| {
            self.incoming = None;
            if let Some(Line { left_out }) = self.faults.line(Instant::now()) {
                tracing::error!(left_out, "a message can't be kept: {error}");
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
        facts: &Facts,
        envelope: Envelope,
        edits: Vec<Attributed>,
    ) -> Stored {
        match self.commit(facts, envelope, edits).await {
            Ok(id) => Stored::Committed(id),
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
        facts: &Facts,
        envelope: Envelope,
        edits: Vec<Attributed>,
    ) -> Result<String, StoreError> {
        // A message without octets has lent none.
        self.incoming()?;
        let Some(mut incoming) = self.incoming.take() else {
            return Err(StoreError::unavailable("no message was begun"));
        };
        let now = SystemTime::now();
        let id = incoming.id().to_string();
        let hold = reason_to_hold(&edits);
        let edits = edit_body(incoming.as_mut(), edits).await?;
        let ledger = carry_out(edits, incoming.header());
        let utf8 = parameter(&envelope.parameters, "SMTPUTF8").is_some();
        let only = match &envelope.recipients[..] {
            [one] if utf8 || one.address.is_ascii() => Some(one.address.as_str()),
            _ => None,
        };
        let (hostname, date) = (&self.hostname, date(now));
        let trace = match &self.plugin {
            Some(plugin) => received_from_plugin(plugin, hostname, &id, &date, only, utf8),
            None => received(facts, hostname, &id, &date, only, utf8),
        };
        incoming.header().splice(0..0, trace);
        let octets = incoming.header().len() as u64 + incoming.body_octets();
        let message = NewMessage {
            deliveries: self.deliveries(&envelope, now)?,
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
        let proxy = facts.peer.proxy.as_ref().map(|proxy| &*proxy.text);
        tracing::info!(
            session,
            id,
            client,
            proxy,
            sender,
            recipients,
            octets,
            edits,
            "message queued"
        );
        Ok(id)
    }

    fn origin(&self, facts: &Facts) -> Origin {
        let (client, helo) = match &self.plugin {
            Some(plugin) => (format!("plug-in {plugin}").into(), Box::default()),
            None => {
                let helo = facts.helo.as_ref().map(|helo| helo.name.clone());
                (facts.peer.remote_text.clone(), helo.unwrap_or_default())
            }
        };
        Origin { client, helo, session: facts.id }
    }

    fn incoming(&mut self) -> Result<&mut dyn Incoming, StoreError> {
        match &mut self.incoming {
            Some(incoming) => Ok(incoming.as_mut()),
            none => Ok(none.insert(self.store.receive()?).as_mut()),
        }
    }

    /// Groups the recipients by the domain that they are queued under.
    fn deliveries(
        &self,
        envelope: &Envelope,
        due: SystemTime,
    ) -> Result<Vec<NewDelivery>, StoreError> {
        let mut deliveries: Vec<NewDelivery> = Vec::new();
        for (recipient, index) in envelope.recipients.iter().zip(0u32..) {
            let domain = self.router.queue_domain(&recipient.address);
            let destination = Destination::new(&domain).map_err(StoreError::unavailable)?;
            match deliveries.iter_mut().find(|known| known.destination == destination) {
                Some(known) => known.recipients.push(index),
                None => {
                    let queue = self.router.queue(&domain).cloned();
                    deliveries.push(NewDelivery {
                        destination,
                        queue,
                        recipients: vec![index],
                        due,
                    });
                }
            }
        }
        Ok(deliveries)
    }
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

/// Carries out the edits of the header block, in their order; what was changed of the whole message.
fn carry_out(mut edits: Vec<Attributed>, header: &mut Vec<u8>) -> Vec<LedgerEntry> {
    for Attributed { edit, changes, .. } in &mut edits {
        changes.extend(change_header(header, edit));
    }
    edits.into_iter().flat_map(Attributed::into_ledger).collect()
}

/// Why the message is to be held: the first reason counts.
fn reason_to_hold(edits: &[Attributed]) -> Option<Box<str>> {
    edits.iter().find_map(|Attributed { plugin, edit, .. }| match edit {
        Edit::Hold { reason } => Some(format!("{plugin}: {reason}").into()),
        _ => None,
    })
}

/// The date of a trace field (RFC 5322 section 3.3).
pub(crate) fn date(now: SystemTime) -> String {
    let zoned =
        jiff::Timestamp::try_from(now).unwrap_or_default().to_zoned(jiff::tz::TimeZone::system());
    jiff::fmt::rfc2822::to_string(&zoned).unwrap_or_default()
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
    fn dates_are_those_of_mail() {
        let date = date(SystemTime::UNIX_EPOCH);
        assert!(date.contains(" 1970 ") || date.contains(" 1969 "), "{date}");
    }
}
