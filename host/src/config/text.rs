//! Reading a string through a function that knows what it means.
//! Knows no meaning itself.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a string through a function that says what is wrong and, on the next line, what to write.
pub(super) fn deserialize_text<'de, D, T>(
    from: D,
    expecting: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text<T> {
        expecting: &'static str,
        parse: fn(&str) -> Result<T, String>,
    }

    impl<T> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(self.expecting)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.parse)(text).map_err(E::custom)
        }
    }

    from.deserialize_str(Text { expecting, parse })
}
