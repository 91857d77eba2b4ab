//! The delivery scheduler: leases what is due, has it carried away, and says what becomes of each recipient.
//! Knows neither where a destination leads nor how the queue keeps anything.

mod fate;
mod retry;
mod terms;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_extmgr::ExtMgr;
use stagepost_queue::{
    Destination, Destinations, Lease, LeaseRequest, Move, Selection, Settlement, Step, Store,
    StoreError, StoredMessage,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{error, info, warn};

use self::fate::Age;
use self::terms::Terms;
use super::asking::{ExpiryRuled, MessageThread, Ruled};
use super::finding::Finding;
use super::lane::Standing;
use super::lanes::{Ended, Entered, Lanes, Start};
use super::notification::Notifies;
use super::transport::{Carried, RecipientOutcome, Transports};
use crate::config::{Retry, Way};
use crate::router::Router;

/// After a failure of the store it is left alone for so long.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Look at the queue so often at least: the clock that says what is due may have been set meanwhile.
const LOOK_AT_LEAST: Duration = Duration::from_secs(60);

/// Why a parked delivery is not made.
const WAITS: &str = "waits to be fetched";
/// The same of one whose time has not come.
const NOT_YET: &str = "waits for the time that its sender has set";

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

/// What each attempt needs.
pub(super) struct Work {
    pub(super) store: Arc<dyn Store>,
    pub(super) transports: Arc<dyn Transports>,
    pub(super) schedules: Arc<dyn Schedules>,
    pub(super) notifier: Arc<dyn Notifies>,
    pub(super) limits: Limits,
    /// Who is asked about each message.
    pub(super) plugins: Option<Arc<ExtMgr>>,
    /// Somebody has come for it: nothing is left to wait for that.
    pub(super) fetched: bool,
    /// The clock on the wall, which the due times go by.
    pub(super) now: fn() -> SystemTime,
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
        loop {
            while attempts.try_join_next().is_some() {}
            let room = self.work.limits.concurrency_max.saturating_sub(attempts.len());
            if room > 0 && look_at <= Instant::now() {
                look_at = self.start(room, &mut attempts).await;
            }
            tokio::select! {
                () = &mut shutdown => break,
                () = self.work.store.wake().notified() => look_at = Instant::now(),
                Some(_) = attempts.join_next() => {}
                () = sleep_until(look_at), if room > 0 => {}
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
        let leases = match self.work.store.lease(request).await {
            Ok(leases) => leases,
            Err(error) => return pause(&error),
        };
        let full = leases.len() == room;
        for lease in leases {
            let entered = self.lanes.entered(&lease);
            attempts.spawn(Arc::clone(&self.work).attempt(lease, entered));
        }
        if full {
            return Instant::now();
        }
        match self.work.store.next_due().await {
            Ok(Some(due)) => {
                let wait = due.duration_since((self.work.now)()).unwrap_or_default();
                Instant::now() + wait.min(LOOK_AT_LEAST)
            }
            Ok(None) => Instant::now() + LOOK_AT_LEAST,
            Err(error) => pause(&error),
        }
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

impl Work {
    /// Makes one attempt and settles it.
    async fn attempt(self: Arc<Self>, lease: Lease, mut entered: Entered) {
        let (settlement, ended) = self.try_lease(&lease, Some(&mut entered)).await;
        // Nobody need wait for the disk before the next one.
        drop(entered);
        self.settle(&lease, &settlement).await;
        self.go_on(ended.open).await;
    }

    /// Makes one attempt: what is to become of the delivery, and what its end means besides.
    pub(super) async fn try_lease(
        &self,
        lease: &Lease,
        mut entered: Option<&mut Entered>,
    ) -> (Settlement, Ended) {
        let retry = self.schedules.of(lease);
        if let Some(settlement) = self.put_off(lease, &retry, &mut entered).await {
            return (settlement, Ended::default());
        }
        match self.store.read(lease.id).await {
            Ok(message) => {
                let terms = Terms::of(&message.envelope.parameters, message.received_at);
                let termed = terms.map(|terms| terms.apply(lease, &retry));
                let (lease, retry) = match &termed {
                    Some(termed) => (&termed.lease, &termed.retry),
                    None => (lease, &retry),
                };
                let mut ended = Ended::default();
                let attempt = Tried { lease, retry, terms, entered, ended: &mut ended };
                let settlement = self.try_in_time(Arc::new(message), attempt).await;
                (settlement, ended)
            }
            // Nobody can deliver it, and nobody may lose it.
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Missing(_))) => {
                error!(id = %lease.id, destination = %lease.destination, %error, "a delivery is held");
                let recipients = same(lease, &Step::Hold(error.to_string().into()));
                (self.again(lease, &retry, recipients), Ended::default())
            }
            Err(error) => {
                warn!(id = %lease.id, destination = %lease.destination, %error, "a message can't be read now");
                let recipients = same(lease, &Step::Retry(error.to_string().into()));
                (self.again(lease, &retry, recipients), Ended::default())
            }
        }
    }

    /// The settlement of what is tried again as its route has it.
    fn again(&self, lease: &Lease, retry: &Retry, recipients: Vec<Step>) -> Settlement {
        Settlement { recipients, next_due: retry.next_due(lease, (self.now)()) }
    }

    /// Tries a message whose time has come.
    async fn try_in_time(&self, message: Arc<StoredMessage>, attempt: Tried<'_>) -> Settlement {
        let Tried { lease, retry, terms, .. } = attempt;
        let until = terms.and_then(|terms| terms.waits_until((self.now)()));
        if let Some(until) = until.filter(|_| lease.give_up.is_none()) {
            info!(id = %lease.id, destination = %lease.destination, "waits for its time");
            let recipients = same(lease, &Step::Retry(NOT_YET.into()));
            return Settlement { recipients, next_due: retry.first_due(until) };
        }
        let (recipients, again) = self.try_message(message, attempt).await;
        let settlement = self.again(lease, retry, recipients);
        let next_due = again.map_or(settlement.next_due, |again| settlement.next_due.min(again));
        Settlement { next_due, ..settlement }
    }

    /// Puts a delivery off without a look at its octets, where there is nobody to give it to and nobody to tell.
    async fn put_off(
        &self,
        lease: &Lease,
        retry: &Retry,
        entered: &mut Option<&mut Entered>,
    ) -> Option<Settlement> {
        let entered = entered.as_mut().filter(|_| lease.give_up.is_none())?;
        if !entered.is_shut() || MessageThread::wanted(self.plugins.as_ref()).is_some() {
            return None;
        }
        let message = self.store.inspect(lease.id).await.ok()?;
        let terms = Terms::of(&message.envelope.parameters, message.received_at);
        let termed = terms.map(|terms| terms.apply(lease, retry));
        let (lease, retry) = match &termed {
            Some(termed) => (&termed.lease, &termed.retry),
            None => (lease, retry),
        };
        let now = (self.now)();
        let waits = terms.and_then(|terms| terms.waits_until(now)).is_some();
        let young = matches!(retry.age(lease, now), Age::Young { .. });
        if waits || !young || !retry.is_to_be_tried(lease, now) {
            return None;
        }
        let said = entered.put_off()?;
        let (id, destination, attempt) = (lease.id, &lease.destination, lease.attempts + 1);
        let reply = not_tried(&said);
        warn!(%id, %destination, attempt, %reply, "deferred");
        Some(self.again(lease, retry, same(lease, &Step::Retry(reply.to_string().into()))))
    }

    /// Has a message carried away, if it is time, and tells whom it concerns.
    /// The second of what comes back: when it is to be tried again, if that is not as its route has it.
    async fn try_message(
        &self,
        message: Arc<StoredMessage>,
        mut attempt: Tried<'_>,
    ) -> (Vec<Step>, Option<SystemTime>) {
        let (now, lease, retry) = ((self.now)(), attempt.lease, attempt.retry);
        let mut thread = MessageThread::begin(self.plugins.as_ref(), &message, lease, now);
        let mut outcomes = if let Some(reason) = &lease.give_up {
            // RFC 3463 section 3.8: by the will of who runs the server.
            let finding = Finding::new((5, 7, 0), &**reason);
            vec![RecipientOutcome::Failed(finding); lease.recipients.len()]
        } else if attempt.terms.is_some_and(|terms| terms.over(now).is_some()) {
            // RFC 2852 section 4.1.3: it is delivered no more.
            let finding = Finding::new((4, 4, 7), "the time is over that its sender has set");
            vec![RecipientOutcome::Deferred(finding); lease.recipients.len()]
        } else if self.fetched || retry.is_to_be_tried(lease, now) {
            self.attempt_delivery(&message, &mut attempt, &mut thread).await
        } else if retry::is_new(lease) && retry.age(lease, (self.now)()) != Age::Expired {
            return (same(lease, &Step::Retry(WAITS.into())), None);
        } else {
            let finding = Finding::new((4, 4, 7), WAITS);
            vec![RecipientOutcome::Deferred(finding); lease.recipients.len()]
        };
        let mut age = retry.age(lease, (self.now)());
        let is_open = |outcome: &RecipientOutcome| matches!(outcome, RecipientOutcome::Deferred(_));
        if age == Age::Expired && outcomes.iter().any(is_open) {
            match thread.expire().await {
                ExpiryRuled::Go => {}
                ExpiryRuled::Again => age = Age::Young { until: now },
                ExpiryRuled::Ended(ended) => outcomes = closed(outcomes, &ended),
                ExpiryRuled::Dropped => {
                    let finding = Finding::new((2, 0, 0), "given up, as a plug-in says");
                    outcomes = closed(outcomes, &RecipientOutcome::Dropped(finding));
                }
            }
        }
        let (fates, told) = fate::judge(&message, lease, outcomes, age, (self.now)());
        let noticed = match told.is_empty() {
            true => None,
            false => Some(self.notifier.notify(&message, &told, &mut thread).await),
        };
        (fate::steps(lease, fates, noticed.as_ref()), attempt.ended.again)
    }

    /// Makes an attempt as plug-ins have it.
    async fn attempt_delivery(
        &self,
        message: &Arc<StoredMessage>,
        attempt: &mut Tried<'_>,
        thread: &mut MessageThread,
    ) -> Vec<RecipientOutcome> {
        let lease = attempt.lease;
        let configured = self.transports.next_hop(lease);
        let ruled = match self.fetched {
            // Whoever has come gets it: there is nothing to choose.
            true => Ruled::Go(None),
            false => thread.route(&configured).await,
        };
        let (way, next_hop) = match ruled {
            Ruled::Ended(outcome) => return vec![outcome; lease.recipients.len()],
            Ruled::Go(None) => (None, configured),
            Ruled::Go(Some(way)) => {
                let next_hop = way.to_string();
                (Some(way), next_hop)
            }
        };
        let outcomes = match thread.before_deliver(&next_hop).await {
            Some(outcome) => vec![outcome; lease.recipients.len()],
            None => self.carry(message, attempt, way).await,
        };
        thread.after_deliver(&next_hop, &outcomes).await;
        outcomes
    }

    /// Has a message carried away, unless there was nobody to give it to shortly before.
    async fn carry(
        &self,
        message: &Arc<StoredMessage>,
        attempt: &mut Tried<'_>,
        way: Option<Way>,
    ) -> Vec<RecipientOutcome> {
        let lease = attempt.lease;
        // What a plug-in has chosen says nothing of the lane, nor the lane of that.
        let Some(entered) = attempt.entered.as_mut().filter(|_| way.is_none()) else {
            return self.transport(message, lease, way).await.outcomes;
        };
        let begun = match entered.start() {
            Start::Go(begun) => begun,
            Start::PutOff(said) => {
                return vec![RecipientOutcome::Deferred(not_tried(&said)); lease.recipients.len()];
            }
        };
        let Carried { outcomes, standing } = self.transport(message, lease, way).await;
        let telling =
            |outcome: &&RecipientOutcome| matches!(outcome, RecipientOutcome::Deferred(_));
        let said = outcomes.iter().find(telling).or_else(|| outcomes.first());
        let said = said.map(|outcome| outcome.finding().to_string()).unwrap_or_default();
        *attempt.ended = entered.end(begun, standing, &said);
        outcomes
    }

    /// Has a message carried away: one outcome for each recipient, whatever happens.
    async fn transport(
        &self,
        message: &Arc<StoredMessage>,
        lease: &Lease,
        way: Option<Way>,
    ) -> Carried {
        let defer = |standing, reason: String| {
            let outcome = RecipientOutcome::Deferred(Finding::new((4, 3, 0), reason));
            Carried { outcomes: vec![outcome; lease.recipients.len()], standing }
        };
        let (transports, message) = (Arc::clone(&self.transports), Arc::clone(message));
        let leased = lease.clone();
        // A task of its own, so that a panic ends this attempt and nothing else.
        let mut attempt = JoinSet::new();
        attempt.spawn(async move { transports.deliver(&message, &leased, way.as_ref()).await });
        match timeout(self.limits.attempt_max, attempt.join_next()).await {
            Ok(Some(Ok(carried))) if carried.outcomes.len() == lease.recipients.len() => carried,
            Ok(Some(Ok(Carried { outcomes, .. }))) => {
                error!(id = %lease.id, outcomes = outcomes.len(), recipients = lease.recipients.len(), "a transport answered for too few or too many");
                let reason = "the transport did not answer for each recipient".to_owned();
                defer(Standing::Unknown, reason)
            }
            Ok(Some(Err(failure))) => {
                error!(id = %lease.id, destination = %lease.destination, %failure, "a transport failed inside");
                defer(Standing::Unknown, "the transport failed inside".to_owned())
            }
            Ok(None) | Err(_) => {
                let reason = format!("the attempt took longer than {:?}", self.limits.attempt_max);
                defer(Standing::Busy, reason)
            }
        }
    }

    /// Has mail tried that was put off, to where there is somebody again.
    async fn go_on(&self, open: Vec<Destination>) {
        let now = (self.now)();
        for destination in open {
            let selection = Selection::Destinations(Destinations::One(destination.clone()));
            if let Err(error) = self.store.move_all(selection, Move::Flush { now }).await {
                warn!(%destination, %error, "mail that was put off waits for its own time");
            }
        }
    }

    /// Has a settlement made durable, however long the store fails: what was delivered must not be delivered again.
    pub(super) async fn settle(&self, lease: &Lease, settlement: &Settlement) {
        let (id, destination) = (lease.id, &lease.destination);
        loop {
            match self.store.finish(lease, settlement.clone()).await {
                Ok(()) => return,
                Err(error @ (StoreError::Unavailable(_) | StoreError::NoSpace { .. })) => {
                    warn!(%id, %destination, %error, "a delivery can't be settled yet");
                    sleep(STORE_PAUSE).await;
                }
                Err(error) => {
                    error!(%id, %destination, %error, "a delivery could not be settled; it may be made again");
                    return;
                }
            }
        }
    }
}

/// An attempt as it is made.
struct Tried<'t> {
    lease: &'t Lease,
    retry: &'t Retry,
    terms: Option<Terms>,
    /// None: somebody has come for it.
    entered: Option<&'t mut Entered>,
    ended: &'t mut Ended,
}

/// What is said of a delivery that was not tried.
fn not_tried(said: &str) -> Finding {
    Finding::new((4, 4, 1), format!("not tried, since there was nobody shortly before: {said}"))
}

/// The outcomes, with this in the place of those that are still open.
fn closed(outcomes: Vec<RecipientOutcome>, ended: &RecipientOutcome) -> Vec<RecipientOutcome> {
    let closed = |outcome| match outcome {
        RecipientOutcome::Deferred(_) => ended.clone(),
        other => other,
    };
    outcomes.into_iter().map(closed).collect()
}

/// The same for each recipient of a lease.
fn same(lease: &Lease, step: &Step) -> Vec<Step> {
    vec![step.clone(); lease.recipients.len()]
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
