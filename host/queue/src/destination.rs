//! Where mail goes: the name by which deliveries are grouped, counted and flushed.
//! Knows no route: the router says what is behind a destination.

use std::sync::Arc;

use crate::QueueName;

/// A destination: a domain or an address literal, in lower case. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(Arc<str>);

/// The text is no destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no destination: 1 to 255 visible ASCII characters are wanted")]
pub struct DestinationError(String);

/// Which mail is meant, by where it goes: all that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destinations {
    /// That for this one.
    One(Destination),
    /// That for this domain and all domains below it (`@node` of RFC 1985).
    Below(Destination),
    /// That in this queue, whatever its destinations (`#queue` of RFC 1985).
    Queue(QueueName),
    /// All that there is.
    All,
}

impl Destination {
    /// The longest name, in octets.
    pub const OCTETS_MAX: usize = 255;

    /// Makes a destination of a domain or address literal; capitals become small letters.
    ///
    /// # Errors
    /// An empty or too long name, or one with octets that are not visible ASCII.
    pub fn new(name: &str) -> Result<Self, DestinationError> {
        let sound = (1..=Self::OCTETS_MAX).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_graphic());
        if sound {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(DestinationError(name.chars().take(300).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many labels it has; the dots of an address literal separate none.
    pub(crate) fn labels(&self) -> usize {
        if self.0.starts_with('[') { 1 } else { self.0.split('.').count() }
    }

    /// The name, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lowered() {
        assert_eq!(Destination::new("Example.ORG").unwrap().as_str(), "example.org");
        for name in ["", "a b", "a\0b", "a\nb", "ä.example", &"x".repeat(256)] {
            assert!(Destination::new(name).is_err(), "{name}");
        }
    }
}
