//! Listening sockets: bound as configured, and a session for every client that there is room for.
//! Knows neither what a session says nor what becomes of its mail.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_extmgr::ExtMgr;
use stagepost_queue::Store;
use stagepost_smtp::{Peer, Reply, Session, Settings, StartTls, Tls};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config;
use crate::connection::Connection;
use crate::intake::Intake;
use crate::router::Router;
use crate::sessions::{Full, Place, Sessions};
use crate::stopping::Stopping;
use crate::throttle::{Line, Throttle};
use crate::tls::ServerTls;
use crate::transport::Transport;

/// How long accepting rests after the system refused a socket: descriptors come back when sessions end.
const REST: Duration = Duration::from_millis(50);

/// What every session of a server shares.
pub(crate) struct Shared {
    pub(crate) plugins: Arc<ExtMgr>,
    pub(crate) router: Arc<Router>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) stopping: Stopping,
    /// For the lines about clients without a place.
    pub(crate) refusals: Throttle,
    /// For the lines about messages that the queue did not take.
    pub(crate) faults: Arc<Throttle>,
}

/// One socket that clients connect to. A listener of the configuration may have several.
pub(crate) struct Listener {
    /// Its name in the configuration.
    pub(crate) name: Arc<str>,
    socket: TcpListener,
    door: Arc<Door>,
    /// Where it listens, as bound.
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Makes ready what accepts from `socket`, which listens. Inside a tokio runtime. `receive`: what all listeners have
    /// in common.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn new(
        config: &config::Listener,
        socket: std::net::TcpListener,
        receive: &Settings,
        tls: Option<ServerTls>,
    ) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        let starttls = match &tls {
            Some(_) if config.tls.required => StartTls::Required,
            Some(_) => StartTls::Offered,
            None => StartTls::None,
        };
        Ok(Self {
            name: config.name.as_str().into(),
            socket,
            door: Arc::new(Door {
                settings: Arc::new(Settings { starttls, ..receive.clone() }),
                tls: tls.map(Arc::new),
                implicit: config.purpose.is_implicit(),
            }),
            address,
        })
    }

    /// Accepts clients until the server is to stop, then lets their sessions end.
    pub(crate) async fn serve(self, shared: Arc<Shared>) {
        let mut stopping = shared.stopping.clone();
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopping.wait() => break,
                // Ended sessions are forgotten as they end.
                Some(_) = sessions.join_next() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, remote)) => {
                        if let Some(session) = self.begin(&shared, stream, remote) {
                            sessions.spawn(session);
                        }
                    }
                    Err(error) => {
                        tracing::error!(listener = &*self.name, "a connection can't be accepted: {error}");
                        tokio::time::sleep(REST).await;
                    }
                },
            }
        }
        // No client connects to a server that does not answer.
        drop(self.socket);
        while sessions.join_next().await.is_some() {}
    }

    fn begin(
        &self,
        shared: &Arc<Shared>,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Option<impl Future<Output = ()> + use<>> {
        match shared.sessions.enter(remote.ip()) {
            Ok(place) => {
                // Replies are small and each is waited for. A failure costs time, nothing else.
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().unwrap_or(self.address);
                let peer = Arc::new(Peer::new(remote, local, &self.name));
                Some(serve(shared.clone(), stream, peer, self.door.clone(), place))
            }
            Err(full) => {
                self.refuse(shared, &stream, remote, full);
                None
            }
        }
    }

    /// Answers a client for whom there is no place (RFC 5321 section 3.1: 421 instead of a greeting), before any other work.
    fn refuse(&self, shared: &Shared, stream: &TcpStream, remote: SocketAddr, full: Full) {
        let (reason, enhanced) = match full {
            Full::InAll => ("too many sessions", (4, 3, 2)),
            Full::FromAddress => ("too many sessions from your address", (4, 7, 0)),
        };
        if let Some(Line { left_out }) = shared.refusals.line(Instant::now()) {
            tracing::warn!(client = %remote.ip(), left_out, "connection refused: {reason}");
        }
        // In clear text it would be no words there.
        if self.door.implicit {
            return;
        }
        let hostname = &self.door.settings.hostname;
        let text =
            format!("{hostname} Service not available, {reason}, closing transmission channel");
        let mut octets = Vec::new();
        Reply::new(421, Some(enhanced), text).write(true, &mut octets);
        // The socket is fresh, so its buffer takes the line; a client that left needs none.
        let _ = stream.try_write(&octets);
    }
}

/// What a listener says of every client.
struct Door {
    settings: Arc<Settings>,
    tls: Option<Arc<ServerTls>>,
    /// TLS comes before anything else.
    implicit: bool,
}

impl Door {
    /// The connection as its session begins with it; none when it came to nothing.
    async fn open(&self, stream: TcpStream, id: u64) -> Option<(Transport, Option<Tls>)> {
        let Some(tls) = self.tls.as_ref().filter(|_| self.implicit) else {
            return Some((Transport::Plain(stream), None));
        };
        // Large, and over before the session begins: not to be part of it.
        let handshake = Box::pin(timeout(self.settings.timeouts.handshake, tls.accept(stream)));
        match handshake.await {
            Ok(Ok((stream, tls))) => Some((Transport::Tls(stream), Some(tls))),
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
}

/// Serves one client.
async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: Arc<Peer>,
    door: Arc<Door>,
    place: Place,
) {
    let id = place.id;
    tracing::debug!(session = id, client = &*peer.remote_text, "session begins");
    if let Some((transport, protected)) = door.open(stream, id).await {
        connection(&shared, transport, protected, peer, &door, id).serve().await;
    }
    tracing::debug!(session = id, "session ends");
}

/// A connection with the session that goes with it.
fn connection(
    shared: &Shared,
    transport: Transport,
    protected: Option<Tls>,
    peer: Arc<Peer>,
    door: &Door,
    id: u64,
) -> Connection {
    let settings = door.settings.clone();
    let dispatch = shared.plugins.session();
    let (router, stopping) = (shared.router.clone(), shared.stopping.clone());
    let (store, faults) = (shared.store.clone(), shared.faults.clone());
    let intake = Intake::new(store, router.clone(), &settings.hostname, faults);
    let mut session = Session::new(settings, dispatch.interest(), id, peer, Instant::now())
        .with_claims(dispatch.claims());
    if let Some(protected) = protected {
        session = session.secured(protected);
    }
    Connection::new(transport, door.tls.clone(), session, dispatch, router, intake, stopping)
}
