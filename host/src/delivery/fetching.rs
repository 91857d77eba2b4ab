//! Mail that goes over one connection: that of a site that has come for it, or ours to a server. Each message is settled by itself.
//! Knows neither ATRN nor who may have what: it is told which destinations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use stagepost_extmgr::ExtMgr;
use stagepost_queue::{
    Destinations, FetchPlace, FetchRequest, Lease, Settlement, Step, Store, StoreError,
};
use stagepost_smtp::{OwnName, SendingTimeouts};
use tokio::task::JoinSet;

use super::demand::{Demands, Known};
use super::notification::Notifies;
use super::relay::{Carrying, OpenLine};
use super::schedule::{Limits, Schedules, Work};
use crate::stopping::Stopping;

/// So many settlements may be on their way to the disk while the next message is sent.
const SETTLING_MAX: usize = 64;

/// Sends what waits over connections that were reversed.
pub(crate) struct Fetching {
    store: Arc<dyn Store>,
    schedules: Arc<dyn Schedules>,
    notifier: Arc<dyn Notifies>,
    limits: Limits,
    name: OwnName,
    timeouts: SendingTimeouts,
    demands: Demands,
    plugins: Option<Arc<ExtMgr>>,
}

/// What came of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Deliveries that were tried.
    pub(crate) tried: u64,
    /// Those of them of which nothing is left to deliver.
    pub(crate) done: u64,
    /// The connection broke, or the server is to stop: there may be more.
    pub(crate) broken_off: bool,
}

/// What was sent over a line so far.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    /// Deliveries that were tried.
    pub(crate) tried: AtomicU64,
    /// Those of them of which nothing is left to deliver.
    pub(crate) done: AtomicU64,
}

impl Fetching {
    /// `name`: what we call ourselves to who fetches. `demands`: which mail may go over which connection.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        schedules: Arc<dyn Schedules>,
        notifier: Arc<dyn Notifies>,
        limits: Limits,
        name: OwnName,
        demands: Demands,
    ) -> Self {
        let timeouts = SendingTimeouts::default();
        Self { store, schedules, notifier, limits, name, timeouts, demands, plugins: None }
    }

    /// The same, which asks plug-ins about each message.
    pub(crate) fn asking(self, plugins: Arc<ExtMgr>) -> Self {
        Self { plugins: Some(plugins), ..self }
    }

    /// Sends what waits for these destinations over a connection, and ends it.
    ///
    /// One delivery is tried at a time: of what a broken connection leaves all but that one is as if nobody had come.
    ///
    /// - secured: TLS is on. shown: who is at the other end, for logs and notifications.
    pub(crate) async fn send(
        &self,
        carrying: impl Carrying + 'static,
        secured: bool,
        shown: Box<str>,
        destinations: Vec<Destinations>,
        stopping: &Stopping,
    ) -> Fetched {
        let over = self.demands.over(secured, Known::LoggedIn);
        let line = OpenLine::reversed(carrying, self.name.clone(), self.timeouts, shown, over);
        let line = Arc::new(line);
        let fetched = self.send_over(&line, destinations, stopping, Arc::default()).await;
        line.quit().await;
        fetched
    }

    /// Sends what waits for these destinations over a line, which stays open.
    ///
    /// - pushed: counts what was sent, while it is.
    pub(crate) async fn send_over(
        &self,
        line: &Arc<OpenLine>,
        destinations: Vec<Destinations>,
        stopping: &Stopping,
        pushed: Arc<Pushed>,
    ) -> Fetched {
        let work = Arc::new(self.work(line.clone()));
        let (line, settling) = (line.clone(), JoinSet::new());
        let mut round = Round { line, work, settling, pushed, fetched: Fetched::default() };
        for of in destinations {
            if let Err(error) = self.send_all(&mut round, of, stopping).await {
                tracing::warn!(%error, "the queue can't be read for who fetches from it");
                round.fetched.broken_off = true;
            }
            if round.fetched.broken_off {
                break;
            }
        }
        let Round { settling, fetched, .. } = round;
        settling.join_all().await;
        fetched
    }

    /// Sends what waits for one of them.
    async fn send_all(
        &self,
        round: &mut Round,
        of: Destinations,
        stopping: &Stopping,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let takes_none = round.line.takes_none().is_some();
            if stopping.is_said() || takes_none || round.line.is_over().await {
                round.fetched.broken_off = true;
                return Ok(());
            }
            let found = self.find(of.clone(), after).await?;
            for lease in found.leases {
                round.send(lease).await;
            }
            after = found.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn find(
        &self,
        of: Destinations,
        after: Option<FetchPlace>,
    ) -> Result<stagepost_queue::Fetched, StoreError> {
        let duration = self.limits.lease();
        self.store.fetch(FetchRequest { of, after, max: 1, duration }).await
    }

    /// What carries one delivery after the other over a line.
    fn work(&self, line: Arc<OpenLine>) -> Work {
        Work {
            store: self.store.clone(),
            transports: line,
            schedules: self.schedules.clone(),
            notifier: self.notifier.clone(),
            limits: self.limits.clone(),
            plugins: self.plugins.clone(),
            fetched: true,
            now: SystemTime::now,
        }
    }
}

/// One connection in hand.
struct Round {
    line: Arc<OpenLine>,
    work: Arc<Work>,
    settling: JoinSet<()>,
    pushed: Arc<Pushed>,
    fetched: Fetched,
}

impl Round {
    async fn send(&mut self, lease: Lease) {
        let (settlement, _) = self.work.try_lease(&lease, None, None).await;
        let done = self.fetched.count(&settlement);
        self.pushed.tried.fetch_add(1, Ordering::Relaxed);
        self.pushed.done.fetch_add(done.into(), Ordering::Relaxed);
        let work = self.work.clone();
        self.settling.spawn(async move { work.settle(&lease, &settlement).await });
        while self.settling.len() >= SETTLING_MAX {
            self.settling.join_next().await;
        }
    }
}

impl Fetched {
    /// Counts one more; whether nothing is left of it.
    fn count(&mut self, settlement: &Settlement) -> bool {
        self.tried += 1;
        let done = settlement.recipients.iter().all(|step| *step == Step::Done);
        self.done += u64::from(done);
        done
    }
}

#[cfg(test)]
mod tests;
