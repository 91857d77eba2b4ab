//! The client's side of the admin API, for the command line.
//! Knows the paths of the API; shows nothing itself.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// How long the whole exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// The most that is read of an answer.
const ANSWER_OCTETS_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody serves there.
    #[error(
        "error: no server answers on {}\n  = help: start it with `stagepost run`, or name the right one with --config FILE or --socket PATH",
        socket.display()
    )]
    NotRunning {
        /// The socket.
        socket: PathBuf,
    },
    /// The socket is not for us.
    #[error(
        "error: {} belongs to another user\n  = help: run this command as the user that the server runs as",
        socket.display()
    )]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
    },
    /// It does not do that.
    #[error("error: {error}\n  = help: {remedy}")]
    Refused {
        /// What is wrong.
        error: String,
        /// What to do about it.
        remedy: String,
    },
    /// Something went wrong on the way.
    #[error("error: the server on {} gave no usable answer: {reason}\n  = help: look at its log; client and server should be of one version", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What.
        reason: String,
    },
}

/// Asks the server for its status; the JSON is given as it came.
pub(crate) async fn fetch_status(socket: &Path) -> Result<String, ClientError> {
    fetch(socket, "/v1/status").await
}

/// Asks the server for its metrics, in the text format of Prometheus.
pub(crate) async fn fetch_metrics(socket: &Path) -> Result<String, ClientError> {
    fetch(socket, "/v1/metrics").await
}

async fn fetch(socket: &Path, path: &str) -> Result<String, ClientError> {
    let stream =
        UnixStream::connect(socket).await.map_err(|error| connect_error(socket, &error))?;
    let exchange = tokio::time::timeout(EXCHANGE_MAX, exchange(stream, path)).await;
    let no_answer = || Err(format!("none within {} s", EXCHANGE_MAX.as_secs()));
    exchange
        .unwrap_or_else(|_| no_answer())
        .map_err(|reason| ClientError::Answer { socket: socket.to_owned(), reason })
}

pub(super) fn connect_error(socket: &Path, error: &io::Error) -> ClientError {
    let socket = socket.to_owned();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::NotRunning { socket },
        ErrorKind::PermissionDenied => ClientError::NotAllowed { socket },
        _ => ClientError::Answer { socket, reason: error.to_string() },
    }
}

async fn exchange(stream: UnixStream, path: &str) -> Result<String, String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8(body.into()).map_err(|error| error.to_string())?;
        if status == StatusCode::OK { Ok(text) } else { Err(status.to_string()) }
    };
    tokio::pin!(connection);
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        ended = &mut connection => {
            ended.map_err(|error| error.to_string())?;
            asked.await
        }
    }
}
