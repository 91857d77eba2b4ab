//! Where a message ends: CRLF, dot, CRLF and nothing less (RFC 5321 section 4.1.1.4). A bare LF
//! ends no line.

use memchr::memmem;

const END: &[u8; 5] = b"\r\n.\r\n";

/// Finds the end over any number of reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndOfData {
    /// How much of `END` the octets so far end with.
    matched: usize,
}

impl EndOfData {
    /// At the start of the message, which is the start of a line.
    pub(crate) fn new() -> Self {
        Self { matched: 2 }
    }

    /// Returns how many octets of `input` belong to the message, its final dot included, once the
    /// end is in it.
    pub(crate) fn find(&mut self, input: &[u8]) -> Option<usize> {
        // What an earlier read began.
        let mut at = 0;
        while self.matched > 0 && at < input.len() {
            at += 1;
            if self.advance(input[at - 1]) {
                return Some(at);
            }
        }
        if let Some(found) = memmem::find(&input[at..], END) {
            return Some(at + found + END.len());
        }
        // What a later read may finish: it begins in the last four octets.
        for &octet in &input[at.max(input.len().saturating_sub(END.len() - 1))..] {
            self.advance(octet);
        }
        None
    }

    fn advance(&mut self, octet: u8) -> bool {
        self.matched = match octet {
            _ if octet == END[self.matched] => self.matched + 1,
            b'\r' => 1,
            _ => 0,
        };
        self.matched == END.len()
    }
}

#[cfg(test)]
mod tests {
    use super::EndOfData;

    fn find(pieces: &[&[u8]]) -> Option<usize> {
        let mut detector = EndOfData::new();
        let mut before = 0;
        for piece in pieces {
            if let Some(found) = detector.find(piece) {
                return Some(before + found);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn every_split() {
        let cases: [(&str, Option<usize>); 16] = [
            ("", None),
            (".\r\n", Some(3)),
            ("..\r\n", None),
            ("\r\n.\r\n", Some(5)),
            ("a\r\n.\r\n", Some(6)),
            ("a\r\n.\r\nMAIL", Some(6)),
            ("a\r\n..\r\n.\r\n", Some(10)),
            ("a\r\n.b\r\n.\r\n", Some(10)),
            ("a\r\r\n.\r\n", Some(7)),
            ("a\r\n.\r\r\n.\r\n", Some(10)),
            ("a\r\n\r\n.\r\n.\r\n", Some(8)),
            ("a\n.\n", None),
            ("a\r\n.\n", None),
            ("a\n.\r\n", None),
            ("a\r\n.\r", None),
            ("a.\r\n", None),
        ];
        for (input, expected) in cases {
            let octets = input.as_bytes();
            for first in 0..=octets.len() {
                for second in first..=octets.len() {
                    let pieces = [&octets[..first], &octets[first..second], &octets[second..]];
                    assert_eq!(find(&pieces), expected, "{input:?} at {first} and {second}");
                }
            }
            let single: Vec<&[u8]> = octets.chunks(1).collect();
            assert_eq!(find(&single), expected, "{input:?} octet by octet");
        }
    }
}
