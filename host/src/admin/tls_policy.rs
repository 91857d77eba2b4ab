//! `GET /v1/tls-policy/{domain}`: what a delivery to a domain would want of TLS, and why, server by server.
//! Knows the form of the answer, and how it looks to a person.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use stagepost_smtp::Address;

use super::api::Problem;
use super::status::uptime;
use super::table::write_table;
use crate::delivery::{Explained, ExplainedServer, Relay};
use crate::router::{self, Destination};
use crate::sts::Kept;

/// What a delivery to a domain would want of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TlsPolicyReport {
    /// The domain, in small letters.
    pub(crate) domain: String,
    /// Where its mail goes, as the configuration is now; empty: nowhere.
    pub(crate) destination: String,
    /// The domain of its route, as it is written; none: it is a local domain, or there is no route.
    pub(crate) route: Option<String>,
    /// What the route wants of TLS, where servers are talked to.
    pub(crate) tls: Option<String>,
    /// The policy of MTA-STS that counts.
    pub(crate) mta_sts: Option<StsReport>,
    /// Why the policy that the domain tells of now is not known.
    pub(crate) mta_sts_fault: Option<String>,
    /// Why the domain is not asked for one; none: it is.
    #[serde(default)]
    pub(crate) mta_sts_not_asked: Option<String>,
    /// Whom it would be tried to talk to, in this order.
    pub(crate) servers: Vec<ServerReport>,
    /// Why there is nobody.
    pub(crate) problem: Option<String>,
}

/// A policy of MTA-STS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StsReport {
    /// Its name.
    pub(crate) id: String,
    /// `enforce`, `testing` or `none`.
    pub(crate) mode: String,
    /// The names of servers that it has.
    pub(crate) mx: Vec<String>,
    /// How long ago it was fetched.
    pub(crate) age_s: u64,
    /// How long it may be kept in all.
    pub(crate) max_age_s: u64,
}

/// What is wanted of one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerReport {
    /// Its name, address and port.
    pub(crate) server: String,
    /// What the DNS says of its certificates: `not asked`, `not signed`, `none`, `unusable`, `usable` or `unknown`.
    pub(crate) dane: String,
    /// The records.
    pub(crate) tlsa: Vec<String>,
    /// What is wanted in the end.
    pub(crate) result: String,
    /// Who says so, or what is in the way.
    pub(crate) why: String,
}

/// What answers need.
#[derive(Clone)]
struct Desk {
    relay: Relay,
    router: Arc<router::Router>,
}

/// `GET /v1/tls-policy/{domain}`.
pub(crate) fn explaining_tls(relay: Relay, router: Arc<router::Router>) -> Router {
    let desk = Desk { relay, router };
    Router::new().route("/v1/tls-policy/{domain}", get(explain)).with_state(desk)
}

async fn explain(State(desk): State<Desk>, Path(text): Path<String>) -> Response {
    let domain = Address::parse_international(&format!("postmaster@{text}"));
    let Ok(domain) = domain.map(|address| desk.router.queue_domain(&address)) else {
        let remedy = "write one such as example.org";
        let problem = format!("{text:?} is not a domain");
        return Problem::answer(StatusCode::BAD_REQUEST, &problem, remedy);
    };
    let destination = desk.router.destination(&domain);
    let mut report = TlsPolicyReport {
        destination: destination.map(|way| way.to_string()).unwrap_or_default(),
        domain,
        route: None,
        tls: None,
        mta_sts: None,
        mta_sts_fault: None,
        mta_sts_not_asked: None,
        servers: Vec::new(),
        problem: None,
    };
    match destination {
        Some(Destination::Route(rule)) => {
            report.route = Some(rule.domain.to_string());
            match desk.relay.explain(rule, &report.domain).await {
                Some(explained) => {
                    report.tls = Some(rule.tls.name().to_owned());
                    report.take(explained);
                }
                None => report.problem = Some("no server is talked to".to_owned()),
            }
        }
        Some(Destination::Local(_)) => {
            report.problem =
                Some("its mailboxes are here, and no other server is talked to".to_owned());
        }
        None => report.problem = Some("the configuration has no route to it".to_owned()),
    }
    Json(report).into_response()
}

impl TlsPolicyReport {
    fn take(&mut self, explained: Explained) {
        let Explained { told, no_say, servers } = explained;
        self.mta_sts_not_asked = no_say.map(|why| why.to_string());
        self.mta_sts = told.kept.as_deref().map(StsReport::from);
        self.mta_sts_fault = told.fault.map(|fault| fault.to_string());
        match servers {
            Ok(servers) => self.servers = servers.into_iter().map(ServerReport::from).collect(),
            Err(problem) => self.problem = Some(problem.into()),
        }
    }
}

impl From<&Kept> for StsReport {
    fn from(kept: &Kept) -> Self {
        let policy = &kept.policy;
        Self {
            id: kept.id.to_string(),
            mode: policy.mode.name().to_owned(),
            mx: policy.mx.iter().map(|name| name.to_string()).collect(),
            age_s: kept.age(SystemTime::now()).as_secs(),
            max_age_s: policy.max_age.as_secs(),
        }
    }
}

impl From<ExplainedServer> for ServerReport {
    fn from(server: ExplainedServer) -> Self {
        let ExplainedServer { shown, dane, records, result, why } = server;
        Self { server: shown.into(), dane: dane.to_owned(), tlsa: records, result, why }
    }
}

impl fmt::Display for TlsPolicyReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        let mut row = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
        row("domain", self.domain.clone());
        let tls = self.tls.as_ref().map_or_else(String::new, |tls| format!(", tls = {tls:?}"));
        match &self.route {
            Some(route) => row("route", format!("{route} to {}{tls}", self.destination)),
            None if self.destination.is_empty() => {}
            None => row("route", self.destination.clone()),
        }
        if let Some(StsReport { id, mode, mx, age_s, max_age_s }) = &self.mta_sts {
            let left = uptime(max_age_s.saturating_sub(*age_s));
            let age = uptime(*age_s);
            row("MTA-STS", format!("{mode}, policy {id}, fetched {age} ago, good for {left} more"));
            mx.iter().for_each(|mx| row("", format!("names {mx}")));
        }
        match (&self.mta_sts_fault, &self.mta_sts, &self.mta_sts_not_asked) {
            (Some(fault), Some(_), _) => {
                row("", format!("a newer policy can't be had: {fault}"));
                row("", "until then, or until it is over, this one counts".to_owned());
            }
            (Some(fault), None, _) => {
                row("MTA-STS", format!("the policy can't be had: {fault}"));
                row("", "until then mail goes as if there were none".to_owned());
            }
            (None, None, Some(why)) => row("MTA-STS", format!("not asked: {why}")),
            // Where nobody is talked to nobody is asked.
            (None, None, None) if self.tls.is_some() => row("MTA-STS", "no policy".to_owned()),
            _ => {}
        }
        if let Some(problem) = &self.problem {
            row("servers", problem.clone());
        }
        write_table(out, &rows)?;
        for server in &self.servers {
            writeln!(out)?;
            let mut rows = vec![vec![server.server.clone()]];
            let mut row = |name: &str, text: &str| rows.push(vec![format!("  {name:6} {text}")]);
            row("DANE", &server.dane);
            server.tlsa.iter().for_each(|record| row("", &format!("TLSA {record}")));
            row("result", &server.result);
            row("why", &server.why);
            write_table(out, &rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_from_the_route_to_each_server() {
        let server =
            |server: &str, dane: &str, tlsa: &[&str], result: &str, why: &str| ServerReport {
                server: server.into(),
                dane: dane.into(),
                tlsa: tlsa.iter().map(|record| (*record).into()).collect(),
                result: result.into(),
                why: why.into(),
            };
        let report = TlsPolicyReport {
            domain: "x.test".into(),
            destination: "smtp:mx".into(),
            route: Some("*".into()),
            tls: Some("opportunistic".into()),
            mta_sts: Some(StsReport {
                id: "2024".into(),
                mode: "enforce".into(),
                mx: vec!["mx.x.test".into(), "*.y.test".into()],
                age_s: 3600,
                max_age_s: 86_400 + 3600,
            }),
            mta_sts_fault: None,
            mta_sts_not_asked: None,
            servers: vec![
                server("mx.x.test[192.0.2.1]:25", "usable", &["3 1 1 ab"], "TLS", "the DNS"),
                server("z.test[192.0.2.2]:25", "none", &[], "nothing is sent", "it is none"),
            ],
            problem: None,
        };
        let wanted = "\
domain   x.test
route    * to smtp:mx, tls = \"opportunistic\"
MTA-STS  enforce, policy 2024, fetched 1h 0m ago, good for 1d 0h more
         names mx.x.test
         names *.y.test

mx.x.test[192.0.2.1]:25
  DANE   usable
         TLSA 3 1 1 ab
  result TLS
  why    the DNS

z.test[192.0.2.2]:25
  DANE   none
  result nothing is sent
  why    it is none
";
        assert_eq!(report.to_string(), wanted);
        let report = TlsPolicyReport {
            mta_sts: None,
            mta_sts_fault: Some("it answers 500".into()),
            servers: Vec::new(),
            problem: Some("the domain takes no mail (null MX)".into()),
            ..report
        };
        let wanted = "\
domain   x.test
route    * to smtp:mx, tls = \"opportunistic\"
MTA-STS  the policy can't be had: it answers 500
         until then mail goes as if there were none
servers  the domain takes no mail (null MX)
";
        assert_eq!(report.to_string(), wanted);
        let not_asked = Some("the route names its servers itself".into());
        let report =
            TlsPolicyReport { mta_sts_fault: None, mta_sts_not_asked: not_asked, ..report };
        let line = "\nMTA-STS  not asked: the route names its servers itself\n";
        assert!(report.to_string().contains(line), "{report}");
        let report = TlsPolicyReport { mta_sts_not_asked: None, ..report };
        assert!(report.to_string().contains("\nMTA-STS  no policy\n"), "{report}");
        // Nobody is talked to.
        let report = TlsPolicyReport { tls: None, ..report };
        assert!(!report.to_string().contains("MTA-STS"), "{report}");
    }

    #[test]
    fn a_newer_policy_that_cant_be_had_is_told_below_the_one_that_counts() {
        let report = TlsPolicyReport {
            domain: "x.test".into(),
            destination: "smtp:mx".into(),
            route: Some("*".into()),
            tls: Some("opportunistic".into()),
            mta_sts: Some(StsReport {
                id: "\u{1b}[31m".into(),
                mode: "enforce".into(),
                mx: vec!["mx.x.test".into()],
                age_s: 60,
                max_age_s: 120,
            }),
            mta_sts_fault: Some("it answers 500".into()),
            mta_sts_not_asked: None,
            servers: Vec::new(),
            problem: None,
        };
        let wanted = "\
domain   x.test
route    * to smtp:mx, tls = \"opportunistic\"
MTA-STS  enforce, policy ?[31m, fetched 1m 0s ago, good for 1m 0s more
         names mx.x.test
         a newer policy can't be had: it answers 500
         until then, or until it is over, this one counts
";
        assert_eq!(report.to_string(), wanted);
    }
}
