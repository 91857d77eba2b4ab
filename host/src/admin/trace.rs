//! `GET /v1/trace`: calls of plug-ins as they happen, one line of JSON each, until the server stops or the client leaves.
//! Knows the form of a line, and how it looks to a person.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Bytes, Frame};
use serde::{Deserialize, Serialize};
use stagepost_extmgr::{ExtMgr, Trace, TraceFilter, Traced, TracedCall};
use stagepost_smtp::is_obeyed;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::api::Problem;
use crate::stopping::Stopping;

/// How many lines wait between the trace and the socket.
const LINES_WAITING_MAX: usize = 16;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TraceLine {
    /// A call.
    Call(Box<TracedLine>),
    /// Calls that were not read fast enough.
    Lost {
        /// How many.
        lost: u64,
    },
}

/// A call in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedLine {
    /// When it ended, in UTC.
    pub(crate) at: String,
    /// The session's id; none of a plug-in's own life.
    pub(crate) session: Option<u64>,
    /// Who was called.
    pub(crate) plugin: String,
    /// For what.
    pub(crate) event: String,
    /// `before` or `after`.
    pub(crate) stage: String,
    /// What the event told.
    pub(crate) arguments: BTreeMap<String, String>,
    /// What became of it.
    pub(crate) answer: String,
    /// The reply given with it; at a fault, what was wrong.
    pub(crate) words: Option<String>,
    /// What it edits.
    pub(crate) edits: Vec<String>,
    /// How long it took.
    pub(crate) took_ns: Option<u64>,
}

impl From<&TracedCall> for TracedLine {
    fn from(call: &TracedCall) -> Self {
        let named = |(name, text): &(&str, String)| ((*name).to_owned(), text.clone());
        let at = jiff::Timestamp::try_from(call.at).unwrap_or_default();
        Self {
            at: format!("{at:.3}"),
            session: call.session,
            plugin: call.plugin.to_string(),
            event: call.event.to_owned(),
            stage: call.stage.name().to_owned(),
            arguments: call.arguments.iter().map(named).collect(),
            answer: call.answer.to_owned(),
            words: call.words.clone(),
            edits: call.edits.clone(),
            took_ns: call.took.map(|took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
        }
    }
}

impl fmt::Display for TraceLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self {
            Self::Call(call) => call.to_string(),
            Self::Lost { lost } => format!("{lost} calls were not read in time and are left out"),
        };
        // What clients and plug-ins say is no command to a terminal.
        let plain = |c: char| if is_obeyed(c) { '?' } else { c };
        out.write_str(&line.chars().map(plain).collect::<String>())
    }
}

impl fmt::Display for TracedLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, session, plugin, event, stage, answer, .. } = self;
        let session = session.map_or_else(|| "-".to_owned(), |id| id.to_string());
        write!(out, "{at} {session} {plugin} {stage} {event}: {answer}")?;
        if let Some(words) = &self.words {
            write!(out, " {words:?}")?;
        }
        if let Some(took) = self.took_ns.map(Duration::from_nanos) {
            write!(out, " in {took:.1?}")?;
        }
        for (name, text) in &self.arguments {
            write!(out, "; {name} {text:?}")?;
        }
        for edit in &self.edits {
            write!(out, "; {edit}")?;
        }
        Ok(())
    }
}

/// What the routes need.
#[derive(Clone)]
struct Source {
    plugins: Arc<ExtMgr>,
    stopping: Stopping,
}

/// `GET /v1/trace`, `/v1/trace/session/ID` and `/v1/trace/plugin/NAME`.
pub(crate) fn tracing(plugins: Arc<ExtMgr>, stopping: Stopping) -> Router {
    Router::new()
        .route("/v1/trace", get(all))
        .route("/v1/trace/session/{id}", get(of_session))
        .route("/v1/trace/plugin/{name}", get(of_plugin))
        .with_state(Source { plugins, stopping })
}

async fn all(State(source): State<Source>) -> Response {
    source.answer(TraceFilter::default())
}

async fn of_session(State(source): State<Source>, Path(id): Path<String>) -> Response {
    match id.parse() {
        Ok(id) => source.answer(TraceFilter { session: Some(id), plugin: None }),
        Err(_) => Problem::answer(
            StatusCode::NOT_FOUND,
            format!("{id:?} is no session"),
            "take the number that log lines have in the field `session`",
        ),
    }
}

async fn of_plugin(State(source): State<Source>, Path(name): Path<String>) -> Response {
    if source.plugins.plugins().iter().any(|plugin| *plugin.name == *name) {
        source.answer(TraceFilter { session: None, plugin: Some(name) })
    } else {
        let error = format!("there is no plug-in {name:?}");
        Problem::answer(
            StatusCode::NOT_FOUND,
            error,
            "`stagepost status` shows those that there are",
        )
    }
}

impl Source {
    fn answer(self, filter: TraceFilter) -> Response {
        let Some(trace) = self.plugins.trace(filter) else {
            let error = "too many traces are running";
            return Problem::answer(StatusCode::SERVICE_UNAVAILABLE, error, "end one of them");
        };
        let (sender, lines) = channel(LINES_WAITING_MAX);
        tokio::spawn(write(trace, self.stopping, sender));
        ([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(lines))).into_response()
    }
}

/// Writes lines until nobody wants them any more.
async fn write(mut trace: Trace, mut stopping: Stopping, lines: Sender<Bytes>) {
    loop {
        let traced = tokio::select! {
            traced = trace.next() => traced,
            () = stopping.wait() => return,
            () = lines.closed() => return,
        };
        let line = match traced {
            Traced::Call(call) => TraceLine::Call(Box::new(TracedLine::from(&*call))),
            Traced::Lost(lost) => TraceLine::Lost { lost },
        };
        let Ok(mut octets) = serde_json::to_vec(&line) else { continue };
        octets.push(b'\n');
        let sent = tokio::select! {
            sent = lines.send(octets.into()) => sent,
            () = stopping.wait() => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The lines as the body of an answer.
struct Lines(Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_a_line() {
        let call = TracedLine {
            at: "2026-01-02T03:04:05.678Z".into(),
            session: Some(7),
            plugin: "my-filter".into(),
            event: "mail".into(),
            stage: "before".into(),
            arguments: [("sender".to_owned(), "a@b\u{1b}[2J".to_owned())].into(),
            answer: "reject".into(),
            words: Some("550 5.7.1 Not \"you\"".into()),
            edits: vec!["hold \"why\"".into()],
            took_ns: Some(1_234),
        };
        let line = TraceLine::Call(Box::new(call));
        let wanted = r#"2026-01-02T03:04:05.678Z 7 my-filter before mail: reject "550 5.7.1 Not \"you\"" in 1.2µs; sender "a@b\u{1b}[2J"; hold "why""#;
        assert_eq!(line.to_string(), wanted);
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<TraceLine>(&json).unwrap(), line);
        let lost = serde_json::from_str::<TraceLine>("{\"lost\":3}").unwrap();
        assert_eq!(lost.to_string(), "3 calls were not read in time and are left out");
    }
}
