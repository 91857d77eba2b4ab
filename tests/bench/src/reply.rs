//! SMTP replies as they arrive, in pieces (RFC 5321 section 4.2).

use memchr::memchr;

/// A peer that sends a longer line without an end is not speaking SMTP.
const LINE_BYTES_MAX: usize = 4096;

/// A complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    /// The first line; kept only when the code is neither 2xx nor 3xx.
    text: String,
}

impl Reply {
    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// Returns the first digit.
    pub(crate) fn class(&self) -> u16 {
        self.code / 100
    }

    /// Returns the reply as one line, for the count of errors.
    pub(crate) fn into_text(self) -> String {
        if self.text.is_empty() { self.code.to_string() } else { self.text }
    }
}

/// Puts replies together from what was read.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    line: Vec<u8>,
    /// Code and first text of a reply whose last line is still to come.
    begun: Option<Reply>,
}

impl ReplyReader {
    /// Takes octets from `input` up to the end of one reply. `Ok(None)`: all taken, more needed.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, String> {
        while let Some(at) = memchr(b'\n', input) {
            let (line, rest) = input.split_at(at + 1);
            *input = rest;
            let complete = if self.line.is_empty() {
                self.handle_line(line)?
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.handle_line(&line)?
            };
            if complete.is_some() {
                return Ok(complete);
            }
        }
        self.line.extend_from_slice(input);
        *input = &[];
        if self.line.len() > LINE_BYTES_MAX {
            return Err(format!("a reply line of more than {LINE_BYTES_MAX} octets"));
        }
        Ok(None)
    }

    fn handle_line(&mut self, line: &[u8]) -> Result<Option<Reply>, String> {
        let line = line.trim_ascii_end();
        let (code, last) = parse_line(line)
            .ok_or_else(|| format!("not a reply line: {:?}", String::from_utf8_lossy(line)))?;
        let reply = match self.begun.take() {
            Some(begun) if begun.code != code => {
                return Err(format!(
                    "a reply that begins with {} and goes on with {code}",
                    begun.code
                ));
            }
            Some(begun) => begun,
            None if matches!(code, 200..400) => Reply { code, text: String::new() },
            None => Reply { code, text: String::from_utf8_lossy(line).into_owned() },
        };
        if last {
            return Ok(Some(reply));
        }
        self.begun = Some(reply);
        Ok(None)
    }
}

/// Returns the code, and whether this is the last line of the reply.
fn parse_line(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'2'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.first() {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::ReplyReader;

    fn read_all(pieces: &[&[u8]]) -> Result<Vec<(u16, String)>, String> {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(reply) = reader.next(&mut input)? {
                replies.push((reply.class(), reply.into_text()));
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_at_every_split() {
        let cases: [(&str, &[(u16, &str)]); 8] = [
            ("220 ready\r\n", &[(2, "220")]),
            ("250\r\n", &[(2, "250")]),
            ("250-a\r\n250-b\r\n250 c\r\n", &[(2, "250")]),
            ("354 go\r\n250 ok\r\n", &[(3, "354"), (2, "250")]),
            ("550 5.1.1 no such user\r\n", &[(5, "550 5.1.1 no such user")]),
            ("452-first\r\n452 second\r\n", &[(4, "452-first")]),
            ("250 ok\n", &[(2, "250")]),
            ("250 unfinished", &[]),
        ];
        for (input, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(c, t)| (*c, (*t).to_owned())).collect();
            let octets = input.as_bytes();
            for split in 0..=octets.len() {
                let (head, tail) = octets.split_at(split);
                assert_eq!(read_all(&[head, tail]).as_ref(), Ok(&expected), "{input:?} at {split}");
            }
            let single: Vec<&[u8]> = octets.chunks(1).collect();
            assert_eq!(read_all(&single).as_ref(), Ok(&expected), "{input:?} octet by octet");
        }
    }

    #[test]
    fn what_is_not_a_reply() {
        let long = "x".repeat(5000);
        for input in ["", "2", "25 0", "hello", "250+x", "999 x", "150 x", "250-a\r\n251 b"] {
            let line = format!("{input}\r\n");
            assert!(read_all(&[line.as_bytes()]).is_err(), "{input:?}");
        }
        assert!(read_all(&[long.as_bytes()]).is_err());
    }
}
