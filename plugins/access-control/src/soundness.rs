//! Whether lists in the DNS can be relied on: one that works lists the address that every list has, and not the one that none
//! has (RFC 5782 section 5). Knows what was found, for a time; asks nobody.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dns_list::{Listing, Zone};

/// What was found holds so long.
const SOUND_FOR: Duration = Duration::from_secs(3600);
/// So long a list that can't be relied on is left alone before it is tried again.
const UNSOUND_FOR: Duration = Duration::from_secs(600);

/// What the test of a list came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Soundness {
    Sound,
    /// It has everybody, as a list that was given up does.
    ListsAll,
    /// It has not even what every list has: it was given up, or is asked by a wrong name.
    ListsNone,
    /// It refuses us, with this answer.
    RefusesUs(Ipv4Addr),
    /// Nobody knows now: what it says of an address is no more than that.
    Unknown,
}

/// The addresses that a list of this family has, and has not.
pub(crate) fn test_points(address: IpAddr) -> [IpAddr; 2] {
    let points = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 1)];
    match address {
        IpAddr::V4(_) => points.map(IpAddr::V4),
        // ::FFFF:7F00:2 and ::FFFF:7F00:1.
        IpAddr::V6(_) => points.map(|point| IpAddr::V6(point.to_ipv6_mapped())),
    }
}

/// Judges what a list says of the two.
pub(crate) fn judge(listed: Listing, unlisted: Listing) -> Soundness {
    match (listed, unlisted) {
        (_, Listing::Listed(_)) => Soundness::ListsAll,
        (Listing::NotListed, Listing::NotListed) => Soundness::ListsNone,
        (Listing::Listed(_), Listing::NotListed) => Soundness::Sound,
        (Listing::Blocked(answer), _) | (_, Listing::Blocked(answer)) => {
            Soundness::RefusesUs(answer)
        }
        (Listing::Trouble, _) | (_, Listing::Trouble) => Soundness::Unknown,
    }
}

/// What was found out about lists. Of each the two families are two.
#[derive(Debug, Default)]
pub(crate) struct Tested(Mutex<HashMap<(String, bool), (Soundness, Instant)>>);

fn key(zone: &Zone, address: IpAddr) -> (String, bool) {
    (zone.name.clone(), address.is_ipv4())
}

impl Tested {
    /// What is known of a list; none when it has to be tested.
    pub(crate) fn known(&self, zone: &Zone, address: IpAddr, now: Instant) -> Option<Soundness> {
        let tested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (soundness, since) = *tested.get(&key(zone, address))?;
        let holds = match soundness {
            Soundness::Sound => SOUND_FOR,
            Soundness::ListsAll | Soundness::ListsNone | Soundness::RefusesUs(_) => UNSOUND_FOR,
            Soundness::Unknown => return None,
        };
        (now.saturating_duration_since(since) < holds).then_some(soundness)
    }

    /// Keeps what a test came to. Whether that is new.
    pub(crate) fn found(
        &self,
        zone: &Zone,
        address: IpAddr,
        soundness: Soundness,
        now: Instant,
    ) -> bool {
        let mut tested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = tested.insert(key(zone, address), (soundness, now));
        // Who was left alone for refusing us, and does it again, is told of again.
        let again = |since| {
            matches!(soundness, Soundness::RefusesUs(_))
                && now.saturating_duration_since(since) >= UNSOUND_FOR
        };
        before.is_none_or(|(before, since)| before != soundness || again(since))
    }

    /// Forgets the lists that are not among these any more: after a change of the configuration.
    pub(crate) fn keep<'z>(&self, zones: impl Iterator<Item = &'z Zone> + Clone) {
        let mut tested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tested.retain(|(name, _), _| zones.clone().any(|zone| zone.name == *name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Listing = Listing::Listed(Ipv4Addr::new(127, 0, 0, 2));

    fn zone(name: &str) -> Zone {
        let name = name.to_owned();
        Zone { name, answers: Vec::new(), weight: 1, timeout_ms: 1, test: true, words: None }
    }

    #[test]
    fn the_two_addresses_tell() {
        use Listing::{NotListed, Trouble};
        let blocked = Listing::Blocked(Ipv4Addr::LOCALHOST);
        for (listed, unlisted, wanted) in [
            (TWO, NotListed, Soundness::Sound),
            (TWO, TWO, Soundness::ListsAll),
            (NotListed, TWO, Soundness::ListsAll),
            (Trouble, TWO, Soundness::ListsAll),
            (NotListed, NotListed, Soundness::ListsNone),
            (Trouble, NotListed, Soundness::Unknown),
            (TWO, Trouble, Soundness::Unknown),
            (Trouble, Trouble, Soundness::Unknown),
            (blocked, NotListed, Soundness::RefusesUs(Ipv4Addr::LOCALHOST)),
            (TWO, blocked, Soundness::RefusesUs(Ipv4Addr::LOCALHOST)),
            (blocked, TWO, Soundness::ListsAll),
        ] {
            assert_eq!(judge(listed, unlisted), wanted, "{listed:?} {unlisted:?}");
        }
        let questions =
            test_points("2001:db8::1".parse().unwrap()).map(|at| zone("l").question(at));
        let zeros = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
        assert_eq!(questions[0], format!("2.0.0.0.0.0.f.7.f.f.f.f.{zeros}.l"));
        let questions = test_points("192.0.2.1".parse().unwrap()).map(|at| zone("l").question(at));
        assert_eq!(questions, ["2.0.0.127.l", "1.0.0.127.l"]);
    }

    #[test]
    fn what_was_found_holds_for_a_time() {
        let (tested, now) = (Tested::default(), Instant::now());
        let (one, two) = (zone("one.test"), zone("two.test"));
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        assert_eq!(tested.known(&one, v4, now), None);
        assert!(tested.found(&one, v4, Soundness::Sound, now));
        assert!(!tested.found(&one, v4, Soundness::Sound, now));
        assert!(tested.found(&two, v4, Soundness::ListsAll, now));
        assert_eq!(tested.known(&one, v4, now), Some(Soundness::Sound));
        assert_eq!(tested.known(&one, v6, now), None, "the other family");
        assert_eq!(tested.known(&one, v4, now + SOUND_FOR), None);
        assert_eq!(tested.known(&two, v4, now), Some(Soundness::ListsAll));
        assert_eq!(tested.known(&two, v4, now + UNSOUND_FOR), None);
        assert!(tested.found(&two, v4, Soundness::Unknown, now));
        assert_eq!(tested.known(&two, v4, now), None, "to be tried again at once");
        let refuses = Soundness::RefusesUs(Ipv4Addr::LOCALHOST);
        assert!(tested.found(&two, v4, refuses, now));
        assert!(!tested.found(&two, v4, refuses, now));
        assert_eq!(tested.known(&two, v4, now), Some(refuses));
        assert_eq!(tested.known(&two, v4, now + UNSOUND_FOR), None);
        assert!(tested.found(&two, v4, refuses, now + UNSOUND_FOR), "told again");
        tested.keep([&two].into_iter());
        assert_eq!(tested.known(&one, v4, now), None);
    }
}
