//! From when on a message may be delivered, as its sender asks for (RFC 4865).
//! Knows the words and the calendar; no clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// What HOLDFOR or HOLDUNTIL asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// HOLDFOR: so long after the message was received.
    After(Duration),
    /// HOLDUNTIL: at this time.
    At(SystemTime),
}

impl Release {
    /// How long a message may be held at most.
    pub const MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Parses the value of HOLDFOR (RFC 4865 section 3): one to nine digits, seconds, the first of them not 0.
    pub fn parse_after(text: &str) -> Option<Self> {
        let digits = matches!(text.len(), 1..=9) && text.bytes().all(|b| b.is_ascii_digit());
        let digits = digits && !text.starts_with('0');
        let seconds = text.parse().ok().filter(|_| digits)?;
        Some(Self::After(Duration::from_secs(seconds)))
    }

    /// Parses the value of HOLDUNTIL (RFC 4865 section 3): a date and a time of RFC 3339 section 5.6, in UTC. Times before 1970
    /// are none.
    pub fn parse_at(text: &str) -> Option<Self> {
        let time = is_date_time(text).then(|| text.parse::<Timestamp>().ok()).flatten()?;
        let since = Duration::try_from(time.duration_since(Timestamp::UNIX_EPOCH)).ok()?;
        Some(Self::At(UNIX_EPOCH + since))
    }

    /// The time before which a message is not delivered that was received at `received`.
    pub fn time(self, received: SystemTime) -> SystemTime {
        match self {
            Self::After(time) => received + time,
            Self::At(time) => time,
        }
    }
}

/// As the parameter says it.
impl fmt::Display for Release {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(time) => write!(out, "HOLDFOR={}", time.as_secs()),
            Self::At(time) => write!(out, "HOLDUNTIL={}", date_time(*time)),
        }
    }
}

/// A time as RFC 3339 writes it, to the second.
pub(crate) fn date_time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = i64::try_from(since).ok().and_then(|since| Timestamp::from_second(since).ok());
    time.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The form alone, which is stricter than what the calendar reads.
fn is_date_time(text: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let parts = |text: &str, between: char, counts: &[usize]| {
        let parts: Vec<&str> = text.split(between).collect();
        parts.len() == counts.len()
            && parts.iter().zip(counts).all(|(part, &count)| digits(part, count))
    };
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    // RFC 4865 section 3: normalized to UTC.
    let Some(time) = time.strip_suffix(['Z', 'z']) else { return false };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    parts(date, '-', &[4, 2, 2])
        && parts(time, ':', &[2, 2, 2])
        && matches!(fraction.len(), 1..=9)
        && digits(fraction, fraction.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let sound = [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-11-23t06:05:34.25z", "2026-11-23T06:05:34Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ];
        for (text, written) in sound {
            let read = Release::parse_at(text).map(|release| release.to_string());
            assert_eq!(read, Some(format!("HOLDUNTIL={written}")), "{text}");
        }
        for wrong in [
            "",
            "2026-11-23",
            "2026-11-23T06:05Z",
            "2026-11-23T06:05:34",
            "2026-11-23 06:05:34Z",
            "2026-11-23T06:05:34.Z",
            "2026-11-23T08:05:34+02:00",
            "2026-11-23T06:05:34+00:00",
            "2026-11-23T06:05:34Z[UTC]",
            "2026-11-23T06:05:34ZZ",
            "2026-02-30T06:05:34Z",
            "2026-11-23T25:05:34Z",
            "1969-12-31T23:59:59Z",
            "+02026-11-23T06:05:34Z",
            "é026-11-23T06:05:34Z",
        ] {
            assert_eq!(Release::parse_at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn intervals_are_counted_from_the_receipt() {
        let after = Release::parse_after("90");
        assert_eq!(after, Some(Release::After(Duration::from_secs(90))));
        let time = after.map(|release| release.time(UNIX_EPOCH));
        assert_eq!(time, Some(UNIX_EPOCH + Duration::from_secs(90)));
        assert_eq!(after.map(|release| release.to_string()).as_deref(), Some("HOLDFOR=90"));
        assert!(Release::parse_after("999999999").is_some());
        for wrong in ["", "1234567890", "-1", "+1", "1s", "1.5", "0", "09"] {
            assert_eq!(Release::parse_after(wrong), None, "{wrong}");
        }
    }
}
