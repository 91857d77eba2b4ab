//! The sessions of one day with the servers of each domain, counted and bounded.
//! Knows no disk and no network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::session::{Failure, PolicyFound};

/// So many domains of a day are counted.
const DOMAINS_MAX: usize = 10_000;
/// So many policies of a domain: each that it has had on that day.
const POLICIES_MAX: usize = 8;
/// So many kinds of failures of a policy: those of one server are one for each kind.
const FAILURES_MAX: usize = 64;

/// So many octets of all of them, about.
const OCTETS_MAX: usize = 32 << 20;
/// What a failure takes beside the name of its server.
const FAILURE_OCTETS: usize = 200;

/// The sessions of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Day {
    pub(crate) domains: BTreeMap<String, Vec<Counted>>,
    /// What they take.
    octets: usize,
}

/// Those with the servers of one domain that went by the same policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) policy: PolicyFound,
    pub(crate) successes: u64,
    pub(crate) failures: Vec<(Failure, u64)>,
}

impl Counted {
    /// How many sessions failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.iter().map(|(_, count)| count).sum()
    }
}

impl Day {
    /// Counts one; whether there was room for it.
    pub(super) fn count(
        &mut self,
        domain: &str,
        policy: &PolicyFound,
        failure: Option<Failure>,
    ) -> bool {
        let room = |octets: usize| self.octets + octets <= OCTETS_MAX;
        if !self.domains.contains_key(domain) && self.domains.len() >= DOMAINS_MAX {
            return false;
        }
        let policies = self.domains.get(domain).map_or(&[][..], Vec::as_slice);
        let known = policies.iter().position(|counted| counted.policy == *policy);
        let failures = known.map_or(&[][..], |at| &policies[at].failures);
        let new = match &failure {
            Some(failure) if !failures.iter().any(|(known, _)| known == failure) => {
                FAILURE_OCTETS + failure.host.as_ref().map_or(0, String::len)
            }
            _ => 0,
        };
        let of_policy = if known.is_none() { octets(domain, policy) } else { 0 };
        let full = known.is_none() && policies.len() >= POLICIES_MAX
            || new > 0 && failures.len() >= FAILURES_MAX;
        if full || !room(new + of_policy) {
            return false;
        }
        self.octets += new + of_policy;
        let policies = self.domains.entry(domain.to_owned()).or_default();
        let at = known.unwrap_or_else(|| {
            let policy = policy.clone();
            policies.push(Counted { policy, successes: 0, failures: Vec::new() });
            policies.len() - 1
        });
        let counted = &mut policies[at];
        match failure {
            None => counted.successes += 1,
            Some(failure) => {
                match counted.failures.iter_mut().find(|(known, _)| *known == failure) {
                    Some((_, count)) => *count += 1,
                    None => counted.failures.push((failure, 1)),
                }
            }
        }
        true
    }
}

/// What a policy takes, with the name of its domain.
fn octets(domain: &str, policy: &PolicyFound) -> usize {
    let texts = policy.strings.iter().chain(&policy.mx);
    domain.len() + FAILURE_OCTETS + texts.map(|text| text.len() + 4).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::session::{FailureKind, PolicyKind};
    use super::*;

    #[test]
    fn what_is_counted_is_bounded() {
        let policy = |text: &str| PolicyFound {
            kind: PolicyKind::Sts,
            strings: vec![text.to_owned()],
            mx: Vec::new(),
        };
        let failure = |host: usize| Failure {
            kind: FailureKind::ValidationFailure,
            from: None,
            host: Some(host.to_string()),
            to: None,
        };
        let mut day = Day::default();
        for at in 0..DOMAINS_MAX {
            assert!(day.count(&at.to_string(), &policy("a"), None));
        }
        assert!(!day.count("x", &policy("a"), None));
        assert!(day.count("7", &policy("a"), None));
        for at in 1..POLICIES_MAX {
            assert!(day.count("7", &policy(&at.to_string()), None));
        }
        assert!(!day.count("7", &policy("x"), None));
        for at in 0..FAILURES_MAX {
            assert!(day.count("7", &policy("a"), Some(failure(at))));
        }
        assert!(!day.count("7", &policy("a"), Some(failure(FAILURES_MAX))));
        assert!(day.count("7", &policy("a"), Some(failure(3))));
        let counted = &day.domains["7"][0];
        assert_eq!((counted.successes, counted.failures[3].1), (2, 2));
        // Long ones fill it sooner.
        let (mut day, long) = (Day::default(), policy(&"x".repeat(1 << 20)));
        let fitting = (0..40).take_while(|at| day.count(&at.to_string(), &long, None)).count();
        assert_eq!(fitting, 31);
        assert!(day.count("0", &long, None));
    }
}
