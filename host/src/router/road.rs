//! By which lane mail goes: one for all that has the same servers, one for each domain whose servers the DNS names.
//! Knows the routes; no lane's state.

use std::collections::HashMap;
use std::time::Duration;

use stagepost_queue::{Destination as Domain, LaneName};

use super::{Destination, Router};
use crate::config::{LmtpServer, LocalDomain, MailStore, Pace, Retry, RouteRule, Settings, Way};
use crate::delivery::{Pauses, Road, Roads};

/// The first pause of servers that can't be talked to, and the longest, unless the route has a single message tried more often.
const PAUSE_FIRST: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// The roads that several routes or local domains may share, by where they lead.
#[derive(Debug, Default)]
pub(super) struct Shared(HashMap<String, Road>);

impl Shared {
    /// Those of checked settings. Where several say how much may go to the same servers, the least holds.
    pub(super) fn of(settings: &Settings) -> Self {
        let mut shared = Self::default();
        for rule in &settings.routes {
            if let Way::Hosts(_) | Way::Mx(Some(_)) = rule.way {
                shared.add(rule.way.to_string(), rule.pace, &rule.retry);
            }
        }
        for domain in &settings.local_domains {
            if let MailStore::Lmtp(server) = &domain.store {
                shared.add(lmtp(server), settings.delivery.pace, &settings.queue.retry);
            }
        }
        shared
    }

    fn add(&mut self, leads_to: String, pace: Pace, retry: &Retry) {
        let road =
            Road { lane: LaneName::new(leads_to.as_str()), pace, pauses: Some(pauses(retry)) };
        let shared = self.0.entry(leads_to).or_insert_with(|| road.clone());
        shared.pace = shared.pace.least_of(pace);
        let least = |one: Pauses, other: Pauses| Pauses {
            first: one.first.min(other.first),
            max: one.max.min(other.max),
        };
        shared.pauses = shared.pauses.zip(road.pauses).map(|(one, other)| least(one, other));
    }
}

/// Nobody need wait longer for a lane than a single message waits for its next attempt.
fn pauses(retry: &Retry) -> Pauses {
    Pauses { first: retry.first.min(PAUSE_FIRST), max: retry.max.min(PAUSE_MAX) }
}

fn lmtp(server: &LmtpServer) -> String {
    match server {
        LmtpServer::Host(host) => format!("lmtp:{host}"),
        LmtpServer::Socket(path) => format!("lmtp:{}", path.display()),
    }
}

impl Pace {
    /// The least of both.
    fn least_of(self, other: Self) -> Self {
        let lesser = |one: Option<u32>, other: Option<u32>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let at_once_max = self.at_once_max.min(other.at_once_max);
        Self {
            at_once_max,
            at_once_min: self.at_once_min.min(other.at_once_min).min(at_once_max),
            per_minute_max: lesser(self.per_minute_max, other.per_minute_max),
            per_minute_min: lesser(self.per_minute_min, other.per_minute_min),
        }
    }
}

impl Router {
    fn local_road(&self, domain: &LocalDomain) -> Road {
        let alone = || Road {
            lane: LaneName::new(format!("local:{}", domain.name)),
            pace: self.pace,
            pauses: None,
        };
        match &domain.store {
            MailStore::Lmtp(server) => self.shared.0.get(&lmtp(server)).cloned(),
            MailStore::Maildir(_) => None,
        }
        .unwrap_or_else(alone)
    }

    fn route_road(&self, rule: &RouteRule, destination: &Domain) -> Road {
        let alone = |pauses| Road { lane: destination.into(), pace: rule.pace, pauses };
        match &rule.way {
            Way::Hosts(_) | Way::Mx(Some(_)) => {
                let shared = self.shared.0.get(&rule.way.to_string()).cloned();
                shared.unwrap_or_else(|| alone(Some(pauses(&rule.retry))))
            }
            Way::Mx(None) => alone(Some(pauses(&rule.retry))),
            Way::Wait | Way::Discard => alone(None),
        }
    }
}

impl Roads for Router {
    fn road(&self, route: Option<&str>, destination: &Domain) -> Road {
        match self.destination_by(route, destination.as_str()) {
            Some(Destination::Local(domain)) => self.local_road(domain),
            Some(Destination::Route(rule)) => self.route_road(rule, destination),
            None => Road { lane: destination.into(), pace: self.pace, pauses: None },
        }
    }

    fn named(&self) -> Vec<Road> {
        let mut named: Vec<Road> = self.shared.0.values().cloned().collect();
        named.sort_by(|one, other| one.lane.cmp(&other.lane));
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = r#"
hostname = "mx.example.test"
listen = [{ name = "mx", address = "127.0.0.1:0" }]
[queue]
retry_first = "10s"
[delivery]
rate_per_minute = 600
[[local_domain]]
name = "here.test"
mailboxes = "any"
[[local_domain]]
name = "boxes.test"
mailboxes = "any"
lmtp = "127.0.0.1:24"
[[route]]
domain = "a.test"
next_hop = ["one.test:25", "two.test:25"]
per_destination = 8
[[route]]
domain = "b.test"
next_hop = ["one.test:25", "two.test:25"]
per_destination = 3
per_destination_min = 2
[[route]]
domain = "c.test"
hold = "30d"
[[route]]
domain = "d.test"
next_hop = "mx:e.test"
[[route]]
domain = "*"
next_hop = "mx"
retry_first = "2h"
retry_max = "3h"
"#;

    #[test]
    fn destinations_with_the_same_servers_share_a_lane() {
        let router = Router::new(&crate::config::from_text(CONFIGURATION).unwrap());
        let road = |route, name: &str| router.road(route, &Domain::new(name).unwrap());
        let seconds = |road: &Road| road.pauses.map(|it| (it.first.as_secs(), it.max.as_secs()));
        let cases = [
            ("here.test", "local:here.test", 20, None),
            ("boxes.test", "lmtp:127.0.0.1:24", 20, Some((10, 600))),
            ("a.test", "one.test:25, two.test:25", 3, Some((10, 600))),
            ("b.test", "one.test:25, two.test:25", 3, Some((10, 600))),
            ("c.test", "c.test", 20, None),
            ("d.test", "mx:e.test", 20, Some((10, 600))),
            ("x.test", "x.test", 20, Some((60, 600))),
            ("y.test", "y.test", 20, Some((60, 600))),
        ];
        for (name, lane, at_once, pauses) in cases {
            let road = road(None, name);
            assert_eq!(road.lane.as_str(), lane, "{name}");
            assert_eq!((road.pace.at_once_max, seconds(&road)), (at_once, pauses), "{name}");
            assert_eq!(road.pace.per_minute_max, Some(600), "{name}");
        }
        assert_eq!(road(Some("b.test"), "x.test"), road(None, "a.test"));
        assert_eq!(router.named().len(), 3);
    }
}
