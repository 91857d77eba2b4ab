//! Lanes as a test wants them.
//! Knows no store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::{Destination, LaneName, Lanes, Room};

/// Lanes that are as wide as each other: for each domain of the second level one.
#[derive(Debug)]
pub(in crate::local) struct Narrow {
    max: usize,
    /// There is somebody at their end.
    is_leading: bool,
    /// Nothing is let in before.
    from: Mutex<SystemTime>,
    inside: Mutex<HashMap<LaneName, usize>>,
}

impl Narrow {
    pub(in crate::local) fn lanes(max: usize) -> Arc<Self> {
        Arc::new(Self::new(max, true))
    }

    /// The same with nobody at their end.
    pub(in crate::local) fn to_nobody(max: usize) -> Arc<Self> {
        Arc::new(Self::new(max, false))
    }

    fn new(max: usize, is_leading: bool) -> Self {
        let from = Mutex::new(SystemTime::UNIX_EPOCH);
        Self { max, is_leading, from, inside: Mutex::default() }
    }

    pub(in crate::local) fn leave(&self, destination: &Destination) {
        *self.inside.lock().unwrap().get_mut(&self.lane_of(destination)).unwrap() -= 1;
    }

    pub(in crate::local) fn let_in_from(&self, from: SystemTime) {
        *self.from.lock().unwrap() = from;
    }
}

impl Lanes for Narrow {
    fn lane_of(&self, destination: &Destination) -> LaneName {
        let labels: Vec<&str> = destination.as_str().rsplit('.').take(2).collect();
        LaneName::new(labels.join("."))
    }

    fn room(&self, lane: &LaneName) -> Room {
        let inside = self.inside.lock().unwrap().get(lane).copied().unwrap_or(0);
        Room { free: self.max.saturating_sub(inside), from: *self.from.lock().unwrap() }
    }

    fn enter(&self, destination: &Destination) -> bool {
        *self.inside.lock().unwrap().entry(self.lane_of(destination)).or_default() += 1;
        self.is_leading
    }
}
