//! Connections to one next hop that wait for a further message.
//! Knows no message; keeps a connection for some seconds, then says goodbye.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::Connection;

/// So many connections wait at most.
const IDLE_MAX: usize = 20;
/// After so many messages a connection is ended: servers count, too.
const TRANSACTIONS_MAX: u32 = 100;

/// The idle connections of one next hop.
#[derive(Debug)]
pub(super) struct IdleConnections {
    /// After a time between this and its double a waiting connection is ended.
    idle_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With the time since which each waits, the longest first.
    waiting: Vec<(Instant, Connection)>,
    /// A task ends what waits too long.
    reaped: bool,
    closed: bool,
}

impl IdleConnections {
    /// None yet.
    pub(super) fn new(idle_for: Duration) -> Self {
        Self { idle_for, state: Mutex::default() }
    }

    /// The connection that waited least, of those that are still good.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut state = self.lock();
        while let Some((_, connection)) = state.waiting.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Lets a connection wait; hands it back when it should be ended instead.
    pub(super) fn put(self: &Arc<Self>, connection: Connection) -> Option<Connection> {
        let mut state = self.lock();
        let room = state.waiting.len() < IDLE_MAX && !state.closed;
        if !room || connection.transactions() >= TRANSACTIONS_MAX || !connection.is_ready() {
            return Some(connection);
        }
        state.waiting.push((Instant::now(), connection));
        if !std::mem::replace(&mut state.reaped, true) {
            tokio::spawn(reap(Arc::downgrade(self), self.idle_for));
        }
        None
    }

    /// Hands out all connections and takes none from now on.
    pub(super) fn close(&self) -> Vec<Connection> {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.drain(..).map(|(_, connection)| connection).collect()
    }

    /// The connections that waited too long; `None` when nothing is left to wait for.
    fn expired(&self) -> Option<Vec<Connection>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.reaped = false;
            return None;
        }
        let fresh = |(since, _): &(Instant, Connection)| since.elapsed() < self.idle_for;
        let count = state.waiting.iter().position(fresh).unwrap_or(state.waiting.len());
        Some(state.waiting.drain(..count).map(|(_, connection)| connection).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends connections that wait too long, until none waits or nobody has use for them.
async fn reap(idle: Weak<IdleConnections>, idle_for: Duration) {
    loop {
        sleep(idle_for).await;
        let Some(expired) = idle.upgrade().and_then(|idle| idle.expired()) else {
            return;
        };
        for connection in expired {
            tokio::spawn(connection.quit());
        }
    }
}
