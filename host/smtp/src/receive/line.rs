//! Command lines: where one ends, and which octets it may hold.
//! Knows no command but BDAT, because octets follow that one.

use memchr::memchr;

use super::input::Input;
use crate::Reply;

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

/// Why a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFault {
    /// Longer than the limit; `chunk` when it began like BDAT.
    TooLong { chunk: bool },
    /// A CR that no LF follows.
    BareCr,
    /// An LF that no CR precedes.
    BareLf,
    /// NUL or another control octet.
    Control(u8),
    /// An octet above 127: no extension that allows it was offered.
    EightBit,
}

impl LineFault {
    /// Whether the line was longer than allowed.
    pub(crate) fn is_too_long(self) -> bool {
        matches!(self, Self::TooLong { .. })
    }

    /// The reply to such a line. The line was dropped whole; the session goes on.
    pub(crate) fn reply(self) -> Reply {
        let words = match self {
            // RFC 5321 section 4.5.3.1.9.
            Self::TooLong { .. } => "Line too long".into(),
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
    /// it; or the fault of a line that has been used up. `None`: the line is not complete yet.
    pub(crate) fn next(
        &mut self,
        input: &mut Input,
        octets_max: usize,
    ) -> Option<Result<usize, LineFault>> {
        while let Some(lf) = memchr(b'\n', &input.unread()[self.scanned..]) {
            let lf = self.scanned + lf;
            self.scanned = lf + 1;
            let line = &input.unread()[..lf];
            if let Some(line) = line.strip_suffix(b"\r") {
                let verdict = self.judge(line, octets_max);
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

    fn judge(&self, line: &[u8], octets_max: usize) -> Result<usize, LineFault> {
        if let Some(Overlong { chunk }) = self.overlong {
            return Err(LineFault::TooLong { chunk });
        }
        if line.len() + 2 > octets_max {
            let chunk = is_chunk(line);
            return Err(LineFault::TooLong { chunk });
        }
        match line.iter().find(|&&octet| !matches!(octet, b' '..=b'~')) {
            None => Ok(line.len()),
            Some(b'\r') => Err(LineFault::BareCr),
            Some(b'\n') => Err(LineFault::BareLf),
            Some(octet @ 0x80..) if *octet >= 0x80 => Err(LineFault::EightBit),
            Some(&octet) => Err(LineFault::Control(octet)),
        }
    }
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
    Chunk(u64),
    /// Octets of a message, nobody knows how many.
    Unknown,
}

impl Framing {
    /// The framing of a line without its CRLF.
    pub(crate) fn of(line: &[u8]) -> Self {
        let end = memchr(b' ', line).unwrap_or(line.len());
        let (_, rest) = line.split_at(end);
        if !is_chunk(line) {
            return Self::Line;
        }
        chunk_octets(rest).map_or(Self::Unknown, Self::Chunk)
    }
}

/// RFC 3030 section 2: `BDAT` SP chunk-size [SP `LAST`].
fn chunk_octets(rest: &[u8]) -> Option<u64> {
    let mut words = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let size = words.next()?;
    let last = words.next();
    let sound = last.is_none_or(|word| word.eq_ignore_ascii_case("LAST")) && words.next().is_none();
    // `parse` alone would take a sign.
    let digits = size.bytes().all(|octet| octet.is_ascii_digit());
    if sound && digits { size.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines and faults of `octets`, arriving in pieces that end at `cuts`.
    fn frames(octets: &[u8], cuts: &[usize]) -> (Vec<Result<Vec<u8>, LineFault>>, Vec<u8>) {
        let (mut framer, mut input, mut found) = (Framer::default(), Input::default(), Vec::new());
        let mut from = 0;
        for &to in cuts.iter().chain([&octets.len()]) {
            input.append(&octets[from..to]);
            from = to;
            while let Some(frame) = framer.next(&mut input, 12) {
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
        let long = Err(TooLong { chunk: false });
        type Case<'a> = (&'a [u8], Vec<Result<&'a [u8], LineFault>>, &'a [u8]);
        let cases: Vec<Case<'_>> = vec![
            (b"", vec![], b""),
            (b"\r\n", vec![Ok(b"")], b""),
            (b"NOOP\r\nQUIT\r\nX", vec![Ok(b"NOOP"), Ok(b"QUIT")], b"X"),
            (b"NOOP\r", vec![], b"NOOP\r"),
            (b"NOOP\n", vec![], b"NOOP\n"),
            (b"\nNOOP\r\n", vec![Err(BareLf)], b""),
            (b"NOOP\nQ\r\nR\r\n", vec![Err(BareLf), Ok(b"R")], b""),
            (b"NOOP\rQ\r\nR\r\n", vec![Err(BareCr), Ok(b"R")], b""),
            (b"NOOP\r\r\nR\r\n", vec![Err(BareCr), Ok(b"R")], b""),
            (b"NO\0P\r\n", vec![Err(Control(0))], b""),
            (b"NO\tP\r\n", vec![Err(Control(9))], b""),
            (b"NO\x7fP\r\n", vec![Err(Control(0x7f))], b""),
            (b"NO\xc3P\r\n", vec![Err(EightBit)], b""),
            (b"1234567890\r\nR\r\n", vec![Ok(b"1234567890"), Ok(b"R")], b""),
            (b"12345678901\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"123456789012345\rx\ny\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"123456789012345\r\r\nR\r\n", vec![long, Ok(b"R")], b""),
            (b"bdat 000000000\r\n", vec![Err(TooLong { chunk: true })], b""),
            (b"bdatum 0000000\r\n", vec![long], b""),
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
    fn framing_is_read_from_the_line_as_received() {
        use Framing::{Chunk, Line, Unknown};
        let cases: [(&[u8], Framing); 13] = [
            (b"", Line),
            (b"NOOP", Line),
            (b"DATA", Line),
            (b"BDAT 0", Chunk(0)),
            (b"BDAT 86 LAST", Chunk(86)),
            (b"bdat  86  last ", Chunk(86)),
            (b"BDAT 18446744073709551615", Chunk(u64::MAX)),
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
