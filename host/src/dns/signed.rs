//! A signed DNS root in this process, with some names that can't be believed, for the tests of deliveries.
//! Knows hickory's server; has no cache and no recursion.

mod lies;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::DNSKEY;
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::rr::rdata::{MX, NS, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordSet, RecordType};
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::{Time, TokioRuntimeProvider};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};

pub(crate) use self::lies::LIES;
use self::lies::Lie;
use super::Dns;
use crate::config;

/// The zone that nobody has signed.
const PLAIN: &str = "plain.test.";
/// Names that end so are answered with a signature that does not hold.
const FORGED: &str = ".forged.test.";
/// Names that end so are refused.
const BROKEN: &str = ".broken.test.";

/// Name, type and data of a record, as zone files have them.
pub(crate) type Written<'w> = (&'w str, &'w str);

/// A server, as long as it is kept. All is signed but what is at or below `plain.test`; what is below `forged.test` is bogus,
/// about `broken.test` nobody knows anything, and about [`LIES`] and `mute.plain.test` see there.
pub(crate) struct SignedRoot {
    address: SocketAddr,
    anchor: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
    _server: Server<Zones>,
}

/// Who answers for which names.
struct Zones {
    root: Catalog,
    plain: Catalog,
    nobody: Catalog,
    asked: Arc<Mutex<Vec<String>>>,
}

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

impl SignedRoot {
    /// Starts one with these records: `("_25._tcp.mx.test.", "TLSA 3 1 1 ...")`.
    pub(crate) async fn start(records: &[Written<'_>]) -> Self {
        let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap());
        let key = key.unwrap();
        let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let anchor = folder.path().join("root.key");
        std::fs::write(&anchor, format!(". 3600 IN DNSKEY {dnskey}\n")).unwrap();

        let (mut root, mut plain) = (zone("."), zone(PLAIN));
        let servers = RData::NS(NS(name("ns.plain.test.")));
        let delegation = Record::from_rdata(name(PLAIN), 60, servers);
        root.upsert_mut(delegation.clone(), 0);
        plain.upsert_mut(delegation, 0);
        let forged = |record: &Record| format!(".{}", record.name).ends_with(FORGED);
        let records: Vec<Record> = records.iter().map(record).collect();
        for record in &records {
            let zone = if name(PLAIN).zone_of(&record.name) { &mut plain } else { &mut root };
            zone.upsert_mut(record.clone(), 0);
        }
        let signer = DnssecSigner::new(dnskey, Box::new(key), Name::root(), DAY);
        root.add_zone_signing_key_mut(signer).unwrap();
        root.secure_zone_mut().unwrap();
        let mut sets = root.records_mut().await;
        for set in sets.values_mut() {
            let Some(record) = set.record().filter(|record| forged(record)).map(changed) else {
                continue;
            };
            // The signatures are those of what stood there.
            let mut other = RecordSet::with_ttl(set.name().clone(), set.record_type(), set.ttl());
            let signatures = set.rrsigs().to_vec();
            other.insert(record, 1);
            other.set_rrsigs(signatures);
            *set = Arc::new(other);
        }
        drop(sets);
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let zones = Zones {
            root: catalog(root),
            plain: catalog(plain),
            nobody: Catalog::new(),
            asked: asked.clone(),
        };
        let mut server = Server::new(zones);
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        server.register_socket(UdpSocket::bind(address).await.unwrap());
        server.register_listener(tcp, Duration::from_secs(60), 32);
        Self { address, anchor, asked, _folder: folder, _server: server }
    }

    /// A resolver that believes its key.
    pub(crate) fn resolver(&self) -> Arc<Dns> {
        let text = format!(
            "hostname = \"us.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n\
             [dns]\nservers = [\"{}\"]\ndnssec = true\ntrust_anchor = \"{}\"\n",
            self.address,
            self.anchor.display()
        );
        Arc::new(Dns::new(&config::from_text(&text).unwrap().dns).unwrap())
    }

    /// What was asked for, as `TYPE NAME`, beside keys.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record((owner, text): &Written<'_>) -> Record {
    let (kind, data) = text.split_once(' ').unwrap();
    let kind: RecordType = kind.parse().unwrap();
    let data = RData::try_from_str(kind, data).unwrap();
    Record::from_rdata(name(owner), 60, data)
}

/// The same record with something else in it.
fn changed(record: &Record) -> Record {
    let mut changed = record.clone();
    changed.data = match &record.data {
        RData::TLSA(tlsa) => {
            let mut tlsa = tlsa.clone();
            tlsa.cert_data.reverse();
            RData::TLSA(tlsa)
        }
        RData::A(_) => RData::try_from_str(RecordType::A, "127.0.0.99").unwrap(),
        RData::MX(mx) => RData::MX(MX::new(mx.preference + 1, mx.exchange.clone())),
        // Nothing is to be known of it.
        other => other.clone(),
    };
    changed
}

fn zone(origin: &str) -> Zone {
    let proofs = (origin == ".").then_some(NxProofKind::Nsec);
    let mut zone = Zone::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny, proofs);
    let soa = SOA::new(name("ns.test."), name("hostmaster.test."), 1, 60, 60, 60, 60);
    zone.upsert_mut(Record::from_rdata(name(origin), 60, RData::SOA(soa)), 0);
    zone
}

fn catalog(zone: Zone) -> Catalog {
    let mut catalog = Catalog::new();
    let origin = hickory_server::zone_handler::ZoneHandler::origin(&zone).clone();
    catalog.upsert(origin, vec![Arc::new(zone)]);
    catalog
}

#[async_trait::async_trait]
impl RequestHandler for Zones {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let zone = match request.request_info() {
            Ok(info) => {
                let (kind, name) = (info.query.query_type(), info.query.name().to_string());
                let below = format!(".{name}");
                if !matches!(kind, RecordType::DNSKEY | RecordType::DS) {
                    let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                    asked.push(format!("{kind} {name}"));
                }
                if let Some(lie) = Lie::about(kind, &below) {
                    return lie.tell(request, response).await;
                }
                // A delegation is the parent's to tell of.
                let plain = below.ends_with(&format!(".{PLAIN}")) && kind != RecordType::DS;
                match () {
                    () if below.ends_with(BROKEN) => &self.nobody,
                    () if plain => &self.plain,
                    () => &self.root,
                }
            }
            Err(_) => &self.nobody,
        };
        zone.handle_request::<R, T>(request, response).await
    }
}
