//! An HTTPS server of one page in this process, for the tests of policies.
//! Knows as much HTTP as a client of ours needs.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::tls::authority::Shown;

/// What it answers to whatever it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Page {
    /// This, to the letter.
    Answer(String),
    /// The same, and the connection stays open without an end of the answer.
    Part(String),
    /// Nothing.
    Silence,
}

impl Page {
    /// A page of this type.
    pub(crate) fn of(media_type: &str, text: &str) -> Self {
        Self::Answer(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ))
    }

    /// A policy.
    pub(crate) fn policy(mode: &str, mx: &str, max_age_s: u64) -> Self {
        let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age_s}\n");
        Self::of("text/plain; charset=utf-8", &text)
    }

    /// No page.
    pub(crate) fn status(line: &str) -> Self {
        Self::Answer(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// The server, for as long as the runtime runs.
pub(crate) struct Site {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    page: Page,
    /// The first line and the host of each request.
    asked: Vec<String>,
    /// What was handed in.
    bodies: Vec<Vec<u8>>,
}

impl Site {
    /// Starts one that shows these certificates.
    pub(crate) async fn start(shown: &Shown, page: Page) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { page, asked: Vec::new(), bodies: Vec::new() }));
        let (acceptor, served) = (shown.acceptor(), state.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not like the certificate hangs up.
                tokio::spawn(serve(acceptor.clone(), stream, served.clone()));
            }
        });
        Self { port, state }
    }

    /// Answers so from now on.
    pub(crate) fn show(&self, page: Page) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).page = page;
    }

    /// What was asked for since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).asked)
    }

    /// What was handed in since the last call.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).bodies)
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    state: Arc<Mutex<State>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    let page = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bodies.push(body);
        state.asked.push(format!("{} {host}", head.lines().next().unwrap_or_default()));
        state.page.clone()
    };
    let (Page::Answer(text) | Page::Part(text)) = &page else {
        return std::future::pending().await;
    };
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    match page {
        Page::Part(_) => std::future::pending().await,
        _ => stream.shutdown().await,
    }
}
