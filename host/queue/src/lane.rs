//! Lanes: which destinations are served by the same servers, and how much room there is on the way to them.
//! Knows no server and no reason: whoever delivers says how much may go at a time.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::Destination;

/// The name of a lane, for people too. Destinations with the same servers have it in common. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneName(Arc<str>);

/// How much may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// So many leases.
    pub free: usize,
    /// Not before this time, which may be long past.
    pub from: SystemTime,
}

/// Says how much may go where at a time, so that a slow destination with much mail neither fills the hands of whoever delivers
/// nor hides others behind it. Any thread. A store asks while it holds locks of its own: nothing here waits, or calls the store.
pub trait Lanes: fmt::Debug + Send + Sync {
    /// The lane of a destination, the same each time.
    fn lane_of(&self, destination: &Destination) -> LaneName;

    /// How many leases more may be handed out for a lane.
    fn room(&self, lane: &LaneName) -> Room;

    /// Learns that one lease more is handed out. Whoever gets it tells the lanes when it counts no longer. Whether its message
    /// is likely to be asked for: not where nobody is at the end of the lane.
    fn enter(&self, destination: &Destination) -> bool;
}

impl LaneName {
    /// A name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The same as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Destination> for LaneName {
    /// The lane of a destination that shares its servers with nobody.
    fn from(destination: &Destination) -> Self {
        Self(destination.shared())
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
