//! Writes a message as DATA wants it: dots doubled, ended by a lone dot (RFC 5321 section 4.5.2); or as lines for chunks.
//! Knows no session. It never writes a bare CR, a bare LF, or a line of one dot that is not the end.

use memchr::memchr2;

/// So many octets are judged, then copied: they stay near meanwhile.
const BLOCK_OCTETS: usize = 4096;

/// Why octets can't be sent as a message: our store holds CRLF lines only, so this is a fault of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// A CR without an LF behind it.
    #[error("the stored message has a bare CR")]
    BareCr,
    /// An LF without a CR before it.
    #[error("the stored message has a bare LF")]
    BareLf,
}

/// Where the octets so far ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At the start of a line; a message starts there.
    #[default]
    LineStart,
    Line,
    /// Behind a CR, which is not written before it is known for half of a line end.
    Cr,
}

/// The state of one message between its pieces.
#[derive(Debug, Default)]
pub(super) struct Stuffer {
    place: Place,
    /// No dot is added: the end is told otherwise.
    plain: bool,
}

impl Stuffer {
    /// One that only sees to it that there are whole lines.
    pub(super) fn plain() -> Self {
        Self { plain: true, ..Self::default() }
    }

    /// Appends the next octets of the message to `out`.
    ///
    /// # Errors
    /// A bare CR or LF; `out` is of no use then.
    pub(super) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), ContentFault> {
        for block in octets.chunks(BLOCK_OCTETS) {
            if self.is_plain(block) {
                self.push_plain(block, out);
            } else {
                self.push_lines(block, out)?;
            }
        }
        Ok(())
    }

    /// Whether octets can be written as they are: CR and LF come together only, and no dot is to be doubled. Most blocks are, and
    /// this looks at many octets at a time.
    fn is_plain(&self, block: &[u8]) -> bool {
        let before = match self.place {
            Place::LineStart => b'\n',
            Place::Line => b' ',
            Place::Cr => b'\r',
        };
        // Behind an LF another one is wrong in any case.
        let dot = if self.plain { b'\n' } else { b'.' };
        let judge = |before: u8, octet: u8| {
            let alone = u8::from(before == b'\r') ^ u8::from(octet == b'\n');
            alone | (u8::from(before == b'\n') & u8::from(octet == dot))
        };
        let Some(&first) = block.first() else { return true };
        let pairs = block.iter().zip(&block[1..]);
        pairs.fold(judge(before, first), |found, (&before, &octet)| found | judge(before, octet))
            == 0
    }

    fn push_plain(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let Some(&last) = block.last() else { return };
        if self.place == Place::Cr {
            out.push(b'\r');
        }
        self.place = match last {
            b'\n' => Place::LineStart,
            b'\r' => Place::Cr,
            _ => Place::Line,
        };
        out.extend_from_slice(&block[..block.len() - usize::from(self.place == Place::Cr)]);
    }

    /// The same, line by line.
    fn push_lines(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), ContentFault> {
        let mut rest = octets;
        if self.place == Place::Cr && rest.first() == Some(&b'\n') {
            out.push(b'\r');
        }
        // Everything up to here is judged; `kept..` of `octets` is not copied yet.
        let mut kept = 0;
        while let Some(&first) = rest.first() {
            match (self.place, first) {
                (Place::Cr, b'\n') => {
                    self.place = Place::LineStart;
                    rest = &rest[1..];
                    continue;
                }
                (Place::Cr, _) => return Err(ContentFault::BareCr),
                (Place::LineStart, b'.') if !self.plain => {
                    let at = octets.len() - rest.len();
                    out.extend_from_slice(&octets[kept..at]);
                    out.push(b'.');
                    kept = at;
                }
                _ => {}
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                self.place = Place::Line;
                break;
            };
            if rest[end] == b'\n' {
                return Err(ContentFault::BareLf);
            }
            self.place = Place::Cr;
            rest = &rest[end + 1..];
        }
        let held = usize::from(octets.ends_with(b"\r"));
        out.extend_from_slice(&octets[kept..octets.len() - held]);
        Ok(())
    }

    /// Appends the end of the message: a line end where its last line has none, and the lone dot if there are dots.
    ///
    /// # Errors
    /// The message ends with a bare CR.
    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<(), ContentFault> {
        match self.place {
            Place::LineStart => {}
            Place::Line => out.extend_from_slice(b"\r\n"),
            Place::Cr => return Err(ContentFault::BareCr),
        }
        if !self.plain {
            out.extend_from_slice(b".\r\n");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stuffed(pieces: &[&[u8]]) -> Result<Vec<u8>, ContentFault> {
        let mut stuffer = Stuffer::default();
        let mut out = Vec::new();
        for piece in pieces {
            stuffer.push(piece, &mut out)?;
        }
        stuffer.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn messages_are_stuffed_however_they_are_cut() {
        use ContentFault::{BareCr, BareLf};
        type Wanted = Result<&'static [u8], ContentFault>;
        let cases: [(&[u8], Wanted); 20] = [
            (b"", Ok(b".\r\n")),
            (b"a\r\n", Ok(b"a\r\n.\r\n")),
            (b"a", Ok(b"a\r\n.\r\n")),
            (b".", Ok(b"..\r\n.\r\n")),
            (b".\r\n", Ok(b"..\r\n.\r\n")),
            (b"..\r\n", Ok(b"...\r\n.\r\n")),
            (b".a\r\n.b\r\n", Ok(b"..a\r\n..b\r\n.\r\n")),
            (b"a\r\n.\r\nb\r\n", Ok(b"a\r\n..\r\nb\r\n.\r\n")),
            (b"a.b\r\nc.\r\n", Ok(b"a.b\r\nc.\r\n.\r\n")),
            (b"\r\n\r\n.\r\n\r\n", Ok(b"\r\n\r\n..\r\n\r\n.\r\n")),
            (b"a\0\xff\r\n", Ok(b"a\0\xff\r\n.\r\n")),
            (b"\n", Err(BareLf)),
            (b"a\n.\n", Err(BareLf)),
            (b"a\r\n\n", Err(BareLf)),
            (b"a\n.\r\n", Err(BareLf)),
            (b"\r", Err(BareCr)),
            (b"a\rb\r\n", Err(BareCr)),
            (b"a\r\r\n", Err(BareCr)),
            (b"a\r.\r\n", Err(BareCr)),
            (b"a\r\n.\r", Err(BareCr)),
        ];
        for (input, wanted) in cases {
            let wanted = wanted.map(<[u8]>::to_vec);
            assert_eq!(stuffed(&[input]), wanted, "{}", input.escape_ascii());
            let octets: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(stuffed(&octets), wanted, "{}", input.escape_ascii());
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                assert_eq!(
                    stuffed(&[head, b"", tail]),
                    wanted,
                    "{} cut at {cut}",
                    input.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn a_dot_or_a_fault_is_found_wherever_it_is_in_long_messages() {
        let lines = b"0123456789\r\n".repeat(BLOCK_OCTETS / 4);
        assert_eq!(stuffed(&[&lines]).unwrap(), [&*lines, b".\r\n"].concat());
        for at in (BLOCK_OCTETS - 30..BLOCK_OCTETS + 30).chain(0..30) {
            for octet in [b'.', b'\r', b'\n'] {
                let mut message = lines.clone();
                message[at] = octet;
                let by_octet: Vec<&[u8]> = message.chunks(1).collect();
                assert_eq!(stuffed(&[&message]), stuffed(&by_octet), "{octet} at {at}");
            }
        }
    }

    proptest! {
        /// What comes out is CRLF lines, the first lone dot is the end, and a receiver gets back what went in.
        #[test]
        fn a_receiver_gets_the_same_message(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            crlf_only in any::<bool>(),
            piece in 1_usize..8,
        ) {
            let message = if crlf_only {
                let text = String::from_utf8(octets).unwrap();
                text.replace('\r', "").replace('\n', "\r\n").into_bytes()
            } else {
                octets
            };
            let pieces: Vec<&[u8]> = message.chunks(piece).collect();
            if let Ok(out) = stuffed(&pieces) {
                let text = String::from_utf8(out).unwrap();
                let body = text.strip_suffix(".\r\n").unwrap();
                prop_assert!(!body.replace("\r\n", "").contains(['\r', '\n']));
                let lines: Vec<&str> = body.split_inclusive("\r\n").collect();
                prop_assert!(lines.iter().all(|line| *line != ".\r\n" && line.ends_with("\r\n")));
                let plain: String = lines.iter().map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
                let mut sent = String::from_utf8(message).unwrap();
                if !sent.is_empty() && !sent.ends_with("\r\n") {
                    sent.push_str("\r\n");
                }
                prop_assert_eq!(plain, sent);
            } else {
                prop_assert!(!crlf_only);
            }
        }
    }
}
