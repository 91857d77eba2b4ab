//! Group commit: one sync for all messages that wait, at once when idle, never by a timer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::log::Log;
use super::wire::{Doorbell, Wire};

/// A thread that stores messages and answers them.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Batch>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Batch {
    octets: Vec<u8>,
    wires: Vec<Arc<Wire>>,
    stopping: bool,
}

impl Committer {
    pub(crate) fn start(log: Log, doorbell: Arc<Doorbell>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let served = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || served.serve(log, &doorbell))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Leaves a message to be stored; `wire` is answered then.
    pub(crate) fn submit(&self, wire: &Arc<Wire>, message: &[u8]) {
        let mut waiting = self.queue.lock();
        let first = waiting.wires.is_empty();
        waiting.octets.extend_from_slice(message);
        waiting.wires.push(Arc::clone(wire));
        drop(waiting);
        // With others waiting the thread is busy, or woken already.
        if first {
            self.queue.arrived.notify_one();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue.lock().stopping = true;
        self.queue.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn serve(&self, mut log: Log, doorbell: &Doorbell) {
        let mut batch = Batch::default();
        while self.take(&mut batch) {
            if let Err(error) = log.append(&batch.octets) {
                doorbell.fail(error);
                return;
            }
            for wire in batch.wires.drain(..) {
                wire.answer(doorbell);
            }
            batch.octets.clear();
        }
    }

    /// Exchanges the empty batch for the messages that wait. `false`: there will be no more.
    fn take(&self, batch: &mut Batch) -> bool {
        let mut waiting = self
            .arrived
            .wait_while(self.lock(), |waiting| waiting.wires.is_empty() && !waiting.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.stopping {
            return false;
        }
        std::mem::swap(&mut *waiting, batch);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
