//! The id of a queued message, and where new ones come from.
//! Knows no store: any engine may use the same ids.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ulid::{Generator, Ulid};

/// The id of one message: unique, and growing in the order in which one process made them.
///
/// As text it has 26 characters, digits and capital letters, fit for a header, a log line or a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(Ulid);

/// The text is no queue id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no queue id: 26 digits and letters are wanted")]
pub struct QueueIdError(String);

impl QueueId {
    /// The octets of an id in a row or key.
    pub const OCTETS: usize = 16;
    /// No id sorts behind it.
    pub const LAST: Self = Self(Ulid::from_bytes([0xFF; Self::OCTETS]));

    /// The id as octets that sort as the ids do.
    pub fn to_bytes(self) -> [u8; Self::OCTETS] {
        self.0.to_bytes()
    }

    /// The id made of such octets.
    pub fn from_bytes(octets: [u8; Self::OCTETS]) -> Self {
        Self(Ulid::from_bytes(octets))
    }
}

impl std::fmt::Display for QueueId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for QueueId {
    type Err = QueueIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A first character above 7 would not fit into 128 bits and lose its high bits silently.
        let id = Ulid::from_string(text).map(Self);
        id.ok()
            .filter(|id| id.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| QueueIdError(text.chars().take(64).collect()))
    }
}

/// Makes queue ids. Any thread.
///
/// Each is greater than the one before, though the clock be set back; 80 random bits keep ids of two runs
/// (or two machines) apart that fall on the same millisecond.
#[derive(Debug)]
pub struct QueueIds(Mutex<Generator>);

impl QueueIds {
    /// Starts a source of ids.
    pub fn new() -> Self {
        Self(Mutex::new(Generator::new()))
    }

    /// The next id, given the time now.
    pub fn next(&self, now: SystemTime) -> QueueId {
        let mut generator = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match generator.generate_from_datetime(now) {
            Ok(id) => id,
            Err(overflow) => overflow.commit_overflow_increment(),
        };
        QueueId(id)
    }
}

impl Default for QueueIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ids_grow_though_the_clock_jumps() {
        let ids = QueueIds::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let year = Duration::from_secs(365 * 86_400);
        let mut last = ids.next(now);
        for at in [now, now - year, now + year, now, now - year, SystemTime::UNIX_EPOCH] {
            let id = ids.next(at);
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }

    #[test]
    fn ids_survive_being_text() {
        let id = QueueIds::new().next(SystemTime::now());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(QueueId::from_bytes(id.to_bytes()), id);
        for text in [
            "",
            "01BX5ZZKBKACTAV9WEVGEMMVR",
            "01BX5ZZKBKACTAV9WEVGEMMV/0",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "../../etc/passwd",
        ] {
            assert!(text.parse::<QueueId>().is_err(), "{text}");
        }
    }
}
