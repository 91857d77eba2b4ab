//! Mail that its site has come for: sent over the connection of the site, each message settled by itself.
//! Knows neither ATRN nor who may have what: it is told which destinations.

use std::sync::Arc;
use std::time::SystemTime;

use stagepost_extmgr::ExtMgr;
use stagepost_queue::{
    Destinations, FetchPlace, FetchRequest, Lease, Settlement, Step, Store, StoreError,
};
use stagepost_smtp::{OwnName, SendingTimeouts};
use tokio::task::JoinSet;

use super::notification::Notifies;
use super::relay::{Carrying, ReversedLine};
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

impl Fetching {
    /// `name`: what we call ourselves to who fetches.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        schedules: Arc<dyn Schedules>,
        notifier: Arc<dyn Notifies>,
        limits: Limits,
        name: OwnName,
    ) -> Self {
        let timeouts = SendingTimeouts::default();
        Self { store, schedules, notifier, limits, name, timeouts, plugins: None }
    }

    /// The same, which asks plug-ins about each message.
    pub(crate) fn asking(self, plugins: Arc<ExtMgr>) -> Self {
        Self { plugins: Some(plugins), ..self }
    }

    /// Sends what waits for these destinations over a connection, and ends it.
    ///
    /// One delivery is tried at a time: of what a broken connection leaves all but that one is as if nobody had come.
    ///
    /// - shown: who is at the other end, for logs and notifications.
    pub(crate) async fn send(
        &self,
        carrying: impl Carrying + 'static,
        shown: Box<str>,
        destinations: Vec<Destinations>,
        stopping: &Stopping,
    ) -> Fetched {
        let line = ReversedLine::new(carrying, self.name.clone(), self.timeouts, shown);
        let line = Arc::new(line);
        let work = Arc::new(self.work(line.clone()));
        let mut round = Round { line, work, settling: JoinSet::new(), fetched: Fetched::default() };
        for of in destinations {
            if let Err(error) = self.send_all(&mut round, of, stopping).await {
                tracing::warn!(%error, "the queue can't be read for who fetches from it");
                round.fetched.broken_off = true;
            }
            if round.fetched.broken_off {
                break;
            }
        }
        let Round { line, work, settling, fetched } = round;
        settling.join_all().await;
        drop(work);
        line.quit().await;
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
            if stopping.is_said() || round.line.is_over().await {
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
    fn work(&self, line: Arc<ReversedLine>) -> Work {
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
    line: Arc<ReversedLine>,
    work: Arc<Work>,
    settling: JoinSet<()>,
    fetched: Fetched,
}

impl Round {
    async fn send(&mut self, lease: Lease) {
        let (settlement, _) = self.work.try_lease(&lease, None).await;
        self.fetched.count(&settlement);
        let work = self.work.clone();
        self.settling.spawn(async move { work.settle(&lease, &settlement).await });
        while self.settling.len() >= SETTLING_MAX {
            self.settling.join_next().await;
        }
    }
}

impl Fetched {
    fn count(&mut self, settlement: &Settlement) {
        self.tried += 1;
        let done = settlement.recipients.iter().all(|step| *step == Step::Done);
        self.done += u64::from(done);
    }
}

#[cfg(test)]
mod tests;
