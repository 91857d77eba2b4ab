//! HTTPS servers of tests, with a page for each name that they are asked for.
//! Knows as much HTTP as a client of ours needs.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is answered.
#[derive(Clone, Debug)]
pub enum Page {
    /// These octets, to the letter.
    Whole(Vec<u8>),
    /// These, and then the others again and again until the client has had enough.
    Endless(Vec<u8>, Vec<u8>),
    /// Nothing, until the client has had enough.
    Silence,
}

impl Page {
    /// A page of this type.
    pub fn of(media_type: &str, text: &str) -> Self {
        let length = text.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}");
        Self::Whole(format!("{head}\r\n\r\n{text}").into_bytes())
    }

    /// No page: a status, and further fields.
    pub fn status(line: &str, fields: &str) -> Self {
        Self::Whole(format!("HTTP/1.1 {line}\r\n{fields}Content-Length: 0\r\n\r\n").into_bytes())
    }
}

/// What a client has asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and version.
    pub line: String,
    /// The fields, with names in small letters.
    pub fields: Vec<String>,
    /// What it has handed in.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    asked: Vec<(String, Asked)>,
}

/// A server. It runs until the test is over.
#[derive(Clone)]
pub struct WebSite(Arc<Mutex<State>>);

impl WebSite {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it can't have the address.
    pub fn start(address: SocketAddr, tls: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind(address).expect("a port that is free");
        let site = Self(Arc::default());
        let served = site.clone();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (site, tls) = (served.clone(), tls.clone());
                // Who does not like the certificate hangs up.
                thread::spawn(move || site.serve(stream, tls));
            }
        });
        site
    }

    /// Answers so from now on who asks for a name; others are told that there is nothing.
    pub fn show(&self, host: &str, page: Page) {
        self.state().pages.insert(host.to_owned(), page);
    }

    /// What was asked of a name so far.
    pub fn asked(&self, host: &str) -> Vec<Asked> {
        let state = self.state();
        let of = state.asked.iter().filter(|(name, _)| name == host);
        of.map(|(_, asked)| asked.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let asked = request(&mut stream)?;
        let field = |name: &str| asked.fields.iter().find_map(|field| field.strip_prefix(name));
        let host = field("host: ").unwrap_or_default().to_owned();
        let page = {
            let mut state = self.state();
            state.asked.push((host.clone(), asked));
            state.pages.get(&host).cloned()
        };
        let stream = stream.get_mut();
        match page.unwrap_or_else(|| Page::status("404 Nothing", "")) {
            Page::Whole(octets) => stream.write_all(&octets)?,
            Page::Endless(first, again) => {
                stream.write_all(&first)?;
                loop {
                    stream.write_all(&again)?;
                }
            }
            // It ends when the client does.
            Page::Silence => drop(stream.read(&mut [0])?),
        }
        stream.conn.send_close_notify();
        stream.flush()
    }
}

fn request(stream: &mut impl BufRead) -> io::Result<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let line = if lines.is_empty() { String::new() } else { lines.remove(0) };
    Ok(Asked { line, fields: lines, body })
}
