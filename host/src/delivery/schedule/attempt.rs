//! One attempt at one delivery: whether it is made, what became of each recipient, who is told, and its settlement.
//! Knows neither where a destination leads nor how the queue keeps anything; when it is begun the scheduler knows.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::SystemTime;

use stagepost_extmgr::ExtMgr;
use stagepost_queue::{
    Destination, Destinations, Lease, Move, Selection, Settlement, Step, Store, StoreError,
    StoredMessage,
};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use super::fate::{self, Age};
use super::retry;
use super::terms::Terms;
use super::{Limits, STORE_PAUSE, Schedules};
use crate::config::{Retry, Way};
use crate::delivery::asking::{ExpiryRuled, MessageThread, Ruled};
use crate::delivery::finding::Finding;
use crate::delivery::lane::Standing;
use crate::delivery::lanes::{Ended, Entered, PutOff, Start};
use crate::delivery::notification::Notifies;
use crate::delivery::tls_wish::TlsWish;
use crate::delivery::transport::{Carried, RecipientOutcome, Transports};

/// Why a parked delivery is not made.
const WAITS: &str = "waits to be fetched";
/// The same of one whose time has not come.
const NOT_YET: &str = "waits for the time that its sender has set";

/// What each attempt needs.
pub(in crate::delivery) struct Work {
    pub(in crate::delivery) store: Arc<dyn Store>,
    pub(in crate::delivery) transports: Arc<dyn Transports>,
    pub(in crate::delivery) schedules: Arc<dyn Schedules>,
    pub(in crate::delivery) notifier: Arc<dyn Notifies>,
    pub(in crate::delivery) limits: Limits,
    /// Who is asked about each message.
    pub(in crate::delivery) plugins: Option<Arc<ExtMgr>>,
    /// Somebody has come for it: nothing is left to wait for that.
    pub(in crate::delivery) fetched: bool,
    /// The clock on the wall, which the due times go by.
    pub(in crate::delivery) now: fn() -> SystemTime,
}

impl Work {
    /// Makes one attempt and settles it.
    ///
    /// - message: its message, where it was at hand.
    pub(super) async fn attempt(
        self: Arc<Self>,
        lease: Lease,
        message: Option<StoredMessage>,
        mut entered: Entered,
    ) {
        let (settlement, ended) = self.try_lease(&lease, message, Some(&mut entered)).await;
        // Nobody need wait for the disk before the next one.
        drop(entered);
        self.settle(&lease, &settlement).await;
        self.go_on(ended.open).await;
    }

    /// Makes one attempt: what is to become of the delivery, and what its end means besides.
    ///
    /// - message: its message, where it was at hand.
    pub(in crate::delivery) async fn try_lease(
        &self,
        lease: &Lease,
        message: Option<StoredMessage>,
        mut entered: Option<&mut Entered>,
    ) -> (Settlement, Ended) {
        let retry = self.schedules.of(lease);
        if let Some(settlement) = self.put_off(lease, &retry, &mut entered).await {
            return (settlement, Ended::default());
        }
        let message = match message {
            Some(message) => Ok(message),
            None => self.store.read(lease.id).await,
        };
        match message {
            Ok(message) => {
                let terms = Terms::of(&message.envelope.parameters, message.received_at);
                let termed = terms.map(|terms| terms.apply(lease, &retry));
                let (lease, retry) = match &termed {
                    Some(termed) => (&termed.lease, &termed.retry),
                    None => (lease, &retry),
                };
                let (mut ended, put_off) = (Ended::default(), false);
                let attempt = Tried { lease, retry, terms, entered, put_off, ended: &mut ended };
                let settlement = self.try_in_time(&message, attempt).await;
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
    async fn try_in_time(&self, message: &StoredMessage, attempt: Tried<'_>) -> Settlement {
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
        let why = entered.put_off()?;
        let (id, destination, attempt) = (lease.id, &lease.destination, lease.attempts + 1);
        let reply = not_tried(&why);
        debug!(%id, %destination, attempt, %reply, "put off");
        Some(self.again(lease, retry, same(lease, &Step::Retry(reply.to_string().into()))))
    }

    /// Has a message carried away, if it is time, and tells whom it concerns.
    /// The second of what comes back: when it is to be tried again, if that is not as its route has it.
    async fn try_message(
        &self,
        message: &StoredMessage,
        mut attempt: Tried<'_>,
    ) -> (Vec<Step>, Option<SystemTime>) {
        let (now, lease, retry) = ((self.now)(), attempt.lease, attempt.retry);
        let mut thread = MessageThread::begin(self.plugins.as_ref(), message, lease, now);
        let mut outcomes = if let Some(reason) = &lease.give_up {
            // RFC 3463 section 3.8: by the will of who runs the server.
            let finding = Finding::new((5, 7, 0), &**reason);
            vec![RecipientOutcome::Failed(finding); lease.recipients.len()]
        } else if attempt.terms.is_some_and(|terms| terms.over(now).is_some()) {
            // RFC 2852 section 4.1.3: it is delivered no more.
            let finding = Finding::new((4, 4, 7), "the time is over that its sender has set");
            vec![RecipientOutcome::Deferred(finding); lease.recipients.len()]
        } else if self.fetched || retry.is_to_be_tried(lease, now) {
            self.attempt_delivery(message, &mut attempt, &mut thread).await
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
        let (fates, told) =
            fate::judge(message, lease, outcomes, age, attempt.put_off, (self.now)());
        let noticed = match told.is_empty() {
            true => None,
            false => Some(self.notifier.notify(message, &told, &mut thread).await),
        };
        (fate::steps(lease, fates, noticed.as_ref()), attempt.ended.again)
    }

    /// Makes an attempt as plug-ins have it.
    async fn attempt_delivery(
        &self,
        message: &StoredMessage,
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
        message: &StoredMessage,
        attempt: &mut Tried<'_>,
        way: Option<Way>,
    ) -> Vec<RecipientOutcome> {
        let lease = attempt.lease;
        // What a plug-in has chosen says nothing of the lane, nor the lane of that.
        let Some(entered) = attempt.entered.as_mut().filter(|_| way.is_none()) else {
            return self.transport(message, lease, way).await.outcomes;
        };
        // A report about broken TLS gets through (RFC 8689 section 4.1).
        let anyway = TlsWish::of(message) == TlsWish::Optional;
        let begun = match entered.start(anyway) {
            Start::Go(begun) => begun,
            Start::PutOff(why) => {
                attempt.put_off = true;
                return vec![RecipientOutcome::Deferred(not_tried(&why)); lease.recipients.len()];
            }
        };
        let Carried { outcomes, standing } = self.transport(message, lease, way).await;
        let telling =
            |outcome: &&RecipientOutcome| matches!(outcome, RecipientOutcome::Deferred(_));
        let said = outcomes.iter().find(telling).or_else(|| outcomes.first());
        let said = said.map(|outcome| outcome.finding().to_string()).unwrap_or_default();
        if outcomes.iter().any(|outcome| outcome.finding().in_doubt) {
            entered.doubt();
        }
        *attempt.ended = entered.end(begun, standing, &said);
        outcomes
    }

    /// Has a message carried away: one outcome for each recipient, whatever happens.
    async fn transport(&self, message: &StoredMessage, lease: &Lease, way: Option<Way>) -> Carried {
        let defer = |standing, reason: String| {
            let outcome = RecipientOutcome::Deferred(Finding::new((4, 3, 0), reason));
            Carried { outcomes: vec![outcome; lease.recipients.len()], standing }
        };
        let attempt = caught(self.transports.deliver(message, lease, way.as_ref()));
        match timeout(self.limits.attempt_max, attempt).await {
            Ok(Ok(carried)) if carried.outcomes.len() == lease.recipients.len() => carried,
            Ok(Ok(Carried { outcomes, .. })) => {
                error!(id = %lease.id, outcomes = outcomes.len(), recipients = lease.recipients.len(), "a transport answered for too few or too many");
                let reason = "the transport did not answer for each recipient".to_owned();
                defer(Standing::Unknown, reason)
            }
            Ok(Err(panic)) => {
                let (destination, failure) = (&lease.destination, said_in(&*panic));
                error!(id = %lease.id, %destination, failure, "a transport failed inside");
                defer(Standing::Unknown, "the transport failed inside".to_owned())
            }
            Err(_) => {
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
    pub(in crate::delivery) async fn settle(&self, lease: &Lease, settlement: &Settlement) {
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
    /// There was nobody shortly before, so that it was not made.
    put_off: bool,
    ended: &'t mut Ended,
}

/// What is said of a delivery that was not tried.
fn not_tried(PutOff { said, untrusted }: &PutOff) -> Finding {
    let (status, why) = match untrusted {
        true => ((4, 7, 5), "TLS was not as it must be"),
        false => ((4, 4, 1), "there was nobody"),
    };
    Finding::new(status, format!("not tried, since {why} shortly before: {said}"))
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

/// Ends as a future does, or with what it panicked with: a panic ends this attempt and nothing else.
async fn caught<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = pin!(future);
    let polled = poll_fn(|context| {
        // It is not polled again once it has panicked.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    polled.await
}

/// What a panic said.
fn said_in(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
