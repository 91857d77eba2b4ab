//! Where the header block of a message ends (RFC 5322 section 2.2).
//! Knows no field's meaning, and keeps no octet: what it can't judge yet is shown to it again.

/// Finds the end of the header block in the decoded octets of a message.
#[derive(Debug, Default)]
pub(crate) struct HeaderEnd {
    /// Behind the first octets of a line that belongs to the header block.
    inside_line: bool,
    /// A field has been seen, so a continuation may follow.
    any_field: bool,
    /// Received fields seen.
    hops: usize,
}

/// What the octets shown are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// So many of them belong to the header block.
    pub(crate) header_octets: usize,
    /// What the others are.
    pub(crate) rest: Rest,
}

/// What follows the octets that surely belong to the header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing, or a line that can't be told from its beginning: to be shown again with more.
    Undecided,
    /// The body.
    Body,
}

/// The longest field name looked at: a line of RFC 5322 section 2.1.1.
const NAME_OCTETS_MAX: usize = 998;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Field {
        /// Its name is Received.
        received: bool,
    },
    Continuation,
    /// Empty, or neither field nor continuation: the body begins with it.
    Body,
    Undecided,
}

impl HeaderEnd {
    /// Judges `octets`, which follow those that earlier calls counted as header octets.
    pub(crate) fn scan(&mut self, octets: &[u8]) -> Scan {
        let mut at = 0;
        loop {
            if self.inside_line {
                let Some(end) = memchr::memchr(b'\n', &octets[at..]) else {
                    return Scan { header_octets: octets.len(), rest: Rest::Undecided };
                };
                at += end + 1;
                self.inside_line = false;
            }
            let rest = match self.judge(&octets[at..]) {
                line @ (Line::Field { .. } | Line::Continuation) => {
                    self.hops += usize::from(line == Line::Field { received: true });
                    self.any_field = true;
                    self.inside_line = true;
                    continue;
                }
                Line::Body => Rest::Body,
                Line::Undecided => Rest::Undecided,
            };
            return Scan { header_octets: at, rest };
        }
    }

    /// How many servers the message says it has gone through: its Received fields so far.
    pub(crate) fn hops(&self) -> usize {
        self.hops
    }

    /// Judges the line that `octets` begin with.
    fn judge(&self, octets: &[u8]) -> Line {
        match octets {
            [] | [b'\r'] => return Line::Undecided,
            [b' ' | b'\t', ..] if self.any_field => return Line::Continuation,
            _ => {}
        }
        let head = &octets[..octets.len().min(NAME_OCTETS_MAX)];
        let in_name = |&octet: &u8| matches!(octet, b'!'..=b'~') && octet != b':';
        let name = head.iter().take_while(|octet| in_name(octet)).count();
        // RFC 5322 section 4.5: white space before the colon is obsolete and still to be understood.
        let space = head[name..].iter().take_while(|octet| b" \t".contains(octet));
        match head.get(name + space.count()) {
            Some(b':') if name > 0 => {
                Line::Field { received: head[..name].eq_ignore_ascii_case(b"received") }
            }
            None if name > 0 && octets.len() < NAME_OCTETS_MAX => Line::Undecided,
            _ => Line::Body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The octets judged header octets, arriving in pieces that end at `cuts`.
    fn header(octets: &[u8], cuts: &[usize]) -> (usize, Rest) {
        let mut end = HeaderEnd::default();
        let mut counted = 0;
        for &to in cuts.iter().chain([&octets.len()]) {
            let scan = end.scan(&octets[counted..to.max(counted)]);
            counted += scan.header_octets;
            if scan.rest == Rest::Body {
                return (counted, Rest::Body);
            }
        }
        (counted, Rest::Undecided)
    }

    #[test]
    fn the_header_block_ends_at_the_same_octet_however_it_arrives() {
        let long_name = [&b"a: b\r\n"[..], &[b'x'; 1200], b": y\r\n"].concat();
        let cases: [(&[u8], usize, Rest); 18] = [
            (b"", 0, Rest::Undecided),
            (b"\r\n", 0, Rest::Body),
            (b"\r\nbody\r\n", 0, Rest::Body),
            (b"a: b\r\n\r\nbody", 6, Rest::Body),
            (b"a: b\r\n", 6, Rest::Undecided),
            (b"a: b\r\n\r", 6, Rest::Undecided),
            (b"a: b\r\n c\r\n\td\r\n\r\n", 14, Rest::Body),
            (b"a:\r\nb :c\r\n\r\n", 10, Rest::Body),
            (b" a: b\r\n", 0, Rest::Body),
            (b"hello world\r\n", 0, Rest::Body),
            (b"hello", 0, Rest::Undecided),
            (b"hello\r\n", 0, Rest::Body),
            (b"a: b\r\nhello\r\nc: d\r\n", 6, Rest::Body),
            (b"a: b\r\n: c\r\n", 6, Rest::Body),
            (b"a: b\r\nFrom me: now\r\n", 6, Rest::Body),
            (b"a: b\r\n \r\nc: d\r\n\r\n", 15, Rest::Body),
            (b"a\xe9: b\r\n", 0, Rest::Body),
            (&long_name, 6, Rest::Body),
        ];
        for (octets, counted, rest) in cases {
            let wanted = (counted, rest);
            let shown = String::from_utf8_lossy(octets);
            assert_eq!(header(octets, &[]), wanted, "whole {shown:?}");
            let each: Vec<_> = (1..octets.len().max(1)).collect();
            assert_eq!(header(octets, &each), wanted, "byte by byte {shown:?}");
            for cut in 0..=octets.len() {
                assert_eq!(header(octets, &[cut]), wanted, "cut at {cut} {shown:?}");
            }
        }
    }
}
