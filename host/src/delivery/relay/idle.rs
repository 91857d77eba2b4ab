//! Connections that wait for a further message, by what they lead to.
//! Knows no message; keeps a connection for some seconds, then says goodbye.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use stagepost_smtp::{Protocol, SendingTls};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use crate::delivery::demand::Demand;
use crate::delivery::servers::Endpoint;
use crate::tls::Identity;

/// So many connections wait at most, all together.
const IDLE_MAX: usize = 500;
/// So many of them lead to the same.
const PER_LINE_MAX: usize = 20;
/// After so many messages a connection is ended: servers count, too.
const TRANSACTIONS_MAX: u32 = 100;

/// What makes two connections as good as each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    /// Where they lead to.
    pub(super) endpoint: Endpoint,
    /// What is spoken there.
    pub(super) protocol: Protocol,
    /// For which name, and with what demanded of TLS.
    pub(super) tls: (Box<str>, Demand),
    /// As whom we are known there, by name.
    pub(super) login: Option<Box<str>>,
}

impl Line {
    /// One that does as well, and more was made sure of: the same to a server with a certificate for its name.
    pub(super) fn stronger(&self) -> Option<Self> {
        let (host, Demand { tls, identity }) = &self.tls;
        let lenient = matches!(identity, Identity::Anybody | Identity::Wished);
        let demand = Demand { tls: SendingTls::Must, identity: Identity::Named };
        let stronger = || Self { tls: (host.clone(), demand), ..self.clone() };
        (lenient && matches!(tls, SendingTls::IfOffered | SendingTls::Must)).then(stronger)
    }
}

/// The idle connections.
#[derive(Debug)]
pub(super) struct IdleConnections {
    /// After a time between this and its double a waiting connection is ended.
    idle_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// With the time since which each waits, the longest first. No list is empty.
    waiting: HashMap<Line, Vec<(Instant, Connection)>>,
    /// All of them.
    count: usize,
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
    pub(super) fn take(&self, line: &Line) -> Option<Connection> {
        let mut state = self.lock();
        let waiting = state.waiting.get_mut(line)?;
        let before = waiting.len();
        let mut found = None;
        while found.is_none()
            && let Some((_, mut connection)) = waiting.pop()
        {
            found = connection.is_ready().then_some(connection);
        }
        let left = waiting.len();
        if left == 0 {
            state.waiting.remove(line);
        }
        state.count -= before - left;
        found
    }

    /// Lets a connection wait; hands it back when it should be ended instead.
    pub(super) fn put(
        self: &Arc<Self>,
        line: Line,
        mut connection: Connection,
    ) -> Option<Connection> {
        let mut state = self.lock();
        let room = state.count < IDLE_MAX
            && state.waiting.get(&line).is_none_or(|waiting| waiting.len() < PER_LINE_MAX)
            && !state.closed;
        if !room || connection.transactions() >= TRANSACTIONS_MAX || !connection.is_ready() {
            return Some(connection);
        }
        state.waiting.entry(line).or_default().push((Instant::now(), connection));
        state.count += 1;
        if !std::mem::replace(&mut state.reaped, true) {
            tokio::spawn(reap(Arc::downgrade(self), self.idle_for));
        }
        None
    }

    /// Hands out all connections and takes none from now on.
    pub(super) fn close(&self) -> Vec<Connection> {
        let mut state = self.lock();
        state.closed = true;
        state.count = 0;
        let waiting = std::mem::take(&mut state.waiting).into_values().flatten();
        waiting.map(|(_, connection)| connection).collect()
    }

    /// The connections that waited too long; `None` when nothing is left to wait for.
    fn expired(&self) -> Option<Vec<Connection>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.reaped = false;
            return None;
        }
        let fresh = |(since, _): &(Instant, Connection)| since.elapsed() < self.idle_for;
        let mut expired = Vec::new();
        for waiting in state.waiting.values_mut() {
            let count = waiting.iter().position(fresh).unwrap_or(waiting.len());
            expired.extend(waiting.drain(..count).map(|(_, connection)| connection));
        }
        state.waiting.retain(|_, waiting| !waiting.is_empty());
        state.count -= expired.len();
        Some(expired)
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
