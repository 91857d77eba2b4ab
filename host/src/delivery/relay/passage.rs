//! One message on its way to the servers of a hop, one after the other, until one of them has it.
//! Knows neither how they are found nor what all of it comes to.

use stagepost_queue::StoredMessage;
use stagepost_smtp::{
    Credentials, Outcome, SendingLogin, SendingSettings, SendingTls, Transaction,
};

use super::connection::{ConnectError, Connection, Peer};
use super::idle::Line;
use super::outcome::onward;
use super::requiring::Unable;
use super::standing::{is_about_the_server, is_about_tls};
use super::tally::{Tally, Tried};
use super::witness::{Witness, saw_fault};
use super::{Hop, Relay, batches};
use crate::delivery::demand::Demand;
use crate::delivery::logins::nonce;
use crate::delivery::octets::MessageOctets;
use crate::delivery::servers::Server;
use crate::delivery::tls_wish::TlsWish;

/// A message on its way to a hop.
#[derive(Clone, Copy)]
pub(super) struct Passage<'p> {
    pub(super) hop: Hop<'p>,
    /// What its sender asks of TLS.
    pub(super) wish: TlsWish,
    pub(super) transaction: &'p Transaction,
    pub(super) message: &'p StoredMessage,
    /// Who counts what comes of the server in hand.
    pub(super) witness: Option<&'p Witness>,
}

impl Relay {
    /// Tries one server after the other until one can be talked to about the message.
    pub(super) async fn try_all(&self, servers: &[Server], passage: Passage<'_>) -> Tally {
        let Passage { hop, wish, .. } = passage;
        let wanted = self.demands.of_delivery(hop.tls, hop.servers, wish).await;
        // RFC 8460 section 3: what goes whatever comes of TLS is not counted.
        let reports = self.reports.as_ref().filter(|_| wish != TlsWish::Optional);
        saw_fault(reports, hop.servers, &wanted.told);
        let mut tally = Tally::new(wish);
        for server in servers {
            let demanded = self.demands.of(&wanted, server).await;
            let witness = Witness::of(reports, hop.servers, &wanted, server, &demanded);
            if let (Some(witness), Err(unmet)) = (&witness, &demanded.demand) {
                witness.saw_unmet(*unmet);
            }
            let wants = demanded.wanted_by(&wanted);
            let passage = Passage { witness: witness.as_ref(), ..passage };
            if let Some(doubt) = demanded.doubt {
                tell_of_doubt(server, doubt);
            }
            let tried = match demanded.demand {
                Ok(demand) => self.try_server(server, passage, demand).await,
                Err(unmet) if wish == TlsWish::Required && !unmet.passes() => {
                    Tried::Unable(Unable::Unmet(unmet))
                }
                Err(unmet) => Tried::Unmet(unmet),
            };
            if tried.is_in_vain(wish) {
                self.avoided.note(&server.endpoint);
            }
            if tally.note(server, wants, tried) {
                break;
            }
        }
        tally
    }

    async fn try_server(&self, server: &Server, passage: Passage<'_>, demand: Demand) -> Tried {
        let Passage { hop, wish, transaction, message, .. } = passage;
        let line = Line {
            endpoint: server.endpoint.clone(),
            protocol: hop.protocol,
            tls: (server.host.clone(), demand),
            login: hop.login.map(|login| login.name().into()),
        };
        let waiting = [Some(line.clone()), line.stronger()].into_iter().flatten();
        let found = waiting.filter_map(|line| Some((self.idle.take(&line)?, line))).next();
        if let Some((mut connection, line)) = found {
            let mut octets = MessageOctets::new(message);
            let outcomes = batches::send(&mut connection, transaction, message, &mut octets).await;
            let ended = connection.is_over() && octets.is_untouched();
            let onward = onward(hop.protocol, &connection);
            self.keep(line, connection);
            // A server may end an idle connection at any moment: that says nothing about this message.
            if !ended {
                return match unable(wish, &outcomes, false) {
                    Some(unable) => Tried::Unable(unable),
                    None => Tried::Done(outcomes, onward),
                };
            }
        }
        let (_, Demand { tls, .. }) = line.tls;
        let tried = self.open_and_send(server, passage, &line, tls).await;
        match tried {
            // Where clear text is good enough, a server whose TLS is broken gets it (RFC 7435).
            Tried::Refused(outcomes)
                if tls == SendingTls::IfOffered && outcomes.iter().any(is_about_tls) =>
            {
                tracing::warn!(server = %server.shown, "its TLS is broken: the message goes on without");
                self.open_and_send(server, passage, &line, SendingTls::Never).await
            }
            tried => tried,
        }
    }

    async fn open_and_send(
        &self,
        server: &Server,
        passage: Passage<'_>,
        line: &Line,
        tls: SendingTls,
    ) -> Tried {
        let Passage { hop, wish, transaction, message, witness } = passage;
        let (host, Demand { identity, .. }) = line.tls.clone();
        let login = match login(hop.login, identity.is_known()) {
            Ok(login) => login,
            Err(error) => return Tried::Unreachable(ConnectError::NoRandom(error)),
        };
        let settings = SendingSettings {
            name: self.name.clone(),
            protocol: hop.protocol,
            tls,
            login,
            timeouts: self.timeouts.session,
        };
        let peer = Peer { tls: self.tls.clone(), host, identity };
        let wait = self.timeouts.connect;
        let opened = Connection::open(&server.endpoint, settings, peer, wait).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(error) => return Tried::Unreachable(error),
        };
        let mut octets = MessageOctets::new(message);
        let outcomes = batches::send(&mut connection, transaction, message, &mut octets).await;
        let onward = onward(hop.protocol, &connection);
        if let Some(witness) = witness.filter(|_| tls != SendingTls::Never) {
            witness.saw(&connection, &outcomes);
        }
        let (doubt, disbelieved) = (connection.doubt(), connection.is_disbelieved());
        self.keep(line.clone(), connection);
        if let Some(unable) = unable(wish, &outcomes, disbelieved) {
            return Tried::Unable(unable);
        }
        if outcomes.iter().all(is_about_the_server) {
            return Tried::Refused(outcomes);
        }
        if let Some(doubt) = doubt {
            tell_of_doubt(server, doubt);
        }
        Tried::Done(outcomes, onward)
    }

    /// Lets a connection wait for the next message, or ends it.
    fn keep(&self, line: Line, connection: Connection) {
        if connection.is_over() {
            return;
        }
        if let Some(connection) = self.idle.put(line, connection) {
            // Bounded by the time-out of QUIT; nothing depends on it.
            tokio::spawn(connection.quit());
        }
    }
}

/// Why a server can't have a message, if its sender requires what it lacks.
fn unable(wish: TlsWish, outcomes: &[Outcome], disbelieved: bool) -> Option<Unable> {
    Unable::of(outcomes, disbelieved).filter(|_| wish == TlsWish::Required)
}

/// Tells of a server that mail goes to because its domain is just trying its policy (RFC 8461 section 5).
fn tell_of_doubt(server: &Server, doubt: impl std::fmt::Display) {
    tracing::info!(server = %server.shown, %doubt, "not as its domain's policy of MTA-STS (mode testing) has it");
}

/// How to log in on a new connection: only who has shown who it is may see the password.
fn login(
    credentials: Option<&Credentials>,
    verified: bool,
) -> Result<Option<SendingLogin>, getrandom::Error> {
    let Some(credentials) = credentials.cloned() else { return Ok(None) };
    Ok(Some(SendingLogin { credentials, shown: verified, cram: false, nonce: nonce()? }))
}
