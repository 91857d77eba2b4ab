//! Greylisting (RFC 6647): mail of clients that nobody knows is put off once; who tries again is known from then on.
//! First attempts are in memory, and a restart forgets them; clients that are known are in the durable state.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stagepost_sdk::{Host, Level, Pending, State};

use crate::rates;
use crate::section;

/// The most first attempts that are remembered at once. Over that nobody new is put off.
const ATTEMPTS_MAX: usize = 100_000;
/// Before the network of a client that is known, in the keys of the state.
const PREFIX: &[u8] = b"known/";
/// The state is told again that a client is known when that is so old.
const TOLD_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// The most of an address that is compared.
const ADDRESS_OCTETS_MAX: usize = 256;

/// An attempt to send mail: the client's network, sender and recipient.
type Attempt = (IpAddr, String, String);

/// What is known of clients.
#[derive(Debug)]
pub(crate) struct Greylist {
    attempts: Attempts,
    /// Where the search for clients that have long not been seen goes on.
    swept: Mutex<Vec<u8>>,
}

/// First attempts, and when they were.
#[derive(Debug, Default)]
struct Attempts(Mutex<HashMap<Attempt, Instant>>);

impl Attempts {
    /// Whether the time has come for an attempt; else it is remembered.
    fn is_due(&self, attempt: Attempt, now: Instant, settings: &section::Greylist) -> bool {
        let (delay, window) = (seconds(settings.delay_s), seconds(settings.window_s));
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = attempts.get(&attempt).map(|first| now.saturating_duration_since(*first));
        match age {
            Some(age) if age < delay => return false,
            Some(age) if age < window => {
                attempts.remove(&attempt);
                return true;
            }
            _ => {}
        }
        if attempts.len() >= ATTEMPTS_MAX {
            attempts.retain(|_, first| now.saturating_duration_since(*first) < window);
            if attempts.len() >= ATTEMPTS_MAX {
                return true;
            }
        }
        attempts.insert(attempt, now);
        false
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The network that a client is known by: a sender may have many hosts in one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() >> 8 << 8).into(),
        address => rates::counted(address),
    }
}

fn key(network: IpAddr) -> Vec<u8> {
    [PREFIX, network.to_string().as_bytes()].concat()
}

/// Seconds since 1970, as the state has them.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn read_s(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// How an address is compared.
fn folded(address: &str) -> String {
    let end = address.floor_char_boundary(ADDRESS_OCTETS_MAX);
    address[..end].to_lowercase()
}

impl Greylist {
    pub(crate) fn new() -> Self {
        Self { attempts: Attempts::default(), swept: Mutex::new(Vec::new()) }
    }

    /// Whether a recipient is put off. Trouble with the state lets mail pass.
    pub(crate) async fn puts_off(
        &self,
        host: &Host,
        call: &Pending,
        settings: &section::Greylist,
        [sender, recipient]: [&str; 2],
        address: IpAddr,
    ) -> bool {
        let Some(state) = host.state() else { return false };
        let network = network(address);
        let known = match state.get(call, &key(network)).await {
            Ok(value) => value.as_deref().and_then(read_s),
            Err(error) => {
                host.log(
                    Level::Error,
                    format_args!("greylist: who is known can't be read: {error}"),
                );
                return false;
            }
        };
        let kept_s = u64::from(settings.known_days) * 24 * 3600;
        let age_s = known.map(|seen| now_s().saturating_sub(seen)).filter(|age| *age <= kept_s);
        if age_s.is_some_and(|age| age < TOLD_AGAIN.as_secs()) {
            return false;
        }
        let attempt = (network, folded(sender), folded(recipient));
        if age_s.is_none() && !self.attempts.is_due(attempt, Instant::now(), settings) {
            return true;
        }
        if let Err(error) = state.put(call, &key(network), &now_s().to_be_bytes()).await {
            host.log(Level::Error, format_args!("greylist: {network} can't be kept: {error}"));
        }
        self.sweep(&state, call, kept_s).await;
        false
    }

    /// Looks at the next of those that are known, and forgets it when it has long not been seen: one for each that is told
    /// to the state, so that all are looked at in time and nobody waits for it.
    async fn sweep(&self, state: &State, call: &Pending, kept_s: u64) {
        let after = self.swept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let next = state.next(call, PREFIX, &after).await.ok().flatten();
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) =
            next.clone().unwrap_or_default();
        let Some(key) = next else { return };
        let seen = state.get(call, &key).await.ok().flatten();
        let gone = seen.is_some_and(|seen| {
            read_s(&seen).is_none_or(|seen| now_s().saturating_sub(seen) > kept_s)
        });
        if gone {
            // What stays is looked at again the next time round.
            let _ = state.remove(call, &key).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_attempt_passes_when_its_time_has_come() {
        let settings = section::Greylist { delay_s: 60, window_s: 3600, ..Default::default() };
        let (attempts, start) = (Attempts::default(), Instant::now());
        let attempt = |sender: &str| {
            (network("192.0.2.1".parse().unwrap()), folded(sender), folded("B@Example.org"))
        };
        let due = |sender: &str, after: u64| {
            attempts.is_due(attempt(sender), start + Duration::from_secs(after), &settings)
        };
        assert!(!due("a@b", 0));
        assert!(!due("a@b", 59));
        assert!(!due("other@b", 60), "another sender");
        assert!(due("A@B", 60));
        assert!(!due("other@b", 60 + 3600), "too late: it counts as the first");
        assert!(due("other@b", 60 + 3600 + 60));
        assert!(attempts.0.lock().unwrap().is_empty());
    }

    #[test]
    fn clients_are_known_by_their_network() {
        for (address, wanted) in
            [("192.0.2.77", "192.0.2.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(network(address.parse().unwrap()).to_string(), wanted);
        }
        assert_eq!(key("192.0.2.0".parse().unwrap()), b"known/192.0.2.0");
    }
}
