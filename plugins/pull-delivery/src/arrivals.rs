//! Mail that comes while a call waits for it: how much of what was asked for, and when the last of it.
//! Knows no call; each that waits is told by itself.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::scope::Scope;

/// All calls that wait. Any thread.
#[derive(Clone, Default)]
pub(crate) struct Arrivals(Arc<All>);

#[derive(Default)]
struct All {
    /// How many wait, to be looked at without a lock: mostly nobody does.
    count: AtomicUsize,
    awaited: Mutex<Vec<Arc<Awaited>>>,
}

/// What one call waits for.
pub(crate) struct Awaited {
    /// Mail from here counts.
    server: Option<IpAddr>,
    /// Mail for these counts, wherever it comes from.
    domains: Vec<Scope>,
    came: Mutex<Came>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Came {
    messages: u64,
    last: Option<Instant>,
}

/// A call's place among those that wait, given back when it is dropped.
pub(crate) struct Waiting {
    all: Arc<All>,
    awaited: Arc<Awaited>,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All that was promised has come.
    Complete,
    /// Nothing more has come for a while.
    Quiet,
    /// It took too long.
    Timeout,
    /// It is to end.
    Stopped,
}

/// How long a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// What the server has promised; none: it did not say.
    pub(crate) promised: Option<u64>,
    /// In all.
    pub(crate) timeout: Duration,
    /// Behind a message, for the next one.
    pub(crate) quiet: Duration,
}

impl Arrivals {
    /// Begins to count for a call.
    pub(crate) fn await_from(&self, server: Option<IpAddr>, domains: Vec<Scope>) -> Waiting {
        let (came, changed) = (Mutex::default(), Condvar::new());
        let awaited = Arc::new(Awaited { server, domains, came, changed });
        let mut all = self.0.lock();
        all.push(awaited.clone());
        self.0.count.store(all.len(), Ordering::Release);
        Waiting { all: self.0.clone(), awaited }
    }

    /// Whether nobody waits.
    pub(crate) fn nobody_waits(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// A message has come, from a client, for these recipients.
    pub(crate) fn arrived<'r>(&self, client: IpAddr, recipients: impl Iterator<Item = &'r str>) {
        let domains: Vec<_> = recipients
            .filter_map(|recipient| recipient.rsplit_once('@'))
            .map(|(_, domain)| Scope::of(domain, false))
            .collect();
        for awaited in self.0.lock().iter() {
            let covers = |domain| awaited.domains.iter().any(|scope| scope.covers(domain));
            if awaited.server == Some(client) || domains.iter().any(covers) {
                let mut came = awaited.came();
                came.messages += 1;
                came.last = Some(Instant::now());
                awaited.changed.notify_all();
            }
        }
    }

    /// Has all that wait look whether they are to end.
    pub(crate) fn wake(&self) {
        for awaited in self.0.lock().iter() {
            let _came = awaited.came();
            awaited.changed.notify_all();
        }
    }
}

impl All {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Awaited>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Awaited {
    fn came(&self) -> MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// What is counted, for who wants to look at it meanwhile.
    pub(crate) fn awaited(&self) -> Arc<Awaited> {
        self.awaited.clone()
    }

    /// Waits until there is nothing to wait for any more.
    pub(crate) fn wait(&self, patience: Patience, stopped: impl Fn() -> bool) -> Ended {
        let begun = Instant::now();
        let mut came = self.awaited.came();
        loop {
            if stopped() {
                return Ended::Stopped;
            }
            if patience.promised.is_some_and(|promised| came.messages >= promised) {
                return Ended::Complete;
            }
            let quiet_at = came.last.map(|last| last + patience.quiet);
            let (now, over_at) = (Instant::now(), begun + patience.timeout);
            if quiet_at.is_some_and(|at| at <= now) {
                return Ended::Quiet;
            }
            if over_at <= now {
                return Ended::Timeout;
            }
            let wake_at = quiet_at.map_or(over_at, |at| at.min(over_at));
            let waited = self.awaited.changed.wait_timeout(came, wake_at - now);
            came = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Awaited {
    /// How many messages have come.
    pub(crate) fn messages(&self) -> u64 {
        self.came().messages
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        all.retain(|awaited| !Arc::ptr_eq(awaited, &self.awaited));
        self.all.count.store(all.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn patience(promised: Option<u64>, timeout: Duration, quiet: Duration) -> Patience {
        Patience { promised, timeout, quiet }
    }

    #[test]
    fn what_was_asked_for_counts() {
        let (arrivals, server) = (Arrivals::default(), "192.0.2.1".parse().unwrap());
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert!(arrivals.nobody_waits());
        let waiting = arrivals.await_from(Some(server), vec![Scope::of("a.test", true)]);
        assert!(!arrivals.nobody_waits());
        for (client, recipient, counted) in [
            (server, "x@elsewhere.test", 1),
            (other, "x@elsewhere.test", 1),
            (other, "x@y.A.test", 2),
            (other, "postmaster", 2),
            (server, "x@a.test", 3),
        ] {
            arrivals.arrived(client, ["nobody", recipient].into_iter());
            assert_eq!(waiting.awaited().messages(), counted, "{client} {recipient}");
        }
        assert_eq!(waiting.wait(patience(Some(3), LONG, LONG), || false), Ended::Complete);
        let short = Duration::from_millis(1);
        assert_eq!(waiting.wait(patience(Some(4), LONG, short), || false), Ended::Quiet);
        assert_eq!(waiting.wait(patience(None, LONG, LONG), || true), Ended::Stopped);
        drop(waiting);
        assert!(arrivals.nobody_waits());
        let waiting = arrivals.await_from(None, Vec::new());
        // Nothing has come, so there is no quiet behind it.
        assert_eq!(waiting.wait(patience(None, short, short), || false), Ended::Timeout);
        assert_eq!(waiting.wait(patience(Some(0), LONG, LONG), || false), Ended::Complete);
    }

    #[test]
    fn who_waits_is_woken() {
        let arrivals = Arrivals::default();
        let waiting = arrivals.await_from(None, vec![Scope::of("a.test", false)]);
        let teller = arrivals.clone();
        let told = std::thread::spawn(move || {
            for _ in 0..3 {
                teller.arrived("192.0.2.9".parse().unwrap(), ["x@a.test"].into_iter());
            }
        });
        assert_eq!(waiting.wait(patience(Some(3), LONG, LONG), || false), Ended::Complete);
        told.join().unwrap();
    }
}
