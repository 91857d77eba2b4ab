//! A server that has become our client: a receiving session on the connection that we have opened.
//! Knows how such a session differs from a client's, and nothing of how it came to be.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Instant, SystemTime};

use stagepost_smtp::{Auth, DisconnectReason, Event, Peer, Session, Settings, StartTls};

use super::Accepted;
use crate::connection::{Connection, Reversed, Stream};
use crate::delivery::Ends;
use crate::intake::Intake;
use crate::listener::Shared;
use crate::listener::sessions::Place;

/// What a receiving session is to be like.
pub(super) struct Receiving {
    pub(super) settings: Arc<Settings>,
    /// What plug-ins are told in the place of a listener's name.
    pub(super) listener: Box<str>,
    pub(super) accepted: Option<Accepted>,
    /// Counts the messages that come.
    pub(super) received: Arc<AtomicU64>,
}

/// The settings of a listener as they are for who was dialled: what of TLS and of logging in there is, there is already.
pub(super) fn settings(listener: &Settings) -> Arc<Settings> {
    Arc::new(Settings {
        odmr: false,
        starttls: StartTls::None,
        auth: Auth::default(),
        ..listener.clone()
    })
}

/// Serves who was our server until it leaves; why it has.
pub(super) async fn receive(
    shared: &Shared,
    place: Place,
    ends: Ends,
    receiving: Receiving,
) -> Option<DisconnectReason> {
    let Receiving { settings, listener, accepted, received } = receiving;
    let peer = Arc::new(Peer::new(ends.remote, ends.local, &listener));
    let mut reversed = Reversed::new(ends.carrying);
    // It was not said to a server.
    reversed.drop_input();
    let dispatch = shared.plugins.session();
    // Nobody has connected.
    let interest = dispatch.interest().without(Event::Connect);
    let intake = Intake::new(
        shared.store.clone(),
        shared.directory.clone(),
        &settings.hostname,
        shared.faults.clone(),
    )
    .counting(received);
    let mut session = Session::new(settings, interest, place.id, peer, Instant::now())
        .with_claims(dispatch.claims())
        .with_date(SystemTime::now());
    if let Some(protected) = ends.protected {
        session = session.secured(protected);
    }
    let connection = Connection {
        stream: Stream::Reversed(Box::new(reversed)),
        tls: None,
        session,
        dispatch,
        directory: shared.directory.clone(),
        authenticator: shared.authenticator.clone(),
        intake,
        fetching: shared.fetching.clone(),
        stopping: shared.stopping.clone(),
        accepted: accepted.map(Box::new),
    };
    connection.serve().await.reason
}
