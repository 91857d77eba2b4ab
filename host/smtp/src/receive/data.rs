//! The octets that follow DATA: where they end, and the dots that are taken out (RFC 5321 section 4.5.2).
//! Knows neither header nor body, and keeps no octet.

use memchr::{memchr3, memrchr};

/// So many octets are judged at once where they are ordinary lines.
const WINDOW_OCTETS: usize = 256;

/// Reads message octets. Only CRLF.CRLF ends them, where DATA itself counts as the first CRLF.
///
/// A bare CR or LF is a fault of the whole message and never the end of a line, so what we take for one
/// message is one message to every later server (the smuggling of CVE-2023-51764 and kin). Decoding goes on
/// after a fault: the true end must still be found. Octets above 127 pass, declared by BODY or not: who sends them
/// undeclared is not helped by a refusal, and nothing here reads them.
#[derive(Debug)]
pub(crate) struct Decoder {
    at: At,
    fault: Option<DataFault>,
    /// Octets of the present line, the stuffed dot not counted.
    line_octets: usize,
    line_octets_max: usize,
}

/// Where the decoder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    /// Behind a dot that began a line: dropped, whatever follows.
    Dot,
    DotCr,
    Text,
    Cr,
}

/// What is wrong with the octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataFault {
    BareCr,
    BareLf,
    Nul,
    LineTooLong,
}

/// What came of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Octets of the message: they stand at the front of the piece now.
    pub(crate) kept: usize,
    /// Octets of the piece that were used up.
    pub(crate) read: usize,
    /// The end was found; what follows `read` is the next command.
    pub(crate) ended: bool,
}

impl Decoder {
    /// Starts behind the reply to DATA. Lines longer than `line_octets_max` are a fault; 0 = any length.
    pub(crate) fn new(line_octets_max: usize) -> Self {
        let line_octets_max = match line_octets_max {
            0 => usize::MAX,
            limit => limit,
        };
        Self { at: At::LineStart, fault: None, line_octets: 0, line_octets_max }
    }

    /// The first fault found so far.
    pub(crate) fn fault(&self) -> Option<DataFault> {
        self.fault
    }

    /// Decodes a piece in place, to its end or to the end of the message.
    pub(crate) fn decode(&mut self, octets: &mut [u8]) -> Decoded {
        let mut kept = 0;
        // Where the octets begin that are to be kept and are not yet moved to the front.
        let mut from = 0;
        let mut read = 0;
        let mut ended = false;
        // From here on it is worth a look whether many octets are ordinary.
        let mut look_from = 0;
        loop {
            if read >= look_from {
                read = self.skip_plain(octets, read);
                look_from = read + WINDOW_OCTETS;
            }
            let Some(&next) = octets.get(read) else { break };
            match (self.at, next) {
                (At::LineStart, b'.') => {
                    keep(octets, from..read, &mut kept);
                    from = read + 1;
                    self.at = At::Dot;
                }
                (At::Dot, b'\r') => {
                    from = read + 1;
                    self.at = At::DotCr;
                }
                (At::DotCr, b'\n') => {
                    read += 1;
                    from = read;
                    ended = true;
                    break;
                }
                (At::Cr, b'\n') => {
                    self.grow(1);
                    self.line_octets = 0;
                    self.at = At::LineStart;
                }
                (At::Cr | At::DotCr, _) => {
                    self.fault.get_or_insert(DataFault::BareCr);
                    self.at = At::Text;
                    continue;
                }
                (At::LineStart | At::Dot | At::Text, _) => {
                    read = self.skip_text(octets, read);
                    continue;
                }
            }
            read += 1;
        }
        keep(octets, from..read, &mut kept);
        Decoded { kept, read, ended }
    }

    /// Passes over windows of ordinary lines, in which nothing is to be done or refused; returns where they end.
    fn skip_plain(&mut self, octets: &[u8], from: usize) -> usize {
        let mut read = from;
        while let Some(window) = octets.get(read..read + WINDOW_OCTETS) {
            let before = match self.at {
                At::LineStart => b'\n',
                At::Text => b' ',
                At::Cr => b'\r',
                At::Dot | At::DotCr => break,
            };
            // With a line end in each window, no line is longer than what is counted and a window.
            let fits = self.line_octets.saturating_add(WINDOW_OCTETS) <= self.line_octets_max;
            let Some(line_end) = memrchr(b'\n', window).filter(|_| fits) else { break };
            if !is_plain(before, window) {
                break;
            }
            self.line_octets = window.len() - line_end - 1;
            self.at = match window.last() {
                Some(b'\n') => At::LineStart,
                Some(b'\r') => At::Cr,
                _ => At::Text,
            };
            read += WINDOW_OCTETS;
        }
        read
    }

    /// Passes over text up to and with the next octet that matters; returns where it ends.
    fn skip_text(&mut self, octets: &[u8], from: usize) -> usize {
        self.at = At::Text;
        let Some(found) = memchr3(b'\r', b'\n', 0, &octets[from..]) else {
            self.grow(octets.len() - from);
            return octets.len();
        };
        self.grow(found + 1);
        match octets[from + found] {
            b'\r' => self.at = At::Cr,
            b'\n' => _ = self.fault.get_or_insert(DataFault::BareLf),
            _ => _ = self.fault.get_or_insert(DataFault::Nul),
        }
        from + found + 1
    }

    fn grow(&mut self, octets: usize) {
        self.line_octets = self.line_octets.saturating_add(octets);
        if self.line_octets > self.line_octets_max {
            self.fault.get_or_insert(DataFault::LineTooLong);
        }
    }
}

/// Whether CR and LF come together only, no line begins with a dot, and there is no NUL; behind another octet. Looks at many octets at a time.
fn is_plain(before: u8, window: &[u8]) -> bool {
    let judge = |before: u8, octet: u8| {
        let alone = u8::from(before == b'\r') ^ u8::from(octet == b'\n');
        let dot = u8::from(before == b'\n') & u8::from(octet == b'.');
        alone | dot | u8::from(octet == 0)
    };
    let Some(&first) = window.first() else { return true };
    let pairs = window.iter().zip(&window[1..]);
    pairs.fold(judge(before, first), |found, (&before, &octet)| found | judge(before, octet)) == 0
}

/// Moves a range to where the kept octets end. Without dots nothing moves.
fn keep(octets: &mut [u8], range: std::ops::Range<usize>, kept: &mut usize) {
    let length = range.len();
    if range.start != *kept {
        octets.copy_within(range, *kept);
    }
    *kept += length;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message, its fault, and what follows it (`None`: it has not ended).
    type Outcome = (Vec<u8>, Option<DataFault>, Option<Vec<u8>>);

    fn decode(octets: &[u8], cuts: &[usize]) -> Outcome {
        decode_lines(octets, cuts, 20)
    }

    fn decode_lines(octets: &[u8], cuts: &[usize], line_octets_max: usize) -> Outcome {
        let mut decoder = Decoder::new(line_octets_max);
        let (mut message, mut from) = (Vec::new(), 0);
        for &to in cuts.iter().chain([&octets.len()]) {
            let mut piece = octets[from..to].to_vec();
            let decoded = decoder.decode(&mut piece);
            message.extend_from_slice(&piece[..decoded.kept]);
            if decoded.ended {
                let rest = octets[from + decoded.read..].to_vec();
                return (message, decoder.fault(), Some(rest));
            }
            assert_eq!(decoded.read, piece.len());
            from = to;
        }
        (message, decoder.fault(), None)
    }

    #[test]
    fn only_the_true_sequence_ends_a_message() {
        use DataFault::{BareCr, BareLf, LineTooLong, Nul};
        type Case<'a> = (&'a [u8], &'a [u8], Option<DataFault>, Option<&'a [u8]>);
        let cases: [Case<'_>; 29] = [
            // First line.
            (b".\r\n", b"", None, Some(b"")),
            (b".\r\nQUIT\r\n", b"", None, Some(b"QUIT\r\n")),
            (b"..\r\n.\r\n", b".\r\n", None, Some(b"")),
            (b".a\r\n.\r\n", b"a\r\n", None, Some(b"")),
            (b"\r\n.\r\n", b"\r\n", None, Some(b"")),
            (b"", b"", None, None),
            (b".", b"", None, None),
            (b".\r", b"", None, None),
            // Later lines.
            (b"a\r\n.\r\nb", b"a\r\n", None, Some(b"b")),
            (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n", None, Some(b"")),
            (b"a.\r\nb..\r\n.\r\n", b"a.\r\nb..\r\n", None, Some(b"")),
            (b"a\r\n.\r\n.\r\n", b"a\r\n", None, Some(b".\r\n")),
            (b"a\r\n. \r\n.\r\n", b"a\r\n \r\n", None, Some(b"")),
            // Nothing else ends it.
            (b"a\n.\n", b"a\n.\n", Some(BareLf), None),
            (b"a\n.\r\n", b"a\n.\r\n", Some(BareLf), None),
            (b"a\r\n.\n", b"a\r\n\n", Some(BareLf), None),
            (b"a\r.\r\n", b"a\r.\r\n", Some(BareCr), None),
            (b"a\r.\r", b"a\r.\r", Some(BareCr), None),
            (b"a\r\n.\rb\r\n", b"a\r\nb\r\n", Some(BareCr), None),
            (b"a\r\n.\r\r\n", b"a\r\n\r\n", Some(BareCr), None),
            (b"a\r\n\0.\r\n", b"a\r\n\0.\r\n", Some(Nul), None),
            (b"a\r\n.\0\r\n", b"a\r\n\0\r\n", Some(Nul), None),
            (b"a\r\0\n.\r\n", b"a\r\0\n.\r\n", Some(BareCr), None),
            // A fault does not hide the true end, and the first one counts.
            (b"\n\r\n.\r\n", b"\n\r\n", Some(BareLf), Some(b"")),
            (b"a\r\r\n.\r\n", b"a\r\r\n", Some(BareCr), Some(b"")),
            (b"\0\n\r\n.\r\n", b"\0\n\r\n", Some(Nul), Some(b"")),
            // Length: 20 with CRLF, the stuffed dot not counted.
            (b"..34567890123456789\r\n.\r\n", b".34567890123456789\r\n", None, Some(b"")),
            (b"1234567890123456789\r\n", b"1234567890123456789\r\n", Some(LineTooLong), None),
            (b"a\xff\x80\r\n.\r\n", b"a\xff\x80\r\n", None, Some(b"")),
        ];
        for (octets, message, fault, rest) in cases {
            let wanted = (message.to_vec(), fault, rest.map(<[u8]>::to_vec));
            assert_eq!(decode(octets, &[]), wanted, "whole {octets:?}");
            let each: Vec<_> = (1..octets.len().max(1)).collect();
            assert_eq!(decode(octets, &each), wanted, "byte by byte {octets:?}");
            for cut in 0..=octets.len() {
                assert_eq!(decode(octets, &[cut]), wanted, "cut at {cut} {octets:?}");
            }
        }
    }

    /// Written plainly, from the whole: the first CRLF.CRLF ends, one dot at a line's start goes, and a CR or LF
    /// left over when all CRLF are taken out is a fault.
    fn plainly(octets: &[u8]) -> Outcome {
        let whole = [b"\r\n", octets].concat();
        let end = whole.windows(5).position(|window| window == b"\r\n.\r\n");
        let text = &whole[..end.map_or(whole.len(), |end| end + 2)];
        let mut message = Vec::new();
        for (at, &octet) in text.iter().enumerate().skip(2) {
            if !(octet == b'.' && text[..at].ends_with(b"\r\n")) {
                message.push(octet);
            }
        }
        let lines = String::from_utf8(text.to_vec()).unwrap().replace("\r\n", "|");
        let fault = lines.find(['\r', '\n']).map(|at| match lines.as_bytes()[at] {
            b'\r' => DataFault::BareCr,
            _ => DataFault::BareLf,
        });
        (message, fault, end.map(|end| whole[end + 5..].to_vec()))
    }

    #[test]
    fn every_spelling_of_up_to_nine_octets_agrees_with_the_plain_definition() {
        let mut spellings = 0;
        let mut octets = Vec::new();
        for length in 0..=9u32 {
            for number in 0..3usize.pow(length) {
                let digit = |place| number / 3usize.pow(place) % 3;
                octets.clear();
                octets.extend((0..length).map(|place| b"\r\n."[digit(place)]));
                let (message, fault, rest) = plainly(&octets);
                let found = decode(&octets, &[]);
                // A CR at the very end may yet become a CRLF; an unfinished or faulty message is not kept.
                let whole = rest.is_some();
                assert_eq!(found.2, rest, "{octets:?}");
                if whole {
                    assert_eq!(found.1, fault, "{octets:?}");
                }
                if whole && fault.is_none() {
                    assert_eq!(found.0, message, "{octets:?}");
                }
                let each: Vec<_> = (1..octets.len().max(1)).collect();
                assert_eq!(decode(&octets, &each), found, "byte by byte {octets:?}");
                spellings += 1;
            }
        }
        assert_eq!(spellings, (3usize.pow(10) - 1) / 2);
    }

    /// Octet by octet no window is looked at.
    #[test]
    fn long_messages_are_read_by_windows_as_they_are_by_octets() {
        const MAX: usize = 2 * WINDOW_OCTETS;
        let lines = [b"0123456789\r\n".repeat(70), b".\r\nQUIT\r\n".to_vec()].concat();
        let agrees = |octets: &[u8]| {
            let each: Vec<_> = (1..octets.len()).collect();
            let wanted = decode_lines(octets, &each, MAX);
            for cuts in [&[][..], &[1], &[WINDOW_OCTETS], &[WINDOW_OCTETS + 5, 600]] {
                assert_eq!(decode_lines(octets, cuts, MAX), wanted, "{}", octets.escape_ascii());
            }
            wanted
        };
        assert_eq!(agrees(&lines), (lines[..840].to_vec(), None, Some(b"QUIT\r\n".to_vec())));
        for at in (0..30).chain(WINDOW_OCTETS - 20..WINDOW_OCTETS + 20).chain(760..lines.len()) {
            for octet in *b".\r\n\0" {
                let mut octets = lines.clone();
                octets[at] = octet;
                agrees(&octets);
                octets.insert(at, octet);
                agrees(&octets);
            }
        }
        let mut faults = Vec::new();
        for length in MAX - 3..MAX + 3 {
            for before in [0, 5, 21] {
                let octets = [
                    b"0123456789\r\n".repeat(before),
                    b"x".repeat(length),
                    b"\r\n".to_vec(),
                    lines.clone(),
                ];
                faults.push(agrees(&octets.concat()).1.is_some());
            }
        }
        assert_eq!(faults, [[false; 6], [true; 6], [true; 6]].concat());
    }
}
