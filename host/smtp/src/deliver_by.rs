//! How long a message may take to its recipients (RFC 2852).
//! Knows the words; no clock, and not what happens to a late message.

use std::fmt;

/// What BY asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    /// Seconds from when the message was received; not positive: the time is over already.
    pub seconds: i64,
    /// What is done then.
    pub late: Late,
    /// Every server on the way is to tell that it has passed the message on.
    pub trace: bool,
}

/// What becomes of a message that is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// It is delivered no more, and its sender is told.
    Return,
    /// Its sender is told that it takes so long.
    Notify,
}

impl DeliverBy {
    /// Parses the value of BY (RFC 2852 section 4): up to nine digits, a mode, and perhaps a trace. A message that is to be
    /// returned must have some time.
    pub fn parse(text: &str) -> Option<Self> {
        let (time, mode) = text.split_once(';')?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        if !matches!(digits.len(), 1..=9) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let seconds: i64 = time.parse().ok()?;
        let (mode, trace) = match mode.as_bytes() {
            [mode] => (mode, false),
            [mode, b't' | b'T'] => (mode, true),
            _ => return None,
        };
        let late = match mode {
            b'r' | b'R' if seconds > 0 => Late::Return,
            b'n' | b'N' => Late::Notify,
            _ => return None,
        };
        Some(Self { seconds, late, trace })
    }
}

/// As BY says it.
impl fmt::Display for DeliverBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.late {
            Late::Return => "R",
            Late::Notify => "N",
        };
        write!(out, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_modes_are_read_and_written() {
        let sound = [
            ("120;R", "120;R"),
            ("1;rt", "1;RT"),
            ("+999999999;N", "999999999;N"),
            ("0;n", "0;N"),
            ("-5;NT", "-5;NT"),
        ];
        for (text, written) in sound {
            let read = DeliverBy::parse(text).map(|by| by.to_string());
            assert_eq!(read.as_deref(), Some(written), "{text}");
        }
        for wrong in [
            "",
            ";",
            "120",
            "120;",
            ";R",
            "120;X",
            "120;RX",
            "120;RTT",
            "120;T",
            "0;R",
            "-1;R",
            "1234567890;R",
            "--1;N",
            "+-1;N",
            "+;N",
            "1.5;N",
            "120;R;T",
            "120 ;R",
        ] {
            assert_eq!(DeliverBy::parse(wrong), None, "{wrong}");
        }
    }
}
