//! A list that somebody keeps in the DNS (RFC 5782): what to ask for about an address, and what an answer means.
//! Asks nobody.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use crate::pattern::Pattern;
use crate::words::Words;

/// A list in the DNS.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// Its domain, without the last dot.
    pub(crate) name: String,
    /// The answers that mean "listed"; any in 127.0.0.0/8 when there are none.
    pub(crate) answers: Vec<Pattern>,
    /// What a hit counts.
    pub(crate) weight: i32,
    /// How long an answer is waited for.
    pub(crate) timeout_ms: u32,
    /// Whether it is tested before it is relied on.
    pub(crate) test: bool,
    /// Words for who is refused, in the place of those of all lists.
    pub(crate) words: Option<Words>,
}

/// What a list says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It is listed, with this answer.
    Listed(Ipv4Addr),
    NotListed,
    /// The list does not answer us: it refuses who asks too much, or through a resolver that many share.
    Blocked(Ipv4Addr),
    /// Nobody knows now.
    Trouble,
}

/// Answers of lists that say something of whoever asks, not of the address (127.255.255.0/24, as the large lists use it).
const BLOCKED: [u8; 3] = [127, 255, 255];

impl Zone {
    /// The name to ask for about an address: its octets or nibbles, the last first, below the zone (RFC 5782 sections 2.1, 2.4).
    pub(crate) fn question(&self, address: IpAddr) -> String {
        let mut name = String::with_capacity(64 + self.name.len());
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets().iter().rev() {
                    // Writing to a String does not fail.
                    let _ = write!(name, "{octet}.");
                }
            }
            IpAddr::V6(address) => {
                for octet in address.octets().iter().rev() {
                    let _ = write!(name, "{:x}.{:x}.", octet & 0xf, octet >> 4);
                }
            }
        }
        name.push_str(&self.name);
        name
    }

    /// What the records of an answer mean.
    pub(crate) fn judge(&self, answers: &[Ipv4Addr]) -> Listing {
        judge(&self.answers, answers)
    }

    /// What they mean when every answer of a list counts: so for the entries by which lists are tested.
    pub(crate) fn judge_any(&self, answers: &[Ipv4Addr]) -> Listing {
        judge(&[], answers)
    }
}

/// What the records of an answer mean, when these are the ones that mean "listed": any in 127.0.0.0/8, if there are none.
fn judge(wanted: &[Pattern], answers: &[Ipv4Addr]) -> Listing {
    let blocked = answers.iter().find(|answer| answer.octets()[..3] == BLOCKED);
    if let Some(answer) = blocked {
        return Listing::Blocked(*answer);
    }
    // Anything else comes of a zone that was given up, or of a resolver that invents answers.
    let listed = answers.iter().filter(|answer| answer.octets()[0] == 127).find(|answer| {
        let fits = |pattern: &Pattern| pattern.contains(IpAddr::V4(**answer));
        wanted.is_empty() || wanted.iter().any(fits)
    });
    listed.map_or(Listing::NotListed, |answer| Listing::Listed(*answer))
}

/// What many lists come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict<'z> {
    /// The first zone, in the order of the configuration, that has the address, and its answer.
    pub(crate) first: Option<(&'z str, Ipv4Addr)>,
    /// The weights of all that have it, together.
    pub(crate) weight: i32,
}

/// Sums up what zones say.
pub(crate) fn sum<'z>(said: impl IntoIterator<Item = (&'z Zone, Listing)>) -> Verdict<'z> {
    let mut verdict = Verdict { first: None, weight: 0 };
    for (zone, listing) in said {
        if let Listing::Listed(answer) = listing {
            verdict.first = verdict.first.or(Some((&zone.name, answer)));
            verdict.weight = verdict.weight.saturating_add(zone.weight);
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(answers: &[&str], weight: i32) -> Zone {
        let answers = answers.iter().map(|answer| answer.parse().unwrap()).collect();
        Zone {
            name: "list.test".to_owned(),
            answers,
            weight,
            timeout_ms: 1,
            test: true,
            words: None,
        }
    }

    #[test]
    fn questions_are_reversed() {
        let zone = zone(&[], 1);
        assert_eq!(zone.question("192.0.2.99".parse().unwrap()), "99.2.0.192.list.test");
        let wanted = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test";
        assert_eq!(zone.question("2001:db8::1".parse().unwrap()), wanted);
    }

    #[test]
    fn answers_mean_what_the_zone_says() {
        use Listing::{Blocked, Listed, NotListed};
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let cases: [(&[&str], &[&str], Listing); 9] = [
            (&[], &["127.0.0.2"], Listed(ip("127.0.0.2"))),
            (&[], &[], NotListed),
            (&[], &["192.0.2.1"], NotListed),
            (&[], &["192.0.2.1", "127.0.0.4"], Listed(ip("127.0.0.4"))),
            (&[], &["127.255.255.254"], Blocked(ip("127.255.255.254"))),
            (&[], &["127.0.0.2", "127.255.255.1"], Blocked(ip("127.255.255.1"))),
            (&["127.0.0.2-9"], &["127.0.0.10"], NotListed),
            (&["127.0.0.2-9"], &["127.0.0.10", "127.0.0.9"], Listed(ip("127.0.0.9"))),
            (&["127.0.*.3", "127.0.0.5"], &["127.0.7.3"], Listed(ip("127.0.7.3"))),
        ];
        for (answers, records, wanted) in cases {
            let records: Vec<_> = records.iter().map(|record| ip(record)).collect();
            assert_eq!(zone(answers, 1).judge(&records), wanted, "{answers:?} {records:?}");
        }
    }

    #[test]
    fn weights_add_up_and_the_first_zone_is_named() {
        let (mut a, mut b) = (zone(&[], 2), zone(&[], -1));
        a.name = "a.test".to_owned();
        b.name = "b.test".to_owned();
        let two = Ipv4Addr::new(127, 0, 0, 2);
        let listed = Listing::Listed(two);
        let verdict =
            sum([(&a, Listing::Trouble), (&b, listed), (&a, listed), (&a, Listing::Blocked(two))]);
        assert_eq!(verdict, Verdict { first: Some(("b.test", two)), weight: 1 });
        assert_eq!(sum([(&a, Listing::NotListed)]), Verdict { first: None, weight: 0 });
    }
}
