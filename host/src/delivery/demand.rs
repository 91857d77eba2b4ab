//! What must hold of TLS with a server before anything is said of a message: what the operator wants, and what the DNS says of the
//! server's certificates. Knows no connection.

use std::sync::Arc;

use stagepost_smtp::SendingTls;

use super::servers::{Endpoint, Footing, Server};
use crate::config::TlsPolicy;
use crate::dns::{Answer, Data, Kind, Names, Tlsa};
use crate::tls::{Dane, Identity};

/// What must hold of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Demand {
    /// Whether there is to be TLS.
    pub(super) tls: SendingTls,
    /// Who is to be at the other end.
    pub(super) identity: Identity,
}

/// Why a server is not even talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unmet {
    /// Whoever could forge the answer would have it so (RFC 7672 section 2.1.1).
    #[error("the DNS can't tell now which certificates the server has (TLSA)")]
    Trouble,
    /// The operator wants them.
    #[error("the DNS has no certificates of the server (TLSA) that DNSSEC vouches for")]
    NoRecords,
    /// The operator wants them.
    #[error("the DNS has no certificates of the server (TLSA) that can be used")]
    Unusable,
}

/// What the DNS says of a server's certificates.
enum Published {
    /// Nothing, or nothing that could be believed.
    Nothing,
    /// That it has TLS, and nothing more that could be used.
    Unusable,
    Usable(Dane),
}

/// Finds out what must hold. Cheap to clone.
#[derive(Clone)]
pub(super) struct Demands {
    /// None: without DNSSEC there is nothing to be believed.
    names: Option<Arc<dyn Names>>,
}

impl Demand {
    /// Whatever can be had.
    fn if_offered() -> Self {
        Self { tls: SendingTls::IfOffered, identity: Identity::Anybody }
    }

    fn must(identity: Identity) -> Self {
        Self { tls: SendingTls::Must, identity }
    }
}

impl Demands {
    /// `names`: who is asked for certificates; none: nobody.
    pub(super) fn new(names: Option<Arc<dyn Names>>) -> Self {
        Self { names }
    }

    /// What must hold of a connection to a server.
    pub(super) async fn of(&self, policy: TlsPolicy, server: &Server) -> Result<Demand, Unmet> {
        let least = match policy {
            TlsPolicy::None => {
                return Ok(Demand { tls: SendingTls::Never, identity: Identity::Anybody });
            }
            TlsPolicy::Verified => return Ok(Demand::must(Identity::Named)),
            TlsPolicy::Opportunistic => Ok(Demand::if_offered()),
            TlsPolicy::Required => Ok(Demand::must(Identity::Anybody)),
            TlsPolicy::Dane => Err(Unmet::NoRecords),
        };
        match self.published(server).await? {
            Published::Nothing => least,
            Published::Usable(dane) => Ok(Demand::must(Identity::Dane(dane))),
            Published::Unusable if policy == TlsPolicy::Dane => Err(Unmet::Unusable),
            // RFC 7672 section 2.2: who publishes something has TLS.
            Published::Unusable => Ok(Demand::must(Identity::Anybody)),
        }
    }

    /// RFC 7672 section 2.2.
    async fn published(&self, server: &Server) -> Result<Published, Unmet> {
        let (Some(names), Endpoint::Tcp(address)) = (&self.names, &server.endpoint) else {
            return Ok(Published::Nothing);
        };
        let named;
        let footing = match &server.footing {
            Footing::Named => {
                named = self::named(&**names, &server.host).await?;
                &named
            }
            footing => footing,
        };
        let Footing::Firm { bases, owners } = footing else { return Ok(Published::Nothing) };
        for base in bases {
            // RFC 6698 section 3.
            let below = format!("_{}._tcp.{base}", address.port());
            match names.ask(Kind::Tlsa, &below).await {
                Answer::Found(found) if found.secure => {
                    let records: Vec<Tlsa> = found.records.into_iter().filter_map(tlsa).collect();
                    let names = [base.clone()].into_iter().chain(owners.iter().cloned());
                    return Ok(match Dane::of(&records, names.collect()) {
                        Some(dane) => Published::Usable(dane),
                        None => Published::Unusable,
                    });
                }
                // Anybody may have written it, or there is nothing.
                Answer::Found(_) | Answer::NoName | Answer::NoData => {}
                Answer::Trouble => return Err(Unmet::Trouble),
            }
        }
        Ok(Published::Nothing)
    }
}

/// Whether records can be believed that stand below the name of a server that the operator has named. Zones that are not signed
/// are not asked for them: the servers of some can't cope with it (RFC 7672 section 2.2.2).
async fn named(names: &dyn Names, host: &str) -> Result<Footing, Unmet> {
    let (six, four) = tokio::join!(names.ask(Kind::Aaaa, host), names.ask(Kind::A, host));
    if [&six, &four].contains(&&Answer::Trouble) {
        return Err(Unmet::Trouble);
    }
    Ok(Footing::of(host, &[], [&six, &four]))
}

fn tlsa(data: Data) -> Option<Tlsa> {
    match data {
        Data::Tlsa(tlsa) => Some(tlsa),
        _ => None,
    }
}
