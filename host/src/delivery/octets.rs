//! A queued message as one run of octets: header block, then body, in pieces of bounded size.
//! Knows neither who takes the pieces nor what the octets mean.

use stagepost_queue::{BodyReader, StoreError, StoredMessage};

/// Small messages come as one piece: so much is gathered before the first is handed out.
const GATHERED_OCTETS: usize = 64 * 1024;

/// Reads one message from its first octet to its last.
pub(super) struct MessageOctets {
    /// The header block and the beginning of the body.
    first: Vec<u8>,
    reader: Box<dyn BodyReader>,
    place: Place,
}

/// Some octets of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The octets; none when the end showed only behind the piece before.
    pub(super) octets: &'a [u8],
    /// The message ends with them, and was read to its end without error.
    pub(super) last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Body,
    End,
}

impl MessageOctets {
    /// Starts at the message's first octet; nothing is read yet.
    pub(super) fn new(message: &StoredMessage) -> Self {
        Self { first: message.header.clone(), reader: message.body.reader(), place: Place::Start }
    }

    /// How many octets the message has.
    pub(super) fn count(message: &StoredMessage) -> u64 {
        message.header.len() as u64 + message.body.octets()
    }

    /// Whether a message has octets above 127. Reads it all.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) async fn are_eight_bit(message: &StoredMessage) -> Result<bool, StoreError> {
        if !message.header.is_ascii() {
            return Ok(true);
        }
        let mut reader = message.body.reader();
        while let Some(octets) = reader.next().await? {
            if !octets.is_ascii() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The next piece. Behind the last one come empty ones.
    ///
    /// # Errors
    /// The rest can't be had: what was made of the message so far must be given up.
    pub(super) async fn next(&mut self) -> Result<Piece<'_>, StoreError> {
        if self.place == Place::Start {
            self.place = Place::Body;
            while self.first.len() < GATHERED_OCTETS {
                let Some(octets) = self.reader.next().await? else {
                    self.place = Place::End;
                    break;
                };
                self.first.extend_from_slice(octets);
            }
            return Ok(Piece { octets: &self.first, last: self.place == Place::End });
        }
        let octets = if self.place == Place::Body { self.reader.next().await? } else { None };
        if octets.is_none() {
            self.place = Place::End;
        }
        Ok(Piece { octets: octets.unwrap_or_default(), last: octets.is_none() })
    }

    /// Whether nothing was asked for yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.place == Place::Start
    }
}
