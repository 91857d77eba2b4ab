//! Chooses who carries a delivery away: Maildirs, a server of mailboxes, the next hops of a route, or nobody.
//! Knows the router and the transports; asks the router anew at each attempt.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use stagepost_queue::{BoxFuture, Lease, StoredMessage};
use stagepost_smtp::{Credentials, OwnName, Protocol};

use super::demand::Demands;
use super::finding::Finding;
use super::logins::Logins;
use super::maildir::Maildirs;
use super::relay::{Hop, Relay, RelayTimeouts};
use super::servers::Servers;
use super::transport::{Carried, Onward, RecipientOutcome, Transports};
use crate::config::{LmtpServer, LocalDomain, MailStore, Settings, TlsPolicy, Way};
use crate::dns::Names;
use crate::router::{self, Router};
use crate::tls::OutboundTls;
use crate::tls_report::TlsReports;

/// The way that an attempt takes.
struct Course<'c> {
    way: &'c Way,
    tls: TlsPolicy,
    login: Option<Credentials>,
}

/// Carries messages away as the router says.
pub(crate) struct Carrier {
    router: Arc<Router>,
    /// By the name of the local domain.
    maildirs: HashMap<String, Maildirs>,
    relay: Relay,
    logins: Arc<Logins>,
}

impl Carrier {
    /// Makes the carrier of checked settings; `name` is what we call ourselves to other servers, `logins` who we are to some.
    pub(crate) fn new(
        settings: &Settings,
        router: Arc<Router>,
        name: OwnName,
        names: Arc<dyn Names>,
        tls: OutboundTls,
        logins: Arc<Logins>,
    ) -> Self {
        let maildirs = router.local_domains().filter_map(|domain| match &domain.store {
            MailStore::Maildir(folder) => {
                let maildirs = Maildirs::new(folder.clone(), &settings.receive.hostname);
                Some((domain.name.clone(), maildirs))
            }
            MailStore::Lmtp(_) => None,
        });
        let maildirs = maildirs.collect();
        let demands = Demands::of_settings(settings, router.clone(), &names, &tls);
        let (mx_port, timeouts) = (settings.delivery.mx_port, RelayTimeouts::default());
        let relay = Relay::new(names, demands, name, mx_port, tls, timeouts);
        let relay = relay.heeding_field(settings.delivery.tls_required_field);
        Self { maildirs, router, relay, logins }
    }

    /// The same, whose sessions with other servers are counted for reports.
    pub(crate) fn counted(self, reports: Option<Arc<TlsReports>>) -> Self {
        Self { relay: self.relay.counted(reports), ..self }
    }

    /// The same, of a server that listens at these places: nothing is given to itself.
    pub(crate) fn listening(self, places: &[SocketAddr]) -> Self {
        Self { relay: self.relay.listening(places), ..self }
    }

    /// What dials other servers.
    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Says goodbye on the idle connections to other servers.
    pub(crate) async fn close(&self) {
        self.relay.close().await;
    }

    async fn keep(
        &self,
        domain: &LocalDomain,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Carried {
        let servers = match &domain.store {
            MailStore::Maildir(_) => {
                return match self.maildirs.get(&domain.name) {
                    Some(maildirs) => Carried::aside(maildirs.deliver(message, recipients).await),
                    None => everyone(recipients, (4, 3, 5), "the domain has no Maildirs"),
                };
            }
            MailStore::Lmtp(LmtpServer::Host(host)) => Servers::Hosts(std::slice::from_ref(host)),
            MailStore::Lmtp(LmtpServer::Socket(path)) => Servers::Socket(path),
        };
        // It is this machine, or as good as this machine.
        let hop = Hop { servers, protocol: Protocol::Lmtp, tls: TlsPolicy::None, login: None };
        self.relay.deliver(hop, message, recipients).await
    }

    async fn send(
        &self,
        course: Course<'_>,
        domain: &str,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Carried {
        let Some(servers) = Servers::of(course.way, domain) else {
            if *course.way != Way::Discard {
                return everyone(recipients, (4, 4, 7), "nobody has come to fetch it");
            }
            let finding = Finding::new((2, 0, 0), "discarded, as the route says");
            let outcome = RecipientOutcome::Delivered(finding, Onward::End);
            return Carried::aside(vec![outcome; recipients.len()]);
        };
        let Course { tls, login, .. } = course;
        let hop = Hop { servers, protocol: Protocol::Smtp, tls, login: login.as_ref() };
        self.relay.deliver(hop, message, recipients).await
    }
}

impl Transports for Carrier {
    fn next_hop(&self, lease: &Lease) -> String {
        let destination = lease.destination.as_str();
        match self.router.destination_by(lease.route.as_deref(), destination) {
            Some(router::Destination::Local(domain)) => format!("local:{}", domain.name),
            Some(router::Destination::Route(rule)) => rule.way.to_string(),
            None => String::new(),
        }
    }

    fn deliver<'a>(
        &'a self,
        message: &'a StoredMessage,
        lease: &'a Lease,
        way: Option<&'a Way>,
    ) -> BoxFuture<'a, Carried> {
        Box::pin(async move {
            let (destination, recipients) = (&lease.destination, &*lease.recipients);
            let configured =
                self.router.destination_by(lease.route.as_deref(), destination.as_str());
            if let Some(way) = way {
                let tls = match configured {
                    Some(router::Destination::Route(rule)) => rule.tls,
                    _ => TlsPolicy::default(),
                };
                let course = Course { way, tls, login: None };
                return self.send(course, destination.as_str(), message, recipients).await;
            }
            match configured {
                Some(router::Destination::Local(domain)) => {
                    self.keep(domain, message, recipients).await
                }
                Some(router::Destination::Route(rule)) => {
                    let login = rule.login_file.as_ref().map(|path| self.logins.of(path));
                    if login == Some(None) {
                        let text = "the login file of the route was not read";
                        return everyone(recipients, (4, 3, 5), text);
                    }
                    let course = Course { way: &rule.way, tls: rule.tls, login: login.flatten() };
                    self.send(course, destination.as_str(), message, recipients).await
                }
                // The configuration has changed since the message was accepted: it may change back.
                None => {
                    let text = "the configuration has no route to this domain";
                    everyone(recipients, (4, 4, 4), text)
                }
            }
        })
    }
}

fn everyone(recipients: &[u32], status: (u8, u16, u16), text: &str) -> Carried {
    let outcome = RecipientOutcome::Deferred(Finding::new(status, text));
    Carried::aside(vec![outcome; recipients.len()])
}
