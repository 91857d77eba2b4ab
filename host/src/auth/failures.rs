//! How often logins have failed, by address and by name: counts that fade, in tables that do not grow.
//! Knows no password, no session and no clock.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::FailureLimits;

/// The most entries of a table. One more takes the place of one that counts little.
const ENTRIES_MAX: usize = 65_536;
/// How many entries are looked at for one that counts little.
const LOOKED_AT: usize = 64;
/// No answer is held back longer.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// The counts. Any thread.
#[derive(Debug)]
pub(crate) struct Failures {
    limits: FailureLimits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_address: Table<IpAddr>,
    by_user: Table<String>,
    /// Addresses that a user has logged in from lately.
    at_home: Table<(String, IpAddr)>,
}

/// Counts that fade.
#[derive(Debug)]
struct Table<K>(HashMap<K, (f64, Instant)>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Failures {
    pub(crate) fn new(limits: FailureLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Whether nothing is looked at for this name from there.
    pub(crate) fn is_barred(&self, address: IpAddr, user: &str, now: Instant) -> bool {
        let (address, user) = (network(address), user.to_lowercase());
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let FailureLimits { per_address_max, per_user_max, .. } = self.limits;
        let fades = |max| self.fades(max);
        let failed = counts.by_address.level(&address, fades(per_address_max), now);
        if bars(failed, per_address_max) {
            return true;
        }
        let failed = counts.by_user.level(&user, fades(per_user_max), now);
        let at_home = || counts.at_home.level(&(user.clone(), address), fades(1), now) > 0.0;
        bars(failed, per_user_max) && !at_home()
    }

    /// Counts a failed login; how long its answer is to be held back.
    pub(crate) fn failed(&self, address: IpAddr, user: &str, now: Instant) -> Duration {
        let (address, user) = (network(address), user.to_lowercase());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let FailureLimits { per_address_max, per_user_max, delay, .. } = self.limits;
        let by_address = counts.by_address.add(address, self.fades(per_address_max), now);
        let by_user = counts.by_user.add(user, self.fades(per_user_max), now);
        delay.mul_f64(by_address.max(by_user).min(1e6)).min(DELAY_MAX)
    }

    /// Counts a login: nothing is held against its user there any more.
    pub(crate) fn succeeded(&self, address: IpAddr, user: &str, now: Instant) {
        let (address, user) = (network(address), user.to_lowercase());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.by_user.0.remove(&user);
        let key = (user, address);
        counts.at_home.0.remove(&key);
        counts.at_home.add(key, self.fades(1), now);
    }

    /// How much of a count fades in a second, where `max` fade in the time of the limits.
    fn fades(&self, max: u32) -> f64 {
        f64::from(max) / self.limits.memory.as_secs_f64().max(1e-3)
    }
}

impl<K: Eq + Hash + Clone> Table<K> {
    /// What is left of a count.
    fn level(&self, key: &K, fades: f64, now: Instant) -> f64 {
        self.0.get(key).map_or(0.0, |entry| left(*entry, fades, now))
    }

    /// Counts one more; the count.
    fn add(&mut self, key: K, fades: f64, now: Instant) -> f64 {
        if self.0.len() >= ENTRIES_MAX && !self.0.contains_key(&key) {
            self.make_room(fades, now);
        }
        let level = self.level(&key, fades, now) + 1.0;
        self.0.insert(key, (level, now));
        level
    }

    fn make_room(&mut self, fades: f64, now: Instant) {
        self.0.retain(|_, entry| left(*entry, fades, now) > 0.0);
        if self.0.len() < ENTRIES_MAX {
            return;
        }
        let looked_at = self.0.iter().take(LOOKED_AT);
        let least = looked_at.min_by(|(_, one), (_, other)| one.0.total_cmp(&other.0));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
    }
}

/// Whether so many have failed: what has faded since the last of them does not count.
fn bars(failed: f64, max: u32) -> bool {
    failed > f64::from(max) - 0.5
}

fn left((level, at): (f64, Instant), fades: f64, now: Instant) -> f64 {
    (level - now.saturating_duration_since(at).as_secs_f64() * fades).max(0.0)
}

/// What counts as one: an IPv4 address, or the /64 that one customer of IPv6 has at least.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(prefix.into())
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limits() -> FailureLimits {
        FailureLimits {
            delay: Duration::from_secs(1),
            per_address_max: 3,
            per_user_max: 5,
            memory: 3 * MINUTE,
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_barred_and_comes_back() {
        let (failures, begun) = (Failures::new(limits()), Instant::now());
        let there = ip("192.0.2.1");
        let delays: Vec<u64> = (0..3)
            .map(|number| failures.failed(there, &format!("u{number}"), begun).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 3]);
        assert!(failures.is_barred(there, "other", begun));
        assert!(failures.is_barred(ip("::ffff:192.0.2.1"), "other", begun));
        assert!(!failures.is_barred(ip("192.0.2.2"), "u0", begun));
        // One of three has faded.
        assert!(!failures.is_barred(there, "other", begun + MINUTE));
        assert_eq!(failures.failed(there, "x", begun + 3 * MINUTE).as_secs(), 1);
    }

    #[test]
    fn a_name_is_barred_but_where_its_user_is_at_home() {
        let (failures, begun) = (Failures::new(limits()), Instant::now());
        let home = ip("2001:db8:1:2::7");
        failures.succeeded(home, "Alice", begun);
        for number in 0..5 {
            failures.failed(ip(&format!("192.0.2.{number}")), "alice", begun);
        }
        assert!(failures.is_barred(ip("192.0.2.99"), "ALICE", begun));
        assert!(!failures.is_barred(ip("2001:db8:1:2::8"), "alice", begun));
        assert!(failures.is_barred(ip("2001:db8:1:3::8"), "alice", begun));
        failures.succeeded(home, "alice", begun);
        assert!(!failures.is_barred(ip("192.0.2.99"), "alice", begun));
    }

    #[test]
    fn delays_and_tables_are_bounded() {
        let (failures, begun) = (Failures::new(limits()), Instant::now());
        let delay = (0..100).map(|_| failures.failed(ip("192.0.2.1"), "a", begun)).last();
        assert_eq!(delay, Some(DELAY_MAX));
        for number in 0..ENTRIES_MAX + 10 {
            let address = IpAddr::V4((number as u32).into());
            failures.failed(address, &number.to_string(), begun);
        }
        let counts = failures.counts.lock().unwrap();
        assert_eq!((counts.by_address.0.len(), counts.by_user.0.len()), (ENTRIES_MAX, ENTRIES_MAX));
        // What counts much stays.
        assert!(counts.by_user.level(&"a".to_owned(), 1.0, begun) >= 100.0);
    }
}
