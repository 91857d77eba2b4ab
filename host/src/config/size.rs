//! An amount of octets as configuration files write it: `"35MB"`.
//! Knows no field: which amounts are sensible is checked where the field is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// An amount of octets; units are multiples of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(u64);

/// The units, largest first.
const UNITS: [(&str, u64); 4] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

impl Size {
    pub(super) const fn from_octets(octets: u64) -> Self {
        Self(octets)
    }

    pub(super) fn octets(self) -> u64 {
        self.0
    }

    /// Parses digits and a unit with nothing between them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let octets = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        number.parse::<u64>().ok()?.checked_mul(octets).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| self.0 >= unit.1 && self.0.is_multiple_of(unit.1);
        let (name, octets) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(out, "{}{name}", self.0 / octets)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a size in double quotes, such as \"35MB\" (units B, KB, MB, GB)")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        Size::parse(text).ok_or_else(|| {
            E::custom(format!(
                "{text:?} is not a size\nwrite a whole number and one of the units B, KB, MB, GB, such as \"35MB\""
            ))
        })
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
            ("17179869184GB", None),
            ("99999999999999999999B", None),
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
            assert_eq!(Size::parse(text).map(Size::octets), wanted, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_whole_unit() {
        let cases = [
            (0, "0B"),
            (1, "1B"),
            (1000, "1000B"),
            (65_536, "64KB"),
            (3 << 20, "3MB"),
            (1 << 30, "1GB"),
        ];
        for (octets, wanted) in cases {
            let size = Size::from_octets(octets);
            assert_eq!(size.to_string(), wanted);
            assert_eq!(Size::parse(wanted), Some(size));
        }
    }
}
