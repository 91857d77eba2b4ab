//! What plug-ins may do with queued mail, done by the queue.
//! Knows the queue's trait and the extension manager's; decides nothing.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use stagepost_extmgr::{
    Coming, Dispatch, Mail, MailError, MailFor, Submission, Submitter, Waiting,
};
use stagepost_queue::{Destination, Destinations, Move, QueueName, Selection, Store, StoreError};

use super::submission::Desk;
use crate::delivery::Lanes;
use crate::throttle::{Line, Throttle};

/// The queue as plug-ins reach it.
pub(crate) struct QueuedMail {
    store: Arc<dyn Store>,
    lanes: Arc<Lanes>,
    desk: Desk,
    /// While the disk fails each request does.
    faults: Arc<Throttle>,
}

impl QueuedMail {
    pub(crate) fn new(store: Arc<dyn Store>, lanes: Arc<Lanes>, desk: Desk) -> Self {
        Self { store, lanes, desk, faults: Arc::default() }
    }

    /// Does one thing to the queue.
    fn ask<T, F>(
        &self,
        of: MailFor,
        ask: impl FnOnce(Arc<dyn Store>, Destinations) -> F,
    ) -> Coming<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Some(of) = destinations(of) else {
            return Box::pin(std::future::ready(Err(MailError::Invalid)));
        };
        let (asked, faults) = (ask(self.store.clone(), of), self.faults.clone());
        Box::pin(async move { asked.await.map_err(|error| told(&faults, &error)) })
    }

    /// Carries out an order.
    fn move_all(&self, of: MailFor, what: Move) -> Coming<u64> {
        let lanes = self.lanes.clone();
        self.ask(of, |store, of| async move {
            let selection = Selection::Destinations(of);
            lanes.ordered(&selection, &what);
            store.move_all(selection, what).await
        })
    }
}

impl Mail for QueuedMail {
    fn count(&self, of: MailFor) -> Coming<Waiting> {
        self.ask(of, |store, of| async move {
            let count = store.count(of).await?;
            Ok(Waiting { queued: count.queued, held: count.held, octets: count.octets })
        })
    }

    fn hold(&self, of: MailFor, reason: String) -> Coming<u64> {
        self.move_all(of, Move::Hold { reason: reason.into() })
    }

    fn release(&self, of: MailFor) -> Coming<u64> {
        self.move_all(of, Move::Release { now: SystemTime::now() })
    }

    fn flush(&self, of: MailFor) -> Coming<u64> {
        self.move_all(of, Move::Flush { now: SystemTime::now() })
    }

    fn submit(
        &self,
        submitter: Submitter,
        dispatch: Dispatch,
        sender: &str,
        parameters: &str,
    ) -> Result<Box<dyn Submission>, MailError> {
        self.desk.begin(submitter, dispatch, sender, parameters)
    }
}

/// The mail that is meant, as the queue names it; none: nothing is.
pub(crate) fn destinations(of: MailFor) -> Option<Destinations> {
    Some(match of {
        MailFor::Domain(name) => Destinations::One(Destination::new(&name).ok()?),
        MailFor::Below(name) => Destinations::Below(Destination::new(&name).ok()?),
        MailFor::Queue(name) => Destinations::Queue(QueueName::new(&name).ok()?),
    })
}

/// The mail that a plug-in means by a text, as the queue service takes it; none: it means nothing.
pub(crate) fn named(text: &str) -> Option<Destinations> {
    destinations(MailFor::parse(text))
}

/// Tells the operator why the queue can't be used; the plug-in is told that it can't.
fn told(faults: &Throttle, error: &StoreError) -> MailError {
    if let Some(Line { left_out }) = faults.line(Instant::now()) {
        tracing::error!(left_out, "a plug-in can't use the queue: {error}");
    }
    MailError::Unavailable
}
