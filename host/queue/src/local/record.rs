//! How rows are encoded: a version, then fields, each text and block preceded by its length, a CRC-32C at the end.
//! Knows no engine. Reading never panics and never believes a length that the row has not got octets for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

use crate::Origin;

/// The first octet of every row.
const VERSION: u8 = 1;

/// The longest text kept of a reply or reason, in octets.
pub(crate) const REPLY_OCTETS_MAX: usize = 1024;

/// Why a row can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it ends too early")]
    Short,
    #[error("it goes on behind its end")]
    Long,
    #[error("its version is {0}, not {VERSION}")]
    Version(u8),
    #[error("it holds a value that can't be")]
    Value,
}

/// The row of a message: everything but its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageRecord {
    pub(crate) received_ms: u64,
    pub(crate) envelope: Envelope,
    pub(crate) origin: Origin,
    pub(crate) body: BodyRecord,
    pub(crate) header: Vec<u8>,
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
    /// Whether somebody is to be tried.
    pub(crate) fn is_queued(&self) -> bool {
        self.recipients.iter().any(|recipient| !recipient.held)
    }
}

impl MessageRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new(256 + self.header.len());
        row.u64(self.received_ms);
        row.u8(match self.envelope.body {
            BodyKind::SevenBit => 0,
            BodyKind::EightBitMime => 1,
        });
        match &self.envelope.sender {
            ReversePath::Null => row.u8(0),
            ReversePath::Address(address) => {
                row.u8(1);
                row.text(address.as_str());
            }
        }
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
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let mut row = Reader::new(row)?;
        let received_ms = row.u64()?;
        let body = match row.u8()? {
            0 => BodyKind::SevenBit,
            1 => BodyKind::EightBitMime,
            _ => return Err(RecordError::Value),
        };
        let sender =
            if row.flag()? { ReversePath::Address(row.address()?) } else { ReversePath::Null };
        let parameters = row.text()?;
        // A recipient has 9 octets at least: a greater count can't be true.
        let recipients =
            row.list(9, |row| Ok(Recipient { address: row.address()?, parameters: row.text()? }))?;
        let envelope = Envelope { sender, parameters, body, recipients };
        let origin = Origin { client: row.text()?, helo: row.text()?, session: row.u64()? };
        let body = BodyRecord { octets: row.u64()?, crc32c: row.u32()?, in_file: row.flag()? };
        let header = row.block()?.to_vec();
        row.end(Self { received_ms, envelope, origin, body, header })
    }
}

impl DeliveryRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new(64);
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
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let mut row = Reader::new(row)?;
        let record = Self {
            due_ms: row.u64()?,
            received_ms: row.u64()?,
            attempts: row.u32()?,
            octets: row.u64()?,
            body_in_file: row.flag()?,
            recipients: row.list(9, |row| {
                Ok(RecipientRecord { index: row.u32()?, held: row.flag()?, reply: row.text()? })
            })?,
        };
        row.end(record)
    }
}

impl CountRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Writer::new(32);
        for value in [self.messages, self.queued, self.held, self.octets] {
            row.u64(value);
        }
        row.end()
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, RecordError> {
        let mut row = Reader::new(row)?;
        let record =
            Self { messages: row.u64()?, queued: row.u64()?, held: row.u64()?, octets: row.u64()? };
        row.end(record)
    }
}

/// Writes one row.
struct Writer(Vec<u8>);

impl Writer {
    fn new(octets: usize) -> Self {
        let mut row = Vec::with_capacity(octets);
        row.push(VERSION);
        Self(row)
    }

    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// The caller keeps blocks far below 4 GiB.
    fn block(&mut self, octets: &[u8]) {
        self.u32(octets.len() as u32);
        self.0.extend_from_slice(octets);
    }

    fn text(&mut self, text: &str) {
        self.block(text.as_bytes());
    }

    fn end(mut self) -> Vec<u8> {
        let crc = crc32c::crc32c(&self.0);
        self.u32(crc);
        self.0
    }
}

/// Reads one row.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the checksum, then the version.
    fn new(row: &'a [u8]) -> Result<Self, RecordError> {
        let (content, crc) = row.split_last_chunk().ok_or(RecordError::Short)?;
        if crc32c::crc32c(content) != u32::from_be_bytes(*crc) {
            return Err(RecordError::Checksum);
        }
        let mut row = Self(content);
        match row.u8()? {
            VERSION => Ok(row),
            other => Err(RecordError::Version(other)),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.take::<1>()?[0])
    }

    fn flag(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Value),
        }
    }

    fn u32(&mut self) -> Result<u32, RecordError> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, RecordError> {
        self.take().map(u64::from_be_bytes)
    }

    fn block(&mut self) -> Result<&'a [u8], RecordError> {
        let octets = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(octets).ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn text(&mut self) -> Result<Box<str>, RecordError> {
        let text = std::str::from_utf8(self.block()?).map_err(|_| RecordError::Value)?;
        Ok(text.into())
    }

    fn address(&mut self) -> Result<Address, RecordError> {
        Address::parse(&self.text()?).map_err(|_| RecordError::Value)
    }

    /// A counted list of items of `octets_min` octets or more.
    fn list<T>(
        &mut self,
        octets_min: usize,
        item: impl Fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / octets_min {
            return Err(RecordError::Short);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn end<T>(self, record: T) -> Result<T, RecordError> {
        if self.0.is_empty() { Ok(record) } else { Err(RecordError::Long) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = Address> {
        "[a-z]{1,10}(\\.[a-z+]{1,5})?@[a-z]{1,10}\\.example"
            .prop_map(|text| Address::parse(&text).unwrap())
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        "\\PC{0,30}".prop_map(Into::into)
    }

    prop_compose! {
        fn message()(
            received_ms in any::<u64>(),
            sender in proptest::option::of(address()),
            eight in any::<bool>(),
            recipients in proptest::collection::vec((address(), text()), 0..5),
            (parameters, client, helo) in (text(), text(), text()),
            session in any::<u64>(),
            (octets, crc32c, in_file) in any::<(u64, u32, bool)>(),
            header in any::<Vec<u8>>(),
        ) -> MessageRecord {
            let recipient = |(address, parameters)| Recipient { address, parameters };
            MessageRecord {
                received_ms,
                envelope: Envelope {
                    sender: sender.map_or(ReversePath::Null, ReversePath::Address),
                    parameters,
                    body: if eight { BodyKind::EightBitMime } else { BodyKind::SevenBit },
                    recipients: recipients.into_iter().map(recipient).collect(),
                },
                origin: Origin { client, helo, session },
                body: BodyRecord { octets, crc32c, in_file },
                header,
            }
        }
    }

    prop_compose! {
        fn delivery()(
            (due_ms, received_ms, attempts, octets, body_in_file) in any::<(u64, u64, u32, u64, bool)>(),
            recipients in proptest::collection::vec((any::<u32>(), any::<bool>(), text()), 0..5),
        ) -> DeliveryRecord {
            let recipient = |(index, held, reply)| RecipientRecord { index, held, reply };
            let recipients = recipients.into_iter().map(recipient).collect();
            DeliveryRecord { due_ms, received_ms, attempts, octets, body_in_file, recipients }
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
            prop_assert_eq!(MessageRecord::decode(&message.encode()), Ok(message));
            prop_assert_eq!(DeliveryRecord::decode(&delivery.encode()), Ok(delivery));
            let [messages, queued, held, octets] = counts;
            let count = CountRecord { messages, queued, held, octets };
            prop_assert_eq!(CountRecord::decode(&count.encode()), Ok(count));
        }

        #[test]
        fn random_octets_are_refused_without_panic(octets in any::<Vec<u8>>(), known in any::<bool>()) {
            let mut content = octets;
            if known {
                content.insert(0, VERSION);
            }
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
            prop_assert!(DeliveryRecord::decode(&sealed(content)).is_err());
        }

        #[test]
        fn kept_replies_are_one_short_line(text in any::<String>()) {
            let kept = reply_text(&text);
            prop_assert!(kept.len() <= REPLY_OCTETS_MAX && !kept.contains(char::is_control));
        }
    }

    #[test]
    fn replies_are_cut_and_cleaned() {
        assert_eq!(&*reply_text("450 later\r\nRCPT TO:<x>"), "450 later??RCPT TO:<x>");
        assert_eq!(reply_text(&"ä".repeat(1000)).len(), REPLY_OCTETS_MAX);
    }
}
