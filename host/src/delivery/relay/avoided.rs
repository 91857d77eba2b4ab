//! Servers that could not be connected to a short while ago, or not with TLS as it must be: of several they are tried last.
//! Knows no message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::servers::{Endpoint, Server};

/// So long others come first.
const REMEMBERED: Duration = Duration::from_secs(60);
/// So many are remembered.
const SERVERS_MAX: usize = 10_000;

/// The servers, and since when.
#[derive(Debug, Default)]
pub(super) struct Avoided(Mutex<HashMap<Endpoint, Instant>>);

impl Avoided {
    /// The same servers in the same order, but these behind the others.
    pub(super) fn last(&self, mut servers: Vec<Server>) -> Vec<Server> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: &Instant| at.elapsed() < REMEMBERED;
        servers.sort_by_key(|server| known.get(&server.endpoint).is_some_and(fresh));
        servers
    }

    /// Notes one.
    pub(super) fn note(&self, endpoint: &Endpoint) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SERVERS_MAX {
            known.retain(|_, at| at.elapsed() < REMEMBERED);
        }
        if known.len() < SERVERS_MAX {
            known.insert(endpoint.clone(), Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::servers::Footing;

    #[tokio::test(start_paused = true)]
    async fn others_come_first_for_a_while() {
        let server = |port| {
            let endpoint = Endpoint::Tcp(([127, 0, 0, 1], port).into());
            Server {
                host: "h".into(),
                shown: "h".into(),
                endpoint,
                footing: Footing::Loose,
                vouched: false,
            }
        };
        let avoided = Avoided::default();
        let order = || {
            let servers = avoided.last(vec![server(1), server(2), server(3)]);
            servers.into_iter().map(|server| server.endpoint.to_string()).collect::<Vec<_>>()
        };
        let [one, two, three] = [1, 2, 3].map(|port| server(port).endpoint.to_string());
        assert_eq!(order(), [&*one, &two, &three]);
        avoided.note(&server(1).endpoint);
        assert_eq!(order(), [&*two, &three, &one]);
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(order(), [&*one, &two, &three]);
    }
}
