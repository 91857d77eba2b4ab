//! The queue as its users see it: messages come in, deliveries are leased, tried and settled.
//! Knows no engine: an embedded one and a database shared by many nodes implement the same trait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use crate::{
    Destination, Destinations, Incoming, Inspection, Lanes, Listed, Mark, MeantPage, Move, Moved,
    Page, QueueId, Selection, StoreError, StoredMessage,
};

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A durable queue. Any thread, inside a tokio runtime.
pub trait Store: Send + Sync {
    /// Begins to take a message. Needs no I/O: an empty header and body in memory.
    ///
    /// # Errors
    /// `NoSpace` or `Unavailable` while the store does not accept: the client may be told at MAIL already.
    fn receive(&self) -> Result<Box<dyn Incoming>, StoreError>;

    /// Hands out deliveries that are due, earliest first, none that is under lease; fewer than asked for
    /// when that is all that can be found at once. Says when to come back.
    ///
    /// # Errors
    /// `Unavailable`.
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Leases, StoreError>>;

    /// Hands out deliveries for these destinations, or in this queue, whether they are due or not, none that is held or under
    /// lease: for somebody who has come for them. How much room their lanes have does not count.
    ///
    /// # Errors
    /// `Unavailable`; what was leased then ends by itself.
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<Fetched, StoreError>>;

    /// Settles a delivery: what becomes of each recipient of the lease. All of it happens at once, or nothing;
    /// a message without recipients left is removed with its octets. Resolves when that is durable.
    ///
    /// # Errors
    /// `Unavailable`: nothing is known to be settled, the lease still holds and the same call is to be made again.
    /// `LeaseLost`, `BadMessage`: nothing was changed.
    fn finish<'a>(
        &'a self,
        lease: &'a Lease,
        settlement: Settlement,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Reads a message, all parts checked against their checksums before anything is handed out.
    ///
    /// # Errors
    /// `Corrupt`: the message is on hold now, with this reason. `Missing`, `Unavailable`.
    fn read(&self, id: QueueId) -> BoxFuture<'_, Result<StoredMessage, StoreError>>;

    /// What is kept of a message besides its octets; nothing is changed, also when it turns out to be damaged.
    ///
    /// # Errors
    /// `Corrupt`, `Missing`, `Unavailable`.
    fn inspect(&self, id: QueueId) -> BoxFuture<'_, Result<Inspection, StoreError>>;

    /// The messages behind one, or the first ones, in the order of their ids, `max` at most; fewer when that is as much as
    /// one page holds. The held ones are found without a scan of the queue.
    ///
    /// # Errors
    /// `Unavailable`.
    fn list(
        &self,
        which: Listed,
        after: Option<QueueId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// The messages that are meant, behind a mark or from the beginning, `max` at most, each once; of those with `held` the
    /// ones that have a recipient on hold. Never scans the queue. What changes between two pages may be missed, or come twice.
    ///
    /// # Errors
    /// `Unavailable`.
    fn list_meant(
        &self,
        selection: Selection,
        held: bool,
        after: Option<Mark>,
        max: usize,
    ) -> BoxFuture<'_, Result<MeantPage, StoreError>>;

    /// How much waits for these destinations, or in this queue. Never scans the queue.
    ///
    /// # Errors
    /// `Unavailable`.
    fn count(&self, destinations: Destinations) -> BoxFuture<'_, Result<Count, StoreError>>;

    /// How much waits for each destination, and in each queue with a name, that has any: the queues first, then the
    /// destinations in the order of their labels from the last to the first, behind one of them or from the beginning,
    /// `max` at most. Reads a row for each, none for messages.
    ///
    /// # Errors
    /// `Unavailable`.
    fn counts(
        &self,
        after: Option<Destinations>,
        max: usize,
    ) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// Carries out an order on all mail that is meant, or on a part of it, as much as can be made durable at once: whoever
    /// gives it goes on behind the mark until there is none. What comes meanwhile may be meant too. Never scans the queue. An
    /// attempt that is under way is not broken off: whom it reaches is delivered to.
    ///
    /// # Errors
    /// `Missing`: one message was meant, and there is none. `Unavailable`: this part was not carried out.
    fn move_some(
        &self,
        selection: Selection,
        what: Move,
        after: Option<Mark>,
    ) -> BoxFuture<'_, Result<Moved, StoreError>>;

    /// Carries out an order on all mail that is meant; how many deliveries were changed.
    ///
    /// # Errors
    /// As [`Store::move_some`]; some may have been changed then.
    fn move_all(&self, selection: Selection, what: Move) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let (mut count, mut after) = (0, None);
            loop {
                let moved = self.move_some(selection.clone(), what.clone(), after).await?;
                count += moved.count;
                after = moved.after;
                if after.is_none() {
                    return Ok(count);
                }
            }
        })
    }

    /// What is in the queue altogether. Never scans it.
    ///
    /// # Errors
    /// `Unavailable`.
    fn summary(&self) -> BoxFuture<'_, Result<Summary, StoreError>>;

    /// Is notified when a lease may succeed earlier than the last one said. Whoever makes room in a lane notifies it.
    fn wake(&self) -> &Notify;

    /// Whether the store accepts, and if not, why.
    fn health(&self) -> Health;

    /// Finishes what was begun and closes the store; later calls are `Unavailable`.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What is asked for by [`Store::lease`].
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// The time now: what is due at it or before can be leased.
    pub now: SystemTime,
    /// Lease so many at most.
    pub max: usize,
    /// Who says how many may go where.
    pub lanes: Arc<dyn Lanes>,
    /// After this time an unfinished lease ends by itself.
    pub duration: Duration,
}

/// The answer to a [`LeaseRequest`].
#[derive(Debug, Default)]
pub struct Leases {
    /// The deliveries, each with its message where that was at hand: of a few that their lanes let go, so that whoever tries
    /// them need not ask for it. One that can't be read is not, for whatever reason: [`Store::read`] tells.
    pub leased: Vec<(Lease, Option<StoredMessage>)>,
    /// When the next lease can succeed: a time in the past when one can now; none: nothing waits that is not under lease and
    /// whose lane has room.
    pub next_due: Option<SystemTime>,
}

/// What is asked for by [`Store::fetch`].
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Whose mail.
    pub of: Destinations,
    /// Go on behind what was found before; none: begin.
    pub after: Option<FetchPlace>,
    /// Lease so many at most.
    pub max: usize,
    /// After this time an unfinished lease ends by itself.
    pub duration: Duration,
}

/// How far a fetching came; of the store that has given it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlace(pub(crate) Vec<u8>);

/// The answer to a [`FetchRequest`].
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The deliveries; there may be none though there are more.
    pub leases: Vec<Lease>,
    /// Where to go on; none: there is nothing more.
    pub next: Option<FetchPlace>,
}

/// One delivery, handed out to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The message.
    pub id: QueueId,
    /// Where to.
    pub destination: Destination,
    /// Which recipients are left to deliver to: indexes into the envelope's.
    pub recipients: Vec<u32>,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was due.
    pub due: SystemTime,
    /// When the message was taken over.
    pub received_at: SystemTime,
    /// The route it is to go by, as the router calls it; none: that of its destination.
    pub route: Option<Arc<str>>,
    /// It is not to be tried but given up, and its sender told, for this reason.
    pub give_up: Option<Arc<str>>,
    /// Tells this lease from an earlier one of the same delivery; chosen by the store.
    pub token: u64,
}

/// The answer to a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What becomes of each recipient, in the order of [`Lease::recipients`].
    pub recipients: Vec<Step>,
    /// When to try those again that are to be tried again.
    pub next_due: SystemTime,
}

/// What becomes of a recipient. Texts are kept for the operator: control characters in them become `?`,
/// and what is longer than 1,024 octets is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Done with: delivered, or its sender was told that it can't be.
    Done,
    /// Try again, since this was the answer.
    Retry(Box<str>),
    /// Keep undelivered until it is released, for this reason.
    Hold(Box<str>),
}

/// How much waits for some destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Deliveries that are due or will be.
    pub queued: u64,
    /// Deliveries of which all recipients are held.
    pub held: u64,
    /// Octets of both: header blocks and bodies.
    pub octets: u64,
}

/// How much waits for some destinations and queues, each by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Each with what it has.
    pub places: Vec<(Destinations, Count)>,
    /// There are more behind the last one.
    pub more: bool,
}

/// What is in the queue altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages.
    pub messages: u64,
    /// Deliveries that are due or will be.
    pub queued: u64,
    /// Deliveries of which all recipients are held.
    pub held: u64,
    /// Octets of the messages: header blocks and bodies.
    pub octets: u64,
}

/// Whether a store accepts messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Accepting,
    /// Not before there is more free space.
    NoSpace {
        /// Octets free on the spool's file system.
        free: u64,
        /// Octets that have to stay free.
        wanted: u64,
    },
    /// Not before it could be reopened, which the next commit or lease tries.
    Failed {
        /// What failed.
        reason: Arc<str>,
    },
    /// It was closed.
    Closed,
}
