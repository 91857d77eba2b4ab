//! Whole numbers as configuration files write them, each within the bounds that its type states.
//! Knows no field.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of things, or of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count<const LEAST: u32, const MOST: u32>(u32);

/// A place in an order: lower comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priority(i32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    pub(super) const fn new(value: u32) -> Self {
        Self(value)
    }

    pub(super) const fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> fmt::Display for Count<LEAST, MOST> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Priority {
    const MOST: i32 = 1_000_000;

    pub(super) const fn new(value: i32) -> Self {
        Self(value)
    }

    pub(super) const fn get(self) -> i32 {
        self.0
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let within = Within { least: LEAST.into(), most: MOST.into() };
        let value = from.deserialize_i64(within)?;
        u32::try_from(value).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let within = Within { least: (-Self::MOST).into(), most: Self::MOST.into() };
        let value = from.deserialize_i64(within)?;
        i32::try_from(value).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a whole number within bounds.
struct Within {
    least: i64,
    most: i64,
}

impl fmt::Display for Within {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a whole number from {} to {}", self.least, self.most)
    }
}

impl Visitor<'_> for Within {
    type Value = i64;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        if (self.least..=self.most).contains(&value) {
            return Ok(value);
        }
        Err(E::custom(format!("{value} is out of bounds\nwrite {self}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Sample {
        count: Option<Count<1, 1000>>,
        priority: Option<Priority>,
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let cases = [
            ("count = 1", Some(1), None),
            ("count = 1_000", Some(1000), None),
            ("priority = -1000000", None, Some(-1_000_000)),
            ("count = 0x10", Some(16), None),
        ];
        for (text, count, priority) in cases {
            let read: Sample = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read.count.map(Count::get), count, "{text}");
            assert_eq!(read.priority.map(Priority::get), priority, "{text}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_name_them() {
        let cases = [
            ("count = 0", "0 is out of bounds\nwrite a whole number from 1 to 1000"),
            ("count = -1", "-1 is out of bounds\nwrite a whole number from 1 to 1000"),
            ("count = 1001", "1001 is out of bounds\nwrite a whole number from 1 to 1000"),
            (
                "count = 4294967297",
                "4294967297 is out of bounds\nwrite a whole number from 1 to 1000",
            ),
            ("count = \"5\"", "invalid type: string \"5\", expected a whole number from 1 to 1000"),
            (
                "count = 1.5",
                "invalid type: floating point `1.5`, expected a whole number from 1 to 1000",
            ),
            (
                "priority = -1000001",
                "-1000001 is out of bounds\nwrite a whole number from -1000000 to 1000000",
            ),
        ];
        for (text, wanted) in cases {
            let error = toml::from_str::<Sample>(text).expect_err(text);
            assert_eq!(error.message(), wanted, "{text}");
        }
    }
}
