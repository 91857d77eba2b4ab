//! Whole numbers as configuration files write them, each kind within its bounds.
//! Knows no field.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Defines a kind of whole number that reads within bounds and says so when it does not.
macro_rules! whole_number {
    ($(#[$doc:meta])* $name:ident: $integer:ty, $least:literal to $most:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name($integer);

        impl $name {
            pub(super) const fn new(value: $integer) -> Self {
                Self(value)
            }

            pub(super) const fn get(self) -> $integer {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Within;

                impl Visitor<'_> for Within {
                    type Value = $name;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str(concat!("a whole number from ", $least, " to ", $most))
                    }

                    fn visit_i64<E: Error>(self, value: i64) -> Result<$name, E> {
                        match <$integer>::try_from(value) {
                            Ok(fits) if (i64::from($least)..=i64::from($most)).contains(&value) => {
                                Ok($name(fits))
                            }
                            _ => Err(E::custom(format!(
                                concat!("{} is out of bounds\nwrite a whole number from ", $least, " to ", $most),
                                value
                            ))),
                        }
                    }
                }

                from.deserialize_i64(Within)
            }
        }
    };
}

whole_number! {
    /// A number of things of which there is at least one.
    Count: u32, 1 to 1_000_000
}

whole_number! {
    /// A place in an order: lower comes first.
    Priority: i32, -1_000_000 to 1_000_000
}

whole_number! {
    /// Milliseconds that somebody waits.
    Milliseconds: u32, 1 to 3_600_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Sample {
        count: Option<Count>,
        priority: Option<Priority>,
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let cases = [
            ("count = 1", Some(1), None),
            ("count = 1_000_000", Some(1_000_000), None),
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
            ("count = 0", "0 is out of bounds\nwrite a whole number from 1 to 1000000"),
            ("count = -1", "-1 is out of bounds\nwrite a whole number from 1 to 1000000"),
            ("count = 1000001", "1000001 is out of bounds\nwrite a whole number from 1 to 1000000"),
            (
                "count = 4294967297",
                "4294967297 is out of bounds\nwrite a whole number from 1 to 1000000",
            ),
            (
                "count = \"5\"",
                "invalid type: string \"5\", expected a whole number from 1 to 1000000",
            ),
            (
                "count = 1.5",
                "invalid type: floating point `1.5`, expected a whole number from 1 to 1000000",
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
