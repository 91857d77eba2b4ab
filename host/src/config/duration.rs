//! A length of time as configuration files write it: `"5m"`, within the bounds that its type states.
//! Knows no field.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A length of time in whole milliseconds; the bounds are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period<const LEAST_S: u64, const MOST_S: u64>(Duration);

/// The units in milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl<const LEAST_S: u64, const MOST_S: u64> Period<LEAST_S, MOST_S> {
    pub(super) const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    pub(super) fn duration(self) -> Duration {
        self.0
    }
}

impl<'de, const LEAST_S: u64, const MOST_S: u64> Deserialize<'de> for Period<LEAST_S, MOST_S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (least, most) = (Duration::from_secs(LEAST_S), Duration::from_secs(MOST_S));
        from.deserialize_str(Within { least, most }).map(Self)
    }
}

/// Parses digits and a unit with nothing between them; what is too long for the type is the longest it has.
fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let number = if digits == 0 { None } else { Some(number.parse::<u64>().unwrap_or(u64::MAX)) };
    number.map(|number| Duration::from_millis(number.saturating_mul(unit_ms)))
}

/// A length of time as it would be written, in the largest unit that it is a whole number of.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Written(pub(super) Duration);

impl fmt::Display for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fits =
            |unit: &&(&str, u64)| ms >= u128::from(unit.1) && ms.is_multiple_of(u128::from(unit.1));
        let (name, unit_ms) = UNITS.iter().find(fits).unwrap_or(&("s", 1000));
        write!(out, "{}{name}", ms / u128::from(*unit_ms))
    }
}

/// Reads a length of time within bounds.
struct Within {
    least: Duration,
    most: Duration,
}

impl fmt::Display for Within {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (Written(self.least), Written(self.most));
        write!(out, "a time in double quotes from \"{least}\" to \"{most}\" (units ms, s, m, h, d)")
    }
}

impl Visitor<'_> for Within {
    type Value = Duration;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        let problem = match parse(text) {
            Some(duration) if (self.least..=self.most).contains(&duration) => return Ok(duration),
            Some(_) => "out of bounds",
            None => "not a time",
        };
        Err(E::custom(format!("{text:?} is {problem}\nwrite {self}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        let cases = [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("4h", Some(14_400_000)),
            ("5d", Some(432_000_000)),
            ("99999999999999999999s", Some(u64::MAX)),
            ("18446744073709551615d", Some(u64::MAX)),
            ("", None),
            ("5", None),
            ("m", None),
            ("5M", None),
            ("5 m", None),
            ("1.5h", None),
            ("-5m", None),
            ("1h30m", None),
            ("5min", None),
        ];
        for (text, wanted) in cases {
            let parsed = parse(text).map(|duration| duration.as_millis());
            assert_eq!(parsed, wanted.map(u128::from), "{text:?}");
        }
    }

    #[test]
    fn times_are_written_in_the_largest_whole_unit() {
        let cases = [
            (0, "0s"),
            (1, "1ms"),
            (1500, "1500ms"),
            (90_000, "90s"),
            (300_000, "5m"),
            (86_400_000, "1d"),
        ];
        for (ms, wanted) in cases {
            let duration = Duration::from_millis(ms);
            assert_eq!(Written(duration).to_string(), wanted);
            assert_eq!(parse(wanted), Some(duration));
        }
    }

    #[test]
    fn times_keep_within_their_bounds() {
        #[derive(Debug, serde::Deserialize)]
        struct Sample {
            period: Period<1, 3600>,
        }
        let remedy = "write a time in double quotes from \"1s\" to \"1h\" (units ms, s, m, h, d)";
        let cases = [
            ("\"1s\"", Ok(1000)),
            ("\"60m\"", Ok(3_600_000)),
            ("\"999ms\"", Err(format!("\"999ms\" is out of bounds\n{remedy}"))),
            ("\"61m\"", Err(format!("\"61m\" is out of bounds\n{remedy}"))),
            ("\"1\"", Err(format!("\"1\" is not a time\n{remedy}"))),
        ];
        for (text, wanted) in cases {
            let read = toml::from_str::<Sample>(&format!("period = {text}"));
            let ms = read.map(|read| read.period.duration().as_millis());
            assert_eq!(ms.map_err(|error| error.message().to_owned()), wanted, "{text}");
        }
    }
}
