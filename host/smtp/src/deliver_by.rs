//! How long a message may take to its recipients (RFC 2852).
//! Knows the words and what they come to; no clock, and not what happens to a late message.

use std::fmt;
use std::time::{Duration, SystemTime};

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
    /// When the time of a message is over that was received at `received`.
    pub fn time(self, received: SystemTime) -> SystemTime {
        let time = Duration::from_secs(self.seconds.unsigned_abs());
        let over =
            if self.seconds < 0 { received.checked_sub(time) } else { received.checked_add(time) };
        over.unwrap_or(received)
    }

    /// The same, told to the next server at `now`: what is left of the time (section 4.1.4).
    pub fn passed_on(self, received: SystemTime, now: SystemTime) -> Self {
        self.after(now.duration_since(received).unwrap_or_default())
    }

    /// The same when so much more time has gone.
    pub(crate) fn after(self, gone: Duration) -> Self {
        let least = -999_999_999;
        let seconds =
            self.seconds.saturating_sub(i64::try_from(gone.as_secs()).unwrap_or(i64::MAX));
        Self { seconds: seconds.max(least), ..self }
    }

    /// Whether the time is over.
    pub fn is_over(self) -> bool {
        self.seconds <= 0
    }

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
    fn the_next_server_has_what_is_left() {
        let second = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let by = DeliverBy::parse("120;NT").unwrap();
        assert_eq!(by.time(second(1000)), second(1120));
        for (now, wanted) in [(1000, "120;NT"), (1019, "101;NT"), (1130, "-10;NT"), (900, "120;NT")]
        {
            assert_eq!(by.passed_on(second(1000), second(now)).to_string(), wanted);
        }
        let late = DeliverBy::parse("-999999999;N").unwrap();
        assert_eq!(late.passed_on(second(0), second(9)).to_string(), "-999999999;N");
        assert_eq!(DeliverBy::parse("-5;N").unwrap().time(second(1000)), second(995));
    }

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
