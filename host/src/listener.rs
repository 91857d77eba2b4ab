//! Listening sockets: a session for every client that there is room for.
//! Knows neither what a session says nor what becomes of its mail.

pub(crate) mod descriptor;
pub(crate) mod door;
mod proxy_header;
pub(crate) mod sessions;
pub(crate) mod socket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stagepost_extmgr::ExtMgr;
use stagepost_queue::Store;
use stagepost_smtp::{Session, Settings};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::descriptor::Descriptors;
use self::door::{Door, DoorLines, Entered};
use self::sessions::{Place, Sessions};
use crate::auth::Authenticator;
use crate::config;
use crate::connection::Connection;
use crate::delivery::Fetching;
use crate::directory::Directory;
use crate::intake::Intake;
use crate::stopping::Stopping;
use crate::throttle::{Line, Throttle};
use crate::tls::ServerTls;

/// How long accepting rests after the system refused a socket: descriptors come back when sessions end.
const REST: Duration = Duration::from_millis(50);

/// What every session of a server shares.
pub(crate) struct Shared {
    pub(crate) plugins: Arc<ExtMgr>,
    pub(crate) directory: Directory,
    pub(crate) authenticator: Arc<Authenticator>,
    /// The same for listeners where users of LDAP log in.
    pub(crate) ldap_authenticator: Arc<Authenticator>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fetching: Arc<Fetching>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) stopping: Stopping,
    /// For the lines about clients that get no session.
    pub(crate) lines: DoorLines,
    /// For the lines about messages that the queue did not take.
    pub(crate) faults: Arc<Throttle>,
}

/// One socket that clients connect to. A listener of the configuration may have several.
pub(crate) struct Listener {
    /// Its name in the configuration.
    pub(crate) name: Arc<str>,
    socket: TcpListener,
    descriptors: Descriptors,
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
        descriptors: Descriptors,
    ) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        let address = socket.local_addr()?;
        Ok(Self {
            name: config.name.as_str().into(),
            socket,
            descriptors,
            door: Arc::new(Door::new(config, receive, tls)),
            address,
        })
    }

    /// Accepts clients until the server is to stop, then lets their sessions end.
    pub(crate) async fn serve(self, shared: Arc<Shared>) {
        let mut stopping = shared.stopping.clone();
        let mut sessions = JoinSet::new();
        // Without descriptors each client that waits causes one after the other.
        let refused = Throttle::default();
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
                        if let Some(Line { left_out }) = refused.line(Instant::now()) {
                            tracing::error!(listener = &*self.name, left_out, "a connection can't be accepted: {error}");
                        }
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
        if !self.descriptors.allow(&stream) {
            self.door.no_descriptor(&shared.lines, &stream, remote);
            return None;
        }
        let place = self.door.enter(&shared.sessions, &shared.lines, &stream, remote)?;
        let stream = self.descriptors.place(stream).inspect_err(|error| {
            tracing::error!(listener = &*self.name, "a connection can't be kept: {error}");
        });
        let stream = stream.ok()?;
        let (shared, door) = (shared.clone(), self.door.clone());
        Some(serve(shared, door, stream, place, remote, self.address))
    }
}

/// Serves one client, who has come from `remote` to a socket that listens on `address`. What it holds while it waits is held
/// for each idle session.
async fn serve(
    shared: Arc<Shared>,
    door: Arc<Door>,
    stream: TcpStream,
    mut place: Place,
    remote: SocketAddr,
    address: SocketAddr,
) {
    tracing::debug!(session = place.id, client = %remote, "session begins");
    // The system is asked only where it has a choice.
    let local = match address.ip().is_unspecified() {
        true => stream.local_addr().unwrap_or(address),
        false => address,
    };
    if let Some(entered) = door.open(&shared.lines, stream, &mut place, remote, local).await {
        let ended = connection(&shared, &door, entered, place.id).serve().await;
        if let Some(expired) = ended.expired {
            shared.sessions.expired(expired);
        }
        if let Some((refused, facts)) = ended.refused.as_deref() {
            shared.lines.refused(refused, facts);
        }
    }
    tracing::debug!(session = place.id, "session ends");
}

/// A connection with the session that goes with it.
fn connection(shared: &Shared, door: &Door, entered: Entered, id: u64) -> Connection {
    let Entered { stream, protected, peer, xclient } = entered;
    let settings = door.settings.clone();
    let dispatch = shared.plugins.session();
    let (directory, stopping) = (shared.directory.clone(), shared.stopping.clone());
    let (store, faults) = (shared.store.clone(), shared.faults.clone());
    let intake = Intake::new(store, directory.clone(), &settings.hostname, faults);
    let mut session = Session::new(settings, dispatch.interest(), id, peer, Instant::now())
        .with_claims(dispatch.claims())
        .with_date(SystemTime::now());
    if let Some(protected) = protected {
        session = session.secured(protected);
    }
    if xclient {
        session = session.with_xclient();
    }
    Connection {
        stream,
        tls: door.tls.clone(),
        session,
        dispatch,
        directory,
        authenticator: match door.ldap_logins {
            true => shared.ldap_authenticator.clone(),
            false => shared.authenticator.clone(),
        },
        intake,
        fetching: shared.fetching.clone(),
        stopping,
        accepted: None,
    }
}
