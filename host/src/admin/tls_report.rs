//! `GET /v1/tls-reports[/{domain}]` and `POST /v1/tls-reports`: how TLS fared with others' servers, and what becomes of the reports.
//! Knows the form of the answers, and how they look to a person.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::api::Problem;
use super::table::write_table;
use crate::tls_report::{Counted, Failure, Outbox, Sent, TlsReports};

/// What is counted of sessions with the servers of domains, and not reported yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TlsCounts {
    /// For each day and domain.
    pub(crate) counts: Vec<DomainCounts>,
}

/// What is counted of one domain on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainCounts {
    /// The day, in UTC.
    pub(crate) date: String,
    /// The domain, in small letters.
    pub(crate) domain: String,
    /// Sessions that went well.
    pub(crate) good: u64,
    /// Those that did not, and what came in the place of some.
    pub(crate) failed: u64,
    /// By what they went; empty where all domains are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<PolicyCounts>,
}

/// What went by one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyCounts {
    /// `sts`, `tlsa` or `no-policy-found`.
    pub(crate) kind: String,
    /// Sessions that went well.
    pub(crate) good: u64,
    /// Why others did not, and how often.
    pub(crate) failures: Vec<FailureCount>,
}

/// One kind of failure at one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureCount {
    /// A result type of RFC 8460.
    pub(crate) kind: String,
    /// The server; none: it did not come to one.
    pub(crate) server: Option<String>,
    /// How often.
    pub(crate) count: u64,
}

/// What became of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentReports {
    /// Those that somebody has taken.
    pub(crate) sent: Vec<ReportName>,
    /// How many domains have no record that asks for one.
    pub(crate) unwanted: usize,
    /// Those that are tried again each hour.
    pub(crate) failed: Vec<FailedReport>,
}

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportName {
    /// Of which day, in UTC.
    pub(crate) date: String,
    /// To whom.
    pub(crate) domain: String,
}

/// One that was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedReport {
    /// Of which day, in UTC.
    pub(crate) date: String,
    /// To whom.
    pub(crate) domain: String,
    /// Why.
    pub(crate) problem: String,
}

/// What answers need.
#[derive(Clone)]
struct Desk {
    /// None: nothing is counted.
    reports: Option<Arc<TlsReports>>,
    outbox: Arc<Outbox>,
}

/// `GET /v1/tls-reports[/{domain}]` and `POST /v1/tls-reports`.
pub(crate) fn reporting_tls(reports: Option<Arc<TlsReports>>, outbox: Arc<Outbox>) -> Router {
    Router::new()
        .route("/v1/tls-reports", get(all).post(send))
        .route("/v1/tls-reports/{domain}", get(one))
        .with_state(Desk { reports, outbox })
}

async fn all(State(desk): State<Desk>) -> Response {
    counted(&desk, None).await
}

async fn one(State(desk): State<Desk>, Path(domain): Path<String>) -> Response {
    counted(&desk, Some(domain.to_ascii_lowercase())).await
}

async fn counted(desk: &Desk, wanted: Option<String>) -> Response {
    let Some(reports) = &desk.reports else { return nothing_counted() };
    let mut shown = TlsCounts::default();
    for (date, day) in reports.all_days().await {
        let wanted = |domain: &str| wanted.as_deref().is_none_or(|wanted| wanted == domain);
        for (domain, policies) in day.domains.iter().filter(|(domain, _)| wanted(domain)) {
            shown.counts.push(DomainCounts::of(date.to_string(), domain, policies));
        }
    }
    if wanted.is_none() {
        shown.counts.iter_mut().for_each(|counts| counts.policies.clear());
    }
    Json(shown).into_response()
}

async fn send(State(desk): State<Desk>) -> Response {
    let Some(reports) = &desk.reports else { return nothing_counted() };
    // Whoever asked may go; it is brought to its end all the same.
    let (reports, outbox) = (reports.clone(), desk.outbox.clone());
    let sending = tokio::spawn(async move { reports.send_all(&outbox, SystemTime::now()).await });
    match sending.await {
        Ok(sent) => Json(SentReports::from(sent)).into_response(),
        Err(error) => {
            let remedy = "look at the server's log";
            Problem::answer(StatusCode::INTERNAL_SERVER_ERROR, error, remedy)
        }
    }
}

fn nothing_counted() -> Response {
    let remedy = "add the section [tls_report] to the configuration, and start the server again";
    Problem::answer(
        StatusCode::CONFLICT,
        "nobody gets reports of TLS, and nothing is counted",
        remedy,
    )
}

impl DomainCounts {
    fn of(date: String, domain: &str, policies: &[Counted]) -> Self {
        Self {
            date,
            domain: domain.to_owned(),
            good: policies.iter().map(|of| of.successes).sum(),
            failed: policies.iter().map(Counted::failed).sum(),
            policies: policies.iter().map(PolicyCounts::from).collect(),
        }
    }
}

impl From<&Counted> for PolicyCounts {
    fn from(counted: &Counted) -> Self {
        let failure = |(failure, count): &(Failure, u64)| FailureCount {
            kind: failure.kind.name().to_owned(),
            server: failure.server(),
            count: *count,
        };
        Self {
            kind: counted.policy.kind.name().to_owned(),
            good: counted.successes,
            failures: counted.failures.iter().map(failure).collect(),
        }
    }
}

impl From<Sent> for SentReports {
    fn from(sent: Sent) -> Self {
        let named = |(date, domain): (jiff::civil::Date, String)| ReportName {
            date: date.to_string(),
            domain,
        };
        let failed = |(date, domain, problem): (jiff::civil::Date, String, String)| FailedReport {
            date: date.to_string(),
            domain,
            problem,
        };
        Self {
            sent: sent.sent.into_iter().map(named).collect(),
            unwanted: sent.unwanted,
            failed: sent.failed.into_iter().map(failed).collect(),
        }
    }
}

impl fmt::Display for TlsCounts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return writeln!(out, "no session with another server is counted and not reported");
        }
        let titles = ["DAY (UTC)", "DOMAIN", "GOOD", "FAILED"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        for of in &self.counts {
            let DomainCounts { date, domain, good, failed, policies } = of;
            rows.push(vec![date.clone(), domain.clone(), good.to_string(), failed.to_string()]);
            for policy in policies {
                let failed: u64 = policy.failures.iter().map(|failure| failure.count).sum();
                let by = format!("  {}", policy.kind);
                rows.push(vec![String::new(), by, policy.good.to_string(), failed.to_string()]);
                for FailureCount { kind, server, count } in &policy.failures {
                    let at =
                        server.as_ref().map_or_else(String::new, |server| format!("  {server}"));
                    let why = format!("    {kind}");
                    rows.push(vec![String::new(), why, String::new(), format!("{count}{at}")]);
                }
            }
        }
        write_table(out, &rows)
    }
}

impl fmt::Display for SentReports {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        for ReportName { date, domain } in &self.sent {
            rows.push(vec!["sent".to_owned(), date.clone(), domain.clone()]);
        }
        for FailedReport { date, domain, problem } in &self.failed {
            let why = format!("{problem}; it is tried again each hour, for a day");
            rows.push(vec!["not sent".to_owned(), date.clone(), domain.clone(), why]);
        }
        write_table(out, &rows)?;
        if self.unwanted > 0 {
            writeln!(out, "{} of domains that ask for none (no record _smtp._tls)", self.unwanted)?;
        }
        if rows.is_empty() && self.unwanted == 0 {
            writeln!(out, "no report is due: those of today are sent when the day is over (UTC)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_who_fared_how() {
        let failure = |server: Option<&str>| FailureCount {
            kind: "starttls-not-supported".into(),
            server: server.map(str::to_owned),
            count: 2,
        };
        let policies = vec![
            PolicyCounts { kind: "sts".into(), good: 12, failures: Vec::new() },
            PolicyCounts {
                kind: "no-policy-found".into(),
                good: 0,
                failures: vec![failure(Some("mx.x.test[192.0.2.1]")), failure(None)],
            },
        ];
        let of = |domain: &str, policies| DomainCounts {
            date: "2026-03-01".into(),
            domain: domain.into(),
            good: 12,
            failed: 4,
            policies,
        };
        let counts = vec![of("x.test", policies), of("y.test", Vec::new())];
        let wanted = "\
DAY (UTC)   DOMAIN                      GOOD  FAILED
2026-03-01  x.test                      12    4
              sts                       12    0
              no-policy-found           0     4
                starttls-not-supported        2  mx.x.test[192.0.2.1]
                starttls-not-supported        2
2026-03-01  y.test                      12    4
";
        assert_eq!(TlsCounts { counts }.to_string(), wanted);
        let nothing = "no session with another server is counted and not reported\n";
        assert_eq!(TlsCounts::default().to_string(), nothing);
    }

    #[test]
    fn a_person_reads_what_became_of_reports() {
        let (date, domain) = ("2026-03-01".to_owned(), "x.test".to_owned());
        let sent = SentReports {
            sent: vec![ReportName { date: date.clone(), domain: domain.clone() }],
            unwanted: 3,
            failed: vec![FailedReport { date, domain, problem: "it answers 503".into() }],
        };
        let wanted = "\
sent      2026-03-01  x.test
not sent  2026-03-01  x.test  it answers 503; it is tried again each hour, for a day
3 of domains that ask for none (no record _smtp._tls)
";
        assert_eq!(sent.to_string(), wanted);
        let nothing = "no report is due: those of today are sent when the day is over (UTC)\n";
        assert_eq!(SentReports::default().to_string(), nothing);
    }
}
