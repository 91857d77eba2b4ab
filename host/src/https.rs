//! One request to an HTTPS server: found by the DNS, known by its name, and answered within bounds.
//! Knows no page; follows no redirect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dns::{Answer, Data, Kind, Names};
use crate::tls::{HandshakeError, Identity, OutboundTls};

/// How long connecting to one address may take.
const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// So many addresses of a server are tried.
const ADDRESSES_MAX: usize = 4;
/// So many characters are kept and shown of what a server says.
const SAID_CHARS_MAX: usize = 200;
/// What we are to those who look at their logs.
const AGENT: &str = concat!("stagepost/", env!("CARGO_PKG_VERSION"));

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Https {
    names: Arc<dyn Names>,
    tls: OutboundTls,
    /// Where servers listen.
    port: u16,
    /// How long a whole request may take.
    wait: Duration,
}

/// What a server has sent.
#[derive(Debug)]
pub(crate) struct Page {
    /// How it answers.
    status: StatusCode,
    /// What it says it is, such as `text/plain`, in small letters.
    pub(crate) media_type: Box<str>,
    /// All of it.
    pub(crate) octets: Vec<u8>,
}

/// Why there is no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpsError {
    /// The DNS does not know the server.
    #[error("the DNS has no address of {0}")]
    NoAddress(Box<str>),
    /// It can't tell.
    #[error("the DNS can't tell now where {0} is")]
    Trouble(Box<str>),
    /// The server can't be reached.
    #[error("{address}: {error}")]
    Connect { address: SocketAddr, error: io::Error },
    /// It is not who it should be, or has no TLS.
    #[error("{said}")]
    Handshake {
        said: Box<str>,
        /// Its certificate is why.
        certificate: bool,
    },
    /// What it says is no HTTP, or ends too soon.
    #[error("its answer can't be read: {0}")]
    Answer(Box<str>),
    /// It says no, or sends us elsewhere.
    #[error("it answers {0}")]
    Status(u16),
    /// It says too much.
    #[error("its answer has more than {0} octets")]
    TooLarge(usize),
    /// It is too slow.
    #[error("no answer in time")]
    Timeout,
}

impl From<HandshakeError> for HttpsError {
    fn from(error: HandshakeError) -> Self {
        // It tells of every name in a certificate, and that may have thousands.
        let said = cut(&error.to_string());
        Self::Handshake { said, certificate: error.certificate().is_some() }
    }
}

/// As much as is kept and shown of what a server says.
fn cut(said: &str) -> Box<str> {
    match said.char_indices().nth(SAID_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &said[..at]).into(),
        None => said.into(),
    }
}

impl Https {
    /// A client of servers that listen on `port`, whose requests take as long as `wait` at most.
    pub(crate) fn new(names: Arc<dyn Names>, tls: OutboundTls, port: u16, wait: Duration) -> Self {
        Self { names, tls, port, wait }
    }

    /// Gets a page of at most so many octets. Answered by 200 and nothing else: a redirect leads nowhere.
    pub(crate) async fn get(
        &self,
        host: &str,
        path: &str,
        octets_max: usize,
    ) -> Result<Page, HttpsError> {
        let request = request(Method::GET, host, path).body(Full::default());
        let page = self.send((host, self.port), request, octets_max).await?;
        (page.status == StatusCode::OK)
            .then_some(())
            .ok_or(HttpsError::Status(page.status.as_u16()))?;
        Ok(page)
    }

    /// Hands in a report of TLS, on a port of its own. Any 2xx says that it was taken (RFC 8460 section 5.4).
    pub(crate) async fn post(
        &self,
        host: &str,
        port: u16,
        path: &str,
        gzip: Bytes,
        octets_max: usize,
    ) -> Result<(), HttpsError> {
        let request = request(Method::POST, host, path)
            .header(CONTENT_TYPE, "application/tlsrpt+gzip")
            .body(Full::new(gzip));
        let page = self.send((host, port), request, octets_max).await?;
        page.status.is_success().then_some(()).ok_or(HttpsError::Status(page.status.as_u16()))
    }

    async fn send(
        &self,
        (host, port): (&str, u16),
        request: hyper::http::Result<Request<Full<Bytes>>>,
        octets_max: usize,
    ) -> Result<Page, HttpsError> {
        let request = request.map_err(|error| HttpsError::Answer(error.to_string().into()))?;
        let exchange = async {
            let stream = self.connect(host, port).await?;
            let secured = self.tls.connect(host, &Identity::Named, stream).await?;
            exchange(secured.stream, request, octets_max).await
        };
        timeout(self.wait, exchange).await.map_err(|_| HttpsError::Timeout)?
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, HttpsError> {
        let (six, four) =
            tokio::join!(self.names.ask(Kind::Aaaa, host), self.names.ask(Kind::A, host));
        let trouble = [&six, &four].contains(&&Answer::Trouble);
        let mut last = match trouble {
            true => HttpsError::Trouble(host.into()),
            false => HttpsError::NoAddress(host.into()),
        };
        // Both kinds get their turn.
        let half = ADDRESSES_MAX / 2;
        for address in addresses(six).take(half).chain(addresses(four).take(half)) {
            let address = SocketAddr::new(address, port);
            match timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = HttpsError::Connect { address, error },
                Err(_) => {
                    let error = io::ErrorKind::TimedOut.into();
                    last = HttpsError::Connect { address, error };
                }
            }
        }
        Err(last)
    }
}

fn addresses(answer: Answer) -> impl Iterator<Item = IpAddr> {
    let records = match answer {
        Answer::Found(found) => found.records,
        _ => Vec::new(),
    };
    records.into_iter().filter_map(|record| match record {
        Data::Address(address) => Some(address),
        _ => None,
    })
}

fn request(method: Method, host: &str, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header(HOST, host).header(USER_AGENT, AGENT)
}

async fn exchange(
    stream: tokio_rustls::client::TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
    octets_max: usize,
) -> Result<Page, HttpsError> {
    let unread = |error: hyper::Error| HttpsError::Answer(cut(&error.to_string()));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unread)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(unread)?;
        let status = response.status();
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or("");
        let media_type = cut(media_type.trim()).to_ascii_lowercase().into();
        let body = Limited::new(response.into_body(), octets_max).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => HttpsError::TooLarge(octets_max),
            None => HttpsError::Answer(cut(&error.to_string())),
        })?;
        Ok(Page { status, media_type, octets: body.to_bytes().into() })
    };
    tokio::pin!(answered);
    tokio::select! {
        // The connection does its work beside the exchange, and ends with it.
        page = &mut answered => page,
        _ = connection => answered.await,
    }
}
