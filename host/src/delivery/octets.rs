//! A queued message as one run of octets: header block, then body, in pieces of bounded size.
//! Knows neither who takes the pieces nor what the octets mean.

mod text_lines;

use stagepost_queue::{BodyReader, StoreError, StoredMessage};
use stagepost_smtp::BodyKind;

use self::text_lines::TextLines;

/// Small messages come as one piece: so much of one that is not in memory is gathered before the first is handed out.
const GATHERED_OCTETS: usize = 64 * 1024;

/// Reads one message from its first octet to its last.
pub(super) struct MessageOctets<'m> {
    message: &'m StoredMessage,
    /// The header block and the beginning of a body that is not in memory.
    first: Vec<u8>,
    place: Place,
}

/// Some octets of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The octets, one part behind the other; none when the end showed only behind the piece before.
    pub(super) octets: [&'a [u8]; 2],
    /// The message ends with them, and was read to its end without error.
    pub(super) last: bool,
}

enum Place {
    Start,
    Body(Box<dyn BodyReader>),
    End,
}

impl<'m> MessageOctets<'m> {
    /// Starts at the message's first octet; nothing is read yet.
    pub(super) fn new(message: &'m StoredMessage) -> Self {
        Self { message, first: Vec::new(), place: Place::Start }
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
        if self.is_untouched() {
            return self.begin().await;
        }
        let octets = match &mut self.place {
            Place::Body(reader) => reader.next().await?,
            Place::Start | Place::End => None,
        };
        // Its end is known only behind it.
        Ok(Piece { octets: [octets.unwrap_or_default(), &[]], last: octets.is_none() })
    }

    async fn begin(&mut self) -> Result<Piece<'_>, StoreError> {
        let header = self.message.header.as_slice();
        if let Some(body) = self.message.body.whole() {
            self.place = Place::End;
            return Ok(Piece { octets: [header, body], last: true });
        }
        self.place = Place::Body(self.message.body.reader());
        self.first.extend_from_slice(header);
        while let Place::Body(reader) = &mut self.place
            && self.first.len() < GATHERED_OCTETS
        {
            match reader.next().await? {
                Some(octets) => self.first.extend_from_slice(octets),
                None => self.place = Place::End,
            }
        }
        Ok(Piece { octets: [&self.first, &[]], last: matches!(self.place, Place::End) })
    }

    /// Whether nothing was asked for yet.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.place, Place::Start)
    }
}

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests {
    use super::sample::{broken_message, in_memory, message};
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
            all.extend(piece.octets.concat());
            lengths.push(piece.octets.concat().len());
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
    async fn a_body_in_memory_is_lent_as_it_is() {
        let message = in_memory(message(&[], "A: b\r\n", &[]), b"\r\nc");
        let mut octets = MessageOctets::new(&message);
        let piece = octets.next().await.unwrap();
        assert_eq!(piece, Piece { octets: [b"A: b\r\n", b"\r\nc"], last: true });
        let whole = message.body.whole().unwrap();
        assert!(std::ptr::eq(piece.octets[0], message.header.as_slice()));
        assert!(std::ptr::eq(piece.octets[1], whole));
        assert!(!octets.is_untouched());
        assert_eq!(octets.next().await.unwrap(), Piece { octets: [&[]; 2], last: true });
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_touched_and_never_whole() {
        let message = broken_message(&[], "A: b\r\n", &[b"\r\n"], 0);
        let mut octets = MessageOctets::new(&message);
        for _ in 0..2 {
            assert!(octets.next().await.is_err());
            assert!(!octets.is_untouched());
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
