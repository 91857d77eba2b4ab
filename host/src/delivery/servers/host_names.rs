//! The addresses of hosts that the operator names, as every program of this machine finds them: its hosts file included.
//! Knows no route. What was found is kept for some seconds, so that many messages for one host ask once.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;

/// What was found is taken for true so long.
const KEPT: Duration = Duration::from_secs(5);
/// So many names are kept at most: plug-ins may name any.
const NAMES_MAX: usize = 1000;

/// Addresses, and since when they are known.
type Known = (Instant, Arc<[SocketAddr]>);

/// Looks hosts up. Any thread, inside a tokio runtime.
#[derive(Debug, Default)]
pub(super) struct HostNames {
    known: Mutex<HashMap<Box<str>, Known>>,
}

impl HostNames {
    /// The addresses of a host, written with its port.
    ///
    /// # Errors
    /// What the system says; that is not kept.
    pub(super) async fn addresses(&self, named: &str) -> io::Result<Arc<[SocketAddr]>> {
        if let Ok(address) = named.parse::<SocketAddr>() {
            return Ok([address].into());
        }
        if let Some(known) = self.recent(named) {
            return Ok(known);
        }
        let found: Arc<[SocketAddr]> = lookup_host(named).await?.collect();
        let mut known = self.lock();
        if known.len() >= NAMES_MAX {
            known.clear();
        }
        known.insert(named.into(), (Instant::now(), found.clone()));
        Ok(found)
    }

    fn recent(&self, named: &str) -> Option<Arc<[SocketAddr]>> {
        let known = self.lock();
        let (since, found) = known.get(named)?;
        (since.elapsed() < KEPT).then(|| found.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_in_a_while() {
        let names = HostNames::default();
        let first = names.addresses("localhost:25").await.unwrap();
        assert!(first.iter().all(|address| address.ip().is_loopback() && address.port() == 25));
        let again = names.addresses("localhost:25").await.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "it is asked for again");
        // It may be another one by now.
        let long_ago = Instant::now().checked_sub(KEPT).unwrap();
        names.lock().insert("localhost:25".into(), (long_ago, first.clone()));
        let later = names.addresses("localhost:25").await.unwrap();
        assert!(!Arc::ptr_eq(&first, &later), "it is kept for ever");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_faults_are_not_kept() {
        let names = HostNames::default();
        assert_eq!(*names.addresses("[::1]:26").await.unwrap(), ["[::1]:26".parse().unwrap()]);
        // No resolver asks anybody for a label of more than 63 octets.
        let nobody = format!("{}:25", "x".repeat(64));
        assert!(names.addresses(&nobody).await.is_err());
        assert!(names.lock().is_empty(), "an address is no name, and nobody has none");
        for port in 0..=NAMES_MAX {
            names.addresses(&format!("localhost:{port}")).await.unwrap();
        }
        assert!(names.lock().len() <= NAMES_MAX);
    }
}
