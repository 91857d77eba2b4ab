//! Whether octets are lines of text as every server takes them (RFC 5322 section 2.3).
//! Knows no message.

/// The longest line without its end (RFC 5321 section 4.5.3.1.6).
const LINE_OCTETS_MAX: usize = 998;

/// The state between two pieces.
#[derive(Debug, Default)]
pub(super) struct TextLines {
    /// Octets of the line so far.
    line: usize,
    /// It ends with a CR.
    cr: bool,
}

impl TextLines {
    /// Takes the next octets. Whether all is text so far.
    pub(super) fn go_on(&mut self, octets: &[u8]) -> bool {
        octets.iter().all(|&octet| match (self.cr, octet) {
            (true, b'\n') => {
                *self = Self::default();
                true
            }
            (true, _) | (false, b'\n' | 0) => false,
            (false, b'\r') => {
                self.cr = true;
                true
            }
            (false, _) => {
                self.line += 1;
                self.line <= LINE_OCTETS_MAX
            }
        })
    }

    /// Whether the last line has an end.
    pub(super) fn is_ended(&self) -> bool {
        self.line == 0 && !self.cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_whole_lines_of_bounded_length() {
        let (longest, longer) = ("x".repeat(998) + "\r\n", "x".repeat(999) + "\r\n");
        let cases = [
            ("", true),
            ("a\r\n", true),
            ("a\r\n\r\n.\r\n", true),
            ("\u{e9}\r\n", true),
            (&longest, true),
            (&longer, false),
            ("a", false),
            ("a\r", false),
            ("a\n", false),
            ("a\rb\r\n", false),
            ("\r\r\n", false),
            ("a\0\r\n", false),
        ];
        for (text, wanted) in cases {
            let mut whole = TextLines::default();
            let found = whole.go_on(text.as_bytes()) && whole.is_ended();
            assert_eq!(found, wanted, "{text:?}");
            let mut lines = TextLines::default();
            let found =
                text.as_bytes().chunks(1).all(|octet| lines.go_on(octet)) && lines.is_ended();
            assert_eq!(found, wanted, "{text:?} octet by octet");
        }
    }
}
