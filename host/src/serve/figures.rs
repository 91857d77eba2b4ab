//! The server's figures, gathered when somebody asks for them.
//! Knows where each figure is kept; knows no socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stagepost_extmgr::{ExtMgr, PluginState};
use stagepost_queue::Health;

use crate::admin::{
    Coming, DeliveryStatus, ListenerStatus, PluginStatus, QueueStatus, Status, StatusSource,
};
use crate::auth::Authenticator;
use crate::listener::sessions::Sessions;
use crate::metrics;
use crate::serve::Queue;

/// Where the figures are.
pub(crate) struct Figures {
    begun: Instant,
    listeners: Vec<ListenerStatus>,
    plugins: Arc<ExtMgr>,
    sessions: Arc<Sessions>,
    queue: Queue,
    authenticator: Arc<Authenticator>,
}

impl Figures {
    pub(crate) fn new(
        begun: Instant,
        listeners: &[(Arc<str>, SocketAddr)],
        plugins: Arc<ExtMgr>,
        sessions: Arc<Sessions>,
        queue: Queue,
        authenticator: Arc<Authenticator>,
    ) -> Self {
        let listeners = listeners.iter().map(|(name, address)| ListenerStatus {
            name: name.to_string(),
            address: address.to_string(),
        });
        Self { begun, listeners: listeners.collect(), plugins, sessions, queue, authenticator }
    }

    fn delivery(&self) -> DeliveryStatus {
        let (counts, failing) = self.queue.lanes.counts();
        DeliveryStatus {
            well: counts.well,
            busy: counts.busy,
            down: counts.down,
            put_off: counts.put_off,
            in_doubt: counts.in_doubt,
            failing,
            lanes: self.queue.lanes.named().into_iter().map(Into::into).collect(),
        }
    }

    async fn queue(&self) -> Option<QueueStatus> {
        let summary = self.queue.store.summary().await.ok()?;
        Some(QueueStatus {
            messages: summary.messages,
            queued: summary.queued,
            held: summary.held,
            octets: summary.octets,
            accepting: self.queue.store.health() == Health::Accepting,
        })
    }
}

impl StatusSource for Figures {
    fn status(&self) -> Coming<'_, Status> {
        Box::pin(async {
            Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                uptime_s: self.begun.elapsed().as_secs(),
                listeners: self.listeners.clone(),
                plugins: self.plugins.plugins().into_iter().map(plugin).collect(),
                sessions: self.sessions.status(),
                logins: self.authenticator.counts(),
                queue: self.queue().await,
                delivery: self.delivery(),
            }
        })
    }

    fn metrics(&self) -> Coming<'_, String> {
        Box::pin(async { metrics::text(&self.status().await, &self.plugins.figures()) })
    }
}

fn plugin(state: PluginState) -> PluginStatus {
    PluginStatus {
        name: state.name.to_string(),
        version: state.version,
        class: state.class.name().to_owned(),
        run: state.run.name().to_owned(),
        registrations: state.registrations as u64,
        calls: state.calls,
        faults: state.faults,
    }
}
