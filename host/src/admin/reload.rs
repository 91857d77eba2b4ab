//! `POST /v1/reload`: has the server read its configuration again.
//! Knows the form of the answer, and how it looks to a person.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::api::Problem;
use crate::serve::reload::{self, Reloader, Report};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReloadReport {
    /// Plug-ins that work with another section now.
    pub(crate) changed: Vec<String>,
    /// Certificates that are others now.
    pub(crate) certificates: Vec<String>,
    /// The groups are others now.
    pub(crate) groups: bool,
    /// The aliases are others now.
    #[serde(default)]
    pub(crate) aliases: bool,
    /// Login files of routes that say something else now.
    pub(crate) logins: Vec<String>,
    /// What has changed and takes effect when the server starts again.
    pub(crate) restart: Vec<String>,
}

impl fmt::Display for ReloadReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.changed {
            writeln!(out, "in force: [plugin.config] of {name}")?;
        }
        for name in &self.certificates {
            writeln!(out, "in force: the files of [[certificate]] {name}")?;
        }
        if self.groups {
            writeln!(out, "in force: the groups of groups_file")?;
        }
        if self.aliases {
            writeln!(out, "in force: the aliases of aliases_file")?;
        }
        for path in &self.logins {
            writeln!(out, "in force: the login_file {path}")?;
        }
        for part in &self.restart {
            writeln!(out, "at the next start: {part}")?;
        }
        let lists = [&self.changed, &self.certificates, &self.logins, &self.restart];
        if lists.iter().all(|list| list.is_empty()) && !self.groups && !self.aliases {
            writeln!(out, "nothing has changed")?;
        }
        Ok(())
    }
}

/// `POST /v1/reload`.
pub(crate) fn reloading(reloader: Arc<Reloader>) -> Router {
    Router::new().route("/v1/reload", post(reload)).with_state(reloader)
}

async fn reload(State(reloader): State<Arc<Reloader>>) -> Response {
    match reloader.reload().await {
        Ok(report) => {
            let Report { changed, certificates, groups, aliases, logins, restart } = report;
            Json(ReloadReport { changed, certificates, groups, aliases, logins, restart })
                .into_response()
        }
        Err(problem) => {
            let text = problem.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            let remedy = match &problem {
                reload::Problem::Plugin { .. } => {
                    "the plug-in's own line in the log says what is wrong, and where; the server goes on with what it had"
                }
                _ => "the server goes on with what it had; put this right and reload again",
            };
            Problem::answer(StatusCode::CONFLICT, text, remedy)
        }
    }
}
