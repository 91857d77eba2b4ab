//! What must hold of TLS with a server before anything is said of a message: what the operator wants, and what the DNS and the domain
//! say of the server. Whatever sends mail to other servers asks here. Knows no connection.

mod over;

use std::sync::Arc;

use stagepost_smtp::SendingTls;

pub(crate) use self::over::{Known, OverLine};
use super::servers::{Endpoint, Footing, Server, Servers};
use super::tls_wish::TlsWish;
use crate::config::{NextHop, Settings, TlsPolicy, Way};
use crate::dns::{Answer, Data, Kind, Names, Tlsa};
use crate::https::Https;
use crate::router::Router;
use crate::stopping::Stopping;
use crate::sts::{HTTPS_PORT, Kept, Sts, StsMode, Told};
use crate::tls::{Dane, Identity, OutboundTls};

/// What must hold of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Demand {
    /// Whether there is to be TLS.
    pub(super) tls: SendingTls,
    /// Who is to be at the other end.
    pub(super) identity: Identity,
}

/// Why a server gets nothing of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unmet {
    /// Whoever could forge the answer would have it so (RFC 7672 section 2.1.1).
    #[error("the DNS can't tell now which certificates the server has (TLSA)")]
    Unknown,
    /// The operator wants them.
    #[error(
        "the route has tls = \"dane\", and the DNS has no certificates of the server (TLSA) that DNSSEC vouches for"
    )]
    NoRecords,
    /// The operator wants them.
    #[error(
        "the route has tls = \"dane\", and the DNS has no certificates of the server (TLSA) that can be used"
    )]
    Unusable,
    /// Whoever could forge the DNS would have mail go there.
    #[error("it is none of the servers that the policy of the domain (MTA-STS) names")]
    NotInPolicy,
    /// The operator wants it for this mail, and the connection was opened without.
    #[error("the route of the mail wants TLS, and there is none on this connection")]
    ClearLine,
    /// The operator wants more for this mail than the connection was opened with.
    #[error("the route of the mail wants a certificate that nobody asked for on this connection")]
    UnknownLine,
    /// A message requires TLS, and the operator wants none.
    #[error("the route has tls = \"none\"")]
    NoTls,
    /// A message requires TLS, and whoever can forge the DNS could have led it there (RFC 8689 section 2).
    #[error("nobody vouches for the name of the server: neither DNSSEC nor a policy of the domain")]
    Unvouched,
    /// The same, and the policy of the domain might have done so.
    #[error("the policy that would vouch for the name of the server (MTA-STS) can't be had now")]
    PolicyUnknown,
}

impl Unmet {
    /// Whether it is about one message, or one connection, so that others may fare better.
    pub(super) fn is_of_the_message(self) -> bool {
        match self {
            Self::Unknown | Self::NoRecords | Self::Unusable | Self::NotInPolicy => false,
            Self::ClearLine
            | Self::UnknownLine
            | Self::NoTls
            | Self::Unvouched
            | Self::PolicyUnknown => true,
        }
    }

    /// Whether another day may be better.
    pub(super) fn passes(self) -> bool {
        matches!(self, Self::Unknown | Self::PolicyUnknown)
    }
}

/// Who wants of TLS with a server what it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wants {
    /// The operator.
    #[error("the route (tls = {:?})", .0.name())]
    Route(TlsPolicy),
    /// The domain, by what it says of its servers' certificates.
    #[error("the DNS (DANE)")]
    Dns,
    /// The domain, by its policy.
    #[error("the policy of the domain (MTA-STS)")]
    Policy,
    /// The sender of the message.
    #[error("the sender (REQUIRETLS)")]
    Sender,
}

/// Why no domain has a say by a policy of its own (MTA-STS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSay {
    /// No MX record leads there that anybody could have forged.
    #[error("the route names its servers itself")]
    Named,
    /// The operator wants none.
    #[error("the route has tls = \"none\"")]
    NoTls,
    /// The operator wants the word of the DNS.
    #[error("the route has tls = \"dane\"")]
    ByDns,
    /// The operator wants it so.
    #[error("mta_sts is false in [delivery]")]
    Off,
}

/// What must hold of a server, and why.
#[derive(Clone, Debug)]
pub(super) struct Demanded {
    /// That, unless it can't.
    pub(super) demand: Result<Demand, Unmet>,
    /// What the DNS says of its certificates.
    pub(super) published: Published,
    /// Of which kind the policy of the domain is, where it counts.
    pub(super) sts: Option<StsMode>,
    /// What would be in the way, were the domain not just trying it.
    pub(super) doubt: Option<Unmet>,
}

/// What is wanted of all servers that an attempt tries.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// By the operator.
    pub(super) policy: TlsPolicy,
    /// By the domain.
    pub(super) told: Told,
    /// By the sender.
    pub(super) wish: TlsWish,
}

/// What the DNS says of a server's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// It does not count, or without DNSSEC nothing could be believed.
    NotAsked,
    /// Nothing that could be believed: nobody has signed what leads there.
    Unsigned,
    /// Nothing.
    Nothing,
    /// That it has TLS, and nothing more that could be used.
    Unusable(Arc<[Tlsa]>),
    /// Which it has.
    Usable(Arc<[Tlsa]>, Dane),
    /// That can't be told now.
    Unknown,
}

/// Finds out what must hold. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Demands {
    /// What the operator wants of whom.
    router: Arc<Router>,
    /// None: without DNSSEC there is nothing to be believed.
    names: Option<Arc<dyn Names>>,
    /// None: domains are not asked.
    sts: Option<Arc<Sts>>,
}

impl Demand {
    /// Whatever can be had.
    fn if_offered() -> Self {
        Self { tls: SendingTls::IfOffered, identity: Identity::Anybody }
    }

    fn must(identity: Identity) -> Self {
        Self { tls: SendingTls::Must, identity }
    }

    /// The same, but it is found out who is there.
    fn wishing(self) -> Self {
        let identity = match self.identity {
            Identity::Anybody => Identity::Wished,
            known => known,
        };
        Self { identity, ..self }
    }
}

impl Demanded {
    /// Who wants the most of it.
    pub(super) fn wanted_by(&self, wanted: &Wanted) -> Wants {
        let route = wanted.policy >= TlsPolicy::Required;
        match &self.published {
            Published::Usable(..) => Wants::Dns,
            _ if self.sts == Some(StsMode::Enforce) => Wants::Policy,
            Published::Unusable(_) if !route => Wants::Dns,
            _ if wanted.wish == TlsWish::Required && !route => Wants::Sender,
            _ => Wants::Route(wanted.policy),
        }
    }

    /// Whatever the domain says.
    fn anyway(demand: Result<Demand, Unmet>, published: Published) -> Self {
        Self { demand, published, sts: None, doubt: None }
    }

    /// RFC 8461 section 4.
    fn by_policy(self, kept: &Kept, server: &Server) -> Self {
        let listed = kept.policy.is_for(&server.host.to_ascii_lowercase());
        let (demand, doubt) = match (kept.policy.mode, listed) {
            (StsMode::Enforce, true) => (Ok(Demand::must(Identity::Named)), None),
            (StsMode::Enforce, false) => (Err(Unmet::NotInPolicy), None),
            (StsMode::Testing, true) => (self.demand.map(Demand::wishing), None),
            (StsMode::Testing, false) => (self.demand, Some(Unmet::NotInPolicy)),
            (StsMode::None, _) => return self,
        };
        Self { demand, sts: Some(kept.policy.mode), doubt, ..self }
    }
}

impl Demanded {
    /// The same for a message that requires TLS: somebody has to vouch for the name of the server, and the server has to have a
    /// certificate for it (RFC 8689 section 4.2.1).
    fn requiring(self, wanted: &Wanted, server: &Server) -> Self {
        let host = server.host.to_ascii_lowercase();
        let policy = wanted.told.kept.as_ref().map(|kept| &kept.policy);
        let listed = policy.is_some_and(|it| it.mode != StsMode::None && it.is_for(&host));
        let demand = match self.demand {
            Ok(_) if wanted.policy == TlsPolicy::None => Err(Unmet::NoTls),
            Ok(demand) if matches!(demand.identity, Identity::Dane(_)) => Ok(demand),
            Ok(_) if server.vouched || listed => Ok(Demand::must(Identity::Named)),
            Ok(_) if wanted.told.is_unknown() => Err(Unmet::PolicyUnknown),
            Ok(_) => Err(Unmet::Unvouched),
            unmet => unmet,
        };
        Self { demand, ..self }
    }
}

impl Demands {
    /// As settings have it. Reads the policies that were kept.
    pub(super) fn of_settings(
        settings: &Settings,
        router: Arc<Router>,
        names: &Arc<dyn Names>,
        tls: &OutboundTls,
    ) -> Self {
        let sts = settings.delivery.mta_sts.then(|| {
            let wait = settings.delivery.mta_sts_timeout;
            let https = Https::new(names.clone(), tls.clone(), HTTPS_PORT, wait);
            Arc::new(Sts::new(names.clone(), https, settings.sts_dir()))
        });
        Self::new(router, settings.dns.dnssec.then(|| names.clone()), sts)
    }

    /// `names`: who is asked for certificates; none: nobody. `sts`: who knows the policies of domains.
    pub(super) fn new(
        router: Arc<Router>,
        names: Option<Arc<dyn Names>>,
        sts: Option<Arc<Sts>>,
    ) -> Self {
        Self { router, names, sts }
    }

    /// Keeps the policies of domains fresh, until the server stops.
    pub(crate) async fn keep_fresh(self, stopping: Stopping) {
        if let Some(sts) = self.sts {
            sts.keep_fresh(stopping).await;
        }
    }

    /// What a delivery wants that goes to these servers: what its route does, and what the domain says of them. Of servers that the
    /// operator has named no domain has a say.
    pub(super) async fn of_delivery(
        &self,
        policy: TlsPolicy,
        servers: Servers<'_>,
        wish: TlsWish,
    ) -> Wanted {
        let told = match self.policy_domain(policy, servers) {
            // RFC 8689 section 4.2.2: what the domain says counts for nothing then; what our operator says still does.
            Ok((sts, domain)) if wish != TlsWish::Optional => sts.of(domain).await,
            _ => Told::default(),
        };
        Wanted { policy, told, wish }
    }

    /// Which domain is asked for a policy, and by whom.
    fn policy_domain<'s>(
        &'s self,
        policy: TlsPolicy,
        servers: Servers<'s>,
    ) -> Result<(&'s Sts, &'s str), NoSay> {
        match (servers, policy, &self.sts) {
            (Servers::Hosts(_) | Servers::Socket(_), ..) => Err(NoSay::Named),
            (_, TlsPolicy::None, _) => Err(NoSay::NoTls),
            (_, TlsPolicy::Dane, _) => Err(NoSay::ByDns),
            (_, _, None) => Err(NoSay::Off),
            // RFC 8461 section 3.4: the domain whose MX records lead there, be it a smart host's.
            (Servers::Mx(domain), _, Some(sts)) => Ok((sts, domain)),
        }
    }

    /// Why no domain is asked for a policy; none: one is.
    pub(super) fn no_say(&self, policy: TlsPolicy, servers: Servers<'_>) -> Option<NoSay> {
        self.policy_domain(policy, servers).err()
    }

    /// What a session of a plug-in's with a server wants: what the plug-in does, and no less than the routes to the same server.
    pub(super) fn of_session(&self, policy: TlsPolicy, host: &NextHop) -> Wanted {
        let same =
            |hop: &NextHop| hop.host.eq_ignore_ascii_case(&host.host) && hop.port == host.port;
        let routes = self.router.rules().filter(|rule| match &rule.way {
            Way::Hosts(hosts) => hosts.iter().any(same),
            _ => false,
        });
        let policy = routes.map(|rule| rule.tls).fold(policy, TlsPolicy::max);
        Wanted { policy, told: Told::default(), wish: TlsWish::Unsaid }
    }

    /// What must hold of a connection to one of the servers.
    pub(super) async fn of(&self, wanted: &Wanted, server: &Server) -> Demanded {
        let published = match (wanted.policy, wanted.wish) {
            // Whatever the DNS says: the operator wants none, or an authority's word.
            (TlsPolicy::None | TlsPolicy::Verified, _) => Published::NotAsked,
            // RFC 8689 section 4.2.2: what the domain says counts for nothing then; what our operator says still does.
            (TlsPolicy::Opportunistic | TlsPolicy::Required, TlsWish::Optional) => {
                Published::NotAsked
            }
            _ => self.published(server).await,
        };
        let demand = match (wanted.policy, &published) {
            (TlsPolicy::None, _) => {
                Ok(Demand { tls: SendingTls::Never, identity: Identity::Anybody })
            }
            (TlsPolicy::Verified, _) => Ok(Demand::must(Identity::Named)),
            (_, Published::Unknown) => Err(Unmet::Unknown),
            (_, Published::Usable(_, dane)) => Ok(Demand::must(Identity::Dane(dane.clone()))),
            (TlsPolicy::Dane, Published::Unusable(_)) => Err(Unmet::Unusable),
            (TlsPolicy::Dane, _) => Err(Unmet::NoRecords),
            // RFC 7672 section 2.2: who publishes something has TLS.
            (TlsPolicy::Required, _) | (_, Published::Unusable(_)) => {
                Ok(Demand::must(Identity::Anybody))
            }
            (TlsPolicy::Opportunistic, _) => Ok(Demand::if_offered()),
        };
        // RFC 8461 section 2: what the DNS vouches for no policy makes better or worse.
        let by_dns = matches!(published, Published::Usable(..) | Published::Unknown);
        let demanded = Demanded::anyway(demand, published);
        let demanded = match &wanted.told.kept {
            Some(kept) if !by_dns => demanded.by_policy(kept, server),
            _ => demanded,
        };
        match wanted.wish {
            TlsWish::Required => demanded.requiring(wanted, server),
            TlsWish::Unsaid | TlsWish::Optional => demanded,
        }
    }

    /// RFC 7672 section 2.2.
    async fn published(&self, server: &Server) -> Published {
        let (Some(names), Endpoint::Tcp(address)) = (&self.names, &server.endpoint) else {
            return Published::NotAsked;
        };
        let named;
        let footing = match &server.footing {
            Footing::Named => match self::named(&**names, &server.host).await {
                Some(footing) => {
                    named = footing;
                    &named
                }
                None => return Published::Unknown,
            },
            footing => footing,
        };
        let Footing::Firm { bases, owners } = footing else { return Published::Unsigned };
        for base in bases {
            // RFC 6698 section 3.
            let below = format!("_{}._tcp.{base}", address.port());
            match names.ask(Kind::Tlsa, &below).await {
                Answer::Found(found) if found.secure => {
                    let records: Arc<[Tlsa]> = found.records.into_iter().filter_map(tlsa).collect();
                    let owners = owners.iter().filter(|owner| *owner != base);
                    let names = [base].into_iter().chain(owners).cloned();
                    return match Dane::of(&records, names.collect()) {
                        Some(dane) => Published::Usable(records, dane),
                        None => Published::Unusable(records),
                    };
                }
                // Anybody may have written it, or there is nothing.
                Answer::Found(_) | Answer::NoName | Answer::NoData => {}
                // RFC 7672 section 2.1.1: whoever could forge the answer would have it so.
                Answer::Trouble => return Published::Unknown,
            }
        }
        Published::Nothing
    }
}

/// Whether records can be believed that stand below the name of a server that the operator has named. Zones that are not signed
/// are not asked for them: the servers of some can't cope with it (RFC 7672 section 2.2.2). None: nobody can tell.
async fn named(names: &dyn Names, host: &str) -> Option<Footing> {
    let (six, four) = tokio::join!(names.ask(Kind::Aaaa, host), names.ask(Kind::A, host));
    let trouble = [&six, &four].contains(&&Answer::Trouble);
    // RFC 7672 section 3.2.2: be it another name, a certificate may still be for the one that was named.
    let owner = host.to_ascii_lowercase().into();
    (!trouble).then(|| Footing::of(host, &[owner], [&six, &four]))
}

fn tlsa(data: Data) -> Option<Tlsa> {
    match data {
        Data::Tlsa(tlsa) => Some(tlsa),
        _ => None,
    }
}
