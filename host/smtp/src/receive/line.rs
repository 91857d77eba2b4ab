//! Command lines: where one ends, and which octets it may hold.
//! Knows no command but BDAT, because octets follow that one.

use memchr::memchr;

use super::input::Input;
use crate::{Chunk, Reply};

/// Finds command lines in the input. Only CRLF ends one (RFC 5321 section 2.3.8).
#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// Octets of the present line that have been searched.
    scanned: usize,
    /// Set while the rest of a line that is too long is dropped.
    overlong: Option<Overlong>,
}

/// A line whose octets are being dropped.
#[derive(Clone, Copy, Debug)]
struct Overlong {
    chunk: bool,
}

/// A line that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) fault: LineFault,
    /// It began like BDAT: octets of a message follow, nobody knows how many.
    pub(crate) chunk: bool,
}

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// Longer than the limit.
    TooLong,
    /// A CR that no LF follows.
    BareCr,
    /// An LF that no CR precedes.
    BareLf,
    /// NUL or another control octet.
    Control(u8),
    /// An octet above 127: no extension that allows it there was offered, or it is no UTF-8.
    EightBit,
}

impl LineFault {
    /// The reply to such a line. The line was dropped whole; the session goes on.
    pub(crate) fn reply(self) -> Reply {
        let words = match self {
            // RFC 5321 section 4.5.3.1.9.
            Self::TooLong => "Line too long".into(),
            Self::BareCr => "Bare <CR> received: end lines with <CR><LF>".into(),
            Self::BareLf => "Bare <LF> received: end lines with <CR><LF>".into(),
            Self::Control(0) => "NUL in a command".into(),
            Self::Control(octet) => format!("Control octet 0x{octet:02x} in a command"),
            Self::EightBit => "Octet above 127 in a command".into(),
        };
        Reply::new(500, Some((5, 5, 2)), words)
    }
}

impl Framer {
    /// The next line at the front of `input`: its length without the CRLF, which the caller uses up with
    /// it; or the fault of a line that has been used up. `None`: the line is not complete yet. `utf8`: some commands may be of
    /// any script.
    pub(crate) fn next(
        &mut self,
        input: &mut Input,
        octets_max: usize,
        utf8: bool,
    ) -> Option<Result<usize, BadLine>> {
        while let Some(lf) = memchr(b'\n', &input.unread()[self.scanned..]) {
            let lf = self.scanned + lf;
            self.scanned = lf + 1;
            let line = &input.unread()[..lf];
            if let Some(line) = line.strip_suffix(b"\r") {
                let verdict = self.judge(line, octets_max, utf8);
                *self = Self::default();
                if verdict.is_err() {
                    input.consume(lf + 1);
                }
                return Some(verdict);
            }
        }
        self.scanned = input.unread().len();
        if self.overlong.is_some() || self.scanned > octets_max {
            let chunk = is_chunk(input.unread());
            self.overlong.get_or_insert(Overlong { chunk });
            // A last CR may be half of the CRLF that ends the line.
            self.scanned = usize::from(input.unread().ends_with(b"\r"));
            input.consume(input.unread().len() - self.scanned);
        }
        None
    }

    fn judge(&self, line: &[u8], octets_max: usize, utf8: bool) -> Result<usize, BadLine> {
        if let Some(Overlong { chunk }) = self.overlong {
            return Err(BadLine { fault: LineFault::TooLong, chunk });
        }
        let printable = |octet| matches!(octet, b' '..=b'~');
        let mut bad = line.iter().find(|&&octet| !printable(octet));
        if utf8 && bad.is_some() && takes_utf8(line) && std::str::from_utf8(line).is_ok() {
            bad = line.iter().find(|&&octet| !printable(octet) && octet < 0x80);
        }
        let fault = match bad {
            _ if line.len() + 2 > octets_max => LineFault::TooLong,
            None => return Ok(line.len()),
            Some(b'\r') => LineFault::BareCr,
            Some(b'\n') => LineFault::BareLf,
            Some(0x80..) => LineFault::EightBit,
            Some(&octet) => LineFault::Control(octet),
        };
        Err(BadLine { fault, chunk: is_chunk(line) })
    }
}

/// Whether a line is of a command that may be of any script (RFC 6531 section 3.4).
fn takes_utf8(line: &[u8]) -> bool {
    let verb = line.get(..5).unwrap_or_default();
    [b"MAIL ", b"RCPT ", b"VRFY ", b"EXPN "].iter().any(|word| verb.eq_ignore_ascii_case(*word))
}

/// Whether a line begins like BDAT.
fn is_chunk(line: &[u8]) -> bool {
    let verb = line.get(..4).unwrap_or(line);
    verb.eq_ignore_ascii_case(b"BDAT") && !line.get(4).is_some_and(u8::is_ascii_alphanumeric)
}

/// What follows a command line other than the next one, read from the line as received: no plug-in's
/// answer changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The next command line, or what our reply asks for.
    Line,
    /// So many octets of a message, whatever we reply (RFC 3030).
    Chunk(Chunk),
    /// Octets of a message, nobody knows how many.
    Unknown,
}

impl Framing {
    /// The framing of a line without its CRLF.
    pub(crate) fn of(line: &[u8]) -> Self {
        if !is_chunk(line) {
            return Self::Line;
        }
        let rest = line.get(4..).and_then(|rest| std::str::from_utf8(rest).ok());
        rest.filter(|rest| rest.starts_with(' ')).and_then(chunk).map_or(Self::Unknown, Self::Chunk)
    }
}

/// The argument of BDAT (RFC 3030 section 2): chunk-size [SP `LAST`].
pub(crate) fn chunk(argument: &str) -> Option<Chunk> {
    let mut words = argument.split_ascii_whitespace();
    let size = words.next()?;
    let last = words.next();
    let sound = last.is_none_or(|word| word.eq_ignore_ascii_case("LAST")) && words.next().is_none();
    // `parse` alone would take a sign.
    let digits = size.bytes().all(|octet| octet.is_ascii_digit());
    let octets = size.parse().ok().filter(|_| sound && digits)?;
    Some(Chunk { octets, last: last.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines and faults of `octets`, arriving in pieces that end at `cuts`.
    fn frames(octets: &[u8], cuts: &[usize]) -> (Vec<Result<Vec<u8>, BadLine>>, Vec<u8>) {
        let (mut framer, mut input, mut found) = (Framer::default(), Input::default(), Vec::new());
        let mut from = 0;
        for &to in cuts.iter().chain([&octets.len()]) {
            input.append(&octets[from..to]);
            from = to;
            while let Some(frame) = framer.next(&mut input, 12, false) {
                found.push(frame.map(|length| {
                    let line = input.unread()[..length].to_vec();
                    input.consume(length + 2);
                    line
                }));
            }
            assert!(input.unread().len() <= 12, "keeps {:?}", input.unread());
        }
        (found, input.unread().to_vec())
    }

    #[test]
    fn lines_end_where_they_end_however_they_arrive() {
        use LineFault::{BareCr, BareLf, Control, EightBit, TooLong};
        let bad = |fault| Err(BadLine { fault, chunk: false });
        let chunk = |fault| Err(BadLine { fault, chunk: true });
        let long = bad(TooLong);
        type Case<'a> = (&'a [u8], Vec<Result<&'a [u8], BadLine>>, &'a [u8]);
        let cases: Vec<Case<'_>> = vec![
            (b"", vec![], b""),
            (b"\r\n", vec![Ok(b"")], b""),
            (b"NOOP\r\nQUIT\r\nX", vec![Ok(b"NOOP"), Ok(b"QUIT")], b"X"),
            (b"NOOP\r", vec![], b"NOOP\r"),
            (b"NOOP\n", vec![], b"NOOP\n"),
            (b"\nNOOP\r\n", vec![bad(BareLf)], b""),
            (b"NOOP\nQ\r\nR\r\n", vec![bad(BareLf), Ok(b"R")], b""),
            (b"NOOP\rQ\r\nR\r\n", vec![bad(BareCr), Ok(b"R")], b""),
            (b"NOOP\r\r\nR\r\n", vec![bad(BareCr), Ok(b"R")], b""),
            (b"NO\0P\r\n", vec![bad(Control(0))], b""),
            (b"NO\tP\r\n", vec![bad(Control(9))], b""),
            (b"NO\x7fP\r\n", vec![bad(Control(0x7f))], b""),
            (b"NO\xc3P\r\n", vec![bad(EightBit)], b""),
            (b"1234567890\r\nR\r\n", vec![Ok(b"1234567890"), Ok(b"R")], b""),
            (b"12345678901\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"123456789012345\rx\ny\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"123456789012345\r\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"bdat 000000000\r\n", vec![chunk(TooLong)], b""),
            (b"bdatum 0000000\r\n", vec![long], b""),
            (b"BDAT 5\t\r\n", vec![chunk(Control(9))], b""),
            (b"BDAT\n5\r\n", vec![chunk(BareLf)], b""),
            (b"BDAT\xa05\r\n", vec![chunk(EightBit)], b""),
        ];
        for (octets, wanted, rest) in cases {
            let wanted: Vec<_> =
                wanted.into_iter().map(|frame| frame.map(<[u8]>::to_vec)).collect();
            let wanted = (wanted, rest.to_vec());
            assert_eq!(frames(octets, &[]), wanted, "whole {octets:?}");
            let each: Vec<_> = (1..octets.len().max(1)).collect();
            assert_eq!(frames(octets, &each), wanted, "byte by byte {octets:?}");
            for cut in 0..=octets.len() {
                assert_eq!(frames(octets, &[cut]), wanted, "cut at {cut} {octets:?}");
            }
        }
    }

    #[test]
    fn some_commands_may_be_of_any_script() {
        let judged = |octets: &[u8], utf8| {
            let (mut framer, mut input) = (Framer::default(), Input::default());
            input.append(octets);
            let frame = framer.next(&mut input, 30, utf8).unwrap();
            frame.map_err(|line| line.fault)
        };
        let cases: [(&[u8], Result<usize, LineFault>); 8] = [
            (b"MAIL \xc3\xa9\r\n", Ok(7)),
            (b"rcpt \xc3\xa9\r\n", Ok(7)),
            (b"VRFY \xc3\xa9\r\n", Ok(7)),
            (b"MAIL \xc3\xa9\t\r\n", Err(LineFault::Control(9))),
            (b"MAIL \xc3\r\n", Err(LineFault::EightBit)),
            (b"MAIL\xc2\xa0\r\n", Err(LineFault::EightBit)),
            (b"EHLO \xc3\xa9\r\n", Err(LineFault::EightBit)),
            (b"BDAT \xc3\xa9\r\n", Err(LineFault::EightBit)),
        ];
        for (octets, wanted) in cases {
            assert_eq!(judged(octets, true), wanted, "{}", octets.escape_ascii());
            let without = wanted.map_or_else(Err, |_| Err(LineFault::EightBit));
            let first = octets.iter().find(|octet| !matches!(octet, b' '..=b'~'));
            if first.is_some_and(|&octet| octet >= 0x80) {
                assert_eq!(judged(octets, false).map_err(|_| ()), without.map_err(|_| ()));
            }
        }
    }

    #[test]
    fn framing_is_read_from_the_line_as_received() {
        use Framing::{Line, Unknown};
        let chunk = |octets, last| Framing::Chunk(Chunk { octets, last });
        let cases: [(&[u8], Framing); 13] = [
            (b"", Line),
            (b"NOOP", Line),
            (b"DATA", Line),
            (b"BDAT 0", chunk(0, false)),
            (b"BDAT 86 LAST", chunk(86, true)),
            (b"bdat  86  last ", chunk(86, true)),
            (b"BDAT 18446744073709551615", chunk(u64::MAX, false)),
            (b"BDAT 18446744073709551616", Unknown),
            (b"BDAT", Unknown),
            (b"BDAT +5", Unknown),
            (b"BDAT 5 LAST x", Unknown),
            (b"BDAT:5", Unknown),
            (b"BDATE 5", Line),
        ];
        for (line, wanted) in cases {
            assert_eq!(Framing::of(line), wanted, "{line:?}");
        }
    }
}
