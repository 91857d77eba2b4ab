//! The policies of MTA-STS that are known, and what could not be had, in memory and bounded.
//! Knows no network and no disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::StsFault;
use super::policy::StsPolicy;

/// So long after a policy could not be fetched it is not fetched again (RFC 8461 section 3.3).
const PAUSE: Duration = Duration::from_secs(300);
/// Nor is another one of that domain for so long: who has a new name for it each time keeps nobody busy.
const BREATH: Duration = Duration::from_secs(60);
/// A policy that is so old, or has lasted for half of its time, is fetched again (RFC 8461 section 3.3).
const OLD: Duration = Duration::from_secs(86_400);
/// So many policies are kept; one more takes the place of the one that was not used for longest.
const KEPT_MAX: usize = 10_000;
/// So many octets of them all.
const KEPT_OCTETS_MAX: usize = 16 << 20;

/// A policy that was fetched.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its name.
    pub(crate) id: Box<str>,
    /// What it says.
    pub(crate) policy: StsPolicy,
    /// When it was fetched.
    pub(crate) fetched_at: SystemTime,
    /// When mail was sent by it last, in seconds since 1970.
    used_s: AtomicU64,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Library {
    kept: HashMap<Box<str>, Arc<Kept>>,
    octets: usize,
    /// What could not be fetched: the name of the policy, when that was, and why.
    failed: HashMap<Box<str>, (Box<str>, Instant, Arc<StsFault>)>,
    /// Who fetches for all who want the same.
    pub(super) turns: HashMap<Box<str>, Arc<tokio::sync::Mutex<()>>>,
}

impl Kept {
    /// One that is used as it is fetched.
    pub(super) fn new(id: &str, policy: StsPolicy, fetched_at: SystemTime) -> Self {
        Self { id: id.into(), policy, fetched_at, used_s: seconds(fetched_at).into() }
    }

    /// The same, but for when it was used.
    pub(super) fn used_at(self, used_s: u64) -> Self {
        Self { used_s: used_s.into(), ..self }
    }

    /// Notes that mail is sent by it.
    pub(super) fn note_use(&self, now: SystemTime) {
        self.used_s.store(seconds(now), Ordering::Relaxed);
    }

    pub(super) fn used_s(&self) -> u64 {
        self.used_s.load(Ordering::Relaxed)
    }

    /// How long ago it was fetched. A clock that was put back makes nothing older.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.fetched_at).unwrap_or_default()
    }

    /// Whether it counts no more.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.age(now) > self.policy.max_age
    }

    /// Whether it is to be fetched again; not when no mail has gone there for as long as it lasts.
    fn is_old(&self, now: SystemTime) -> bool {
        let unused = seconds(now).saturating_sub(self.used_s());
        self.age(now) >= OLD.min(self.policy.max_age / 2) && unused <= self.policy.max_age.as_secs()
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Library {
    /// With these policies, and the domains for whose there is no room.
    pub(super) fn of(kept: Vec<(String, Kept)>) -> (Self, Vec<Box<str>>) {
        let mut library = Self::default();
        let put = |(domain, kept): (String, Kept)| library.put(&domain, Arc::new(kept));
        let outdone = kept.into_iter().flat_map(put).collect();
        (library, outdone)
    }

    /// The policy of a domain, unless it is over.
    pub(super) fn get(&self, domain: &str, now: SystemTime) -> Option<Arc<Kept>> {
        self.kept.get(domain).filter(|kept| !kept.is_over(now)).cloned()
    }

    /// The domains whose policies are over.
    pub(super) fn over(&self, now: SystemTime) -> Vec<Box<str>> {
        let over = self.kept.iter().filter(|(_, kept)| kept.is_over(now));
        over.map(|(domain, _)| domain.clone()).collect()
    }

    /// Forgets the policy of a domain if it is over; whether it was.
    pub(super) fn forget(&mut self, domain: &str, now: SystemTime) -> bool {
        let over = self.kept.get(domain).is_some_and(|kept| kept.is_over(now));
        if over {
            self.remove(domain);
        }
        over
    }

    /// Keeps a policy; the domains that are out of room then.
    pub(super) fn put(&mut self, domain: &str, kept: Arc<Kept>) -> Vec<Box<str>> {
        self.failed.remove(domain);
        self.remove(domain);
        let (mut outdone, octets) = (Vec::new(), kept.policy.octets());
        while self.kept.len() >= KEPT_MAX || self.octets + octets > KEPT_OCTETS_MAX {
            let longest = self.kept.iter().min_by_key(|(_, kept)| kept.used_s());
            let Some(domain) = longest.map(|(domain, _)| domain.clone()) else { break };
            self.remove(&domain);
            outdone.push(domain);
        }
        self.octets += octets;
        self.kept.insert(domain.into(), kept);
        outdone
    }

    fn remove(&mut self, domain: &str) {
        if let Some(kept) = self.kept.remove(domain) {
            self.octets -= kept.policy.octets();
        }
    }

    /// The domains whose policies are to be fetched again.
    pub(super) fn old(&self, now: SystemTime) -> Vec<Box<str>> {
        let old = self.kept.iter().filter(|(_, kept)| kept.is_old(now) && !kept.is_over(now));
        old.map(|(domain, _)| domain.clone()).collect()
    }

    /// Why a policy could not be fetched a moment ago.
    pub(super) fn fault(&self, domain: &str, id: &str) -> Option<Arc<StsFault>> {
        let (of, since, fault) = self.failed.get(domain)?;
        let pause = if **of == *id { PAUSE } else { BREATH };
        (since.elapsed() < pause).then(|| fault.clone())
    }

    /// Keeps that, for a while.
    pub(super) fn failed(&mut self, domain: &str, id: &str, fault: StsFault) {
        self.failed.retain(|_, (_, since, _)| since.elapsed() < PAUSE);
        if self.failed.len() >= KEPT_MAX {
            let first = self.failed.iter().min_by_key(|(_, (_, since, _))| *since);
            if let Some(domain) = first.map(|(domain, _)| domain.clone()) {
                self.failed.remove(&domain);
            }
        }
        self.failed.insert(domain.into(), (id.into(), Instant::now(), Arc::new(fault)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::StsMode;
    use super::*;

    fn kept(max_age_s: u64, mx: &[&str]) -> Kept {
        let mx = mx.iter().map(|name| (*name).into()).collect();
        let policy =
            StsPolicy { mode: StsMode::Enforce, max_age: Duration::from_secs(max_age_s), mx };
        Kept::new("1", policy, UNIX_EPOCH + Duration::from_secs(1_000_000))
    }

    #[test]
    fn a_policy_grows_old_before_it_is_over() {
        const DAY: u64 = 86_400;
        for (max_age_s, age_s, unused_s, old, over) in [
            (10 * DAY, DAY - 1, 0, false, false),
            (10 * DAY, DAY, 0, true, false),
            (10 * DAY, 10 * DAY, 0, true, false),
            (10 * DAY, 10 * DAY + 1, 0, false, true),
            // No mail goes there any more.
            (10 * DAY, 9 * DAY, 11 * DAY, false, false),
            (3600, 1799, 0, false, false),
            (3600, 1800, 0, true, false),
            (0, 0, 0, true, false),
            (0, 1, 0, false, true),
        ] {
            let now_s = 1_000_000 + age_s;
            let now = UNIX_EPOCH + Duration::from_secs(now_s);
            let kept = kept(max_age_s, &["a.test"]).used_at(now_s - unused_s);
            let mut library = Library::of(vec![("x.test".to_owned(), kept)]).0;
            assert_eq!(library.old(now).len() == 1, old, "{max_age_s} {age_s}");
            assert_eq!(library.get("x.test", now).is_none(), over, "{max_age_s} {age_s}");
            assert_eq!(library.over(now).len() == 1, over, "{max_age_s} {age_s}");
            assert_eq!(library.forget("x.test", now), over, "{max_age_s} {age_s}");
            assert_eq!(library.octets == 0, over, "{max_age_s} {age_s}");
        }
        // A clock that was put back.
        let library = Library::of(vec![("x.test".to_owned(), kept(0, &[]))]).0;
        assert!(library.get("x.test", UNIX_EPOCH).is_some());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let long = "a".repeat(253);
        let large: Vec<&str> = vec![&long; 256];
        let mut library = Library::default();
        let fits = KEPT_OCTETS_MAX / kept(1, &large).policy.octets();
        for at in 0..fits {
            let domain = format!("{at}.test");
            let kept = kept(1, &large).used_at(if at == 7 { 5 } else { 10 });
            assert!(library.put(&domain, Arc::new(kept)).is_empty());
        }
        let outdone = library.put("one.test", Arc::new(kept(1, &large)));
        assert_eq!(outdone, ["7.test".into()]);
        // The same again needs no room.
        assert!(library.put("one.test", Arc::new(kept(1, &large))).is_empty());
    }

    /// However many domains can't be asked, and however many names one has for what can't be had.
    #[tokio::test(start_paused = true)]
    async fn what_cant_be_had_is_remembered_for_a_while() {
        let mut library = Library::default();
        for at in 0..=KEPT_MAX {
            library.failed(&at.to_string(), "1", StsFault::Trouble);
            // Who comes first is known for it.
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(library.failed.len(), KEPT_MAX);
        assert!(library.fault("0", "1").is_none() && library.fault("1", "1").is_some());
        assert!(library.fault("1", "2").is_some(), "whatever it is called");
        tokio::time::advance(BREATH).await;
        assert!(library.fault("1", "1").is_some() && library.fault("1", "2").is_none());
        tokio::time::advance(PAUSE).await;
        assert!(library.fault("1", "1").is_none());
        library.failed("x", "1", StsFault::Trouble);
        assert_eq!(library.failed.len(), 1);
    }
}
