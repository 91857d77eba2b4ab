//! An amount of octets as configuration files write it: `"35MB"`, within the bounds that its type states.
//! Knows no field.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// An amount of octets; units are multiples of 1024. With `OR_ZERO`, 0 is taken below `LEAST` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const LEAST: u64, const MOST: u64, const OR_ZERO: bool = false>(u64);

/// The units, largest first.
const UNITS: [(&str, u64); 4] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

impl<const LEAST: u64, const MOST: u64, const OR_ZERO: bool> Size<LEAST, MOST, OR_ZERO> {
    pub(super) const fn from_octets(octets: u64) -> Self {
        Self(octets)
    }

    pub(super) fn octets(self) -> u64 {
        self.0
    }
}

impl<'de, const LEAST: u64, const MOST: u64, const OR_ZERO: bool> Deserialize<'de>
    for Size<LEAST, MOST, OR_ZERO>
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let within = Within { least: LEAST, most: MOST, or_zero: OR_ZERO };
        from.deserialize_str(within).map(Self)
    }
}

/// Parses digits and a unit with nothing between them; what is too large for the type is the largest it has.
fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let octets = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let number = if digits == 0 { None } else { Some(number.parse::<u64>().unwrap_or(u64::MAX)) };
    number.map(|number| number.saturating_mul(octets))
}

/// An amount in the largest unit that it is a whole number of.
struct Written(u64);

impl fmt::Display for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| self.0 >= unit.1 && self.0.is_multiple_of(unit.1);
        let (name, octets) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(out, "\"{}{name}\"", self.0 / octets)
    }
}

/// Reads an amount within bounds.
struct Within {
    least: u64,
    most: u64,
    or_zero: bool,
}

impl fmt::Display for Within {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (Written(self.least), Written(self.most));
        let zero = if self.or_zero { ", or \"0B\" for no limit" } else { "" };
        write!(out, "a size in double quotes from {least} to {most} (units B, KB, MB, GB){zero}")
    }
}

impl Visitor<'_> for Within {
    type Value = u64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let problem = match parse(text) {
            Some(0) if self.or_zero => return Ok(0),
            Some(octets) if (self.least..=self.most).contains(&octets) => return Ok(octets),
            Some(_) => "out of bounds",
            None => "not a size",
        };
        Err(E::custom(format!("{text:?} is {problem}\nwrite {self}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        let cases = [
            ("0B", Some(0)),
            ("512B", Some(512)),
            ("64KB", Some(65_536)),
            ("35MB", Some(36_700_160)),
            ("1GB", Some(1 << 30)),
            ("17179869183GB", Some(17_179_869_183 << 30)),
            ("17179869184GB", Some(u64::MAX)),
            ("99999999999999999999B", Some(u64::MAX)),
            ("", None),
            ("35", None),
            ("MB", None),
            ("35mb", None),
            ("35 MB", None),
            ("3.5MB", None),
            ("-1MB", None),
            ("+1MB", None),
            ("35MiB", None),
            ("35MB ", None),
            ("٣MB", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_whole_unit() {
        let cases = [
            (0, "\"0B\""),
            (1, "\"1B\""),
            (1000, "\"1000B\""),
            (65_536, "\"64KB\""),
            (3 << 20, "\"3MB\""),
            (1 << 30, "\"1GB\""),
        ];
        for (octets, wanted) in cases {
            assert_eq!(Written(octets).to_string(), wanted);
            assert_eq!(parse(wanted.trim_matches('"')), Some(octets));
        }
    }

    #[test]
    fn sizes_keep_within_their_bounds() {
        #[derive(Debug, serde::Deserialize)]
        struct Sample {
            size: Option<Size<1000, 4096>>,
            limit: Option<Size<1000, 4096, true>>,
        }
        let size = "write a size in double quotes from \"1000B\" to \"4KB\" (units B, KB, MB, GB)";
        let cases = [
            ("size = \"1000B\"", Ok(Some(1000))),
            ("size = \"4KB\"", Ok(Some(4096))),
            ("limit = \"0B\"", Ok(Some(0))),
            ("size = \"0B\"", Err(format!("\"0B\" is out of bounds\n{size}"))),
            ("size = \"5KB\"", Err(format!("\"5KB\" is out of bounds\n{size}"))),
            ("size = \"5\"", Err(format!("\"5\" is not a size\n{size}"))),
            (
                "limit = \"1B\"",
                Err(format!("\"1B\" is out of bounds\n{size}, or \"0B\" for no limit")),
            ),
        ];
        for (text, wanted) in cases {
            let read = toml::from_str::<Sample>(text).map_err(|error| error.message().to_owned());
            let octets = read
                .map(|read| read.size.map(Size::octets).or_else(|| read.limit.map(Size::octets)));
            assert_eq!(octets, wanted, "{text}");
        }
    }
}
