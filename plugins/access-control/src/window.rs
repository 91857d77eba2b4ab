//! How much somebody did of late: counts over a sliding window, for many keys, in bounded memory.
//! Knows no clock: who asks says what time it is.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Counts by key. A window slides in two halves: what was counted in the one before this counts as far as the window still
/// covers it.
#[derive(Debug)]
pub(crate) struct Window<K> {
    length_ms: u64,
    keys_max: usize,
    counts: Mutex<Counts<K>>,
}

#[derive(Debug)]
struct Counts<K> {
    by_key: HashMap<K, Count>,
    /// When idle keys may be looked for again: that takes the time of all keys, so it is not done for each.
    sweep_ms: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// The number of the window, from the beginning of time.
    window: u64,
    now: u32,
    before: u32,
}

impl Count {
    fn moved_to(self, window: u64) -> Self {
        match window.saturating_sub(self.window) {
            0 => self,
            1 => Self { window, now: 0, before: self.now },
            _ => Self { window, now: 0, before: 0 },
        }
    }
}

impl<K: Hash + Eq + Clone> Window<K> {
    /// Makes one.
    ///
    /// - length_ms: how far back it counts, over 0. keys_max: how many keys it keeps; when they are too many, the idle ones
    ///   are forgotten, and then a new one is not counted.
    pub(crate) fn new(length_ms: u64, keys_max: usize) -> Self {
        let counts = Counts { by_key: HashMap::new(), sweep_ms: 0 };
        Self { length_ms: length_ms.max(1), keys_max, counts: Mutex::new(counts) }
    }

    /// Counts, unless that is more than may be.
    ///
    /// Returns whether it was within the limit.
    pub(crate) fn take(&self, key: &K, amount: u32, limit: u32, now_ms: u64) -> bool {
        let (window, into) = (now_ms / self.length_ms, now_ms % self.length_ms);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.by_key.contains_key(key) && counts.by_key.len() >= self.keys_max {
            if now_ms >= counts.sweep_ms {
                counts.by_key.retain(|_, count| window.saturating_sub(count.window) <= 1);
                counts.sweep_ms = now_ms + self.length_ms.div_ceil(4);
            }
            if counts.by_key.len() >= self.keys_max {
                return amount <= limit;
            }
        }
        let count = counts.by_key.get(key).copied().unwrap_or_default().moved_to(window);
        let covered = u64::from(count.before) * (self.length_ms - into) / self.length_ms;
        let total = covered + u64::from(count.now) + u64::from(amount);
        let within = total <= u64::from(limit);
        let now = if within { count.now.saturating_add(amount) } else { count.now };
        counts.by_key.insert(key.clone(), Count { now, ..count });
        within
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides() {
        let window = Window::new(1000, 10);
        let start = 5000;
        for _ in 0..4 {
            assert!(window.take(&"a", 1, 4, start));
        }
        assert!(!window.take(&"a", 1, 4, start + 999), "the fifth in one window");
        assert!(window.take(&"b", 1, 4, start), "another key");
        assert!(!window.take(&"a", 1, 4, start + 1000), "all of the window before are covered");
        assert!(window.take(&"a", 2, 4, start + 1500), "half of them are");
        assert!(!window.take(&"a", 1, 4, start + 1500));
        assert!(window.take(&"a", 4, 4, start + 10_000), "none is");
        assert!(!window.take(&"a", 5, 4, start + 20_000), "more than may be at once");
    }

    #[test]
    fn keys_are_bounded() {
        let window = Window::new(1000, 3);
        for key in 0..3 {
            assert!(window.take(&key, 1, 1, 0));
        }
        assert!(window.take(&3, 1, 1, 500), "not counted");
        assert!(window.take(&3, 1, 1, 500));
        assert!(!window.take(&0, 1, 1, 500), "counted");
        assert_eq!(window.len(), 3);
        assert!(window.take(&3, 1, 1, 2500), "the idle ones are forgotten");
        assert!(!window.take(&3, 1, 1, 2500));
        assert_eq!(window.len(), 1);
    }
}
