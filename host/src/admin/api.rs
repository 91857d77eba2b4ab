//! The paths of the admin API, and what answers them.
//! Knows HTTP; the answers come from whoever serves.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};

use super::status::Status;

/// The most that is taken of a request.
const REQUEST_OCTETS_MAX: usize = 2 << 20;
/// The most that is read of one that is refused: who still writes when the other side leaves may not see the answer.
const READ_OCTETS_MAX: usize = 64 << 20;

/// The whole API of its parts: what it refuses has error and remedy, whichever part or library it is that refuses.
pub(crate) fn whole(parts: Router) -> Router {
    parts.layer(from_fn(refuse_in_words))
}

async fn refuse_in_words(request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let (head, body) = request.into_parts();
    let Some(body) = read_whole(body).await else {
        let error = format!("{asked}: more than {REQUEST_OCTETS_MAX} octets");
        return Problem::answer(StatusCode::PAYLOAD_TOO_LARGE, error, "say it with less");
    };
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let told = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if status.is_success() || told {
        return response;
    }
    let paths = "docs/administrators.md names the paths and what each takes";
    match status {
        StatusCode::NOT_FOUND => Problem::answer(status, format!("there is no {asked}"), paths),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::answer(status, format!("{asked} can't be asked in this way"), paths)
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::answer(status, format!("{asked}: too many octets"), "say it with less")
        }
        _ => {
            let said = Limited::new(response.into_body(), REQUEST_OCTETS_MAX).collect().await;
            let said = said.map(|said| said.to_bytes()).unwrap_or_default();
            Problem::answer(status, format!("{asked}: {}", String::from_utf8_lossy(&said)), paths)
        }
    }
}

/// What is sent with a request, unless it breaks off or is too much; that is read to its end all the same, within bounds.
async fn read_whole(mut body: Body) -> Option<Bytes> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        // One that breaks off is not taken for all.
        let octets = frame.ok()?.into_data().unwrap_or_default();
        read += octets.len();
        if read <= REQUEST_OCTETS_MAX {
            kept.extend_from_slice(&octets);
        } else if read > READ_OCTETS_MAX {
            return None;
        }
    }
    (read <= REQUEST_OCTETS_MAX).then(|| kept.into())
}

/// Something to come.
pub(crate) type Coming<'s, T> = Pin<Box<dyn Future<Output = T> + Send + 's>>;

/// What is answered instead of what was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    /// What is wrong, for the operator.
    pub(super) error: String,
    /// What to do about it.
    pub(super) remedy: String,
}

impl Problem {
    /// The answer that says so.
    pub(super) fn answer(status: StatusCode, error: impl ToString, remedy: &str) -> Response {
        let problem = Self { error: error.to_string(), remedy: remedy.to_owned() };
        (status, Json(problem)).into_response()
    }
}

/// Who knows how the server is doing. Any thread.
pub(crate) trait StatusSource: Send + Sync {
    /// The figures of this moment.
    fn status(&self) -> Coming<'_, Status>;

    /// All metrics of this moment, in the text format of Prometheus.
    fn metrics(&self) -> Coming<'_, String>;
}

/// `GET /v1/status` and `GET /v1/metrics`.
pub(crate) fn watching(source: Arc<dyn StatusSource>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/metrics", get(metrics))
        .with_state(source)
}

async fn status(State(source): State<Arc<dyn StatusSource>>) -> Json<Status> {
    Json(source.status().await)
}

async fn metrics(State(source): State<Arc<dyn StatusSource>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], source.metrics().await)
}
