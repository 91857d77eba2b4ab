//! `/v1/plugins`: the plug-ins with their verbs, and calls of those.
//! Knows the form of the list; what a verb takes and answers is the plug-in's.

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use stagepost_extmgr::{AdminVerbError, ExtMgr};
use stagepost_smtp::is_obeyed;

use super::api::Problem;

/// What `GET /v1/plugins` answers. A later version only adds fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginList {
    /// In the order of the configuration.
    pub(crate) plugins: Vec<PluginEntry>,
}

/// One plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginEntry {
    /// Its name.
    pub(crate) name: String,
    /// The version it states.
    pub(crate) version: String,
    /// What it does for an operator.
    pub(crate) verbs: Vec<VerbEntry>,
}

/// One verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerbEntry {
    /// Its name.
    pub(crate) name: String,
    /// What it does and takes.
    pub(crate) help: String,
}

impl fmt::Display for PluginList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What plug-ins say is no command to a terminal.
        let plain = |text: &str| -> String {
            text.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect()
        };
        if self.plugins.is_empty() {
            return writeln!(out, "no plug-ins");
        }
        for plugin in &self.plugins {
            writeln!(out, "{} {}", plain(&plugin.name), plain(&plugin.version))?;
            let width = plugin.verbs.iter().map(|verb| verb.name.len()).max().unwrap_or(0);
            for verb in &plugin.verbs {
                writeln!(out, "  {:width$}  {}", plain(&verb.name), plain(&verb.help))?;
            }
        }
        Ok(())
    }
}

/// `GET /v1/plugins` and `POST /v1/plugins/NAME/verbs/VERB`.
pub(crate) fn calling(plugins: Arc<ExtMgr>) -> Router {
    Router::new()
        .route("/v1/plugins", get(list))
        .route("/v1/plugins/{plugin}/verbs/{verb}", post(call))
        .with_state(plugins)
}

async fn list(State(plugins): State<Arc<ExtMgr>>) -> Json<PluginList> {
    let entries = plugins.plugins().into_iter().map(|plugin| PluginEntry {
        name: plugin.name.to_string(),
        version: plugin.version,
        verbs: plugin
            .admin_verbs
            .into_iter()
            .map(|verb| VerbEntry { name: verb.name, help: verb.help })
            .collect(),
    });
    Json(PluginList { plugins: entries.collect() })
}

async fn call(
    State(plugins): State<Arc<ExtMgr>>,
    Path((plugin, verb)): Path<(String, String)>,
    arguments: Bytes,
) -> Response {
    let arguments = if arguments.is_empty() { Bytes::from_static(b"null") } else { arguments };
    let Ok(arguments) = String::from_utf8(arguments.into()) else {
        return problem(&plugin, &AdminVerbError::NotUtf8);
    };
    match plugins.call_admin_verb(&plugin, &verb, arguments).await {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => problem(&plugin, &error),
    }
}

fn problem(plugin: &str, error: &AdminVerbError) -> Response {
    let (status, remedy) = match error {
        AdminVerbError::NoPlugin(_) | AdminVerbError::NoVerb { .. } => {
            (StatusCode::NOT_FOUND, "`stagepost plugin list` shows plug-ins and their verbs")
        }
        AdminVerbError::NotJson => {
            (StatusCode::BAD_REQUEST, "write JSON, a text in double quotes for example")
        }
        AdminVerbError::NotUtf8 => (StatusCode::BAD_REQUEST, "write JSON in UTF-8"),
        AdminVerbError::TooDeep => (StatusCode::BAD_REQUEST, "say it with fewer levels"),
        AdminVerbError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "say it with less"),
        AdminVerbError::Busy | AdminVerbError::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            "look at the log for what the plug-in says, and ask its author",
        ),
        AdminVerbError::Failed { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "the plug-in's manual says what the verb takes")
        }
        AdminVerbError::Host(_) => (StatusCode::INTERNAL_SERVER_ERROR, "look at the server's log"),
    };
    let said = match error {
        AdminVerbError::Failed { .. } => format!("{plugin}: {error}"),
        error => error.to_string(),
    };
    Problem::answer(status, said, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_verbs_below_their_plug_ins() {
        let verb = |name: &str| VerbEntry {
            name: name.into(),
            help: format!("does {name}\u{1b}\u{202e}"),
        };
        let plugin =
            |name: &str, verbs| PluginEntry { name: name.into(), version: "1".into(), verbs };
        let list = PluginList {
            plugins: vec![plugin("a", vec![]), plugin("b", vec![verb("x"), verb("longer")])],
        };
        assert_eq!(list.to_string(), "a 1\nb 1\n  x       does x??\n  longer  does longer??\n");
        assert_eq!(PluginList { plugins: Vec::new() }.to_string(), "no plug-ins\n");
    }
}
