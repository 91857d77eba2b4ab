//! What a message is when it enters the queue, and when it is read back.
//! Knows no engine and no encoding.

use std::time::SystemTime;

use stagepost_smtp::{Authenticated, Envelope, LedgerEntry};

use crate::{BadMessage, BodySource, Destination, QueueId, QueueName};

/// What is known of a message besides its octets, given at the commit.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Sender and recipients.
    pub envelope: Envelope,
    /// Its deliveries: each recipient is in exactly one, each destination in at most one.
    pub deliveries: Vec<NewDelivery>,
    /// When the message was taken over; expiry counts from here.
    pub received_at: SystemTime,
    /// Keep it undelivered until it is released, for this reason.
    pub hold: Option<Box<str>>,
    /// Where it came from.
    pub origin: Origin,
    /// What plug-ins changed of it.
    pub ledger: Vec<LedgerEntry>,
}

/// The recipients of a message that go to one destination together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where to.
    pub destination: Destination,
    /// The queue that it is in, if it is in one that has a name.
    pub queue: Option<QueueName>,
    /// Which recipients: indexes into the envelope's.
    pub recipients: Vec<u32>,
    /// When to try first.
    pub due: SystemTime,
}

/// What is kept of the session that a message came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address as text.
    pub client: Box<str>,
    /// The name it gave in HELO or EHLO ("" when none).
    pub helo: Box<str>,
    /// The session's id.
    pub session: u64,
    /// The listener that it came by ("" when none, or when an older server took it).
    pub listener: Box<str>,
    /// Whether the client said EHLO.
    pub extended: bool,
    /// Who had logged in; none: nobody.
    pub login: Option<Authenticated>,
    /// What protected the connection; none: clear text.
    pub tls: Option<OriginTls>,
}

/// What is kept of the TLS of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginTls {
    /// Such as `TLSv1.3`.
    pub version: Box<str>,
    /// The cipher suite by its IANA name.
    pub cipher: Box<str>,
}

/// The client of what no client has brought.
const HERE: &str = "this server";

impl Origin {
    /// Of what the server writes itself.
    pub fn here() -> Self {
        Self { client: HERE.into(), ..Self::default() }
    }

    /// Whether it is of what the server writes itself. No client has such an address.
    pub fn is_here(&self) -> bool {
        *self == Self::here()
    }
}

/// A message as it lies in the queue.
pub struct StoredMessage {
    /// Its id.
    pub id: QueueId,
    /// Sender and all recipients, whatever became of them.
    pub envelope: Envelope,
    /// The header block, without the empty line that ends it.
    pub header: Vec<u8>,
    /// What follows the header block, with the empty line when there was one.
    pub body: Box<dyn BodySource>,
    /// When it was taken over.
    pub received_at: SystemTime,
    /// Where it came from.
    pub origin: Origin,
}

impl NewMessage {
    /// Checks that the deliveries fit the envelope: what every engine demands before it stores anything.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), BadMessage> {
        if self.deliveries.is_empty() {
            return Err(BadMessage::NoDelivery);
        }
        let mut taken = vec![false; self.envelope.recipients.len()];
        for index in self.deliveries.iter().flat_map(|delivery| &delivery.recipients) {
            match taken.get_mut(*index as usize) {
                Some(taken) if !*taken => *taken = true,
                _ => return Err(BadMessage::Recipient(*index)),
            }
        }
        if let Some(index) = taken.iter().position(|taken| !taken) {
            return Err(BadMessage::RecipientLeftOut(index as u32));
        }
        let mut destinations = std::collections::HashSet::new();
        for delivery in &self.deliveries {
            if delivery.recipients.is_empty() {
                return Err(BadMessage::NoDelivery);
            }
            if !destinations.insert(&delivery.destination) {
                return Err(BadMessage::DestinationTwice(delivery.destination.as_str().into()));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for StoredMessage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("StoredMessage")
            .field("id", &self.id)
            .field("envelope", &self.envelope)
            .field("header_octets", &self.header.len())
            .field("body_octets", &self.body.octets())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use stagepost_smtp::{Address, BodyKind, Recipient, ReversePath};

    use super::*;

    fn message(recipients: usize, deliveries: &[(&str, &[u32])]) -> NewMessage {
        let recipient =
            Recipient { address: Address::parse("a@b.example").unwrap(), parameters: "".into() };
        let delivery = |&(name, recipients): &(&str, &[u32])| NewDelivery {
            destination: Destination::new(name).unwrap(),
            queue: None,
            recipients: recipients.to_vec(),
            due: SystemTime::UNIX_EPOCH,
        };
        NewMessage {
            envelope: Envelope {
                sender: ReversePath::Null,
                parameters: "".into(),
                body: BodyKind::SevenBit,
                recipients: vec![recipient; recipients],
            },
            deliveries: deliveries.iter().map(delivery).collect(),
            received_at: SystemTime::UNIX_EPOCH,
            hold: None,
            origin: Origin::default(),
            ledger: Vec::new(),
        }
    }

    #[test]
    fn each_recipient_is_in_exactly_one_delivery() {
        let cases: [(NewMessage, Result<(), BadMessage>); 7] = [
            (message(2, &[("a", &[0]), ("b", &[1])]), Ok(())),
            (message(2, &[("a", &[1, 0])]), Ok(())),
            (message(1, &[]), Err(BadMessage::NoDelivery)),
            (message(1, &[("a", &[0]), ("b", &[])]), Err(BadMessage::NoDelivery)),
            (message(2, &[("a", &[0, 0])]), Err(BadMessage::Recipient(0))),
            (message(2, &[("a", &[0])]), Err(BadMessage::RecipientLeftOut(1))),
            (
                message(2, &[("a", &[0]), ("a", &[1])]),
                Err(BadMessage::DestinationTwice("a".into())),
            ),
        ];
        for (message, wanted) in cases {
            assert_eq!(message.check(), wanted, "{message:?}");
        }
    }
}
