//! The message that is sent, of an exact size, and its form on the wire.

use memchr::memchr;

/// Random characters in a line, without CRLF.
const LINE_CHARACTERS: usize = 76;

/// A line may begin with a dot, so that receivers have to unstuff.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";

/// Composes a message of exactly `size` octets before stuffing: five header lines, an empty one,
/// then lines of random characters, the last of them as long as is left.
pub(crate) fn compose(size: usize, from: &str, to: &str) -> Result<Vec<u8>, String> {
    let mut message = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: measurement\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <measurement@bench.invalid>\r\n\r\n"
    )
    .into_bytes();
    let least = message.len() + 2;
    if size < least {
        return Err(format!("the header alone needs {least} octets"));
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    while message.len() < size {
        let line = match size - message.len() {
            // Not one octet over: a line is two at least.
            79 => LINE_CHARACTERS - 1,
            left => LINE_CHARACTERS.min(left - 2),
        };
        message.extend((0..line).map(|_| random.character()));
        message.extend_from_slice(b"\r\n");
    }
    Ok(message)
}

/// Returns the message as it follows the 354: dots doubled (RFC 5321 section 4.5.2), and the end.
pub(crate) fn stuff(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 32 + 3);
    let mut rest = message;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(memchr(b'\n', rest).map_or(rest.len(), |at| at + 1));
        if line[0] == b'.' {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
        rest = after;
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Xorshift: the same message in every run.
struct Random(u64);

impl Random {
    fn character(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ALPHABET[(self.0 >> 58) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{compose, stuff};

    #[test]
    fn exact_size_and_form() {
        let least = (1..1000).find(|size| compose(*size, "a@x", "b@y").is_ok());
        let least = least.expect("a header is shorter than 1000 octets");
        for size in (least..least + 400).chain([4096, 51_200]) {
            let message = compose(size, "a@x", "b@y").expect("large enough");
            assert_eq!(message.len(), size);
            let text = String::from_utf8(message).expect("ASCII");
            assert!(text.ends_with("\r\n"), "size {size}");
            let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
            assert_eq!(head.lines().count(), 5);
            for line in body.split_terminator("\r\n") {
                assert!(line.len() <= 76, "size {size}: {line:?}");
                assert!(!line.contains(['\r', '\n']), "size {size}: {line:?}");
            }
        }
        assert!(compose(least - 1, "a@x", "b@y").is_err());
    }

    #[test]
    fn dots() {
        let cases = [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("..\r\n", "...\r\n.\r\n"),
            ("a.\r\n.b\r\n", "a.\r\n..b\r\n.\r\n"),
            ("\r\n.\r\n\r\n", "\r\n..\r\n\r\n.\r\n"),
        ];
        for (message, wire) in cases {
            assert_eq!(stuff(message.as_bytes()), wire.as_bytes(), "{message:?}");
        }
    }

    #[test]
    fn a_long_message_needs_stuffing() {
        let message = compose(51_200, "a@x", "b@y").expect("large enough");
        assert!(stuff(&message).len() > message.len() + 3);
    }
}
