//! Moments as Domino has them: hundredths of a second since midnight, and the day by its Julian number, both GMT.
//! Knows no clock.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The Julian day number of 1 January 1970.
const EPOCH_DAY: i64 = 2_440_588;

/// A moment; laid out as TIMEDATE.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeDate(pub(crate) [u32; 2]);

impl TimeDate {
    /// Makes one of a moment, as far as it can be had.
    pub(crate) fn of(moment: Timestamp) -> Self {
        let hundredths = moment.as_millisecond().div_euclid(10);
        let day = hundredths.div_euclid(8_640_000) + EPOCH_DAY;
        let ticks = hundredths.rem_euclid(8_640_000);
        // Both fit: a day has 8,640,000 of them, and years end at 9999.
        Self([u32::try_from(ticks).unwrap_or(0), u32::try_from(day).unwrap_or(0) & 0x00ff_ffff])
    }

    /// Reads the value of a Date field (RFC 5322 section 3.3).
    pub(crate) fn of_date(text: &[u8]) -> Option<Self> {
        let parsed = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self::of(parsed))
    }

    pub(crate) fn read(octets: &[u8]) -> Option<Self> {
        let (first, second) = (octets.first_chunk()?, octets.get(4..)?.first_chunk()?);
        Some(Self([u32::from_ne_bytes(*first), u32::from_ne_bytes(*second)]))
    }

    pub(crate) fn octets(self) -> [u8; 8] {
        let [first, second] = self.0.map(u32::to_ne_bytes);
        let mut octets = [0; 8];
        octets[..4].copy_from_slice(&first);
        octets[4..].copy_from_slice(&second);
        octets
    }
}

impl fmt::Display for TimeDate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ticks, day] = self.0;
        let days = i64::from(day & 0x00ff_ffff) - EPOCH_DAY;
        match Timestamp::from_millisecond(days * 86_400_000 + i64::from(ticks) * 10) {
            Ok(moment) => write!(out, "{}", moment.strftime("%Y-%m-%d %H:%M:%S GMT")),
            Err(_) => out.write_str("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_astronomers_do() {
        let noon = TimeDate::of_date(b"Sat, 1 Jan 2000 13:00:00.0 +0100");
        assert_eq!(noon, None, "a second has no fraction there");
        let noon = TimeDate::of_date(b"Sat, 1 Jan 2000 13:00:00 +0100").unwrap();
        assert_eq!(noon, TimeDate([4_320_000, 2_451_545]));
        assert_eq!(noon.to_string(), "2000-01-01 12:00:00 GMT");
        assert_eq!(TimeDate::read(&noon.octets()), Some(noon));
        assert_eq!(TimeDate::of_date(b"yesterday"), None);
    }
}
