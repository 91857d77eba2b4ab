//! What a connection passes before its session begins: a place, the header of a proxy, a TLS handshake; or a refusal.
//! Knows what its listener says of every client, and no SMTP beyond one line.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use stagepost_smtp::{Extension, Facts, Peer, Refused, Reply, Settings, StartTls, Tls};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::proxy_header::{self, Found, HeaderError, ProxyHeader};
use super::sessions::{Full, Place, Sessions};
use crate::config;
use crate::config::Networks;
use crate::connection::Stream;
use crate::throttle::{Line, Throttle};
use crate::tls::ServerTls;

/// What a listener says of every client.
pub(crate) struct Door {
    /// The listener's name.
    name: Box<str>,
    /// How its sessions are.
    pub(crate) settings: Arc<Settings>,
    /// For STARTTLS, or for the handshake that comes first; none where there is no TLS.
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// TLS comes before anything else.
    implicit: bool,
    /// Users of LDAP log in here.
    pub(crate) ldap_logins: bool,
    /// Whose connections begin with a header that tells who the client is, and how long that may take.
    proxies: Networks,
    proxy_timeout: std::time::Duration,
    /// Who may tell by XCLIENT.
    xclients: Networks,
}

/// How many sessions in which something was refused are told of in a second: somebody may look for each of them.
const REFUSED_LINES_MAX: u32 = 100;

/// Throttles for the lines that strangers can cause at will.
pub(crate) struct DoorLines {
    refusals: Throttle,
    headers: Throttle,
    refused: Throttle,
}

/// A client whose session can begin.
pub(crate) struct Entered {
    pub(crate) stream: Stream,
    /// What protects it from the first octet, if anything.
    pub(crate) protected: Option<Tls>,
    pub(crate) peer: Arc<Peer>,
    /// It may tell of another one by XCLIENT.
    pub(crate) xclient: bool,
}

/// Why a proxy has told nothing that counts.
#[derive(Debug, thiserror::Error)]
enum ProxyFault {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it took too long")]
    Timeout,
}

impl Default for DoorLines {
    fn default() -> Self {
        let refused = Throttle::lines(REFUSED_LINES_MAX);
        Self { refusals: Throttle::default(), headers: Throttle::default(), refused }
    }
}

impl DoorLines {
    /// Tells of a session, which is over, that its client was refused something: the last of it.
    pub(crate) fn refused(&self, refused: &Refused, facts: &Facts) {
        let Some(Line { left_out }) = self.refused.line(Instant::now()) else { return };
        let Refused { count, reply, command, sender, recipient } = refused;
        let (session, listener) = (facts.id, &*facts.peer.listener);
        let helo = facts.helo.as_ref().map(|helo| &*helo.name);
        let command = command.as_deref().map(String::from_utf8_lossy);
        tracing::info!(
            session,
            listener,
            client = &*facts.peer.remote_text,
            helo,
            sender = sender.as_deref(),
            recipient = recipient.as_deref(),
            command = command.as_deref(),
            reply = reply.in_line(),
            count,
            left_out,
            "the client was refused"
        );
    }
}

impl Door {
    /// `receive`: what all listeners have in common.
    pub(crate) fn new(
        config: &config::Listener,
        receive: &Settings,
        tls: Option<ServerTls>,
    ) -> Self {
        let starttls = match &tls {
            Some(_) if config.tls.required => StartTls::Required,
            Some(_) => StartTls::Offered,
            None => StartTls::None,
        };
        let extensions = match config.binary {
            true => receive.extensions.with(Extension::BinaryMime),
            false => receive.extensions,
        };
        let auth = config.auth.clone();
        Self {
            name: config.name.as_str().into(),
            settings: Arc::new(Settings {
                odmr: config.purpose.is_odmr(),
                starttls,
                auth,
                extensions,
                vrfy: config.vrfy,
                split: config.split,
                ..receive.clone()
            }),
            tls: tls.map(Arc::new),
            implicit: config.purpose.is_implicit(),
            ldap_logins: config.auth_ldap,
            proxies: config.proxies.clone(),
            proxy_timeout: config.proxy_timeout,
            xclients: config.xclients.clone(),
        }
    }

    /// Takes a place for who has connected from `remote`; or refuses, before any other work.
    pub(crate) fn enter(
        &self,
        sessions: &Arc<Sessions>,
        lines: &DoorLines,
        stream: &TcpStream,
        remote: SocketAddr,
    ) -> Option<Place> {
        let address = remote.ip().to_canonical();
        // A proxy stands for many clients, who count once they are known.
        let trusted = self.proxies.contain(address) || self.xclients.contain(address);
        match sessions.enter((!trusted).then_some(address)) {
            Ok(place) => Some(place),
            Err(full) => {
                self.refuse(lines, stream, remote, full);
                None
            }
        }
    }

    /// Lets a connection from `remote` to `local` in that has a place; none when it came to nothing.
    pub(crate) async fn open(
        &self,
        lines: &DoorLines,
        stream: TcpStream,
        place: &mut Place,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Option<Entered> {
        let mut peer = Peer::new(remote, local, &self.name);
        if self.proxies.contain(peer.remote.ip()) {
            // Rare: not to be part of every connection.
            peer = Box::pin(self.through_proxy(lines, &stream, place, peer)).await?;
        }
        // Of the client, not of the proxy that it may come through.
        let xclient = self.xclients.contain(peer.remote.ip());
        let (stream, protected) = self.secure(stream, place.id).await?;
        Some(Entered { stream, protected, peer: Arc::new(peer), xclient })
    }

    /// The client that a proxy tells of.
    async fn through_proxy(
        &self,
        lines: &DoorLines,
        stream: &TcpStream,
        place: &mut Place,
        proxy: Peer,
    ) -> Option<Peer> {
        let header = match timeout(self.proxy_timeout, read_header(stream)).await {
            Ok(read) => read,
            Err(_) => Err(ProxyFault::Timeout),
        };
        let peer = match header {
            Ok(ProxyHeader::Local) => return Some(proxy),
            Ok(ProxyHeader::Client { remote, local }) => {
                Peer::new(remote, local, &self.name).through(proxy.remote)
            }
            Err(fault) => {
                if let Some(Line { left_out }) = lines.headers.line(Instant::now()) {
                    let (listener, proxy) = (&*self.name, &*proxy.remote_text);
                    tracing::warn!(listener, proxy, left_out, "no header of a proxy: {fault}");
                }
                return None;
            }
        };
        match place.count(peer.remote.ip()) {
            Ok(()) => Some(peer),
            Err(full) => {
                self.refuse(lines, stream, peer.remote, full);
                None
            }
        }
    }

    /// Makes the handshake where it comes first.
    async fn secure(&self, stream: TcpStream, id: u64) -> Option<(Stream, Option<Tls>)> {
        let Some(tls) = self.tls.as_ref().filter(|_| self.implicit) else {
            return Some((Stream::Plain(stream), None));
        };
        // Large, and over before the session begins: not to be part of it.
        let handshake = Box::pin(timeout(self.settings.timeouts.handshake, tls.accept(stream)));
        match handshake.await {
            Ok(Ok((stream, tls))) => Some((Stream::Tls(stream), Some(tls))),
            Ok(Err(error)) => {
                tracing::debug!(session = id, "the TLS handshake failed: {error}");
                None
            }
            Err(_) => {
                tracing::debug!(session = id, "the TLS handshake took too long");
                None
            }
        }
    }

    /// Answers a client for whom there is no place (RFC 5321 section 3.1: 421 instead of a greeting).
    fn refuse(&self, lines: &DoorLines, stream: &TcpStream, remote: SocketAddr, full: Full) {
        let (reason, enhanced) = match full {
            Full::InAll => ("too many sessions", (4, 3, 2)),
            Full::FromAddress => ("too many sessions from your address", (4, 7, 0)),
            Full::FromNetwork => ("too many sessions from your network", (4, 7, 0)),
        };
        self.turn_away(lines, stream, remote, reason, enhanced);
    }

    /// Refuses who has come where there is no low descriptor left.
    pub(crate) fn no_descriptor(&self, lines: &DoorLines, stream: &TcpStream, remote: SocketAddr) {
        self.turn_away(lines, stream, remote, "too many sessions here", (4, 3, 2));
    }

    fn turn_away(
        &self,
        lines: &DoorLines,
        stream: &TcpStream,
        remote: SocketAddr,
        reason: &str,
        enhanced: (u8, u16, u16),
    ) {
        if let Some(Line { left_out }) = lines.refusals.line(Instant::now()) {
            tracing::warn!(client = %remote.ip(), left_out, "connection refused: {reason}");
        }
        // In clear text it would be no words there.
        if self.implicit {
            return;
        }
        let hostname = &self.settings.hostname;
        let text =
            format!("{hostname} Service not available, {reason}, closing transmission channel");
        let mut octets = Vec::new();
        Reply::new(421, Some(enhanced), text).write(true, &mut octets);
        // The socket is fresh, so its buffer takes the line; a client that left needs none.
        let _ = stream.try_write(&octets);
    }
}

/// Reads the header of a proxy, and not one octet more: what follows is the client's.
async fn read_header(stream: &TcpStream) -> Result<ProxyHeader, ProxyFault> {
    let mut octets = vec![0; proxy_header::OCTETS_MAX];
    let mut taken = 0;
    loop {
        // Only looked at: not all of it may be the header's.
        let here = taken + stream.peek(&mut octets[taken..]).await?;
        if here == taken {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let (header, end) = match proxy_header::find(&octets[..here])? {
            Found::More => (None, here),
            Found::Whole(header, end) => (Some(header), end),
        };
        while taken < end {
            match stream.try_read(&mut octets[taken..end]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => taken += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.readable().await?
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(header) = header {
            return Ok(header);
        }
    }
}
