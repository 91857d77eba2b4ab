//! The delivery scheduler: leases what is due, and begins an attempt for each delivery.
//! Knows neither what an attempt does nor how the queue keeps anything.

mod attempt;
mod fate;
mod retry;
mod terms;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_extmgr::ExtMgr;
use stagepost_queue::{Lease, LeaseRequest, Leases, Store, StoreError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

pub(super) use self::attempt::Work;
use super::lanes::Lanes;
use super::notification::Notifies;
use super::transport::Transports;
use crate::config::Retry;
use crate::router::Router;

/// After a failure of the store it is left alone for so long.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Look at the queue so often at least: the clock that says what is due may have been set meanwhile.
const LOOK_AT_LEAST: Duration = Duration::from_secs(60);

/// How much is done at a time, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// So many deliveries run at a time, all together.
    pub(crate) concurrency_max: usize,
    /// One attempt takes so long at most; it is broken off then and made again later.
    pub(crate) attempt_max: Duration,
    /// At a shutdown, running attempts have so long to end.
    pub(crate) drain_max: Duration,
}

/// Says how often and for how long deliveries are tried.
pub(crate) trait Schedules: Send + Sync {
    /// How a delivery is tried, now.
    fn of(&self, lease: &Lease) -> Retry;
}

impl Schedules for Router {
    fn of(&self, lease: &Lease) -> Retry {
        self.retry(lease.route.as_deref(), lease.destination.as_str()).clone()
    }
}

/// Runs deliveries until it is told to stop.
pub(crate) struct Scheduler {
    work: Arc<Work>,
    lanes: Arc<Lanes>,
}

impl Limits {
    /// How long a lease lasts. An attempt ends long before it, settlement included: two never overlap.
    pub(super) fn lease(&self) -> Duration {
        self.attempt_max * 2 + Duration::from_secs(3600)
    }
}

impl Scheduler {
    /// A scheduler of this queue over these transports. It does nothing before [`Scheduler::run`].
    pub(crate) fn new(
        store: Arc<dyn Store>,
        transports: Arc<dyn Transports>,
        schedules: Arc<dyn Schedules>,
        notifier: Arc<dyn Notifies>,
        lanes: Arc<Lanes>,
        limits: Limits,
    ) -> Self {
        let (now, plugins, fetched) = (SystemTime::now, None, false);
        let work = Work { store, transports, schedules, notifier, limits, plugins, fetched, now };
        Self { work: Arc::new(work), lanes }
    }

    /// The same, which asks plug-ins about each message.
    pub(crate) fn asking(self, plugins: Arc<ExtMgr>) -> Self {
        let Self { mut work, lanes } = self;
        if let Some(work) = Arc::get_mut(&mut work) {
            work.plugins = Some(plugins);
        }
        Self { work, lanes }
    }

    /// Delivers until `shutdown` resolves, then lets running attempts end, for `drain_max` at most. What could not end
    /// is tried again after the next start.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut attempts = JoinSet::new();
        // Nothing is known to be due before this moment, unless the store wakes us.
        let mut look_at = Instant::now();
        let most = self.work.limits.concurrency_max;
        loop {
            // As long as there is room for more, nobody need be woken for each that ends.
            while attempts.try_join_next().is_some() {}
            if attempts.len() < most && look_at <= Instant::now() {
                look_at = self.start(most - attempts.len(), &mut attempts).await;
            }
            let full = attempts.len() >= most;
            tokio::select! {
                () = &mut shutdown => break,
                () = self.work.store.wake().notified() => look_at = Instant::now(),
                Some(_) = attempts.join_next(), if full => {}
                () = sleep_until(look_at), if !full => {}
            }
        }
        self.drain(attempts).await;
    }

    /// Starts what is due, as much as there is room for; when to look again.
    async fn start(&self, room: usize, attempts: &mut JoinSet<()>) -> Instant {
        let request = LeaseRequest {
            now: (self.work.now)(),
            max: room,
            lanes: self.lanes.clone(),
            duration: self.work.limits.lease(),
        };
        let Leases { leased, next_due } = match self.work.store.lease(request).await {
            Ok(leases) => leases,
            Err(error) => return pause(&error),
        };
        for (lease, message) in leased {
            let entered = self.lanes.entered(&lease);
            attempts.spawn(Arc::clone(&self.work).attempt(lease, message, entered));
        }
        let wait = next_due.map(|due| due.duration_since((self.work.now)()).unwrap_or_default());
        Instant::now() + wait.map_or(LOOK_AT_LEAST, |wait| wait.min(LOOK_AT_LEAST))
    }

    async fn drain(&self, mut attempts: JoinSet<()>) {
        let all = async { while attempts.join_next().await.is_some() {} };
        if timeout(self.work.limits.drain_max, all).await.is_err() {
            warn!(attempts = attempts.len(), "deliveries were broken off by the shutdown");
            attempts.shutdown().await;
        }
    }
}

/// The store can't be asked now: when to ask again.
fn pause(error: &StoreError) -> Instant {
    warn!(%error, "the queue can't be read");
    Instant::now() + STORE_PAUSE
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
