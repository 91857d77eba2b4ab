//! A queued message as one run of octets: header block, then body, in pieces of bounded size.
//! Knows neither who takes the pieces nor what the octets mean.

mod text_lines;

use stagepost_queue::{BodyReader, StoreError, StoredMessage};
use stagepost_smtp::BodyKind;

use self::text_lines::TextLines;

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

    /// What a message's octets are, whatever its sender declared: of one that was declared binary also whether it is in truth
    /// lines of text. Reads as much as it takes to know.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) async fn kind(message: &StoredMessage) -> Result<BodyKind, StoreError> {
        let mut eight_bit = !message.header.is_ascii();
        let mut lines = (message.envelope.body == BodyKind::BinaryMime).then(TextLines::default);
        let mut reader = message.body.reader();
        while lines.is_some() || !eight_bit {
            let Some(octets) = reader.next().await? else { break };
            eight_bit |= !octets.is_ascii();
            if lines.as_mut().is_some_and(|lines| !lines.go_on(octets)) {
                return Ok(BodyKind::BinaryMime);
            }
        }
        Ok(match lines {
            Some(lines) if !lines.is_ended() => BodyKind::BinaryMime,
            _ if eight_bit => BodyKind::EightBitMime,
            _ => BodyKind::SevenBit,
        })
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

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests {
    use super::sample::{broken_message, message};
    use super::*;

    /// The pieces, their lengths, and whether the end was reached without error.
    async fn read(message: &StoredMessage) -> (Vec<u8>, Vec<usize>, bool) {
        let mut octets = MessageOctets::new(message);
        let (mut all, mut lengths) = (Vec::new(), Vec::new());
        assert!(octets.is_untouched());
        loop {
            let Ok(piece) = octets.next().await else {
                return (all, lengths, false);
            };
            all.extend_from_slice(piece.octets);
            lengths.push(piece.octets.len());
            if piece.last {
                assert!(!octets.is_untouched());
                return (all, lengths, true);
            }
        }
    }

    #[tokio::test]
    async fn small_messages_are_one_piece_and_large_ones_many() {
        let large = [b'x'; GATHERED_OCTETS];
        let cases: [(StoredMessage, &[usize], bool); 5] = [
            (message(&[], "", &[]), &[0], true),
            (message(&[], "A: b\r\n", &[b"\r\n", b"c"]), &[9], true),
            (
                message(&[], "A: b\r\n", &[&large, b"c", b"d"]),
                &[GATHERED_OCTETS + 6, 1, 1, 0],
                true,
            ),
            (broken_message(&[], "A: b\r\n", &[b"\r\n"], 0), &[], false),
            (broken_message(&[], "", &[&large, b"c"], 0), &[GATHERED_OCTETS, 1], false),
        ];
        for (message, lengths, whole) in cases {
            let read = read(&message).await;
            assert_eq!((read.1.as_slice(), read.2), (lengths, whole));
            assert!(!whole || read.0.len() as u64 == MessageOctets::count(&message));
        }
    }

    #[tokio::test]
    async fn what_the_octets_are_is_found_anywhere() {
        use BodyKind::{BinaryMime, EightBitMime, SevenBit};
        let cases = [
            (message(&[], "A: b\r\n", &[b"\r\n", b"c"]), Some(SevenBit), Some(BinaryMime)),
            (message(&[], "A: b\r\n", &[b"\r\nc\r", b"\n"]), Some(SevenBit), Some(SevenBit)),
            (message(&[], "A: \u{e4}\r\n", &[]), Some(EightBitMime), Some(EightBitMime)),
            (message(&[], "A: b\r\n", &[b"\r\n", b"\x80"]), Some(EightBitMime), Some(BinaryMime)),
            (
                message(&[], "A: \u{e4}\r\n", &[b"\r\n", b"\n"]),
                Some(EightBitMime),
                Some(BinaryMime),
            ),
            (broken_message(&[], "A: b\r\n", &[b"\r\n"], 0), None, None),
        ];
        for (mut message, as_text, as_binary) in cases {
            assert_eq!(MessageOctets::kind(&message).await.ok(), as_text, "{message:?}");
            message.envelope.body = BinaryMime;
            assert_eq!(MessageOctets::kind(&message).await.ok(), as_binary, "{message:?}");
        }
    }
}
