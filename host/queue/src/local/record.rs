//! The rows and the order of their fields.
//! Knows no engine, and not how a field is encoded.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stagepost_smtp::{Envelope, Recipient, ReversePath};

use super::origin;
use super::row::{Reader, RecordError, Writer};
use crate::{Origin, QueueName};

/// The version of a row that has its fields and nothing behind them.
const PLAIN: u8 = 1;
/// The version of a row that goes on behind its fields: parts, each a number and a block.
const WITH_PARTS: u8 = 2;
/// The part of a message that is the edit ledger.
const PART_LEDGER: u8 = 1;
/// The part of a message that is what is kept of its session.
const PART_ORIGIN: u8 = 2;
/// The part of a delivery that is the name of its queue.
const PART_QUEUE: u8 = 1;
/// The part of a delivery that is the route an operator has chosen.
const PART_ROUTE: u8 = 2;
/// The part of a delivery that is the reason to give it up.
const PART_GIVE_UP: u8 = 3;

/// The longest text kept of a reply or reason, in octets.
pub(crate) const REPLY_OCTETS_MAX: usize = 1024;

/// The row of a message: everything but its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageRecord {
    pub(crate) received_ms: u64,
    pub(crate) envelope: Envelope,
    pub(crate) origin: Origin,
    pub(crate) body: BodyRecord,
    pub(crate) header: Vec<u8>,
    /// The edit ledger as `ledger` encodes it; empty when nothing was edited.
    pub(crate) ledger: Vec<u8>,
}

/// Where a body is and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyRecord {
    pub(crate) octets: u64,
    pub(crate) crc32c: u32,
    /// In a file of its own rather than in a row.
    pub(crate) in_file: bool,
}

/// The row of a delivery: what changes while a message is in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryRecord {
    /// When it is due, if a recipient is queued.
    pub(crate) due_ms: u64,
    pub(crate) received_ms: u64,
    pub(crate) attempts: u32,
    /// Octets of the message, for the counters.
    pub(crate) octets: u64,
    /// The body has a file that goes when the message goes.
    pub(crate) body_in_file: bool,
    pub(crate) recipients: Vec<RecipientRecord>,
    pub(crate) queue: Option<QueueName>,
    /// The route it is to go by, if not that of its destination.
    pub(crate) route: Option<Box<str>>,
    /// Why it is to be given up, if it is.
    pub(crate) give_up: Option<Box<str>>,
}

/// A recipient that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecipientRecord {
    pub(crate) index: u32,
    pub(crate) held: bool,
    /// The last reply, or the reason of the hold.
    pub(crate) reply: Box<str>,
}

/// A row of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountRecord {
    pub(crate) messages: u64,
    pub(crate) queued: u64,
    pub(crate) held: u64,
    pub(crate) octets: u64,
}

/// Milliseconds since 1970; earlier times become 0.
pub(crate) fn to_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().min(1 << 55) as u64
}

/// The time so many milliseconds after 1970.
pub(crate) fn from_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.min(1 << 55))
}

/// A text fit to be kept: one line without control characters, not too long.
pub(crate) fn reply_text(text: &str) -> Box<str> {
    let mut line = String::new();
    for character in text.chars() {
        let character = if character.is_control() { '?' } else { character };
        if line.len() + character.len_utf8() > REPLY_OCTETS_MAX {
            break;
        }
        line.push(character);
    }
    line.into()
}

impl DeliveryRecord {
    /// Whether somebody is on hold.
    pub(crate) fn has_held(&self) -> bool {
        self.recipients.iter().any(|recipient| recipient.held)
    }

    /// Whether somebody is to be tried.
    pub(crate) fn is_queued(&self) -> bool {
        self.recipients.iter().any(|recipient| !recipient.held)
    }
}

/// The name of a queue in a row.
pub(crate) fn queue_name(octets: &[u8]) -> Option<QueueName> {
    QueueName::new(std::str::from_utf8(octets).ok()?).ok()
}

impl MessageRecord {
    /// The sender in a row, and nothing else of it.
    pub(crate) fn decode_sender(row: &[u8]) -> Result<ReversePath, RecordError> {
        let (_, mut row) = Reader::new(row, WITH_PARTS)?;
        row.u64()?;
        row.body_kind()?;
        row.reverse_path()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let octets = 256 + self.header.len() + self.ledger.len();
        let further = origin::encode(&self.origin);
        // Without further parts the row is what it always was.
        let plain = self.ledger.is_empty() && further.is_empty();
        let version = if plain { PLAIN } else { WITH_PARTS };
        let mut row = Writer::new(version, octets);
        row.u64(self.received_ms);
        row.body_kind(self.envelope.body);
        row.reverse_path(&self.envelope.sender);
        row.text(&self.envelope.parameters);
        row.u32(self.envelope.recipients.len() as u32);
        for recipient in &self.envelope.recipients {
            row.text(recipient.address.as_str());
            row.text(&recipient.parameters);
        }
        row.text(&self.origin.client);
        row.text(&self.origin.helo);
        row.u64(self.origin.session);
        row.u64(self.body.octets);
        row.u32(self.body.crc32c);
        row.flag(self.body.in_file);
        row.block(&self.header);
        if !self.ledger.is_empty() {
            row.u8(PART_LEDGER);
            row.block(&self.ledger);
        }
        if !further.is_empty() {
            row.u8(PART_ORIGIN);
            row.block(&further);
        }
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let (version, mut row) = Reader::new(row, WITH_PARTS)?;
        let received_ms = row.u64()?;
        let body = row.body_kind()?;
        let sender = row.reverse_path()?;
        let parameters = row.text()?;
        // A recipient has 9 octets at least: a greater count can't be true.
        let recipients =
            row.list(9, |row| Ok(Recipient { address: row.address()?, parameters: row.text()? }))?;
        let envelope = Envelope { sender, parameters, body, recipients };
        let mut origin = Origin { client: row.text()?, helo: row.text()?, ..Origin::default() };
        origin.session = row.u64()?;
        let body = BodyRecord { octets: row.u64()?, crc32c: row.u32()?, in_file: row.flag()? };
        let header = row.block()?.to_vec();
        let mut ledger = Vec::new();
        while version == WITH_PARTS && !row.is_empty() {
            let (part, octets) = (row.u8()?, row.block()?);
            match part {
                PART_LEDGER => ledger = octets.to_vec(),
                PART_ORIGIN => origin::decode(octets, &mut origin)?,
                // A newer server's, who can do without it.
                _ => {}
            }
        }
        row.end(Self { received_ms, envelope, origin, body, header, ledger })
    }
}

impl DeliveryRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let parts = [
            (PART_QUEUE, self.queue.as_ref().map(QueueName::as_str)),
            (PART_ROUTE, self.route.as_deref()),
            (PART_GIVE_UP, self.give_up.as_deref()),
        ];
        let plain = parts.iter().all(|(_, text)| text.is_none());
        let version = if plain { PLAIN } else { WITH_PARTS };
        let mut row = Writer::new(version, 96);
        row.u64(self.due_ms);
        row.u64(self.received_ms);
        row.u32(self.attempts);
        row.u64(self.octets);
        row.flag(self.body_in_file);
        row.u32(self.recipients.len() as u32);
        for recipient in &self.recipients {
            row.u32(recipient.index);
            row.flag(recipient.held);
            row.text(&recipient.reply);
        }
        for (part, text) in parts {
            if let Some(text) = text {
                row.u8(part);
                row.text(text);
            }
        }
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let (version, mut row) = Reader::new(row, WITH_PARTS)?;
        let mut record = Self {
            due_ms: row.u64()?,
            received_ms: row.u64()?,
            attempts: row.u32()?,
            octets: row.u64()?,
            body_in_file: row.flag()?,
            recipients: row.list(9, |row| {
                Ok(RecipientRecord { index: row.u32()?, held: row.flag()?, reply: row.text()? })
            })?,
            queue: None,
            route: None,
            give_up: None,
        };
        while version == WITH_PARTS && !row.is_empty() {
            match row.u8()? {
                PART_QUEUE => {
                    record.queue = Some(queue_name(row.block()?).ok_or(RecordError::Value)?);
                }
                PART_ROUTE => record.route = Some(row.text()?),
                PART_GIVE_UP => record.give_up = Some(row.text()?),
                // Others are a newer server's, who can do without them.
                _ => drop(row.block()?),
            }
        }
        row.end(record)
    }
}

impl CountRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new(PLAIN, 32);
        for value in [self.messages, self.queued, self.held, self.octets] {
            row.u64(value);
        }
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let (_, mut row) = Reader::new(row, PLAIN)?;
        let record =
            Self { messages: row.u64()?, queued: row.u64()?, held: row.u64()?, octets: row.u64()? };
        row.end(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stagepost_smtp::{Address, BodyKind};

    use stagepost_smtp::{Authenticated, Mechanism};

    use super::*;
    use crate::OriginTls;

    fn address() -> impl Strategy<Value = Address> {
        "[a-zé]{1,10}(\\.[a-z+]{1,5})?@[a-zä]{1,10}\\.example"
            .prop_map(|text| Address::parse_international(&text).unwrap())
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        "\\PC{0,30}".prop_map(Into::into)
    }

    prop_compose! {
        fn message()(
            received_ms in any::<u64>(),
            sender in proptest::option::of(address()),
            body_kind in proptest::sample::select(vec![BodyKind::SevenBit, BodyKind::EightBitMime, BodyKind::BinaryMime]),
            recipients in proptest::collection::vec((address(), text()), 0..5),
            (parameters, client, helo) in (text(), text(), text()),
            (session, extended) in any::<(u64, bool)>(),
            (listener, login, tls) in (text(), proptest::option::of((text(), any::<bool>())), proptest::option::of((text(), text()))),
            (octets, crc32c, in_file) in any::<(u64, u32, bool)>(),
            (header, ledger) in any::<(Vec<u8>, Vec<u8>)>(),
        ) -> MessageRecord {
            let recipient = |(address, parameters)| Recipient { address, parameters };
            let login_of = |(identity, plain): (Box<str>, bool)| {
                let mechanism = plain.then_some(Mechanism::CramMd5);
                Authenticated { identity, mechanism }
            };
            let tls_of = |(version, cipher)| OriginTls { version, cipher };
            MessageRecord {
                received_ms,
                envelope: Envelope {
                    sender: sender.map_or(ReversePath::Null, ReversePath::Address),
                    parameters,
                    body: body_kind,
                    recipients: recipients.into_iter().map(recipient).collect(),
                },
                origin: Origin { client, helo, session, listener, extended, login: login.map(login_of), tls: tls.map(tls_of) },
                body: BodyRecord { octets, crc32c, in_file },
                header,
                ledger,
            }
        }
    }

    prop_compose! {
        fn delivery()(
            (due_ms, received_ms, attempts, octets, body_in_file) in any::<(u64, u64, u32, u64, bool)>(),
            recipients in proptest::collection::vec((any::<u32>(), any::<bool>(), text()), 0..5),
            queue in proptest::option::of("[a-z0-9_-]{1,63}"),
            (route, give_up) in (proptest::option::of(text()), proptest::option::of(text())),
        ) -> DeliveryRecord {
            let recipient = |(index, held, reply)| RecipientRecord { index, held, reply };
            let recipients = recipients.into_iter().map(recipient).collect();
            let queue = queue.map(|name| QueueName::new(&name).unwrap());
            DeliveryRecord { due_ms, received_ms, attempts, octets, body_in_file, recipients, queue, route, give_up }
        }
    }

    /// A row whose checksum is right, whatever is in it.
    fn sealed(mut content: Vec<u8>) -> Vec<u8> {
        let crc = crc32c::crc32c(&content);
        content.extend_from_slice(&crc.to_be_bytes());
        content
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(message in message(), delivery in delivery(), counts in any::<[u64; 4]>()) {
            prop_assert_eq!(MessageRecord::decode_sender(&message.encode()), Ok(message.envelope.sender.clone()));
            prop_assert_eq!(MessageRecord::decode(&message.encode()), Ok(message));
            prop_assert_eq!(DeliveryRecord::decode(&delivery.encode()), Ok(delivery));
            let [messages, queued, held, octets] = counts;
            let count = CountRecord { messages, queued, held, octets };
            prop_assert_eq!(CountRecord::decode(&count.encode()), Ok(count));
        }

        #[test]
        fn random_octets_are_refused_without_panic(octets in any::<Vec<u8>>(), version in 0..4u8) {
            let mut content = octets;
            content.insert(0, version);
            let row = sealed(content);
            let _ = MessageRecord::decode(&row);
            let _ = DeliveryRecord::decode(&row);
            let _ = CountRecord::decode(&row);
        }

        #[test]
        fn damaged_rows_are_refused(message in message(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut row = message.encode();
            let at = at.index(row.len());
            row[at] ^= 1 << bit;
            prop_assert!(MessageRecord::decode(&row).is_err());
        }

        #[test]
        fn cut_rows_are_refused(delivery in delivery(), at in any::<prop::sample::Index>()) {
            let row = delivery.encode();
            let content = row[..at.index(row.len() - 4)].to_vec();
            prop_assert_ne!(DeliveryRecord::decode(&sealed(content)), Ok(delivery));
        }

        #[test]
        fn kept_replies_are_one_short_line(text in any::<String>()) {
            let kept = reply_text(&text);
            prop_assert!(kept.len() <= REPLY_OCTETS_MAX && !kept.contains(char::is_control));
        }
    }

    /// A message row as version 1 has it: still read, and still written where nothing was edited.
    #[test]
    fn rows_of_older_servers_stay_as_they_are() {
        let row = MessageRecord {
            received_ms: 5,
            envelope: Envelope {
                sender: ReversePath::Address(Address::parse("a@b").unwrap()),
                parameters: "SIZE=3".into(),
                body: BodyKind::EightBitMime,
                recipients: vec![Recipient {
                    address: Address::parse("c@d").unwrap(),
                    parameters: "".into(),
                }],
            },
            origin: Origin {
                client: "192.0.2.1".into(),
                helo: "h".into(),
                session: 7,
                ..Origin::default()
            },
            body: BodyRecord { octets: 9, crc32c: 0x0102_0304, in_file: true },
            header: b"X: y\r\n".to_vec(),
            ledger: Vec::new(),
        };
        let hex: String = row.encode().iter().map(|octet| format!("{octet:02x}")).collect();
        let wanted = concat!(
            "0100000000000000050101000000036140620000000653495a453d3300000001000000036340",
            "6400000000000000093139322e302e322e310000000168000000000000000700000000000000",
            "09010203040100000006583a20790d0a333f12b5",
        );
        assert_eq!(hex, wanted);
        assert_eq!(MessageRecord::decode(&row.encode()), Ok(row));
        let row = DeliveryRecord {
            due_ms: 1,
            received_ms: 2,
            attempts: 3,
            octets: 4,
            body_in_file: false,
            recipients: vec![RecipientRecord { index: 0, held: true, reply: "x".into() }],
            queue: None,
            route: None,
            give_up: None,
        };
        let hex: String = row.encode().iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(
            hex,
            "0100000000000000010000000000000002000000030000000000000004000000000100000000010000000178e7eb57a3"
        );
        assert_eq!(DeliveryRecord::decode(&row.encode()), Ok(row));
    }

    #[test]
    fn replies_are_cut_and_cleaned() {
        assert_eq!(&*reply_text("450 later\r\nRCPT TO:<x>"), "450 later??RCPT TO:<x>");
        assert_eq!(reply_text(&"ä".repeat(1000)).len(), REPLY_OCTETS_MAX);
    }
}
