//! `GET /v1/addresses/{address}`: what an address comes to, step by step.
//! Knows the form of the answer, and how it looks to a person.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use stagepost_smtp::{Address, Route};

use super::api::Problem;
use super::table::write_table;
use crate::directory::{By, Directory, Expansion};
use crate::router;

/// What an address comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressReport {
    /// The address that was asked about.
    pub(crate) address: String,
    /// What RCPT makes of it: `local`, `unknown`, `relay`, `foreign`, `unreachable`, `unavailable` or `ambiguous`.
    pub(crate) route: String,
    /// How it was followed.
    pub(crate) steps: Vec<AddressStep>,
    /// Who gets the mail.
    pub(crate) recipients: Vec<AddressEnd>,
    /// Those that lead nowhere.
    pub(crate) left_out: Vec<String>,
    /// Why it is not known what it comes to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) problem: Option<String>,
}

/// An address that stands for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressStep {
    /// Which.
    pub(crate) from: String,
    /// `alias`, `sub_address`, `catch_all`, `ldap_alias` or `ldap_mailbox`.
    pub(crate) by: String,
    /// The line of the aliases file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) line: Option<u32>,
    /// For whom.
    pub(crate) to: Vec<String>,
}

/// Somebody who gets the mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressEnd {
    /// Who.
    pub(crate) address: String,
    /// Where it goes, as the configuration is now.
    pub(crate) destination: String,
}

/// What answers need.
#[derive(Clone)]
struct Desk {
    directory: Directory,
    router: Arc<router::Router>,
}

/// `GET /v1/addresses/{address}`.
pub(crate) fn explaining(directory: Directory, router: Arc<router::Router>) -> Router {
    let desk = Desk { directory, router };
    Router::new().route("/v1/addresses/{address}", get(explain)).with_state(desk)
}

async fn explain(State(desk): State<Desk>, Path(text): Path<String>) -> Response {
    let Ok(address) = Address::parse_international(&text) else {
        let problem = format!("{text:?} is not an address");
        let remedy = "write one such as alice@example.org";
        return Problem::answer(StatusCode::BAD_REQUEST, &problem, remedy);
    };
    let route = match desk.directory.route(&address).await {
        Route::Local => "local",
        Route::UnknownUser => "unknown",
        Route::Relay => "relay",
        Route::Foreign => "foreign",
        Route::Unreachable => "unreachable",
        Route::Unavailable => "unavailable",
        Route::Ambiguous => "ambiguous",
    };
    let expanded = desk.directory.expand(&address).await;
    let (expansion, problem) = match expanded {
        Ok(expansion) => (expansion, None),
        Err(error) => (Expansion::default(), Some(error.to_string())),
    };
    let end = |address: &Address| {
        let domain = desk.router.queue_domain(address);
        let destination = desk.router.destination(&domain);
        let destination = destination.map_or_else(|| "nowhere".to_owned(), |way| way.to_string());
        AddressEnd { address: address.to_string(), destination }
    };
    let report = AddressReport {
        address: address.to_string(),
        route: route.to_owned(),
        steps: expansion.steps.iter().map(AddressStep::from).collect(),
        recipients: expansion.recipients.iter().map(end).collect(),
        left_out: expansion.left_out.iter().map(Address::to_string).collect(),
        problem,
    };
    Json(report).into_response()
}

impl From<&crate::directory::Step> for AddressStep {
    fn from(step: &crate::directory::Step) -> Self {
        let (by, line) = match step.by {
            By::Alias(line) => ("alias", Some(line)),
            By::SubAddress => ("sub_address", None),
            By::CatchAll(line) => ("catch_all", Some(line)),
            By::LdapAlias => ("ldap_alias", None),
            By::LdapMailbox => ("ldap_mailbox", None),
        };
        let to = step.to.iter().map(Address::to_string).collect();
        Self { from: step.from.to_string(), by: by.to_owned(), line, to }
    }
}

impl fmt::Display for AddressReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |step: &AddressStep| {
            let by = match &*step.by {
                "sub_address" => "sub-address".to_owned(),
                "catch_all" => "catch-all".to_owned(),
                "ldap_alias" => "alias in LDAP".to_owned(),
                "ldap_mailbox" => "mailbox in LDAP".to_owned(),
                by => by.to_owned(),
            };
            step.line.map_or_else(|| by.clone(), |line| format!("{by} of line {line}"))
        };
        let mut rows = Vec::new();
        for step in &self.steps {
            for (at, to) in step.to.iter().enumerate() {
                let [from, by] =
                    if at == 0 { [step.from.clone(), by(step)] } else { Default::default() };
                rows.push(vec![from, by, format!("-> {to}")]);
            }
        }
        for AddressEnd { address, destination } in &self.recipients {
            rows.push(vec![address.clone(), "gets it".to_owned(), destination.clone()]);
        }
        for address in &self.left_out {
            rows.push(vec![
                address.clone(),
                "left out".to_owned(),
                "nobody is behind it".to_owned(),
            ]);
        }
        write_table(out, &rows)?;
        if let Some(problem) = &self.problem {
            writeln!(out, "{problem}")?;
        }
        let said = match &*self.route {
            "local" | "relay" => "accepted",
            "foreign" => "accepted with a grant",
            "unavailable" => "deferred",
            _ => "refused",
        };
        writeln!(out, "{said} at RCPT ({})", self.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_reads_from_the_address_to_its_ends() {
        let report = AddressReport {
            address: "sales@a.test".into(),
            route: "local".into(),
            steps: vec![AddressStep {
                from: "sales@a.test".into(),
                by: "alias".into(),
                line: Some(3),
                to: vec!["alice@a.test".into(), "gone@a.test".into()],
            }],
            recipients: vec![AddressEnd {
                address: "alice@a.test".into(),
                destination: "local:a.test".into(),
            }],
            left_out: vec!["gone@a.test".into()],
            problem: None,
        };
        let wanted = "\
sales@a.test  alias of line 3  -> alice@a.test
                               -> gone@a.test
alice@a.test  gets it          local:a.test
gone@a.test   left out         nobody is behind it
accepted at RCPT (local)
";
        assert_eq!(report.to_string(), wanted);
    }
}
