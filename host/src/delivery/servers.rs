//! Which servers a message can be given to, in the order in which they are to be tried.
//! Knows names and addresses; no connection and no message.

mod host_names;
mod ourselves;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::host_names::HostNames;
use self::ourselves::Ourselves;
use crate::config::{NextHop, Way};
use crate::dns::{Answer, Data, Found, Kind, Names};

/// So many addresses are tried within one attempt at most.
const SERVERS_MAX: usize = 8;
/// So many of them for one name, where there are several names.
const PER_NAME_MAX: usize = 4;
/// So many MX records of a domain are looked at at most.
const MX_MAX: usize = 64;

/// Where a message can be given away: how its servers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Servers<'s> {
    /// These, in their order.
    Hosts(&'s [NextHop]),
    /// Those of a domain or address literal (RFC 5321 section 5.1).
    Mx(&'s str),
    /// Behind a socket of this machine.
    Socket(&'s Path),
}

impl<'s> Servers<'s> {
    /// Those of a way that mail for a domain goes; none: nobody is talked to.
    pub(super) fn of(way: &'s Way, domain: &'s str) -> Option<Self> {
        match way {
            Way::Hosts(hosts) => Some(Self::Hosts(hosts)),
            Way::Mx(None) => Some(Self::Mx(domain)),
            Way::Mx(Some(domain)) => Some(Self::Mx(domain)),
            Way::Wait | Way::Discard => None,
        }
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Its name or address, without a port: what its certificate is for.
    pub(super) host: Box<str>,
    /// As the operator and the sender of a message are told of it.
    pub(super) shown: Box<str>,
    /// Where it listens.
    pub(super) endpoint: Endpoint,
    /// What the DNS may say of its certificates.
    pub(super) footing: Footing,
    /// What has led to its name can be believed: the operator, DNSSEC, or the address of the mail itself.
    pub(super) vouched: bool,
}

/// How far the names that lead to a server can be believed (RFC 7672 section 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Footing {
    /// Not at all: no record of certificates is looked for.
    #[default]
    Loose,
    /// The operator has named the server; its name still has to be looked up.
    Named,
    /// DNSSEC vouches for them: such records stand below the first of the `bases` that has some, and certificates that an
    /// authority has made may be for the `owners` of the mail, too.
    Firm { bases: Vec<Box<str>>, owners: Vec<Box<str>> },
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Socket(path) => path.display().fmt(out),
        }
    }
}

impl Footing {
    /// Of a server that the operator has named.
    fn of_named(host: &str) -> Self {
        if host.parse::<IpAddr>().is_ok() { Self::Loose } else { Self::Named }
    }

    /// What the answers about its addresses make of a server (RFC 7672 section 2.2.2). `owners`: whose mail it is.
    pub(super) fn of(name: &str, owners: &[Box<str>], answers: [&Answer; 2]) -> Self {
        let found = || {
            answers.into_iter().filter_map(|answer| match answer {
                Answer::Found(found) => Some(found),
                _ => None,
            })
        };
        let own: Box<str> = name.to_ascii_lowercase().into();
        let aliases = || found().filter_map(|found| found.alias.as_ref());
        let bases: Vec<Box<str>> = if found().next().is_some() && found().all(|found| found.secure)
        {
            // The end of the aliases first, then the name itself.
            let ends = aliases().map(|alias| alias.target.clone());
            let mut bases: Vec<_> = ends.chain([own]).collect();
            bases.dedup();
            bases
        } else if aliases().next().is_some() && aliases().all(|alias| alias.secure) {
            // Whoever has signed the alias can vouch for the name, if not for what it leads to.
            vec![own]
        } else {
            return Self::Loose;
        };
        Self::Firm { bases, owners: owners.to_vec() }
    }
}

/// Why there is no server to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoServer {
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    #[error("the domain does not exist")]
    NoDomain,
    #[error("the domain has neither MX nor address")]
    NoAddress,
    #[error("the servers of the domain have no address")]
    MxWithoutAddress,
    #[error("the MX of the domain leads back to this server")]
    Loop,
    #[error("the DNS can't tell now where mail for the domain goes")]
    Trouble,
    #[error("{0}")]
    Host(Box<str>),
}

impl NoServer {
    /// The enhanced code; of class 5 when trying again has no use.
    pub(super) fn status(&self) -> (u8, u16, u16) {
        match self {
            // RFC 7505 section 4.2.
            Self::NullMx => (5, 1, 10),
            Self::NoDomain => (5, 1, 2),
            Self::NoAddress | Self::MxWithoutAddress => (5, 4, 4),
            // RFC 5321 section 5.1 wants it reported.
            Self::Loop => (5, 4, 6),
            Self::Trouble => (4, 4, 3),
            // What the operator named is the operator's to put right.
            Self::Host(_) => (4, 4, 1),
        }
    }
}

/// Finds servers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Finder {
    names: Arc<dyn Names>,
    host_names: Arc<HostNames>,
    /// Mail for a domain is not given to ourselves, nor to those behind us.
    ourselves: Ourselves,
    mx_port: u16,
    /// How long the addresses of a host may take.
    wait: Duration,
}

impl Finder {
    pub(super) fn new(names: Arc<dyn Names>, own_name: &str, mx_port: u16, wait: Duration) -> Self {
        let (host_names, ourselves) = (Arc::default(), Ourselves::new(own_name));
        Self { names, host_names, ourselves, mx_port, wait }
    }

    /// The same, of a server that listens at these places.
    pub(super) fn listening(self, places: &[SocketAddr]) -> Self {
        Self { ourselves: self.ourselves.listening(places), ..self }
    }

    /// The servers, at least one.
    pub(super) async fn find(&self, servers: Servers<'_>) -> Result<Vec<Server>, NoServer> {
        match servers {
            Servers::Hosts(hosts) => self.hosts(hosts).await,
            Servers::Mx(domain) => match literal(domain) {
                Some(address) => {
                    let server = self.by_dns(&address.to_string(), address, &Footing::Loose, true);
                    if self.is_own(&server) { Err(NoServer::Loop) } else { Ok(vec![server]) }
                }
                None => self.mx(domain).await,
            },
            Servers::Socket(path) => {
                let shown: Box<str> = path.display().to_string().into();
                let endpoint = Endpoint::Socket(path.to_owned());
                let footing = Footing::Loose;
                Ok(vec![Server { host: shown.clone(), shown, endpoint, footing, vouched: true }])
            }
        }
    }

    /// Those of named servers that are not this one: the mail would go round in a circle.
    pub(super) fn others(&self, mut found: Vec<Server>) -> Result<Vec<Server>, NoServer> {
        let own = |server: &Server| self.is_own(server);
        let Some(named) = found.iter().find(|server| own(server)).map(|own| own.shown.clone())
        else {
            return Ok(found);
        };
        found.retain(|server| !own(server));
        if found.is_empty() {
            let fault = format!("{named}: it is this server itself");
            return Err(NoServer::Host(fault.into()));
        }
        Ok(found)
    }

    fn is_own(&self, server: &Server) -> bool {
        matches!(&server.endpoint, Endpoint::Tcp(address) if self.ourselves.are_at(*address))
    }

    async fn hosts(&self, hosts: &[NextHop]) -> Result<Vec<Server>, NoServer> {
        let mut found = Vec::new();
        let mut fault: Box<str> = "no server is named".into();
        let per_name = if hosts.len() == 1 { SERVERS_MAX } else { PER_NAME_MAX };
        for host in hosts {
            let named = host.to_string();
            match timeout(self.wait, self.host_names.addresses(&named)).await {
                Ok(Ok(addresses)) => {
                    found.extend(addresses.iter().take(per_name).map(|address| Server {
                        host: host.host.as_str().into(),
                        shown: named.as_str().into(),
                        endpoint: Endpoint::Tcp(*address),
                        footing: Footing::of_named(&host.host),
                        vouched: true,
                    }))
                }
                Ok(Err(error)) => {
                    fault = format!("{named}: its name can't be resolved: {error}").into();
                }
                Err(_) => {
                    fault = format!("{named}: its name could not be resolved in time").into();
                }
            }
        }
        found.truncate(SERVERS_MAX);
        if found.is_empty() { Err(NoServer::Host(fault)) } else { Ok(found) }
    }

    /// RFC 5321 section 5.1.
    async fn mx(&self, domain: &str) -> Result<Vec<Server>, NoServer> {
        let found = match self.ask(Kind::Mx, domain).await {
            Answer::Found(found) => found,
            Answer::NoName => return Err(NoServer::NoDomain),
            Answer::Trouble => return Err(NoServer::Trouble),
            Answer::NoData => {
                // The implicit MX: the domain itself, as with preference 0.
                let owners = Some(vec![domain.to_ascii_lowercase().into()]);
                let found = self.addresses(domain, SERVERS_MAX, owners.as_deref()).await;
                let found = found.ok_or(NoServer::Trouble)?;
                return match found.iter().any(|server| self.is_own(server)) {
                    true => Err(NoServer::Loop),
                    false if found.is_empty() => Err(NoServer::NoAddress),
                    false => Ok(found),
                };
            }
        };
        // RFC 7672 section 2.2.1: what anybody may have put there leads to anybody's servers.
        let owners = found.secure.then(|| owners(domain, &found));
        let mut records = exchanges(found);
        // RFC 7505 section 3: a lone MX to the root means that there is no mail. Beside others it is a mistake.
        if records.iter().all(|(_, host)| host.is_empty()) {
            return Err(NoServer::NullMx);
        }
        records.retain(|(_, host)| !host.is_empty());
        shuffle(&mut records);
        // Only those before us may be tried: mail that others behind us would send on to us goes round.
        if let Some(own) = records.iter().find(|(_, host)| self.ourselves.are_called(host)) {
            let own = own.0;
            records.retain(|(preference, _)| *preference < own);
            if records.is_empty() {
                return Err(NoServer::Loop);
            }
        }
        self.of_exchanges(&records, owners.as_deref()).await
    }

    async fn of_exchanges(
        &self,
        records: &[(u16, Box<str>)],
        owners: Option<&[Box<str>]>,
    ) -> Result<Vec<Server>, NoServer> {
        let (mut found, mut trouble) = (Vec::new(), false);
        let mut none = NoServer::MxWithoutAddress;
        let per_name = if records.len() == 1 { SERVERS_MAX } else { PER_NAME_MAX };
        for (preference, host) in records {
            if found.len() >= SERVERS_MAX {
                break;
            }
            let Some(servers) = self.addresses(host, per_name, owners).await else {
                trouble = true;
                continue;
            };
            if servers.iter().any(|server| self.is_own(server)) {
                // By another name than ours. Those of the same preference are behind us, too.
                found.retain(|(before, _)| before < preference);
                none = NoServer::Loop;
                break;
            }
            found.extend(servers.into_iter().map(|server| (*preference, server)));
        }
        found.truncate(SERVERS_MAX);
        match (found.is_empty(), trouble) {
            (false, _) => Ok(found.into_iter().map(|(_, server)| server).collect()),
            (true, true) => Err(NoServer::Trouble),
            (true, false) => Err(none),
        }
    }

    /// The addresses of a name, IPv6 first as RFC 6724 has it; none: the DNS can't tell. `owners`: whose mail it is, where DNSSEC
    /// vouches for what has led to the name.
    async fn addresses(
        &self,
        name: &str,
        max: usize,
        owners: Option<&[Box<str>]>,
    ) -> Option<Vec<Server>> {
        // An address in the place of a name is a common mistake of zones; RFC 5321 section 5.1 wants names.
        let (six, four) = tokio::join!(self.ask(Kind::Aaaa, name), self.ask(Kind::A, name));
        let trouble = |answer: &Answer| *answer == Answer::Trouble;
        if trouble(&six) && trouble(&four) {
            return None;
        }
        let half_known = trouble(&six) || trouble(&four);
        let footing = match owners {
            Some(owners) => Footing::of(name, owners, [&six, &four]),
            None => Footing::Loose,
        };
        let mut addresses = addresses(six);
        // Both kinds get their turn, whatever the other has.
        addresses.truncate(max.div_ceil(2));
        addresses.extend(self::addresses(four));
        addresses.truncate(max);
        if addresses.is_empty() && half_known {
            return None;
        }
        let server = |address| self.by_dns(name, address, &footing, owners.is_some());
        Some(addresses.into_iter().map(server).collect())
    }

    fn by_dns(&self, name: &str, address: IpAddr, footing: &Footing, vouched: bool) -> Server {
        let endpoint = SocketAddr::new(address, self.mx_port);
        let shown = if name == address.to_string() {
            endpoint.to_string()
        } else {
            format!("{name}[{address}]:{}", self.mx_port)
        };
        Server {
            host: name.into(),
            shown: shown.into(),
            endpoint: Endpoint::Tcp(endpoint),
            footing: footing.clone(),
            vouched,
        }
    }

    async fn ask(&self, kind: Kind, name: &str) -> Answer {
        self.names.ask(kind, name).await
    }
}

/// A domain, and what it is another name of.
fn owners(domain: &str, found: &Found) -> Vec<Box<str>> {
    let alias = found.alias.iter().map(|alias| alias.target.clone());
    [domain.to_ascii_lowercase().into()].into_iter().chain(alias).collect()
}

/// MX records as preference and name.
fn exchanges(found: Found) -> Vec<(u16, Box<str>)> {
    let exchange = |record| match record {
        Data::Exchange { preference, name } => Some((preference, name)),
        _ => None,
    };
    found.records.into_iter().filter_map(exchange).take(MX_MAX).collect()
}

fn addresses(answer: Answer) -> Vec<IpAddr> {
    let Answer::Found(found) = answer else { return Vec::new() };
    let address = |record| match record {
        Data::Address(address) => Some(address),
        _ => None,
    };
    found.records.into_iter().filter_map(address).collect()
}

/// Sorts by preference; equal ones come in any order, a new one each time, so that they share the load.
fn shuffle(records: &mut [(u16, Box<str>)]) {
    let chance = RandomState::new();
    records.sort_by_cached_key(|(preference, host)| (*preference, chance.hash_one(host)));
}

/// The address in an address literal (RFC 5321 section 4.1.3).
fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        Some(tag) => inner[tag.len()..].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => inner.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests;
