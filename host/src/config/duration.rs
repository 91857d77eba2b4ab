//! A length of time as configuration files write it: `"5m"`.
//! Knows no field: which lengths are sensible is checked where the field is.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period(Duration);

/// The units in milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Period {
    /// The longest time that can be configured: what is longer is a slip of the pen.
    const MAX_MS: u64 = 3650 * 86_400_000;

    pub(super) const fn new(duration: Duration) -> Self {
        Self(duration)
    }

    pub(super) fn duration(self) -> Duration {
        self.0
    }

    /// Parses digits and a unit with nothing between them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
        (ms <= Self::MAX_MS).then_some(Self(Duration::from_millis(ms)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fits =
            |unit: &&(&str, u64)| ms >= u128::from(unit.1) && ms.is_multiple_of(u128::from(unit.1));
        let (name, unit_ms) = UNITS.iter().find(fits).unwrap_or(&("s", 1000));
        write!(out, "{}{name}", ms / u128::from(*unit_ms))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(PeriodVisitor)
    }
}

struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a time in double quotes, such as \"5m\" (units ms, s, m, h, d)")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        Period::parse(text).ok_or_else(|| {
            E::custom(format!(
                "{text:?} is not a time\nwrite a whole number and one of the units ms, s, m, h, d, such as \"5m\" (at most \"3650d\")"
            ))
        })
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
            ("3650d", Some(Period::MAX_MS)),
            ("3651d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
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
            let parsed = Period::parse(text).map(|period| period.duration().as_millis());
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
            let period = Period::new(Duration::from_millis(ms));
            assert_eq!(period.to_string(), wanted);
            assert_eq!(Period::parse(wanted), Some(period));
        }
    }
}
