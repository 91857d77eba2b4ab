//! A next hop that keeps what it is given and does what it is told.
//! Knows enough SMTP to receive from a well-behaved client, and no more.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::client::Client;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// MAIL's path, without angle brackets.
    pub sender: String,
    /// RCPT's paths, without angle brackets.
    pub recipients: Vec<String>,
    /// The message, transparency dots removed.
    pub octets: Vec<u8>,
    /// It came through TLS.
    pub secured: bool,
}

#[derive(Default)]
struct State {
    messages: Vec<Received>,
    /// The reply to the next messages' ends; 250 when there is none.
    replies: Vec<String>,
    /// So many of the next messages are kept, and the connection closed in the place of a reply.
    mute: usize,
    connections: Vec<TcpStream>,
    /// The lines that came in clear text, but for those of messages.
    heard: Vec<String>,
    /// Clients that are served.
    sessions: usize,
}

/// What connections share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    closing: AtomicBool,
    /// What it has for TLS; none: it offers none.
    tls: Option<Arc<ServerConfig>>,
}

/// A reserved address where nobody listens: connections are refused until [`Closed::open`].
pub struct Closed {
    socket: Socket,
    address: SocketAddr,
}

impl Closed {
    /// Reserves an address.
    ///
    /// # Panics
    ///
    /// When the system has none.
    pub fn reserve() -> Self {
        Self::reserve_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Reserves one of the test's choice.
    ///
    /// # Panics
    ///
    /// When somebody else has it.
    pub fn reserve_at(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&address.into()).expect("a free port");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        Self { socket, address: address.expect("an internet address") }
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to receive.
    ///
    /// # Panics
    ///
    /// When the system does not let it listen.
    pub fn open(self) -> Sink {
        self.open_with(None)
    }

    /// The same with STARTTLS, if there is something for it.
    ///
    /// # Panics
    ///
    /// As [`Closed::open`] does.
    pub fn open_with(self, tls: Option<Arc<ServerConfig>>) -> Sink {
        self.socket.listen(128).expect("it can listen");
        let listener = TcpListener::from(self.socket);
        let shared = Arc::new(Shared { tls, ..Shared::default() });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Sink { address: self.address, shared, accepting: Some(accepting) }
    }
}

/// A next hop that receives; dropping it ends it.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Sink {
    /// Begins to receive at an address of its own.
    pub fn open() -> Self {
        Closed::reserve().open()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next message so instead of 250; further calls queue up.
    pub fn answer(&self, reply: &str) {
        lock(&self.shared).replies.push(reply.to_owned());
    }

    /// Keeps the next message, and closes the connection in the place of an answer.
    pub fn keep_without_answer(&self) {
        lock(&self.shared).mute += 1;
    }

    /// Receives over the connection of a client that has become the server, until the other side is done.
    ///
    /// # Errors
    /// The connection broke.
    pub fn take_over(&self, client: Client) -> io::Result<()> {
        serve(client.into_stream(), &self.shared, true, None).map(drop)
    }

    /// What it has accepted so far.
    pub fn messages(&self) -> Vec<Received> {
        lock(&self.shared).messages.clone()
    }

    /// The lines that came in clear text so far, but for those of messages.
    pub fn heard(&self) -> Vec<String> {
        lock(&self.shared).heard.clone()
    }

    /// Waits until nobody is connected any more: what a client that is gone has sent counts by then.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub fn wait_until_left(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock(&self.shared);
        while state.sessions > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} clients stay connected", state.sessions);
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until this many messages are accepted.
    ///
    /// # Panics
    ///
    /// When they do not come in time.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let came = |messages: &[Received]| messages.len() >= count;
        self.wait_until(&format!("{count} messages"), came)
    }

    /// Waits until what it has accepted satisfies a condition; `what` tells a person which.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = lock(&self.shared);
        while !condition(&state.messages) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "only {} messages came: {what}", state.messages.len());
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.messages.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for connection in lock(&self.shared).connections.drain(..) {
            // Most are closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes whoever waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let Some(accepting) = self.accepting.take() {
            // Its panic was printed.
            let _ = accepting.join();
        }
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut sessions = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.closing.load(Ordering::SeqCst) {
            break;
        }
        if let Ok(copy) = stream.try_clone() {
            lock(shared).connections.push(copy);
        }
        let shared = shared.clone();
        lock(&shared).sessions += 1;
        sessions.push(thread::spawn(move || {
            let ended = stream.try_clone();
            // A client may hang up whenever it likes: its message then does not count.
            let _ = receive(stream, &shared);
            // It is among the connections still.
            let _ = ended.and_then(|stream| stream.shutdown(Shutdown::Both));
            lock(&shared).sessions -= 1;
            shared.changed.notify_all();
        }));
    }
    for session in sessions {
        // Its panic was printed.
        let _ = session.join();
    }
}

fn receive(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    match serve(BufReader::new(stream), shared, true, shared.tls.as_ref())? {
        Some((stream, tls)) => {
            let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
            let stream = BufReader::new(StreamOwned::new(connection, stream));
            serve(stream, shared, false, None).map(drop)
        }
        None => Ok(()),
    }
}

/// Serves until the client is done, or a handshake is to be made. `clear`: nothing is around the stream. `tls`: what is offered.
fn serve<S: Read + Write>(
    mut stream: BufReader<S>,
    shared: &Shared,
    clear: bool,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<Option<(S, Arc<ServerConfig>)>> {
    let (mut sender, mut recipients) = (String::new(), Vec::new());
    if clear {
        reply(&mut stream, "220 sink.example.test ESMTP")?;
    }
    loop {
        let line = read_line(&mut stream)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if clear {
            lock(shared).heard.push(text.clone());
        }
        let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let starttls = if tls.is_some() { "250-STARTTLS\r\n" } else { "" };
                let offers = "250-PIPELINING\r\n250 8BITMIME";
                reply(&mut stream, &format!("250-sink.example.test\r\n{starttls}{offers}"))?
            }
            "STAR" => {
                if let Some(tls) = tls {
                    reply(&mut stream, "220 go on")?;
                    return Ok(Some((stream.into_inner(), tls.clone())));
                }
                reply(&mut stream, "502 what?")?;
            }
            "MAIL" => {
                (sender, recipients) = (path(&text), Vec::new());
                reply(&mut stream, "250 sender ok")?;
            }
            "RCPT" => {
                recipients.push(path(&text));
                reply(&mut stream, "250 recipient ok")?;
            }
            "DATA" => {
                reply(&mut stream, "354 go on")?;
                let octets = read_message(&mut stream)?;
                let secured = !clear;
                let kept = keep(shared, Received { sender, recipients, octets, secured });
                (sender, recipients) = (String::new(), Vec::new());
                let Some(answer) = kept else { return Ok(None) };
                reply(&mut stream, &answer)?;
            }
            "QUIT" => return reply(&mut stream, "221 bye").map(|()| None),
            _ => reply(&mut stream, "250 ok")?,
        }
    }
}

/// Keeps a message, or does not; the answer, unless none is to be given.
fn keep(shared: &Shared, message: Received) -> Option<String> {
    let mut state = lock(shared);
    if !state.replies.is_empty() {
        return Some(state.replies.remove(0));
    }
    state.messages.push(message);
    shared.changed.notify_all();
    let mute = state.mute > 0;
    state.mute -= usize::from(mute);
    (!mute).then(|| "250 kept".to_owned())
}

fn path(command: &str) -> String {
    let path = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    path.map_or_else(String::new, |(path, _)| path.to_owned())
}

fn read_message(stream: &mut BufReader<impl Read>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line == b".\r\n" {
            return Ok(message);
        }
        // RFC 5321 section 4.5.2.
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn read_line(stream: &mut BufReader<impl Read>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn reply(stream: &mut BufReader<impl Read + Write>, text: &str) -> io::Result<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes())
}
