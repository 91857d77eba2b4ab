//! Turns the line ends of SMTP into those of local files: CRLF becomes LF.
//! Knows no file. A CR or LF alone is left as it is: octets are octets.

use memchr::memchr;

/// The state of one message between its pieces.
#[derive(Debug, Default)]
pub(super) struct LocalLines {
    /// The last piece ended with a CR that is not written yet.
    held_cr: bool,
}

impl LocalLines {
    /// Appends the next octets of the message to `out`.
    pub(super) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let Some(&first) = octets.first() else {
            return;
        };
        if std::mem::take(&mut self.held_cr) && first != b'\n' {
            out.push(b'\r');
        }
        let mut rest = octets;
        while let Some(at) = memchr(b'\r', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.first() {
                None => self.held_cr = true,
                Some(b'\n') => {}
                Some(_) => out.push(b'\r'),
            }
        }
        out.extend_from_slice(rest);
    }

    /// Appends what is left at the end of the message.
    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if self.held_cr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(pieces: &[&[u8]]) -> Vec<u8> {
        let mut lines = LocalLines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut out);
        }
        lines.finish(&mut out);
        out
    }

    #[test]
    fn line_ends_are_local_however_the_message_is_cut() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"", b""),
            (b"a", b"a"),
            (b"a\r\nb\r\n", b"a\nb\n"),
            (b"\r\n\r\n", b"\n\n"),
            (b"a\rb\nc\r\n", b"a\rb\nc\n"),
            (b"\r\r\n", b"\r\n"),
            (b"a\r", b"a\r"),
            (b"a\r\r", b"a\r\r"),
            (b".\r\n\0\xff\r\n", b".\n\0\xff\n"),
        ];
        for (input, wanted) in cases {
            assert_eq!(local(&[input]), wanted, "{}", input.escape_ascii());
            let octets: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(local(&octets), wanted, "{}", input.escape_ascii());
            for cut in 0..=input.len() {
                let (head, tail) = input.split_at(cut);
                assert_eq!(
                    local(&[head, b"", tail]),
                    wanted,
                    "{} cut at {cut}",
                    input.escape_ascii()
                );
            }
        }
    }
}
