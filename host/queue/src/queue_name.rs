//! The name of a queue: mail that routes have put together, to be counted and flushed as one (`#name` of RFC 1985).
//! Knows no route: the router says which mail is in which queue.

use std::sync::Arc;

/// The name of a queue, in lower case. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

/// The text is no name of a queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a queue: 1 to 63 letters, digits, hyphens and underscores are wanted")]
pub struct QueueNameError(String);

impl QueueName {
    /// The longest name, in octets.
    pub const OCTETS_MAX: usize = 63;

    /// Makes a name, without the `#`; capitals become small letters.
    ///
    /// # Errors
    /// An empty or too long name, or one with other characters than ASCII letters, digits, `-` and `_`.
    pub fn new(name: &str) -> Result<Self, QueueNameError> {
        let sound = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if (1..=Self::OCTETS_MAX).contains(&name.len()) && name.bytes().all(sound) {
            Ok(Self(name.to_ascii_lowercase().into()))
        } else {
            Err(QueueNameError(name.chars().take(100).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for QueueName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lowered() {
        assert_eq!(QueueName::new("Branch-7_x").unwrap().as_str(), "branch-7_x");
        for name in ["", "a b", "#a", "a.b", "a\0b", "ä", &"x".repeat(64)] {
            assert!(QueueName::new(name).is_err(), "{name}");
        }
    }
}
