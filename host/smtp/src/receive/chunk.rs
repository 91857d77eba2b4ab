//! The octets of a message that comes in chunks: how many are left, and whether they are lawful (RFC 3030).
//! Knows neither header nor body, and keeps no octet.

use memchr::memchr3;

use super::data::DataFault;
use crate::Chunk;

/// Reads a message chunk by chunk. Nothing in the octets ends it: their number does.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// Octets of the present chunk that have not been read yet.
    left: u64,
    /// The message ends with the present chunk.
    last: bool,
    lines: Lines,
    /// Of a BINARYMIME message only the header block is text.
    binary: bool,
}

impl Chunks {
    /// Starts before the first chunk. Lines of text longer than `line_octets_max` are a fault; 0 = any length. `binary`: the
    /// body may hold any octets.
    pub(crate) fn new(binary: bool, line_octets_max: usize) -> Self {
        let line_octets_max = if binary { 0 } else { line_octets_max };
        Self { left: 0, last: false, lines: Lines::new(line_octets_max), binary }
    }

    /// The next chunk begins.
    pub(crate) fn begin(&mut self, chunk: Chunk) {
        self.left = chunk.octets;
        self.last = chunk.last;
    }

    /// Reads what is there of the present chunk; how many octets that is.
    pub(crate) fn read(&mut self, octets: &[u8]) -> usize {
        let read = usize::try_from(self.left).map_or(octets.len(), |left| left.min(octets.len()));
        self.left -= read as u64;
        if !self.binary {
            self.lines.check(&octets[..read]);
        }
        read
    }

    /// Checks the next octets of a header block, which is text whatever the body is.
    pub(crate) fn check_header(&mut self, octets: &[u8]) {
        if self.binary {
            self.lines.check(octets);
        }
    }

    /// Checks what a body begins with: of the empty line that ends the header block no half will do.
    pub(crate) fn check_body(&mut self, octets: &[u8]) {
        if self.binary {
            let line = match octets {
                [b'\r', _, ..] => &octets[..2],
                [b'\r' | b'\n', ..] => &octets[..1],
                _ => b"",
            };
            self.lines.check(line);
            self.lines.end();
        }
    }

    /// Whether all of the present chunk has been read.
    pub(crate) fn is_read(&self) -> bool {
        self.left == 0
    }

    /// Whether the message has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.last && self.is_read()
    }

    /// The first fault found so far.
    pub(crate) fn fault(&mut self) -> Option<DataFault> {
        if self.is_ended() && !self.binary {
            self.lines.end();
        }
        self.lines.fault
    }
}

/// Lines of text, ended by CRLF alone.
#[derive(Debug)]
struct Lines {
    /// The octets checked last end with a CR.
    after_cr: bool,
    /// Octets of the present line.
    octets: usize,
    octets_max: usize,
    fault: Option<DataFault>,
}

impl Lines {
    fn new(octets_max: usize) -> Self {
        let octets_max = if octets_max == 0 { usize::MAX } else { octets_max };
        Self { after_cr: false, octets: 0, octets_max, fault: None }
    }

    fn check(&mut self, octets: &[u8]) {
        let mut at = 0;
        while let Some(&next) = octets.get(at) {
            if std::mem::take(&mut self.after_cr) {
                if next != b'\n' {
                    self.refuse(DataFault::BareCr);
                    continue;
                }
                self.grow(1);
                self.octets = 0;
                at += 1;
                continue;
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, &octets[at..]) else {
                return self.grow(octets.len() - at);
            };
            self.grow(found + 1);
            at += found;
            match octets[at] {
                b'\r' => self.after_cr = true,
                b'\n' => self.refuse(DataFault::BareLf),
                _ => self.refuse(DataFault::Nul),
            }
            at += 1;
        }
    }

    /// Nothing follows: a CR at the end stays bare.
    fn end(&mut self) {
        if std::mem::take(&mut self.after_cr) {
            self.refuse(DataFault::BareCr);
        }
    }

    fn grow(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(octets);
        if self.octets > self.octets_max {
            self.refuse(DataFault::LineTooLong);
        }
    }

    /// The first fault counts.
    fn refuse(&mut self, fault: DataFault) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault of a text that comes as one message in chunks of these lengths and one for what is left, its octets in
    /// pieces that end at `cuts`.
    fn fault(text: &[u8], chunks: &[usize], cuts: &[usize]) -> Option<DataFault> {
        let mut reader = Chunks::new(false, 20);
        let mut rest = text;
        for &octets in chunks {
            reader.begin(Chunk { octets: octets as u64, last: false });
            let read = reader.read(rest);
            assert_eq!((read, reader.is_read(), reader.is_ended()), (octets, true, false));
            rest = &rest[read..];
        }
        reader.begin(Chunk { octets: rest.len() as u64, last: true });
        let before = text.len() - rest.len();
        for &cut in cuts.iter().filter(|&&cut| cut >= before) {
            let piece = &text[text.len() - rest.len()..cut];
            assert_eq!(reader.read(piece), piece.len());
            rest = &rest[piece.len()..];
        }
        // What is behind the chunk is not its.
        let followed = [rest, b"\rQUIT\r\n"].concat();
        assert_eq!(reader.read(&followed), rest.len());
        assert!(reader.is_ended());
        reader.fault()
    }

    #[test]
    fn text_is_lawful_or_not_however_it_is_cut() {
        use DataFault::{BareCr, BareLf, LineTooLong, Nul};
        let cases: [(&[u8], Option<DataFault>); 16] = [
            (b"", None),
            (b"a", None),
            (b"a\r\n", None),
            (b"\r\n.\r\n..\r\nQUIT\r\n", None),
            (b"\xff\x80\r\n", None),
            (b"\r", Some(BareCr)),
            (b"a\r\nb\r", Some(BareCr)),
            (b"\r\r\n", Some(BareCr)),
            (b"a\rb\nc", Some(BareCr)),
            (b"\n", Some(BareLf)),
            (b"a\nb\rc", Some(BareLf)),
            (b"\r\n\n", Some(BareLf)),
            (b"a\0\n", Some(Nul)),
            (b"123456789012345678\r\n", None),
            (b"1234567890123456789\r\n", Some(LineTooLong)),
            (b"123456789012345678901", Some(LineTooLong)),
        ];
        for (text, wanted) in cases {
            let each: Vec<_> = (1..=text.len()).collect();
            assert_eq!(fault(text, &[], &[]), wanted, "whole {text:?}");
            assert_eq!(fault(text, &[], &each), wanted, "byte by byte {text:?}");
            assert_eq!(fault(text, &vec![1; text.len()], &[]), wanted, "chunks of one {text:?}");
            for cut in 0..=text.len() {
                assert_eq!(fault(text, &[], &[cut]), wanted, "cut at {cut} {text:?}");
                assert_eq!(fault(text, &[cut], &[]), wanted, "chunk of {cut} {text:?}");
                assert_eq!(fault(text, &[cut, 0], &each), wanted, "chunks of {cut} {text:?}");
            }
        }
    }

    #[test]
    fn of_a_binary_message_the_header_block_is_text() {
        use DataFault::{BareCr, BareLf, Nul};
        let cases: [(&[u8], &[u8], Option<DataFault>); 11] = [
            (b"A: b\r\n", b"\r\n\0\r\n\n", None),
            (b"", b"\0\r", None),
            (b"A: b\r", b"", Some(BareCr)),
            (b"", b"\r\n", None),
            (b"A: b\r\n", b"", None),
            (b"A: b\n", b"\r\n", Some(BareLf)),
            (b"A:\0\r\n", b"\r\n", Some(Nul)),
            (b"A: b\r\n", b"\rx", Some(BareCr)),
            (b"A: b\r\n", b"\r", Some(BareCr)),
            (b"A: b\r\n", b"\n", Some(BareLf)),
            (b"A: b\r\n", b"x\n", None),
        ];
        for (header, body, wanted) in cases {
            let mut reader = Chunks::new(true, 1);
            let octets = [header, body].concat();
            reader.begin(Chunk { octets: octets.len() as u64, last: true });
            assert_eq!(reader.read(&octets), octets.len());
            reader.check_header(header);
            reader.check_body(body);
            assert_eq!(reader.fault(), wanted, "{octets:?}");
        }
    }
}
