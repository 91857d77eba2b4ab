//! Edits of a body: texts before it, behind it or in its place, kept where they were written and put together when read.
//! Knows no character set and no part of MIME: octets are octets.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::{Content, Edit, Span};

/// Octets kept somewhere, to be read piece by piece. They stay as they are, however long somebody keeps this.
pub trait Kept: Send + Sync {
    /// How many.
    fn octets(&self) -> u64;

    /// Those from `offset` on, as many as are at hand, at most 64 KiB: none at the end and behind it.
    ///
    /// They are lent from where they are kept, or read into `buffer`, which may block for a disk.
    ///
    /// # Errors
    /// They can't be read.
    fn read<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]>;
}

/// Octets on their way to be kept. Dropping it forgets them.
pub trait Scratch: Send {
    /// Adds octets; may block for a disk.
    ///
    /// # Errors
    /// They can't be kept. Nothing can be added behind that.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// Adds the last few octets, in memory, and ends.
    fn finish(self: Box<Self>, last: &[u8]) -> Arc<dyn Kept>;
}

/// Text that a plug-in wrote for a body: whole lines, each ended by CRLF, unless the message is binary.
#[derive(Clone)]
pub struct BodyText {
    /// How much it is, and its digest.
    pub span: Span,
    /// Its octets.
    pub kept: Arc<dyn Kept>,
}

impl fmt::Debug for BodyText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.span.fmt(out)
    }
}

impl PartialEq for BodyText {
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span
    }
}

impl Eq for BodyText {}

/// A body as plug-ins have left it. It is what follows the header block, with the empty line between the two: what is
/// written stands behind that line, which comes by itself where there was none.
#[derive(Clone, Debug, Default)]
pub struct EditedBody {
    /// What stands behind the empty line, in order; none: the body is as it was received.
    parts: Option<Vec<Part>>,
}

#[derive(Clone, Debug)]
enum Part {
    /// What was received behind the empty line.
    Received,
    Text(BodyText),
}

/// What stands between header block and text.
const EMPTY_LINE: &[u8] = b"\r\n";
const EMPTY_LINE_OCTETS: u64 = EMPTY_LINE.len() as u64;

impl EditedBody {
    /// Carries out an edit of the body; other edits change nothing here.
    pub fn edit(&mut self, edit: &Edit) {
        let parts = || vec![Part::Received];
        match edit {
            Edit::PrependBody(text) => {
                self.parts.get_or_insert_with(parts).insert(0, Part::Text(text.clone()));
            }
            Edit::AppendBody(text) => {
                self.parts.get_or_insert_with(parts).push(Part::Text(text.clone()));
            }
            Edit::ReplaceBody(text) => self.parts = Some(vec![Part::Text(text.clone())]),
            _ => {}
        }
    }

    /// Whether any edit changed it.
    pub fn is_edited(&self) -> bool {
        self.parts.is_some()
    }

    /// The texts behind what was received, when that begins the body as it did: they can be added where it is.
    pub fn only_appended(&self) -> Option<impl Iterator<Item = &BodyText>> {
        match self.parts.as_deref()? {
            [Part::Received, rest @ ..] => Some(rest.iter().filter_map(|part| match part {
                Part::Text(text) => Some(text),
                Part::Received => None,
            })),
            _ => None,
        }
    }

    /// How many octets of it plug-ins wrote.
    pub fn written(&self) -> u64 {
        let octets = |part: &Part| match part {
            Part::Received => 0,
            Part::Text(text) => text.span.octets,
        };
        self.parts.iter().flatten().map(octets).sum()
    }

    /// How many octets it has, when so many were received.
    pub fn octets(&self, received: u64) -> u64 {
        let Some(parts) = &self.parts else { return received };
        let kept = parts.iter().any(|part| matches!(part, Part::Received));
        let received = if kept { received.saturating_sub(EMPTY_LINE_OCTETS) } else { 0 };
        EMPTY_LINE_OCTETS + received + self.written()
    }

    /// Octets of it, as [`Content::body`] lends them.
    ///
    /// # Errors
    /// They can't be read.
    pub fn read<'a>(
        &'a self,
        received: Option<&'a dyn Content>,
        offset: u64,
        buffer: &'a mut Vec<u8>,
    ) -> io::Result<&'a [u8]> {
        let Some(parts) = &self.parts else {
            return received.map_or(Ok(&[]), |received| received.body(offset, buffer));
        };
        let Some(mut offset) = offset.checked_sub(EMPTY_LINE_OCTETS) else {
            return Ok(&EMPTY_LINE[offset as usize..]);
        };
        for part in parts {
            let octets = match part {
                Part::Received => received
                    .map_or(0, |received| received.body_octets())
                    .saturating_sub(EMPTY_LINE_OCTETS),
                Part::Text(text) => text.span.octets,
            };
            if offset < octets {
                return match (part, received) {
                    (Part::Text(text), _) => text.kept.read(offset, buffer),
                    (Part::Received, Some(received)) => {
                        received.body(offset + EMPTY_LINE_OCTETS, buffer)
                    }
                    (Part::Received, None) => Ok(&[]),
                };
            }
            offset -= octets;
        }
        Ok(&[])
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Octets in memory, lent in pieces of so many.
    struct Pieces(Vec<u8>, usize);

    impl Kept for Pieces {
        fn octets(&self) -> u64 {
            self.0.len() as u64
        }

        fn read<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
            buffer.clear();
            buffer.extend_from_slice(&self.0[from..(from + self.1).min(self.0.len())]);
            Ok(buffer)
        }
    }

    impl Content for Pieces {
        fn header(&self) -> &[u8] {
            b""
        }

        fn body<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
            Kept::read(self, offset, buffer)
        }

        fn body_octets(&self) -> u64 {
            Kept::octets(self)
        }

        fn scratch(&self) -> Box<dyn Scratch> {
            unreachable!("nobody writes")
        }
    }

    fn text(octets: &[u8], piece: usize) -> BodyText {
        let span = Span { octets: octets.len() as u64, sha256: [0; 32] };
        BodyText { span, kept: Arc::new(Pieces(octets.to_vec(), piece)) }
    }

    fn whole(body: &EditedBody, received: Option<&dyn Content>, from: u64) -> Vec<u8> {
        let (mut found, mut buffer) = (Vec::new(), Vec::new());
        loop {
            let offset = from + found.len() as u64;
            let piece = body.read(received, offset, &mut buffer).expect("it can be read").to_vec();
            if piece.is_empty() {
                return found;
            }
            found.extend(piece);
        }
    }

    #[test]
    fn a_text_never_stands_where_a_header_field_would() {
        type Case<'a> = (fn(BodyText) -> Edit, [&'a [u8]; 3]);
        let edits: [Case<'_>; 3] = [
            (Edit::PrependBody, [b"\r\nnew\r\n", b"\r\nnew\r\n", b"\r\nnew\r\nold\r\n"]),
            (Edit::AppendBody, [b"\r\nnew\r\n", b"\r\nnew\r\n", b"\r\nold\r\nnew\r\n"]),
            (Edit::ReplaceBody, [b"\r\nnew\r\n", b"\r\nnew\r\n", b"\r\nnew\r\n"]),
        ];
        for (edit, wanted) in edits {
            for (received, wanted) in [&b""[..], b"\r\n", b"\r\nold\r\n"].into_iter().zip(wanted) {
                let content = Pieces(received.to_vec(), 3);
                let mut body = EditedBody::default();
                body.edit(&edit(text(b"new\r\n", 2)));
                assert_eq!(whole(&body, Some(&content), 0), wanted);
                assert_eq!(body.octets(received.len() as u64), wanted.len() as u64);
            }
            let mut body = EditedBody::default();
            body.edit(&edit(text(b"new\r\n", 9)));
            assert_eq!(whole(&body, None, 0), b"\r\nnew\r\n", "a message without octets");
        }
    }

    proptest! {
        /// The same as editing octets in memory, from whatever offset it is read.
        #[test]
        fn edits_make_of_a_body_what_they_say(
            received in vec(any::<u8>(), 0..40),
            edits in vec((0..4u8, vec(any::<u8>(), 0..20)), 0..8),
            piece in 1..9usize,
            from in 0..80u64,
        ) {
            let content = match &received[..] {
                [] => Pieces(Vec::new(), piece),
                received => Pieces([EMPTY_LINE, received].concat(), piece),
            };
            let mut model = received.clone();
            let mut body = EditedBody::default();
            for (kind, octets) in &edits {
                let text = text(octets, piece);
                let edit = match kind {
                    0 => {
                        model.splice(0..0, octets.iter().copied());
                        Edit::PrependBody(text)
                    }
                    1 => {
                        model.extend(octets);
                        Edit::AppendBody(text)
                    }
                    2 => {
                        model = octets.clone();
                        Edit::ReplaceBody(text)
                    }
                    _ => Edit::Discard,
                };
                body.edit(&edit);
            }
            let edited = edits.iter().any(|(kind, _)| *kind < 3);
            prop_assert_eq!(body.is_edited(), edited);
            if edited || !received.is_empty() {
                model.splice(0..0, EMPTY_LINE.iter().copied());
            }
            prop_assert_eq!(body.octets(Kept::octets(&content)), model.len() as u64);
            let wanted = model.get(from as usize..).unwrap_or_default();
            prop_assert_eq!(whole(&body, Some(&content), from), wanted);
            if let Some(texts) = body.only_appended() {
                let added: u64 = texts.map(|text| text.span.octets).sum();
                prop_assert!(edits.iter().all(|(kind, _)| matches!(kind, 1 | 3)));
                prop_assert_eq!(added, body.written());
            }
        }
    }
}
