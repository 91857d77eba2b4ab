//! Chooses who carries a delivery away: the Maildirs of a domain of ours, or the relay to a next hop.
//! Knows the router and the transports; asks the router anew at each attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stagepost_queue::{BoxFuture, Destination, StoredMessage};
use stagepost_smtp::OwnName;

use super::maildir::Maildirs;
use super::relay::{Relay, RelayTimeouts};
use super::transport::{RecipientOutcome, Transports};
use crate::config::Settings;
use crate::router::{self, Router};

/// Carries messages away as the router says.
pub(crate) struct Carrier {
    router: Arc<Router>,
    /// By the name of the local domain.
    maildirs: HashMap<String, Maildirs>,
    /// By next hop, made when first needed; there are no more than routes in the configuration.
    relays: Mutex<HashMap<String, Relay>>,
    name: OwnName,
}

impl Carrier {
    /// Makes the carrier of checked settings; `name` is what we call ourselves to next hops.
    pub(crate) fn new(settings: &Settings, router: Arc<Router>, name: OwnName) -> Self {
        let maildirs = router.local_domains().map(|domain| {
            let maildirs = Maildirs::new(domain.maildir.clone(), &settings.receive.hostname);
            (domain.name.clone(), maildirs)
        });
        Self { maildirs: maildirs.collect(), router, relays: Mutex::default(), name }
    }

    /// Says goodbye on the idle connections to next hops.
    pub(crate) async fn close(&self) {
        let relays =
            std::mem::take(&mut *self.relays.lock().unwrap_or_else(PoisonError::into_inner));
        for relay in relays.into_values() {
            relay.close().await;
        }
    }

    fn relay(&self, next_hop: &str) -> Relay {
        let mut relays = self.relays.lock().unwrap_or_else(PoisonError::into_inner);
        let relay = relays
            .entry(next_hop.to_owned())
            .or_insert_with(|| Relay::new(next_hop, self.name.clone(), RelayTimeouts::default()));
        relay.clone()
    }
}

impl Transports for Carrier {
    fn deliver<'a>(
        &'a self,
        message: &'a StoredMessage,
        destination: &'a Destination,
        recipients: &'a [u32],
    ) -> BoxFuture<'a, Vec<RecipientOutcome>> {
        Box::pin(async move {
            match self.router.destination(destination.as_str()) {
                Some(router::Destination::Local(domain)) => match self.maildirs.get(&domain.name) {
                    Some(maildirs) => maildirs.deliver(message, recipients).await,
                    None => everyone(recipients, "4.3.5 the domain has no Maildirs"),
                },
                Some(router::Destination::NextHop(next_hop)) => {
                    self.relay(&next_hop.to_string()).deliver(message, recipients).await
                }
                // The configuration has changed since the message was accepted: it may change back.
                None => everyone(recipients, "4.4.4 the configuration has no route to this domain"),
            }
        })
    }
}

fn everyone(recipients: &[u32], reason: &str) -> Vec<RecipientOutcome> {
    vec![RecipientOutcome::Deferred(reason.to_owned()); recipients.len()]
}
