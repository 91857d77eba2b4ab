//! Counts how sessions with the servers of a domain fare, for reports to it.
//! Knows what reports tell apart; sends none.

use std::sync::Arc;

use stagepost_smtp::{Cause, Outcome, Step};

use super::connection::{Connection, Secrecy};
use super::standing::is_about_the_server;
use crate::delivery::demand::{Demanded, Published, Unmet, Wanted};
use crate::delivery::servers::{Endpoint, Server, Servers};
use crate::https::HttpsError;
use crate::sts::{StsFault, Told};
use crate::tls::CertificateFault;
use crate::tls_report::{Failure, FailureKind, PolicyFound, PolicyKind, TlsReports};

/// Who counts what comes of one server.
pub(super) struct Witness {
    reports: Arc<TlsReports>,
    domain: Box<str>,
    policy: PolicyFound,
    server: Failure,
    /// What is wrong with the server itself, whatever comes of the session.
    doubt: Option<Unmet>,
}

impl Witness {
    /// None: nobody wants reports of it.
    pub(super) fn of(
        reports: Option<&Arc<TlsReports>>,
        servers: Servers<'_>,
        wanted: &Wanted,
        server: &Server,
        demanded: &Demanded,
    ) -> Option<Self> {
        let (Some(reports), Servers::Mx(domain)) = (reports, servers) else { return None };
        let policy = match &demanded.published {
            Published::Usable(records, _) | Published::Unusable(records)
                if demanded.sts.is_none() =>
            {
                let strings = records.iter().map(ToString::to_string).collect();
                PolicyFound { kind: PolicyKind::Tlsa, strings, mx: Vec::new() }
            }
            Published::Unknown => nothing(PolicyKind::Tlsa),
            _ => match &wanted.told.kept {
                Some(kept) if demanded.sts.is_some() => {
                    let strings = kept.policy.to_string().lines().map(str::to_owned).collect();
                    let mx = kept.policy.mx.iter().map(|name| name.to_string()).collect();
                    PolicyFound { kind: PolicyKind::Sts, strings, mx }
                }
                _ => nothing(PolicyKind::Nothing),
            },
        };
        let to = match &server.endpoint {
            Endpoint::Tcp(address) => Some(address.ip()),
            Endpoint::Socket(_) => None,
        };
        let host = Some(server.host.to_string());
        let server = Failure { kind: FailureKind::ValidationFailure, from: None, host, to };
        let (reports, doubt) = (reports.clone(), demanded.doubt);
        Some(Self { reports, domain: domain.into(), policy, server, doubt })
    }

    /// That the server is not talked to.
    pub(super) fn saw_unmet(&self, unmet: Unmet) {
        let kind = match unmet {
            Unmet::Unknown => FailureKind::DnssecInvalid,
            Unmet::NoRecords => FailureKind::DaneRequired,
            Unmet::Unusable => FailureKind::TlsaInvalid,
            _ => FailureKind::ValidationFailure,
        };
        self.count(Some(Failure { kind, ..self.server.clone() }));
    }

    /// What came of a session that could have had TLS.
    pub(super) fn saw(&self, connection: &Connection, outcomes: &[Outcome]) {
        let step = |wanted: Step| {
            outcomes.iter().any(|outcome| match outcome {
                Outcome::Deferred(
                    Cause::Replied { step, .. }
                    | Cause::Timeout(step)
                    | Cause::Closed(step)
                    | Cause::Malformed { step, .. },
                ) => *step == wanted,
                _ => false,
            })
        };
        let not_offered = || {
            let said = |outcome: &Outcome| matches!(outcome, Outcome::Deferred(Cause::NoTls));
            outcomes.iter().any(said) || !outcomes.iter().all(is_about_the_server)
        };
        let kind = match connection.secrecy() {
            Secrecy::Tls(None) if self.doubt.is_some() => Some(FailureKind::ValidationFailure),
            Secrecy::Tls(fault) => fault.map(of_certificate),
            Secrecy::Failed(fault) => {
                Some(fault.map_or(FailureKind::ValidationFailure, of_certificate))
            }
            Secrecy::Clear if step(Step::StartTls) => Some(FailureKind::ValidationFailure),
            Secrecy::Clear if not_offered() => Some(FailureKind::StarttlsNotSupported),
            // It did not come as far.
            Secrecy::Clear => return,
        };
        let from = connection.ends().map(|(_, ours)| ours.ip());
        self.count(kind.map(|kind| Failure { kind, from, ..self.server.clone() }));
    }

    fn count(&self, failure: Option<Failure>) {
        self.reports.count(&self.domain, &self.policy, failure);
    }
}

/// Counts that the policy of a domain can't be had.
pub(super) fn saw_fault(reports: Option<&Arc<TlsReports>>, servers: Servers<'_>, told: &Told) {
    let (Some(reports), Servers::Mx(domain), Some(fault)) = (reports, servers, &told.fault) else {
        return;
    };
    let kind = match &**fault {
        // Then there is no policy, or nobody can tell (RFC 8461 section 3.1): there is nothing to be told to its domain.
        StsFault::Trouble | StsFault::Record(_) => return,
        StsFault::Fetch(HttpsError::Handshake { certificate: true, .. }) => {
            FailureKind::StsWebpkiInvalid
        }
        StsFault::Fetch(_) => FailureKind::StsPolicyFetchError,
        StsFault::MediaType(_) | StsFault::Policy(_) => FailureKind::StsPolicyInvalid,
    };
    let failure = Failure { kind, from: None, host: None, to: None };
    reports.count(domain, &nothing(PolicyKind::Sts), Some(failure));
}

fn nothing(kind: PolicyKind) -> PolicyFound {
    PolicyFound { kind, strings: Vec::new(), mx: Vec::new() }
}

fn of_certificate(fault: CertificateFault) -> FailureKind {
    match fault {
        CertificateFault::Name => FailureKind::CertificateHostMismatch,
        CertificateFault::Date => FailureKind::CertificateExpired,
        CertificateFault::Trust | CertificateFault::Dane => FailureKind::CertificateNotTrusted,
    }
}
