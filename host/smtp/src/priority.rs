//! How urgent a message is to its sender (RFC 6710).
//! Knows the levels, not what is done for them.

use std::fmt;

/// A level from -9 to 9; 0 is that of mail without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// Parses the value of MT-PRIORITY (RFC 6710 section 7): one digit, and a minus before one that is not 0.
    pub fn parse(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [digit @ b'0'..=b'9'] => Some(Self((digit - b'0') as i8)),
            [b'-', digit @ b'1'..=b'9'] => Some(Self(-((digit - b'0') as i8))),
            _ => None,
        }
    }

    /// The level.
    pub fn level(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_written() {
        for level in -9..=9 {
            let text = format!("{level}");
            let read = Priority::parse(&text);
            assert_eq!(read.map(Priority::level), Some(level));
            assert_eq!(read.map(|read| read.to_string()), Some(text));
        }
        for wrong in ["", "-", "-0", "+1", "10", "-10", "00", "1 ", "x", "1.5"] {
            assert_eq!(Priority::parse(wrong), None, "{wrong}");
        }
    }
}
