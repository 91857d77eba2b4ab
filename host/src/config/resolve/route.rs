//! Routes from the file as written: where they lead, and how often that is tried.
//! Knows no DNS: whether there is such a server is found out by who talks to it.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use stagepost_smtp::{Extension, Extensions};
use toml::Spanned;

use super::Resolver;
use super::pace::PaceFields;
use crate::config::duration::Written;
use crate::config::error::ConfigError;
use crate::config::file;
use crate::config::name::NameOfQueue;
use crate::config::routing::{DomainPattern, LocalDomain, NextHop, RouteRule, TlsPolicy, Way};
use crate::config::settings::{Delivery, Listener, ListenerSocket, Queue, Retry};

impl Resolver<'_> {
    pub(super) fn queue(&self, written: &file::Queue) -> Result<Queue, ConfigError> {
        let duration = |written: file::RetryTime| Written(written.duration());
        let expire = Written(written.expire.duration());
        let max = self.ordered(&written.retry_max, duration, expire, "expire")?;
        let first = self.ordered(&written.retry_first, duration, max, "retry_max")?;
        let notice = written.delay_notice.duration();
        Ok(Queue {
            free_space_min: written.free_space_min.octets(),
            retry: Retry {
                first: first.0,
                max: max.0,
                factor: written.retry_factor.get(),
                expire: expire.0,
                notice: (!notice.is_zero()).then_some(notice),
                parked: false,
            },
        })
    }

    pub(super) fn routes(
        &self,
        written: Vec<file::Route>,
        (default, delivery): (&Retry, &Delivery),
        local_domains: &[LocalDomain],
        own: &OwnPlaces<'_>,
        dnssec: bool,
    ) -> Result<Vec<RouteRule>, ConfigError> {
        self.unique(
            written.iter().map(|route| (&route.domain, route.domain.get_ref().to_string())),
        )?;
        let rule = |route: file::Route| {
            let local = |domain: &&LocalDomain| {
                *route.domain.get_ref() == DomainPattern::Exact(domain.name.clone())
            };
            if let Some(domain) = local_domains.iter().find(local) {
                let problem = format!("{} is a local domain and a route at once", domain.name);
                let remedy = "remove the route, or the [[local_domain]]";
                return Err(self.document.fault(route.domain.span(), problem, remedy));
            }
            let retry = self.retry(&route, default)?;
            let way = self.way(&route, own)?;
            let idle = matches!(way, Way::Wait | Way::Discard);
            let unused = [
                route.tls.as_ref().map(Spanned::span),
                route.login_file.as_ref().map(Spanned::span),
                route.per_destination.as_ref().map(Spanned::span),
                route.per_destination_min.as_ref().map(Spanned::span),
                route.rate_per_minute.as_ref().map(Spanned::span),
                route.rate_per_minute_min.as_ref().map(Spanned::span),
            ];
            if let Some(span) = unused.into_iter().flatten().next().filter(|_| idle) {
                let problem = "no server is talked to on this route";
                return Err(self.document.fault(span, problem, "remove the line"));
            }
            let pace = self.pace(&PaceFields::of(&route), delivery.pace, delivery.concurrency)?;
            let login_file =
                route.login_file.as_ref().map(|written| self.base.join(written.get_ref()));
            // Who we are is for the right server alone to be shown.
            let default =
                if login_file.is_some() { TlsPolicy::Verified } else { TlsPolicy::default() };
            let tls = route.tls.as_ref().map_or(default, |written| *written.get_ref());
            if let Some(written) = route.tls.as_ref().filter(|_| tls == TlsPolicy::Dane && !dnssec)
            {
                let problem =
                    "without DNSSEC the DNS vouches for nobody: the mail would wait for ever";
                let remedy = "add dnssec = true to [dns]";
                return Err(self.document.fault(written.span(), problem, remedy));
            }
            let queue = route.queue.map(|NameOfQueue(queue)| queue);
            let domain = route.domain.into_inner();
            Ok(RouteRule { domain, queue, way, retry, pace, tls, login_file })
        };
        written.into_iter().map(rule).collect()
    }

    /// The extensions of the protocol that work with these routes. REQUIRETLS is a promise that mail leaves by none of them without TLS and
    /// a server that is known (RFC 8689 section 2): where that can't be had it would bring nothing but returned mail.
    pub(super) fn extensions(
        &self,
        written: &file::Delivery,
        routes: &[RouteRule],
        dnssec: bool,
    ) -> Result<Extensions, ConfigError> {
        // RFC 8689 section 4.2.1: somebody has to vouch for the names of servers.
        let vouched = dnssec || written.mta_sts;
        let working = Extensions::WORKING;
        let hopeless = routes.iter().find(|route| !may_require_tls(route, vouched));
        match (&written.requiretls, hopeless) {
            (Some(wanted), Some(route)) if *wanted.get_ref() => {
                let problem =
                    format!("by the route of {} no mail can leave that requires TLS", route.domain);
                let remedy = match route.tls {
                    TlsPolicy::None => "remove the line, or tls = \"none\" of the route",
                    _ => {
                        "remove the line, or add mta_sts = true, or dnssec = true to [dns]: who forges the DNS can lead mail anywhere"
                    }
                };
                Err(self.document.fault(wanted.span(), problem, remedy))
            }
            (Some(wanted), None) if *wanted.get_ref() => Ok(working),
            (None, None) => Ok(working),
            _ => Ok(working.without(Extension::RequireTls)),
        }
    }

    fn way(&self, route: &file::Route, own: &OwnPlaces<'_>) -> Result<Way, ConfigError> {
        let Some(way) = &route.next_hop else {
            if route.hold.is_some() {
                return Ok(Way::Wait);
            }
            let problem = "nobody gets the mail of this route";
            let remedy = "add next_hop = ..., or hold = ... when somebody fetches it";
            return Err(self.document.fault(route.domain.span(), problem, remedy));
        };
        self.other_servers(way, own)?;
        Ok(way.get_ref().clone())
    }

    fn retry(&self, route: &file::Route, default: &Retry) -> Result<Retry, ConfigError> {
        if let Some(hold) = &route.hold {
            return self.parking(route, hold, default);
        }
        if let Some(written) = &route.hold_notice {
            let remedy = "add hold = ..., or write delay_notice";
            return Err(self.document.fault(
                written.span(),
                "nothing is held on this route",
                remedy,
            ));
        }
        let (mut max, mut first) = (Written(default.max), Written(default.first));
        let expire = route.expire.as_ref().map_or(default.expire, |time| time.get_ref().duration());
        if let Some(written) = &route.retry_max {
            let duration = |written: file::RetryTime| Written(written.duration());
            max = self.ordered(written, duration, Written(expire), "expire")?;
        }
        max = Written(max.0.min(expire));
        if let Some(written) = &route.retry_first {
            let duration = |written: file::RetryTime| Written(written.duration());
            first = self.ordered(written, duration, max, "retry_max")?;
        }
        let notice = route.delay_notice.as_ref().map(|notice| notice.get_ref().duration());
        Ok(Retry {
            first: Written(first.0.min(max.0)).0,
            max: max.0,
            factor: (route.retry_factor.as_ref())
                .map_or(default.factor, |factor| factor.get_ref().get()),
            expire,
            notice: notice.map_or(default.notice, |time| (!time.is_zero()).then_some(time)),
            parked: false,
        })
    }

    /// Mail that waits to be fetched: for how long, and when its sender is told before that ends.
    fn parking(
        &self,
        route: &file::Route,
        hold: &Spanned<file::Expiry>,
        default: &Retry,
    ) -> Result<Retry, ConfigError> {
        let unused = [
            route.retry_first.as_ref().map(Spanned::span),
            route.retry_max.as_ref().map(Spanned::span),
            route.expire.as_ref().map(Spanned::span),
            route.retry_factor.as_ref().map(Spanned::span),
            route.delay_notice.as_ref().map(Spanned::span),
        ];
        if let Some(span) = unused.into_iter().flatten().next() {
            let problem = "what is held is tried when somebody comes for it, and kept for as long as hold says";
            return Err(self.document.fault(span, problem, "remove the line, or hold"));
        }
        let expire = hold.get_ref().duration();
        let ahead = match &route.hold_notice {
            Some(written) => {
                let duration = |written: file::Notice| Written(written.duration());
                Some(self.ordered(written, duration, Written(expire), "hold")?.0)
            }
            None => None,
        };
        let notice = ahead.filter(|ahead| !ahead.is_zero()).map(|ahead| expire - ahead);
        Ok(Retry { expire, notice, parked: true, ..default.clone() })
    }

    /// Refuses a way that leads back here.
    fn other_servers(&self, way: &Spanned<Way>, own: &OwnPlaces<'_>) -> Result<(), ConfigError> {
        let Way::Hosts(hosts) = way.get_ref() else { return Ok(()) };
        hosts.iter().try_for_each(|next_hop| self.other_server(next_hop, way.span(), own))
    }

    /// Refuses a server that is this one.
    pub(super) fn other_server(
        &self,
        next_hop: &NextHop,
        span: Range<usize>,
        own: &OwnPlaces<'_>,
    ) -> Result<(), ConfigError> {
        let Some(listener) = own.listener(next_hop) else { return Ok(()) };
        let problem = format!(
            "{next_hop} is this server's own listener {:?}: mail would go round in a circle",
            listener.name
        );
        Err(self.document.fault(span, problem, "name the server that is to get the mail"))
    }
}

/// Where this server is found, as far as its file says so.
pub(super) struct OwnPlaces<'o> {
    pub(super) hostname: &'o str,
    pub(super) listeners: &'o [Listener],
}

impl OwnPlaces<'_> {
    /// Whom one comes to there.
    fn listener(&self, next_hop: &NextHop) -> Option<&Listener> {
        let is_own = |listener: &&Listener| match listener.socket {
            ListenerSocket::Own(address) => self.leads_to(next_hop, address),
            ListenerSocket::Passed(_) => false,
        };
        self.listeners.iter().find(is_own)
    }

    fn leads_to(&self, next_hop: &NextHop, own: SocketAddr) -> bool {
        let ip = own.ip();
        if next_hop.port != own.port() {
            return false;
        }
        match next_hop.host.parse::<IpAddr>() {
            Ok(host) if host.is_ipv4() != ip.is_ipv4() => false,
            Ok(host) if ip.is_unspecified() => host.is_loopback() || host.is_unspecified(),
            // The system takes the unspecified address for the machine itself.
            Ok(host) => host == ip || host.is_unspecified() && ip.is_loopback(),
            Err(_) if next_hop.host == "localhost" => ip.is_unspecified() || ip.is_loopback(),
            Err(_) => next_hop.host.eq_ignore_ascii_case(self.hostname) && !ip.is_loopback(),
        }
    }
}

/// Whether mail that requires TLS may find a way by a route.
fn may_require_tls(route: &RouteRule, vouched: bool) -> bool {
    match route.way {
        Way::Wait | Way::Discard => true,
        Way::Hosts(_) => route.tls != TlsPolicy::None,
        Way::Mx(_) => route.tls != TlsPolicy::None && vouched,
    }
}

#[cfg(test)]
mod tests {
    use stagepost_smtp::Extension;

    use crate::config::from_text;

    #[test]
    fn no_mail_is_given_to_this_server_itself() {
        let listeners =
            ["127.0.0.1:2501", "0.0.0.0:2502", "[::1]:2503", "[::]:2504", "192.0.2.1:2505"];
        let listeners: String = (0..)
            .zip(listeners)
            .map(|(n, at)| format!("[[listen]]\nname = \"l{n}\"\naddress = \"{at}\"\n"))
            .collect();
        for (server, wanted) in [
            ("127.0.0.1:2501", Some("l0")),
            ("0.0.0.0:2501", Some("l0")),
            ("localhost:2501", Some("l0")),
            // It listens to nobody outside: the name may lead to another machine.
            ("us.test:2501", None),
            ("127.0.0.2:2501", None),
            ("[::1]:2501", None),
            ("127.0.0.9:2502", Some("l1")),
            ("localhost:2502", Some("l1")),
            ("US.test:2502", Some("l1")),
            ("192.0.2.1:2502", None),
            ("[::1]:2502", None),
            ("[::1]:2503", Some("l2")),
            ("[::1]:2504", Some("l3")),
            ("192.0.2.1:2505", Some("l4")),
            ("us.test:2505", Some("l4")),
            ("127.0.0.1:2505", None),
            ("127.0.0.1:25", None),
            ("other.test:2502", None),
        ] {
            for section in [
                format!(
                    "[[route]]\ndomain = \"a.test\"\nnext_hop = [\"b.test:25\", \"{server}\"]\n"
                ),
                format!(
                    "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nlmtp = \"{server}\"\n"
                ),
            ] {
                let text = format!("hostname = \"Us.test\"\n{listeners}{section}");
                let refused = from_text(&text).err().map(|error| error.in_line());
                let said =
                    wanted.map(|listener| format!("is this server's own listener {listener:?}"));
                match (&refused, &said) {
                    (None, None) => {}
                    (Some(refused), Some(said)) => assert!(refused.contains(said), "{refused}"),
                    _ => panic!("{server}: {refused:?}"),
                }
            }
        }
    }

    #[test]
    fn requiretls_is_offered_where_mail_can_leave_so() {
        let route = |fields: &str| format!("[[route]]\ndomain = \"a.test\"\n{fields}\n");
        let host = "next_hop = \"smart.test:25\"";
        let without = "[delivery]\nmta_sts = false\n";
        for (text, offered) in [
            (String::new(), true),
            (route("hold = \"2d\""), true),
            (route("next_hop = \"discard\""), true),
            (route(host), true),
            (route(&format!("{host}\ntls = \"verified\"")), true),
            (route(&format!("{host}\ntls = \"none\"")), false),
            (route("next_hop = \"mx\""), true),
            (route("next_hop = \"mx\"") + without, false),
            (route("next_hop = \"mx\"") + without + "[dns]\ndnssec = true\n", true),
            (route("next_hop = \"mx\"\ntls = \"none\"") + "[dns]\ndnssec = true\n", false),
            ("[delivery]\nrequiretls = false\n".to_owned(), false),
            ("[delivery]\nrequiretls = true\n".to_owned(), true),
        ] {
            let base =
                "hostname = \"us.test\"\n[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n";
            let settings = from_text(&format!("{base}{text}")).unwrap();
            let found = settings.receive.extensions.contains(Extension::RequireTls);
            assert_eq!(found, offered, "{text}");
        }
    }
}
