//! Sessions with other servers that plug-ins begin, done by the parts that send and receive mail.
//! Holds how these hang together; what is said when is the plug-in's to decide.

mod accepted;
mod receiving;
mod session;

use std::collections::HashMap;
use std::sync::Arc;

use stagepost_extmgr::{Outbound, OutboundError, OutboundSession, OutboundTarget};
use stagepost_smtp::Settings;

pub(crate) use self::accepted::Accepted;
use self::session::Session;
use crate::config::{self, NextHop};
use crate::delivery::Relay;
use crate::listener::Shared;
use crate::listener::door::Door;

/// What every session needs.
pub(crate) struct Dialler {
    parts: Arc<Parts>,
}

struct Parts {
    relay: Relay,
    /// What sessions of clients share, for those on which a server becomes one.
    shared: Arc<Shared>,
    /// The settings of each listener by its name.
    listeners: HashMap<Box<str>, Arc<Settings>>,
    /// What all listeners have in common.
    receive: Arc<Settings>,
}

impl Dialler {
    pub(crate) fn new(settings: &config::Settings, relay: Relay, shared: Arc<Shared>) -> Self {
        let listener = |listener: &config::Listener| {
            let settings = Door::new(listener, &settings.receive, None).settings;
            (listener.name.as_str().into(), receiving::settings(&settings))
        };
        let listeners = settings.listeners.iter().map(listener).collect();
        let receive = receiving::settings(&settings.receive);
        Self { parts: Arc::new(Parts { relay, shared, listeners, receive }) }
    }
}

impl Outbound for Dialler {
    fn begin(&self, target: OutboundTarget) -> Result<Arc<dyn OutboundSession>, OutboundError> {
        let host = NextHop::new(&target.host, target.port).ok_or(OutboundError::Invalid)?;
        Ok(Arc::new(Session::new(self.parts.clone(), target, host)))
    }
}
