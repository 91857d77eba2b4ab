//! Reads a next hop's replies out of a stream of octets, however they are cut (RFC 5321 section 4.2.1).
//! Knows no command. What it hands on is plain text: no control octet of the peer survives.

use memchr::memchr;

use crate::{Enhanced, Reply, ReplyError};

/// Why what a next hop sent is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// A line does not start with a reply code and a space or hyphen.
    #[error("a line is not a reply: {0:?}")]
    Shape(String),
    /// A line of a multi-line reply has another code than its first.
    #[error("reply code {later} in a reply that began with {first}")]
    Code {
        /// The code of the first line.
        first: u16,
        /// The code that differs.
        later: u16,
    },
    /// A line has more than 2048 octets.
    #[error("a line of more than {LINE_OCTETS_MAX} octets")]
    LineTooLong,
    /// A reply has more than 128 lines.
    #[error("a reply of more than {LINES_MAX} lines")]
    TooManyLines,
    /// The parts do not make a reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

/// Four times what RFC 5321 section 4.5.3.1.5 allows: real servers exceed 512.
const LINE_OCTETS_MAX: usize = 2048;
/// Twice as many as there are registered keywords, one in each line of a reply to EHLO.
const LINES_MAX: usize = 128;
/// So much of the lines behind the first is kept, in octets: lines of 128 octets each.
const FURTHER_OCTETS_MAX: usize = 16 * 1024;
/// How much of a bad line an error shows.
const SHOWN_OCTETS_MAX: usize = 64;

/// The part of a reply that has arrived.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    /// The unfinished line.
    line: Vec<u8>,
    /// The finished lines.
    lines: usize,
    code: u16,
    enhanced: Option<Enhanced>,
    text: String,
    /// The whole lines behind the first, of this reply or the last, separated by LF.
    further: String,
}

impl ReplyReader {
    /// Takes octets from the front of `input` up to the end of one reply. `None`: all were taken, more are needed.
    ///
    /// Lines end at LF, with or without CR. Text beyond [`Reply::TEXT_OCTETS_MAX`] or
    /// [`Reply::LINES_MAX`] is dropped; for [`Self::further`] all lines count.
    ///
    /// # Errors
    /// What is wrong; the stream can't be read on then.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, ReplyFault> {
        while let Some(end) = memchr(b'\n', input) {
            let (line, rest) = (&input[..end], &input[end + 1..]);
            *input = rest;
            if self.line.len() + line.len() > LINE_OCTETS_MAX {
                return Err(ReplyFault::LineTooLong);
            }
            let last = if self.line.is_empty() {
                self.take_line(line)?
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                let last = self.take_line(&whole)?;
                // Keep the buffer for the next line that arrives in pieces.
                whole.clear();
                self.line = whole;
                last
            };
            if last {
                return self.finish().map(Some);
            }
        }
        if self.line.len() + input.len() > LINE_OCTETS_MAX {
            return Err(ReplyFault::LineTooLong);
        }
        self.line.extend_from_slice(input);
        *input = &[];
        Ok(None)
    }

    /// Whether a reply has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        !self.line.is_empty() || self.lines > 0
    }

    /// The lines of the last reply behind its first, separated by LF: all of them, however many a [`Reply`] may have. A line for
    /// which there is no room any more is left out whole, so that what is there says what was said.
    pub(super) fn further(&self) -> &str {
        &self.further
    }

    /// Takes one line without its LF; says whether it is the reply's last.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, ReplyFault> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let shape = || ReplyFault::Shape(plain(&line[..line.len().min(SHOWN_OCTETS_MAX)]));
        let (code, rest) = line.split_at_checked(3).ok_or_else(shape)?;
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(shape());
        }
        let code = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        // RFC 5321 section 4.2: a code alone is a reply too.
        let (last, text) = match rest.split_first() {
            None => (true, &b""[..]),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(shape()),
        };
        if self.lines > 0 && code != self.code {
            return Err(ReplyFault::Code { first: self.code, later: code });
        }
        if self.lines == LINES_MAX {
            return Err(ReplyFault::TooManyLines);
        }
        self.code = code;
        self.take_text(&plain(text));
        self.lines += 1;
        Ok(last)
    }

    /// Adds one line's text, without its enhanced code (RFC 2034 section 4: every line repeats it).
    ///
    /// The code counts whether ENHANCEDSTATUSCODES was offered or not: servers send it after a HELO too.
    fn take_text(&mut self, text: &str) {
        let (mark, behind) = text.split_once(' ').unwrap_or((text, ""));
        let fits = |mark: &Enhanced| u16::from(mark.class) == self.code / 100;
        let mark = Enhanced::parse(mark).filter(fits);
        if self.lines == 0 {
            self.enhanced = mark;
            self.text.push_str(if mark.is_some() { behind } else { text });
            self.further = String::new();
        } else {
            let line = if mark.is_some() && mark == self.enhanced { behind } else { text };
            if self.lines < Reply::LINES_MAX {
                self.text.push('\n');
                self.text.push_str(line);
            }
            if self.further.len() + line.len() < FURTHER_OCTETS_MAX {
                let joint = if self.lines == 1 { "" } else { "\n" };
                self.further.extend([joint, line]);
            }
        }
        self.text.truncate(Reply::TEXT_OCTETS_MAX);
    }

    fn finish(&mut self) -> Result<Reply, ReplyFault> {
        self.lines = 0;
        let text = std::mem::take(&mut self.text);
        Ok(Reply::checked(self.code, self.enhanced.take(), &text)?)
    }
}

/// A peer's octets as text that can do no harm: printable ASCII and tabs; a question mark for all else.
fn plain(octets: &[u8]) -> String {
    let harmless = |&octet: &u8| match octet {
        b'\t' | b' '..=b'~' => char::from(octet),
        _ => '?',
    };
    octets.iter().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that these pieces hold, up to the first fault.
    fn read_all(pieces: &[&[u8]]) -> (Vec<Reply>, Option<ReplyFault>, bool) {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match reader.read(&mut input) {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(fault) => return (replies, Some(fault), reader.is_partial()),
                }
            }
            assert!(input.is_empty());
        }
        (replies, None, reader.is_partial())
    }

    fn reply(code: u16, enhanced: Option<&str>, text: &str) -> Reply {
        Reply::checked(code, enhanced.and_then(Enhanced::parse), text).unwrap()
    }

    /// Whole, octet by octet and cut at every place: always the same.
    fn check(input: &[u8], replies: &[Reply], partial: bool) {
        let wanted = (replies.to_vec(), None, partial);
        assert_eq!(read_all(&[input]), wanted, "{}", input.escape_ascii());
        let octets: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read_all(&octets), wanted, "{}", input.escape_ascii());
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            assert_eq!(read_all(&[head, tail]), wanted, "{} cut at {cut}", input.escape_ascii());
        }
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let cases: [(&[u8], Vec<Reply>, bool); 15] = [
            (b"", vec![], false),
            (b"250 Ok\r\n", vec![reply(250, None, "Ok")], false),
            (b"250\r\n", vec![reply(250, None, "")], false),
            (b"250 \r\n", vec![reply(250, None, "")], false),
            (b"250 Ok\n", vec![reply(250, None, "Ok")], false),
            (b"250 2.1.0 Ok\r\n", vec![reply(250, Some("2.1.0"), "Ok")], false),
            (b"250 2.1.0\r\n", vec![reply(250, Some("2.1.0"), "")], false),
            (
                b"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n",
                vec![reply(550, Some("5.1.1"), "no\nsuch\nuser")],
                false,
            ),
            // A code of another class is no code; a differing later one is text.
            (b"550 4.1.1 x\r\n", vec![reply(550, None, "4.1.1 x")], false),
            (
                b"550-5.1.1 a\r\n550 5.1.2 b\r\n",
                vec![reply(550, Some("5.1.1"), "a\n5.1.2 b")],
                false,
            ),
            (
                b"220-a\r\n220-\r\n220 b\r\n250 c\r\n",
                vec![reply(220, None, "a\n\nb"), reply(250, None, "c")],
                false,
            ),
            (b"250-a\r\n", vec![], true),
            (b"25", vec![], true),
            // Nothing of a hostile next hop's control octets is handed on.
            (b"550 a\rb\x00c\x1b[2J\xff\t\r\r\n", vec![reply(550, None, "a?b?c?[2J?\t?")], false),
            (b"354 2.0.0 go\r\n", vec![reply(354, None, "2.0.0 go")], false),
        ];
        for (input, replies, partial) in cases {
            check(input, &replies, partial);
        }
    }

    #[test]
    fn what_is_no_reply_is_a_fault() {
        let shape = |line: &str| ReplyFault::Shape(line.into());
        let long = [b"250 ".as_slice(), &[b'x'; LINE_OCTETS_MAX]].concat();
        let lines = "250-x\r\n".repeat(LINES_MAX + 1);
        let cases: [(&[u8], ReplyFault); 11] = [
            (b"\r\n", shape("")),
            (b"25\r\n", shape("25")),
            (b"2a0 x\r\n", shape("2a0 x")),
            (b"250_x\r\n", shape("250_x")),
            (b"2500 x\r\n", shape("2500 x")),
            (b"HTTP/1.1 200 OK\r\n", shape("HTTP/1.1 200 OK")),
            (b"250-a\r\n251 b\r\n", ReplyFault::Code { first: 250, later: 251 }),
            (b"199 a\r\n", ReplyFault::Reply(ReplyError::Code(199))),
            (b"600 a\r\n", ReplyFault::Reply(ReplyError::Code(600))),
            (&long, ReplyFault::LineTooLong),
            (lines.as_bytes(), ReplyFault::TooManyLines),
        ];
        for (input, fault) in cases {
            let (replies, found, _) = read_all(&[input]);
            assert_eq!((replies, found), (vec![], Some(fault.clone())));
            let octets: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(read_all(&octets).1, Some(fault));
        }
    }

    #[test]
    fn a_long_reply_keeps_its_beginning() {
        let line = format!("250-{}\r\n", "x".repeat(1000));
        let input = format!("{}250 end\r\n", line.repeat(100));
        let (replies, fault, _) = read_all(&[input.as_bytes()]);
        assert_eq!(fault, None);
        assert_eq!(replies[0].text().len(), Reply::TEXT_OCTETS_MAX);
        let input = "250-x\r\n".repeat(LINES_MAX - 1) + "250 end\r\n";
        let (replies, fault, _) = read_all(&[input.as_bytes()]);
        assert_eq!(fault, None);
        assert_eq!(replies[0].text(), ["x"; Reply::LINES_MAX].join("\n"));
    }

    #[test]
    fn the_lines_behind_the_first_are_all_there() {
        let read = |input: &str| {
            let mut reader = ReplyReader::default();
            assert!(reader.read(&mut input.as_bytes()).unwrap().is_some());
            reader.further().to_owned()
        };
        assert_eq!(read("250 a\r\n"), "");
        assert_eq!(read("250-a\r\n250 \r\n"), "");
        assert_eq!(read("250-a\r\n250-\r\n250 c\r\n"), "\nc");
        assert_eq!(read("250-2.0.0 a\r\n250-2.0.0 b\r\n250 c\r\n"), "b\nc");
        let many: Vec<String> = (1..LINES_MAX).map(|number| format!("X-{number}")).collect();
        let lines: String = many.iter().map(|line| format!("250-{line}\r\n")).collect();
        let lines = format!("250-a\r\n{}", lines.replacen("250-X-127", "250 X-127", 1));
        assert_eq!(read(&lines), many.join("\n"));
        // Where there is no room for a line there may be for a shorter one; none is cut.
        let long = "y".repeat(2000);
        let lines = format!("250-a\r\n{}250 z\r\n", format!("250-{long}\r\n").repeat(20));
        assert_eq!(read(&lines), [vec![long.as_str(); 8], vec!["z"]].concat().join("\n"));
        let mut reader = ReplyReader::default();
        let mut input: &[u8] = b"250-a\r\n250 b\r\n250 c\r\n";
        for further in ["b", ""] {
            assert!(reader.read(&mut input).unwrap().is_some());
            assert_eq!(reader.further(), further);
        }
    }
}
