//! A client that says what a test wants and checks what it hears.
//! Knows the form of replies; sends nothing by itself.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::wire::{Trust, Wire};

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest reply line that is read.
const LINE_OCTETS_MAX: u64 = 4096;

/// A reply of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Its lines without code.
    pub lines: Vec<String>,
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.code, self.lines.join(" / "))
    }
}

/// A connection.
pub struct Client {
    stream: BufReader<Wire>,
}

impl Client {
    /// Connects; the greeting is not read.
    ///
    /// # Panics
    ///
    /// When nobody accepts.
    pub fn connect(server: SocketAddr) -> Self {
        Self::ready(TcpStream::connect_timeout(&server, PATIENCE).expect("the server accepts"))
    }

    /// The same from another address of this machine.
    ///
    /// # Panics
    ///
    /// When nobody accepts, or the address is none of this machine's.
    pub fn connect_from(from: IpAddr, server: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of this machine");
        socket.connect_timeout(&server.into(), PATIENCE).expect("the server accepts");
        Self::ready(socket.into())
    }

    fn ready(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_nodelay(true).expect("an option can be set");
        Self { stream: BufReader::new(Wire::Plain(stream)) }
    }

    /// The client of who was ours: a connection whose other end has become the server.
    pub fn over(stream: BufReader<TcpStream>) -> Self {
        // What is read ahead of its greeting is none.
        Self { stream: BufReader::new(Wire::Plain(stream.into_inner())) }
    }

    /// Makes a TLS handshake with a server that is to have a certificate that `trust` holds for `name`.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    ///
    /// When something that the server has said before is not read yet.
    pub fn secure(self, trust: &Trust, name: &str) -> io::Result<Self> {
        assert_eq!(self.stream.buffer(), b"", "said before TLS");
        let wire = self.stream.into_inner().secure(trust, name)?;
        Ok(Self { stream: BufReader::new(wire) })
    }

    /// The certificate that the server has shown, if there is TLS.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.stream.get_ref().certificate()
    }

    /// What both ends can derive from this connection alone.
    ///
    /// # Panics
    ///
    /// When there is no TLS.
    pub fn exported(&self) -> [u8; 32] {
        self.stream.get_ref().exported()
    }

    /// The connection, with what was read of it and not looked at.
    pub fn into_stream(self) -> BufReader<Wire> {
        self.stream
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// The connection's.
    pub fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Sends octets as they are.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    pub fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).expect("the server reads");
    }

    /// Breaks the connection in both directions, as a client does that crashes.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn abort(self) {
        let socket = socket2::SockRef::from(self.stream.get_ref().socket());
        socket.set_linger(Some(Duration::ZERO)).expect("an option can be set");
    }

    /// Whether the server has said something that is not read yet.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn has_octets(&self) -> bool {
        let socket = self.stream.get_ref().socket();
        socket.set_nonblocking(true).expect("an option can be set");
        let arrived = socket.peek(&mut [0]).is_ok();
        socket.set_nonblocking(false).expect("an option can be set");
        arrived || !self.stream.buffer().is_empty()
    }

    /// Reads a reply.
    ///
    /// # Errors
    /// The connection ended, or what came is no reply (RFC 5321 section 4.2).
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.by_ref().take(LINE_OCTETS_MAX).read_line(&mut line)?;
            let no_reply = || io::Error::other(format!("no reply line: {line:?}"));
            let text = line.strip_suffix("\r\n").ok_or_else(no_reply)?;
            let code = text.get(..3).and_then(|code| code.parse().ok()).ok_or_else(no_reply)?;
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            match text.as_bytes().get(3) {
                Some(b'-') => {}
                Some(b' ') | None => return Ok(Reply { code, lines }),
                Some(_) => return Err(no_reply()),
            }
        }
    }

    /// Reads a reply.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn reply(&mut self) -> Reply {
        self.try_reply().expect("a reply")
    }

    /// Reads a reply, which must have this code.
    ///
    /// # Panics
    ///
    /// When it has another one.
    pub fn expect(&mut self, code: u16) -> Reply {
        let reply = self.reply();
        assert_eq!(reply.code, code, "{reply}");
        reply
    }

    /// Sends a command line and reads its reply.
    pub fn ask(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Sends a command line; its reply must have this code.
    ///
    /// # Panics
    ///
    /// When it has another one.
    pub fn say(&mut self, line: &str, code: u16) -> Reply {
        let reply = self.ask(line);
        assert_eq!(reply.code, code, "to {line}: {reply}");
        reply
    }

    /// Says MAIL, RCPT and DATA.
    ///
    /// # Panics
    ///
    /// When one of them is refused.
    pub fn begin(&mut self, sender: &str, recipient: &str) {
        self.say(&format!("MAIL FROM:<{sender}>"), 250);
        self.say(&format!("RCPT TO:<{recipient}>"), 250);
        self.say("DATA", 354);
    }

    /// Sends a whole message; the reply to its end. `message` has CRLF line ends and no line that begins with a dot.
    pub fn deliver(&mut self, sender: &str, recipient: &str, message: &str) -> Reply {
        self.begin(sender, recipient);
        self.send(message.as_bytes());
        self.ask(".")
    }

    /// Reads to the end of the connection, which must come without another word.
    ///
    /// # Panics
    ///
    /// When the server goes on, or does not close.
    pub fn expect_close(&mut self) {
        let mut rest = Vec::new();
        match self.stream.by_ref().take(LINE_OCTETS_MAX).read_to_end(&mut rest) {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), ""),
            // Closed with octets of ours unread.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}
