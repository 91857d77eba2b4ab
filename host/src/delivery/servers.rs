//! Which servers a message can be given to, in the order in which they are to be tried.
//! Knows names and addresses; no connection and no message.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stagepost_extmgr::{DnsAnswer, DnsQuestion, DnsRecord, RecordType, Resolver};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::config::NextHop;

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

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Its name or address, without a port: what its certificate is for.
    pub(super) host: Box<str>,
    /// As the operator and the sender of a message are told of it.
    pub(super) shown: Box<str>,
    /// Where it listens.
    pub(super) endpoint: Endpoint,
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
    resolver: Arc<dyn Resolver>,
    /// Our own name: mail for a domain is not given to ourselves, nor to those behind us.
    own_name: Box<str>,
    mx_port: u16,
    /// How long the addresses of a host may take.
    wait: Duration,
}

impl Finder {
    pub(super) fn new(
        resolver: Arc<dyn Resolver>,
        own_name: &str,
        mx_port: u16,
        wait: Duration,
    ) -> Self {
        Self { resolver, own_name: own_name.to_ascii_lowercase().into(), mx_port, wait }
    }

    /// The servers, at least one.
    pub(super) async fn find(&self, servers: Servers<'_>) -> Result<Vec<Server>, NoServer> {
        match servers {
            Servers::Hosts(hosts) => self.hosts(hosts).await,
            Servers::Mx(domain) => match literal(domain) {
                Some(address) => Ok(vec![self.by_dns(&address.to_string(), address)]),
                None => self.mx(domain).await,
            },
            Servers::Socket(path) => {
                let shown: Box<str> = path.display().to_string().into();
                let endpoint = Endpoint::Socket(path.to_owned());
                Ok(vec![Server { host: shown.clone(), shown, endpoint }])
            }
        }
    }

    async fn hosts(&self, hosts: &[NextHop]) -> Result<Vec<Server>, NoServer> {
        let mut found = Vec::new();
        let mut fault: Box<str> = "no server is named".into();
        let per_name = if hosts.len() == 1 { SERVERS_MAX } else { PER_NAME_MAX };
        for host in hosts {
            let named = host.to_string();
            match timeout(self.wait, lookup_host(&named)).await {
                Ok(Ok(addresses)) => found.extend(addresses.take(per_name).map(|address| Server {
                    host: host.host.as_str().into(),
                    shown: named.as_str().into(),
                    endpoint: Endpoint::Tcp(address),
                })),
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
        let mut records = match self.ask(RecordType::Mx, domain).await {
            DnsAnswer::Found { records, .. } => exchanges(records),
            DnsAnswer::NoName => return Err(NoServer::NoDomain),
            DnsAnswer::Trouble => return Err(NoServer::Trouble),
            DnsAnswer::NoData => {
                // The implicit MX: the domain itself, as with preference 0.
                let found = self.addresses(domain, SERVERS_MAX).await.ok_or(NoServer::Trouble)?;
                return if found.is_empty() { Err(NoServer::NoAddress) } else { Ok(found) };
            }
        };
        // RFC 7505 section 3: a lone MX to the root means that there is no mail. Beside others it is a mistake.
        if records.iter().all(|(_, host)| host.is_empty()) {
            return Err(NoServer::NullMx);
        }
        records.retain(|(_, host)| !host.is_empty());
        shuffle(&mut records);
        // Only those before us may be tried: mail that others behind us would send on to us goes round.
        if let Some(own) = records.iter().find(|(_, host)| **host == *self.own_name) {
            let own = own.0;
            records.retain(|(preference, _)| *preference < own);
            if records.is_empty() {
                return Err(NoServer::Loop);
            }
        }
        self.of_exchanges(&records).await
    }

    async fn of_exchanges(&self, records: &[(u16, String)]) -> Result<Vec<Server>, NoServer> {
        let (mut found, mut trouble) = (Vec::new(), false);
        let per_name = if records.len() == 1 { SERVERS_MAX } else { PER_NAME_MAX };
        for (_, host) in records {
            if found.len() >= SERVERS_MAX {
                break;
            }
            match self.addresses(host, per_name).await {
                Some(servers) => found.extend(servers),
                None => trouble = true,
            }
        }
        found.truncate(SERVERS_MAX);
        match (found.is_empty(), trouble) {
            (false, _) => Ok(found),
            (true, true) => Err(NoServer::Trouble),
            (true, false) => Err(NoServer::MxWithoutAddress),
        }
    }

    /// The addresses of a name, IPv6 first as RFC 6724 has it; none: the DNS can't tell.
    async fn addresses(&self, name: &str, max: usize) -> Option<Vec<Server>> {
        // An address in the place of a name is a common mistake of zones; RFC 5321 section 5.1 wants names.
        let (six, four) =
            tokio::join!(self.ask(RecordType::Aaaa, name), self.ask(RecordType::A, name));
        let trouble = |answer: &DnsAnswer| *answer == DnsAnswer::Trouble;
        if trouble(&six) && trouble(&four) {
            return None;
        }
        let half_known = trouble(&six) || trouble(&four);
        let mut addresses = parsed(six);
        // Both kinds get their turn, whatever the other has.
        addresses.truncate(max.div_ceil(2));
        addresses.extend(parsed(four));
        addresses.truncate(max);
        if addresses.is_empty() && half_known {
            return None;
        }
        Some(addresses.into_iter().map(|address| self.by_dns(name, address)).collect())
    }

    fn by_dns(&self, name: &str, address: IpAddr) -> Server {
        let endpoint = SocketAddr::new(address, self.mx_port);
        let shown = if name == address.to_string() {
            endpoint.to_string()
        } else {
            format!("{name}[{address}]:{}", self.mx_port)
        };
        Server { host: name.into(), shown: shown.into(), endpoint: Endpoint::Tcp(endpoint) }
    }

    async fn ask(&self, kind: RecordType, name: &str) -> DnsAnswer {
        match DnsQuestion::new(kind, name) {
            Some(question) => self.resolver.look_up(question).await,
            None => DnsAnswer::NoName,
        }
    }
}

/// MX records as preference and name.
fn exchanges(records: Vec<DnsRecord>) -> Vec<(u16, String)> {
    let exchange = |record: DnsRecord| {
        let name = String::from_utf8_lossy(&record.value).to_ascii_lowercase();
        (record.preference, name.trim_end_matches('.').to_owned())
    };
    records.into_iter().take(MX_MAX).map(exchange).collect()
}

fn parsed(answer: DnsAnswer) -> Vec<IpAddr> {
    let DnsAnswer::Found { records, .. } = answer else { return Vec::new() };
    let address =
        |record: &DnsRecord| std::str::from_utf8(&record.value).ok().and_then(|t| t.parse().ok());
    records.iter().filter_map(address).collect()
}

/// Sorts by preference; equal ones come in any order, a new one each time, so that they share the load.
fn shuffle(records: &mut [(u16, String)]) {
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
