//! What the committer is asked for, and which requests can be one batch.
//! Knows no engine: it only looks at whose rows a request is about.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::bodies::BodyFile;
use super::change::NewRows;
use super::key::DueKey;
use crate::{Destination, Lease, Mark, Move, Moved, QueueId, Selection, Settlement, StoreError};

/// So many requests wait for the committer at most; more wait for room.
pub(super) const WAITING_MAX: usize = 4096;
/// A batch joins so many requests at most.
const BATCH_REQUESTS_MAX: usize = 1024;
/// A batch takes no further request when it has so many octets.
const BATCH_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// The answer to a request.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the committer is asked for.
pub(super) enum Request {
    Insert {
        rows: NewRows,
        file: Option<BodyFile>,
        answer: Answer<()>,
    },
    Settle {
        lease: Lease,
        settlement: Settlement,
        due_ms: u64,
        answer: Answer<()>,
    },
    Hold {
        id: QueueId,
        reason: Arc<str>,
        answer: Answer<()>,
    },
    SetAside {
        key: DueKey,
    },
    Move {
        selection: Selection,
        what: Move,
        after: Option<Mark>,
        answer: Answer<Moved>,
    },
    /// Reopen a failed engine, if it is time.
    Reopen,
    Close {
        answer: oneshot::Sender<()>,
    },
}

/// The requests that wait.
pub(super) struct Waiting {
    requests: mpsc::Receiver<Request>,
    /// Taken out of the channel, but not fit for the batch before.
    carried: VecDeque<Request>,
}

/// A batch being put together.
///
/// What a batch changes can't be read before it is committed. So it changes a delivery once, and when it changes all
/// deliveries of a message, it does nothing else to that message; a move, which touches anybody's rows, is alone.
#[derive(Default)]
struct Batch {
    requests: Vec<Request>,
    octets: usize,
    alone: bool,
    messages: HashSet<QueueId>,
    whole_messages: HashSet<QueueId>,
    deliveries: HashSet<(QueueId, Destination)>,
}

impl Waiting {
    pub(super) fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self { requests, carried: VecDeque::new() }
    }

    /// Waits for a request and takes what else waits, as far as it can be one batch. `None` when nobody can ask any
    /// more. Blocks.
    pub(super) fn next_batch(&mut self) -> Option<Vec<Request>> {
        let mut batch = Batch::default();
        while let Some(request) = self.carried.pop_front() {
            if let Some(request) = batch.add(request) {
                self.carried.push_front(request);
                return Some(batch.requests);
            }
        }
        if batch.requests.is_empty() {
            // An empty batch takes any request.
            let _ = batch.add(self.requests.blocking_recv()?);
        }
        while batch.has_room() {
            let Ok(request) = self.requests.try_recv() else {
                break;
            };
            if let Some(request) = batch.add(request) {
                self.carried.push_back(request);
                break;
            }
        }
        Some(batch.requests)
    }
}

impl Batch {
    fn has_room(&self) -> bool {
        !self.alone && self.requests.len() < BATCH_REQUESTS_MAX && self.octets < BATCH_OCTETS_MAX
    }

    /// Adds a request, or gives it back when it has to wait for the next batch.
    fn add(&mut self, request: Request) -> Option<Request> {
        let fits = self.requests.is_empty() || !self.alone && self.fits(&request);
        if !fits {
            return Some(request);
        }
        match &request {
            Request::Insert { rows, .. } => {
                self.octets += rows.message.len() + rows.body.as_ref().map_or(0, |body| body.len());
            }
            Request::Settle { lease, .. } => self.touch(lease.id, &lease.destination),
            Request::SetAside { key } => self.touch(key.id, &key.destination),
            Request::Hold { id, .. } => {
                self.messages.insert(*id);
                self.whole_messages.insert(*id);
            }
            Request::Move { .. } | Request::Close { .. } => self.alone = true,
            Request::Reopen => {}
        }
        self.requests.push(request);
        None
    }

    fn fits(&self, request: &Request) -> bool {
        let delivery = |id: QueueId, destination: &Destination| {
            !self.whole_messages.contains(&id)
                && !self.deliveries.contains(&(id, destination.clone()))
        };
        match request {
            // Nobody knows the id of a message before it is committed.
            Request::Insert { .. } | Request::Reopen => true,
            Request::Settle { lease, .. } => delivery(lease.id, &lease.destination),
            Request::SetAside { key } => delivery(key.id, &key.destination),
            Request::Hold { id, .. } => !self.messages.contains(id),
            Request::Move { .. } | Request::Close { .. } => false,
        }
    }

    fn touch(&mut self, id: QueueId, destination: &Destination) {
        self.messages.insert(id);
        self.deliveries.insert((id, destination.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn settle(id: u8, name: &str) -> Request {
        let lease = Lease {
            id: QueueId::from_bytes([id; 16]),
            destination: Destination::new(name).unwrap(),
            recipients: vec![0],
            attempts: 0,
            due: UNIX_EPOCH,
            received_at: UNIX_EPOCH,
            route: None,
            give_up: None,
            token: 0,
        };
        let settlement = Settlement { recipients: vec![], next_due: UNIX_EPOCH };
        Request::Settle { lease, settlement, due_ms: 0, answer: oneshot::channel().0 }
    }

    fn hold(id: u8) -> Request {
        let id = QueueId::from_bytes([id; 16]);
        Request::Hold { id, reason: "".into(), answer: oneshot::channel().0 }
    }

    fn flush() -> Request {
        let all = crate::Destinations::One(Destination::new("a").unwrap());
        Request::Move {
            selection: Selection::Destinations(all),
            what: Move::Flush { now: UNIX_EPOCH },
            after: None,
            answer: oneshot::channel().0,
        }
    }

    #[test]
    fn what_can_not_be_one_batch_is_several() {
        let cases: [(Vec<Request>, &[usize]); 8] = [
            (vec![settle(1, "a"), settle(1, "b"), settle(2, "a")], &[3]),
            (vec![settle(1, "a"), settle(1, "a"), settle(2, "a")], &[1, 2]),
            (vec![settle(1, "a"), hold(1), settle(1, "b")], &[1, 1, 1]),
            (vec![hold(1), settle(1, "a")], &[1, 1]),
            (vec![hold(1), hold(2), settle(3, "a")], &[3]),
            (vec![settle(1, "a"), flush(), settle(2, "a"), settle(3, "a")], &[1, 1, 2]),
            (vec![flush(), flush()], &[1, 1]),
            (vec![Request::Reopen, settle(1, "a"), Request::Reopen], &[3]),
        ];
        for (case, (requests, wanted)) in cases.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(10);
            for request in requests {
                assert!(sender.try_send(request).is_ok());
            }
            drop(sender);
            let mut waiting = Waiting::new(receiver);
            let batches: Vec<usize> =
                std::iter::from_fn(|| waiting.next_batch()).map(|batch| batch.len()).collect();
            assert_eq!(batches, wanted, "case {case}");
        }
    }
}
