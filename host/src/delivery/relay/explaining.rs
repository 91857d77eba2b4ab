//! What a delivery would want of TLS, found out as a delivery finds it out, and not made.
//! Knows no message; talks to no server for mail.

use stagepost_smtp::SendingTls;

use super::Relay;
use crate::config::{RouteRule, TlsPolicy};
use crate::delivery::demand::{Demand, Demanded, NoSay, Published, Unmet};
use crate::delivery::servers::Servers;
use crate::delivery::tls_wish::TlsWish;
use crate::sts::{StsMode, Told};
use crate::tls::Identity;

/// What is wanted of the servers of a domain.
pub(crate) struct Explained {
    /// What the domain says of them.
    pub(crate) told: Told,
    /// Why it is not asked.
    pub(crate) no_say: Option<NoSay>,
    /// Each of them, in the order in which they are tried; or why there is none.
    pub(crate) servers: Result<Vec<ExplainedServer>, Box<str>>,
}

/// What is wanted of one server.
pub(crate) struct ExplainedServer {
    /// Its name, address and port.
    pub(crate) shown: Box<str>,
    /// What the DNS says of its certificates: `not asked`, `not signed`, `none`, `unusable`, `usable` or `unknown`.
    pub(crate) dane: &'static str,
    /// The records, as zone files have them.
    pub(crate) records: Vec<String>,
    /// `clear text`, `TLS if offered`, `TLS`, `TLS, certificate for NAME`, `TLS, certificate in the DNS`, or `nothing is sent`.
    pub(crate) result: String,
    /// Who says so, or what is in the way.
    pub(crate) why: String,
}

impl Relay {
    /// Finds out what a delivery to a domain by its route would want; none: nobody is talked to.
    pub(crate) async fn explain(&self, rule: &RouteRule, domain: &str) -> Option<Explained> {
        let (servers, tls) = (Servers::of(&rule.way, domain)?, rule.tls);
        let wanted = self.demands.of_delivery(tls, servers, TlsWish::Unsaid).await;
        let found = match self.finder.find(servers).await {
            Ok(found) => {
                let mut explained = Vec::new();
                for server in found {
                    let demanded = self.demands.of(&wanted, &server).await;
                    explained.push(ExplainedServer {
                        dane: named(&demanded.published),
                        records: records(&demanded.published),
                        result: result(&demanded.demand, &server.host),
                        why: why(tls, &demanded),
                        shown: server.shown,
                    });
                }
                Ok(explained)
            }
            Err(error) => Err(error.to_string().into()),
        };
        let no_say = self.demands.no_say(tls, servers);
        Some(Explained { told: wanted.told, no_say, servers: found })
    }
}

fn named(published: &Published) -> &'static str {
    match published {
        Published::NotAsked => "not asked",
        Published::Unsigned => "not signed",
        Published::Nothing => "none",
        Published::Unusable(_) => "unusable",
        Published::Usable(..) => "usable",
        Published::Unknown => "unknown",
    }
}

fn records(published: &Published) -> Vec<String> {
    match published {
        Published::Unusable(records) | Published::Usable(records, _) => {
            records.iter().map(|record| record.to_string()).collect()
        }
        _ => Vec::new(),
    }
}

fn result(demand: &Result<Demand, Unmet>, host: &str) -> String {
    let Ok(Demand { tls, identity }) = demand else { return "nothing is sent".to_owned() };
    let certificate = match identity {
        Identity::Anybody | Identity::Wished => String::new(),
        Identity::Named => format!(", certificate for {host}"),
        Identity::Dane(_) => ", certificate in the DNS".to_owned(),
    };
    match tls {
        SendingTls::Never => "clear text".to_owned(),
        SendingTls::IfOffered => format!("TLS if offered{certificate}"),
        SendingTls::Must | SendingTls::Before => format!("TLS{certificate}"),
    }
}

fn why(tls: TlsPolicy, demanded: &Demanded) -> String {
    let why = match (&demanded.demand, &demanded.published) {
        (Err(unmet), _) => return unmet.to_string(),
        (Ok(_), _) if demanded.sts == Some(StsMode::Enforce) => {
            "the policy of the domain (MTA-STS)".to_owned()
        }
        (Ok(_), Published::Usable(..)) => "the DNS vouches for it (DANE)".to_owned(),
        (Ok(_), Published::Unusable(_)) => "the DNS says that it has TLS (DANE)".to_owned(),
        (Ok(_), _) => format!("tls = {:?}", tls.name()),
    };
    let tried = "the policy of the domain (MTA-STS) is only tried out";
    match (demanded.sts, demanded.doubt) {
        (Some(StsMode::Testing), None) => format!("{why}; {tried}"),
        (_, Some(doubt)) => format!("{why}; {tried}: {doubt}"),
        _ => why,
    }
}
