//! The paths of the admin API, and what answers them.
//! Knows HTTP; the answers come from whoever serves.

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use serde::{Deserialize, Serialize};

use super::status::Status;

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
