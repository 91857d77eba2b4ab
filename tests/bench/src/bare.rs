//! A session with nothing around it: everything that it asks for is answered at once, as well as can be.

use std::sync::Arc;
use std::time::Instant;

use stagepost_smtp::{
    Action, Interest, Limits, Peer, Route, Session, Settings, Stored, TlsFault, Verdict,
};

use crate::fault::Fault;

/// The session and what it has said.
pub(crate) struct Bare {
    session: Session,
    now: Instant,
    /// Replies so far, and those that refuse.
    replies: u64,
    refusals: u64,
}

impl Bare {
    /// The default settings without the limits that a patient measurement would reach.
    pub(crate) fn settings() -> Settings {
        let limits = Limits {
            message_octets_max: u64::MAX,
            idle_commands_max: u32::MAX,
            ..Limits::default()
        };
        Settings { limits, ..Settings::default() }
    }

    /// A session that has greeted its client.
    pub(crate) fn new(settings: Arc<Settings>, interest: Interest) -> Self {
        let peer = Peer::new(([127, 0, 0, 1], 4000).into(), ([127, 0, 0, 1], 25).into(), "mx");
        let now = Instant::now();
        let session = Session::new(settings, interest, 1, Arc::new(peer), now);
        let mut bare = Self { session, now, replies: 0, refusals: 0 };
        bare.turn();
        bare
    }

    /// Gives the session octets of its client, and lets it do all it can.
    pub(crate) fn say(&mut self, octets: &[u8]) {
        self.session.handle_input(self.now, octets);
        self.turn();
    }

    /// Whether there were so many replies beside the greeting and the first EHLO's, and no refusal.
    pub(crate) fn check(&self, replies: u64) -> Result<(), Fault> {
        if self.refusals == 0 && self.replies == replies + 2 {
            return Ok(());
        }
        let reason = format!("{} replies, {} of them refusals", self.replies, self.refusals);
        Err(Fault::Target { target: "the session".to_owned(), reason })
    }

    fn turn(&mut self) {
        let Self { session, now, replies, refusals } = self;
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(octets) => {
                    // A line with a space behind its code is the last one of a reply.
                    for line in octets.split(|&octet| octet == b'\n') {
                        if line.get(3) == Some(&b' ') {
                            *replies += 1;
                            *refusals += u64::from(line[0] >= b'4');
                        }
                    }
                }
                Action::Ask(_) => session.handle_verdict(*now, Verdict::default()),
                Action::Route(_) => session.handle_route(*now, Route::Local),
                Action::Body { .. } => session.handle_body_taken(*now, Ok(())),
                Action::Store { .. } => {
                    session.handle_stored(*now, Stored::Committed("01J".to_owned()));
                }
                Action::StartTls => session.handle_tls(*now, Err(TlsFault::Failed)),
                _ => {}
            }
        }
    }
}
