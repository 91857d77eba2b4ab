//! Who is connected: counts against the limits, and the ids of sessions.
//! Knows no socket and no protocol.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use stagepost_smtp::Expired;

use crate::admin::SessionsStatus;
use crate::config::Sessions as Limits;

/// The sessions of one server.
pub(crate) struct Sessions {
    limits: Limits,
    next_id: AtomicU64,
    open: Mutex<Open>,
    silent: AtomicU64,
    slow: AtomicU64,
}

/// What is counted. Each table has one entry for each session at most.
#[derive(Default)]
struct Open {
    /// Sessions that count against the limits.
    in_all: u32,
    by_address: HashMap<IpAddr, u32>,
    by_network: HashMap<IpNet, u32>,
    total: u64,
    /// Clients that got no place, by the limit that was reached.
    refused: [u64; Full::ALL.len()],
}

/// One session's place; dropping it gives the place back.
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    /// Whom it counts for; none before that is known.
    address: Option<IpAddr>,
    /// The session's id.
    pub(crate) id: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many sessions in all.
    InAll,
    /// Too many from this address.
    FromAddress,
    /// Too many from the network around it.
    FromNetwork,
}

impl Full {
    const ALL: [Self; 3] = [Self::InAll, Self::FromAddress, Self::FromNetwork];
}

impl Sessions {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        // Ids begin at the clock, so that the logs of two runs are told apart; the counter alone makes them unique.
        let seconds =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let next_id = AtomicU64::new(seconds << 20);
        let (silent, slow) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { limits, next_id, open: Mutex::default(), silent, slow })
    }

    /// Takes a place for a client; without its address it counts in all and for nobody.
    ///
    /// # Errors
    /// Which limit is reached.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Full> {
        let mut open = self.open();
        let entered = match address {
            _ if open.in_all >= self.limits.max => Err(Full::InAll),
            Some(address) => open.count(address, &self.limits),
            None => Ok(()),
        };
        entered.inspect_err(|full| open.refused[*full as usize] += 1)?;
        open.in_all += 1;
        open.total += 1;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Place { sessions: self.clone(), address, id })
    }

    /// Notes that a session has ended since its client took too long.
    pub(crate) fn expired(&self, expired: Expired) {
        let counter = match expired {
            Expired::Silent => &self.silent,
            Expired::Slow => &self.slow,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn status(&self) -> SessionsStatus {
        let open = self.open();
        let refused = |full: Full| open.refused[full as usize];
        SessionsStatus {
            open: open.in_all.into(),
            total: open.total,
            refused_in_all: refused(Full::InAll),
            refused_by_address: refused(Full::FromAddress),
            refused_by_network: refused(Full::FromNetwork),
            silent: self.silent.load(Ordering::Relaxed),
            slow: self.slow.load(Ordering::Relaxed),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Counts one more of an address and of its network; of neither when one is full.
    fn count(&mut self, address: IpAddr, limits: &Limits) -> Result<(), Full> {
        if !count(&mut self.by_address, address, limits.per_address_max) {
            return Err(Full::FromAddress);
        }
        if !count(&mut self.by_network, limits.network(address), limits.per_network_max) {
            uncount(&mut self.by_address, &address);
            return Err(Full::FromNetwork);
        }
        Ok(())
    }
}

/// Counts one more, unless there are so many.
fn count<K: Eq + Hash>(table: &mut HashMap<K, u32>, key: K, max: u32) -> bool {
    let here = table.entry(key).or_insert(0);
    let room = *here < max;
    *here += u32::from(room);
    room
}

/// Counts one less; nothing is kept of whom there is none.
fn uncount<K: Eq + Hash>(table: &mut HashMap<K, u32>, key: &K) {
    if let Some(here) = table.get_mut(key) {
        *here -= 1;
        if *here == 0 {
            table.remove(key);
        }
    }
}

impl Place {
    /// Has the place count for an address that was not known before.
    ///
    /// # Errors
    /// Which limit is reached; the place counts for nobody then.
    pub(crate) fn count(&mut self, address: IpAddr) -> Result<(), Full> {
        let mut open = self.sessions.open();
        let counted = open.count(address, &self.sessions.limits);
        counted.inspect_err(|full| open.refused[*full as usize] += 1)?;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        open.in_all -= 1;
        let Some(address) = self.address else { return };
        uncount(&mut open.by_address, &address);
        uncount(&mut open.by_network, &self.sessions.limits.network(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(max: u32, per_address_max: u32, per_network_max: u32) -> Arc<Sessions> {
        Sessions::new(Limits { max, per_address_max, per_network_max, ..Limits::default() })
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let sessions = sessions(3, 2, 3);
        let (one, two) = (address("127.0.0.1"), address("127.0.0.2"));
        let first = sessions.enter(one).ok();
        let _second = sessions.enter(one).ok();
        assert_eq!(sessions.enter(one).err(), Some(Full::FromAddress));
        let _third = sessions.enter(two).ok();
        assert_eq!(sessions.enter(two).err(), Some(Full::InAll));
        let status = sessions.status();
        assert_eq!((status.open, status.total), (3, 3));
        assert_eq!((status.refused_in_all, status.refused_by_address), (1, 1));
        drop(first);
        let fourth = sessions.enter(one).ok();
        let status = sessions.status();
        assert_eq!((status.open, status.total), (3, 4));
        drop(fourth);
        assert_eq!(sessions.open().by_address.get(&one.unwrap()), Some(&1));
    }

    #[test]
    fn a_network_counts_as_a_whole() {
        let cases = [
            ("192.0.2.1", "192.0.2.254", "192.0.3.1"),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1"),
        ];
        for (one, beside, elsewhere) in cases {
            let sessions = sessions(10, 2, 3);
            let mut places: Vec<_> =
                [one, one, beside].map(|client| sessions.enter(address(client)).ok()).into();
            assert_eq!(sessions.enter(address(beside)).err(), Some(Full::FromNetwork), "{one}");
            assert!(sessions.enter(address(elsewhere)).is_ok());
            assert_eq!(sessions.status().refused_by_network, 1);
            // Whoever was refused left nothing behind.
            assert_eq!(sessions.open().by_address.get(&address(beside).unwrap()), Some(&1));
            places.clear();
            let open = sessions.open();
            assert!(open.by_address.is_empty() && open.by_network.is_empty());
        }
    }

    #[test]
    fn a_place_may_count_for_somebody_later() {
        let sessions = sessions(10, 1, 1);
        let mut places = [0; 3].map(|_| sessions.enter(None).ok().unwrap());
        let mut count = |place: usize, client: &str| places[place].count(address(client).unwrap());
        assert_eq!(count(0, "192.0.2.1"), Ok(()));
        assert_eq!(count(1, "192.0.2.1"), Err(Full::FromAddress));
        assert_eq!(count(1, "192.0.2.2"), Err(Full::FromNetwork));
        assert_eq!(count(2, "192.0.3.1"), Ok(()));
        drop(places);
        let open = sessions.open();
        assert!(open.in_all == 0 && open.by_address.is_empty() && open.by_network.is_empty());
    }
}
