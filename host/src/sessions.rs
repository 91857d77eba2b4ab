//! Who is connected: counts against the limits, and the ids of sessions.
//! Knows no socket and no protocol.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::admin::SessionsStatus;
use crate::config::Sessions as Limits;

/// The sessions of one server.
pub(crate) struct Sessions {
    limits: Limits,
    next_id: AtomicU64,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Sessions that count against the limits.
    in_all: u32,
    by_address: HashMap<IpAddr, u32>,
    total: u64,
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
}

impl Sessions {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        // Ids begin at the clock, so that the logs of two runs are told apart; the counter alone makes them unique.
        let seconds =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let next_id = AtomicU64::new(seconds << 20);
        Arc::new(Self { limits, next_id, open: Mutex::default() })
    }

    /// Takes a place for a client; without its address it counts in all and for nobody.
    ///
    /// # Errors
    /// Which limit is reached.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Full> {
        let mut open = self.open();
        if open.in_all >= self.limits.max {
            return Err(Full::InAll);
        }
        if let Some(address) = address {
            open.count(address, &self.limits)?;
        }
        open.in_all += 1;
        open.total += 1;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Ok(Place { sessions: self.clone(), address, id })
    }

    pub(crate) fn status(&self) -> SessionsStatus {
        let open = self.open();
        SessionsStatus { open: open.in_all.into(), total: open.total }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Counts one more of an address.
    fn count(&mut self, address: IpAddr, limits: &Limits) -> Result<(), Full> {
        let here = self.by_address.entry(address).or_insert(0);
        if *here >= limits.per_address_max {
            return Err(Full::FromAddress);
        }
        *here += 1;
        Ok(())
    }
}

impl Place {
    /// Has the place count for an address that was not known before.
    ///
    /// # Errors
    /// Which limit is reached; the place counts for nobody then.
    pub(crate) fn count(&mut self, address: IpAddr) -> Result<(), Full> {
        self.sessions.open().count(address, &self.sessions.limits)?;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        open.in_all -= 1;
        let Some(address) = self.address else { return };
        if let Some(here) = open.by_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let sessions = Sessions::new(Limits { max: 3, per_address_max: 2 });
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let first = sessions.enter(Some(one)).ok();
        let _second = sessions.enter(Some(one)).ok();
        assert_eq!(sessions.enter(Some(one)).err(), Some(Full::FromAddress));
        let _third = sessions.enter(Some(two)).ok();
        assert_eq!(sessions.enter(Some(two)).err(), Some(Full::InAll));
        assert_eq!(sessions.status(), SessionsStatus { open: 3, total: 3 });
        drop(first);
        let fourth = sessions.enter(Some(one)).ok();
        assert_eq!(sessions.status(), SessionsStatus { open: 3, total: 4 });
        drop(fourth);
        assert_eq!(sessions.open().by_address.get(&one), Some(&1));
    }
}
