//! Looks names up, for plug-ins and for deliveries, by the servers that the operator or the system names, with a cache.
//! Knows hickory, here and in its parts and nowhere else; knows no plug-in.

mod anchors;
mod answer;
mod chain;
mod denial;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType as Type};
use stagepost_extmgr::{DnsAnswer, DnsQuestion, DnsRecord, LookingUp, RecordType, Resolver};

pub(crate) use self::answer::{Answer, Asking, Data, Found, Kind, Names, Tlsa};
use crate::config::{ConfigError, Dns as Settings};

/// How many times a server that does not answer is asked within the time of one look-up.
const TRIES: u32 = 3;
/// A look-up that is validated has others in its train, for the keys of every zone on the way: so many times as long it may take.
const VALIDATED_TIMES: u32 = 2;

/// The resolver.
pub(crate) struct Dns {
    /// None: there are no servers to ask.
    client: Option<TokioResolver>,
    /// The same for deliveries, where answers are validated (RFC 4035).
    validating: Option<TokioResolver>,
    timeout: Duration,
}

impl Dns {
    /// Makes the resolver; its servers are not asked yet. Inside a tokio runtime.
    ///
    /// # Errors
    /// The trust anchors that the operator names can't be used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let anchors = anchors::read(settings)?;
        let warned = |client: Result<TokioResolver, NetError>| {
            client.inspect_err(|error| {
                tracing::warn!(
                    "no DNS: the system's servers are not known: {error}; name some in [dns] servers"
                );
            })
        };
        let client = warned(client(settings, None)).ok();
        let validating =
            anchors.and_then(|anchors| warned(self::client(settings, Some(anchors))).ok());
        Ok(Self { client, validating, timeout: settings.timeout })
    }
}

/// Finds out whether a resolver can be made of settings.
///
/// # Errors
/// As [`Dns::new`].
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    anchors::read(settings).map(drop)
}

fn client(
    settings: &Settings,
    anchors: Option<Arc<TrustAnchors>>,
) -> Result<TokioResolver, NetError> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder(provider)?
    } else {
        let servers = settings.servers.iter().map(|address| server(*address)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, provider)
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout / TRIES;
    options.attempts = TRIES as usize - 1;
    // What a PTR look-up says must come from the DNS: the hosts file of this machine proves nothing of a client.
    options.use_hosts_file = ResolveHosts::Never;
    if let Some(anchors) = anchors {
        // Signatures come with EDNS alone (RFC 3225), whatever the system's programs make of it.
        (options.validate, options.edns0) = (true, true);
        // Each alias has a proof of its own.
        options.preserve_intermediates = true;
        // hickory-dns#3963: with several servers asked at once, a truncated answer of one ends the look-up.
        options.num_concurrent_reqs = 1;
        builder = builder.with_trust_anchor(anchors);
    }
    builder.build()
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = address.port());
    server
}

impl Resolver for Dns {
    fn look_up(&self, question: DnsQuestion) -> LookingUp {
        // Cheap: it is shared inside.
        let (client, timeout) = (self.client.clone(), self.timeout);
        Box::pin(async move {
            let Some(client) = client else { return DnsAnswer::Trouble };
            let looked_up = tokio::time::timeout(timeout, look_up(&client, &question)).await;
            looked_up.unwrap_or_else(|_| {
                tracing::debug!(name = question.name(), "look-up: no answer in time");
                DnsAnswer::Trouble
            })
        })
    }
}

impl Names for Dns {
    fn ask(&self, kind: Kind, name: &str) -> Asking {
        let validated = self.validating.is_some();
        let (client, timeout) = match &self.validating {
            Some(client) => (Some(client.clone()), self.timeout * VALIDATED_TIMES),
            None => (self.client.clone(), self.timeout),
        };
        // What a name is, is the same for everybody.
        let question = DnsQuestion::new(RecordType::Txt, name);
        Box::pin(async move {
            let Some(question) = question else { return Answer::NoName };
            let Some(client) = client else { return Answer::Trouble };
            let asked = ask(&client, validated, kind, question.name());
            let asked = tokio::time::timeout(timeout, asked).await;
            asked.unwrap_or_else(|_| {
                tracing::debug!(name = question.name(), ?kind, "look-up: no answer in time");
                Answer::Trouble
            })
        })
    }
}

async fn ask(client: &TokioResolver, validated: bool, kind: Kind, name: &str) -> Answer {
    let wanted = match kind {
        Kind::A => Type::A,
        Kind::Aaaa => Type::AAAA,
        Kind::Mx => Type::MX,
        Kind::Txt => Type::TXT,
        Kind::Tlsa => Type::TLSA,
    };
    let Ok(mut asked) = Name::from_ascii(name) else { return Answer::NoName };
    // Nothing is appended to it.
    asked.set_fqdn(true);
    match client.lookup(asked.clone(), wanted).await {
        // RFC 7672 section 2.1.1: what could not be judged is as good as forged.
        Ok(found) if validated && found.answers().iter().any(is_unproved) => Answer::Trouble,
        Ok(found) => {
            let code = found.message().metadata.response_code;
            match chain::follow(&asked, wanted, found.answers()) {
                Some(answer) => answer,
                // There was something, and nothing of it is an answer.
                None if validated => Answer::Trouble,
                None => nothing(code),
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(denial))) => {
            match validated && !denial::is_believed(client, &denial).await {
                true => Answer::Trouble,
                false => nothing(denial.response_code),
            }
        }
        // Validated, and found to be in a zone that nobody has signed, or that has opted out.
        Err(NetError::Dns(DnsError::Nsec { response, proof: Proof::Insecure, .. })) => {
            nothing(response.metadata.response_code)
        }
        Err(error) => {
            tracing::debug!(name, ?kind, "look-up: {error}");
            Answer::Trouble
        }
    }
}

/// Whether it is known neither that somebody has signed a record nor that nobody need have.
fn is_unproved(record: &Record) -> bool {
    let judged = matches!(record.proof, Proof::Secure | Proof::Insecure);
    !judged && record.record_type() != Type::RRSIG
}

/// What an answer without records means.
fn nothing(code: ResponseCode) -> Answer {
    match code {
        ResponseCode::NoError => Answer::NoData,
        ResponseCode::NXDomain => Answer::NoName,
        _ => Answer::Trouble,
    }
}

async fn look_up(client: &TokioResolver, question: &DnsQuestion) -> DnsAnswer {
    let wanted = match question.record_type() {
        RecordType::A => Type::A,
        RecordType::Aaaa => Type::AAAA,
        RecordType::Mx => Type::MX,
        RecordType::Txt => Type::TXT,
        RecordType::Ptr => Type::PTR,
    };
    let Ok(mut name) = Name::from_ascii(question.name()) else { return DnsAnswer::NoName };
    // Nothing is appended to it.
    name.set_fqdn(true);
    match client.lookup(name, wanted).await {
        Ok(found) => {
            // The names on the way, of CNAME, are among the answers.
            let answers = found.answers().iter().filter(|answer| answer.record_type() == wanted);
            let records: Vec<DnsRecord> =
                answers.filter_map(|answer| record(&answer.data)).collect();
            let ttl = found.valid_until().saturating_duration_since(Instant::now());
            if records.is_empty() { DnsAnswer::NoData } else { DnsAnswer::Found { records, ttl } }
        }
        Err(error) if error.is_nx_domain() => DnsAnswer::NoName,
        Err(error) if error.is_no_records_found() => DnsAnswer::NoData,
        Err(error) => {
            tracing::debug!(name = question.name(), "look-up: {error}");
            DnsAnswer::Trouble
        }
    }
}

fn record(data: &RData) -> Option<DnsRecord> {
    let plain = |value: String| DnsRecord { value: value.into_bytes().into(), preference: 0 };
    Some(match data {
        RData::A(address) => plain(address.0.to_string()),
        RData::AAAA(address) => plain(address.0.to_string()),
        RData::PTR(name) => plain(text(name)),
        RData::TXT(text) => DnsRecord { value: text.txt_data.concat().into(), preference: 0 },
        RData::MX(mx) => DnsRecord { preference: mx.preference, ..plain(text(&mx.exchange)) },
        _ => return None,
    })
}

/// A name without its last dot.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
pub(crate) use self::answer::Alias;
#[cfg(test)]
pub(crate) mod signed;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use tokio::net::UdpSocket;

    use super::*;

    /// How the responder answers for one name and type.
    #[derive(Clone)]
    enum Zone {
        /// Records: their data as on the wire, and their seconds.
        Records(Vec<Vec<u8>>, u32),
        /// A response code without records (RFC 1035 section 4.1.1).
        Code(u8),
        /// Nothing at all.
        Silence,
    }

    /// A name server on loopback, written by hand, with what it was asked.
    struct Responder {
        address: SocketAddr,
        asked: Arc<Mutex<Vec<(String, u16)>>>,
    }

    impl Responder {
        async fn start(zone: BTreeMap<(&'static str, u16), Zone>) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let asked = Arc::new(Mutex::new(Vec::new()));
            let noted = asked.clone();
            tokio::spawn(async move {
                let mut octets = [0; 4096];
                while let Ok((length, from)) = socket.recv_from(&mut octets).await {
                    let (name, kind, end) = question(&octets[..length]);
                    noted.lock().unwrap().push((name.clone(), kind));
                    let known = zone.iter().find(|((zone, of), _)| *zone == name && *of == kind);
                    let known = known.map_or(Zone::Code(3), |(_, zone)| zone.clone());
                    if let Some(reply) = reply(&octets[..end], kind, known) {
                        socket.send_to(&reply, from).await.unwrap();
                    }
                }
            });
            Self { address, asked }
        }

        fn resolver(&self) -> Dns {
            let servers = vec![self.address];
            Dns::new(&Settings {
                servers,
                timeout: Duration::from_millis(600),
                ..Settings::default()
            })
            .unwrap()
        }
    }

    /// Name and type of a query, and where its question ends.
    fn question(query: &[u8]) -> (String, u16, usize) {
        let (mut at, mut name) = (12, String::new());
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            name += &String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase();
            name.push('.');
            at = end;
        }
        name.pop();
        (name, u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
    }

    fn reply(query: &[u8], kind: u16, zone: Zone) -> Option<Vec<u8>> {
        let (code, records, ttl) = match zone {
            Zone::Records(records, ttl) => (0, records, ttl),
            Zone::Code(code) => (code, Vec::new(), 0),
            Zone::Silence => return None,
        };
        let mut reply = query.to_vec();
        // A response, recursion desired and available.
        (reply[2], reply[3]) = (0x81, 0x80 | code);
        let count = u16::try_from(records.len()).unwrap();
        reply[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        reply[6..8].copy_from_slice(&count.to_be_bytes());
        for data in records {
            // The name of the question, its type, class IN.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1]);
            reply.extend(ttl.to_be_bytes());
            reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            reply.extend(data);
        }
        Some(reply)
    }

    fn name(name: &str) -> Vec<u8> {
        let labels = name.split('.');
        let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
        labels.flat_map(label).chain([0]).collect()
    }

    fn zone() -> BTreeMap<(&'static str, u16), Zone> {
        let mx = |preference: u8, host: &str| [vec![0, preference], name(host)].concat();
        BTreeMap::from([
            (("a.test", 1), Zone::Records(vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]], 300)),
            (("a.test", 28), Zone::Code(0)),
            (
                ("6.test", 28),
                Zone::Records(
                    vec![[[0x20, 1, 0xd, 0xb8], [0; 4], [0; 4], [0, 0, 0, 1]].concat()],
                    60,
                ),
            ),
            (("mx.test", 15), Zone::Records(vec![mx(20, "b.mx.test"), mx(10, "a.mx.test")], 60)),
            (("txt.test", 16), Zone::Records(vec![b"\x03v=s\x02\0\xff".to_vec()], 60)),
            (("1.2.0.192.in-addr.arpa", 12), Zone::Records(vec![name("host.a.test")], 60)),
            (("broken.test", 1), Zone::Code(2)),
            (("refused.test", 1), Zone::Code(5)),
            (("silent.test", 1), Zone::Silence),
        ])
    }

    async fn ask(dns: &Dns, kind: RecordType, name: &str) -> DnsAnswer {
        dns.look_up(DnsQuestion::new(kind, name).unwrap()).await
    }

    /// The values of an answer that has some, with their preferences.
    fn values(answer: DnsAnswer) -> Vec<(Box<[u8]>, u16)> {
        match answer {
            DnsAnswer::Found { records, ttl } => {
                assert!(
                    ttl > Duration::from_secs(30) && ttl <= Duration::from_secs(300),
                    "{ttl:?}"
                );
                records.into_iter().map(|record| (record.value, record.preference)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_type_comes_as_the_contract_says() {
        let responder = Responder::start(zone()).await;
        let dns = responder.resolver();
        type Values = [(&'static [u8], u16)];
        let cases: [(RecordType, &str, &Values); 5] = [
            (RecordType::A, "A.test", &[(b"192.0.2.1", 0), (b"192.0.2.2", 0)]),
            (RecordType::Aaaa, "6.test.", &[(b"2001:db8::1", 0)]),
            (RecordType::Mx, "mx.test", &[(b"a.mx.test", 10), (b"b.mx.test", 20)]),
            (RecordType::Txt, "txt.test", &[(b"v=s\0\xff", 0)]),
            (RecordType::Ptr, "192.0.2.1", &[(b"host.a.test", 0)]),
        ];
        for (kind, name, wanted) in cases {
            let mut found = values(ask(&dns, kind, name).await);
            // Equal records may come in any order.
            found.sort();
            let wanted: Vec<_> =
                wanted.iter().map(|(value, preference)| ((*value).into(), *preference)).collect();
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[tokio::test]
    async fn no_name_no_data_and_trouble_are_told_apart() {
        let responder = Responder::start(zone()).await;
        let dns = responder.resolver();
        for (kind, name, wanted) in [
            (RecordType::A, "nobody.test", DnsAnswer::NoName),
            (RecordType::Aaaa, "a.test", DnsAnswer::NoData),
            (RecordType::A, "broken.test", DnsAnswer::Trouble),
            (RecordType::A, "refused.test", DnsAnswer::Trouble),
            (RecordType::A, "silent.test", DnsAnswer::Trouble),
        ] {
            assert_eq!(ask(&dns, kind, name).await, wanted, "{name}");
        }
    }

    #[tokio::test]
    async fn answers_are_cached_and_nothing_is_appended_to_a_name() {
        let responder = Responder::start(zone()).await;
        let dns = responder.resolver();
        for _ in 0..5 {
            values(ask(&dns, RecordType::A, "a.test").await);
        }
        assert_eq!(ask(&dns, RecordType::A, "a").await, DnsAnswer::NoName);
        let asked = responder.asked.lock().unwrap().clone();
        assert_eq!(asked, [("a.test".to_owned(), 1), ("a".to_owned(), 1)]);
    }

    #[tokio::test]
    async fn without_a_server_there_is_trouble() {
        let nobody = Responder::start(BTreeMap::new()).await.address;
        let settings = Settings {
            servers: vec![nobody],
            timeout: Duration::from_millis(300),
            ..Settings::default()
        };
        let dns = Dns { client: None, ..Dns::new(&settings).unwrap() };
        assert_eq!(ask(&dns, RecordType::A, "a.test").await, DnsAnswer::Trouble);
    }
}
