//! Asks plug-ins about one queued message: where it leads, whether it is tried, who is told, and whether it is given up.
//! Knows what their answers mean for recipients; no transport and no schedule.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use stagepost_extmgr::{Asked, Dispatch, ExtMgr};
use stagepost_queue::{Lease, StoredMessage};
use stagepost_smtp::{
    Address, Ask, Attempt, Attributed, ChannelBindings, Class, Content, Decision, Draft, Edit,
    EditFault, Enhanced, Event, Facts, Helo, Kept, MessageSlots, Peer, Question, RecipientResult,
    Reply, Scratch, Stage, Telling, Tls, Verdict,
};

use super::finding::Finding;
use super::transport::{Onward, RecipientOutcome};
use crate::config::Way;

/// What plug-ins may be asked about a message, for one attempt. Its slots last as long.
pub(crate) struct MessageThread {
    /// None: nobody wants to know.
    dispatch: Option<Dispatch>,
    facts: Arc<Facts>,
    header: Arc<Header>,
    attempt: Arc<Attempt>,
}

/// What plug-ins say of an attempt.
#[derive(Debug)]
pub(crate) enum Ruled {
    /// It is made; this way, if one is given.
    Go(Option<Way>),
    /// This becomes of every recipient.
    Ended(RecipientOutcome),
}

/// What plug-ins say of a notification.
#[derive(Debug)]
pub(crate) enum BounceRuled {
    /// It is made, with these edits of its header, and on hold for this reason.
    Go(Vec<Attributed>, Option<Box<str>>),
    /// Nobody is told.
    Suppressed,
    /// Not now.
    Later(Reply),
}

/// What plug-ins say of a message that has expired.
#[derive(Debug)]
pub(crate) enum ExpiryRuled {
    /// It is given up.
    Go,
    /// It is tried again all the same.
    Again,
    /// This becomes of every recipient that was not delivered to.
    Ended(RecipientOutcome),
    /// The same, and nobody is told.
    Dropped,
}

/// Exchanges are told apart by number; those of clients are counted from 0.
static EXCHANGES: AtomicU64 = AtomicU64::new(1 << 63);

/// A number for a question that no client waits for.
pub(crate) fn next_exchange() -> u64 {
    EXCHANGES.fetch_add(1, Ordering::Relaxed)
}

/// The answer to a question, when it is there.
pub(crate) async fn answer(asked: Asked) -> Verdict {
    match asked {
        Asked::Answered(verdict) => verdict,
        Asked::Waiting(answer) => answer.await,
    }
}

/// Why a message is to be held: the first reason counts.
pub(crate) fn reason_to_hold(edits: &[Attributed]) -> Option<Box<str>> {
    edits.iter().find_map(|Attributed { plugin, edit, .. }| match edit {
        Edit::Hold { reason } => Some(format!("{plugin}: {reason}").into()),
        _ => None,
    })
}

impl MessageThread {
    /// Begins with what is known of the message and its session.
    pub(crate) fn begin(
        plugins: Option<&Arc<ExtMgr>>,
        message: &StoredMessage,
        lease: &Lease,
        now: SystemTime,
    ) -> Self {
        let dispatch = Self::wanted(plugins);
        // What nobody asks about need not be copied.
        let header = if dispatch.is_some() { message.header.clone() } else { Vec::new() };
        Self {
            dispatch,
            facts: Arc::new(facts(message, lease)),
            header: Arc::new(Header(header)),
            attempt: Arc::new(Attempt {
                id: lease.id.to_string().into(),
                destination: lease.destination.as_str().into(),
                attempts: lease.attempts,
                age_s: now.duration_since(lease.received_at).unwrap_or_default().as_secs(),
            }),
        }
    }

    /// What asks plug-ins, if any wants to know of queued messages.
    pub(crate) fn wanted(plugins: Option<&Arc<ExtMgr>>) -> Option<Dispatch> {
        let wanted = |dispatch: &Dispatch| {
            let stages = [Stage::Before, Stage::After];
            let behind = Event::ALL.into_iter().filter(|event| event.is_behind_session());
            let mut cells = behind.flat_map(|event| stages.map(|stage| (event, stage)));
            cells.any(|(event, stage)| dispatch.interest().contains(event, stage))
        };
        plugins.map(|plugins| plugins.session()).filter(wanted)
    }

    /// Asks where an attempt leads, and tells what was decided.
    pub(crate) async fn route(&mut self, next_hop: &str) -> Ruled {
        let question = |next_hop: &str, attempt: &Arc<Attempt>| Question::Route {
            attempt: attempt.clone(),
            next_hop: next_hop.into(),
        };
        let before = question(next_hop, &self.attempt);
        let verdict = self.ask(before, Stage::Before).await;
        let (ruled, chosen) = self.rule_route(verdict);
        let after = question(chosen.as_deref().unwrap_or(next_hop), &self.attempt);
        self.ask(after, Stage::After).await;
        ruled
    }

    fn rule_route(&self, verdict: Verdict) -> (Ruled, Option<Box<str>>) {
        if let Some(outcome) = ended(&verdict) {
            return (Ruled::Ended(outcome), None);
        }
        let route = |edit: &Attributed| match &edit.edit {
            Edit::Route(next_hop) => Some((edit.plugin.clone(), next_hop.clone())),
            _ => None,
        };
        let Some((plugin, next_hop)) = verdict.edits.iter().rev().find_map(route) else {
            return (Ruled::Go(None), None);
        };
        match Way::parse(&next_hop) {
            Ok(way) => (Ruled::Go(Some(way)), Some(next_hop)),
            Err(_) => {
                if let Some(dispatch) = &self.dispatch {
                    let fault = EditFault::NextHop { next_hop };
                    dispatch.blame(self.facts.id, &plugin, &fault);
                }
                let finding = Finding::new((4, 3, 5), "a plug-in chose a next hop that can't be");
                (Ruled::Ended(RecipientOutcome::Deferred(finding)), None)
            }
        }
    }

    /// Asks whether an attempt is made; what becomes of every recipient when it is not.
    pub(crate) async fn before_deliver(&mut self, next_hop: &str) -> Option<RecipientOutcome> {
        let question = self.deliver_question(next_hop, Vec::new());
        ended(&self.ask(question, Stage::Before).await)
    }

    /// Tells what became of the recipients.
    pub(crate) async fn after_deliver(&mut self, next_hop: &str, outcomes: &[RecipientOutcome]) {
        if self.dispatch.is_none() {
            return;
        }
        let recipients = self.facts.recipients.iter().zip(outcomes);
        let results = recipients.map(|(address, outcome)| outcome.result(address)).collect();
        let question = self.deliver_question(next_hop, results);
        self.ask(question, Stage::After).await;
    }

    fn deliver_question(&self, next_hop: &str, results: Vec<RecipientResult>) -> Question {
        let attempt = self.attempt.clone();
        Question::Deliver { attempt, next_hop: next_hop.into(), results: results.into() }
    }

    /// Asks whether somebody is told.
    pub(crate) async fn before_bounce(
        &mut self,
        to: &Address,
        results: &Arc<[RecipientResult]>,
    ) -> BounceRuled {
        let question = self.bounce_question(to, results, "");
        let Verdict { decision, edits } = self.ask(question, Stage::Before).await;
        match decision {
            Decision::Continue => {
                let hold = reason_to_hold(&edits);
                BounceRuled::Go(edits, hold)
            }
            Decision::Handled(_) | Decision::Reject(_) => BounceRuled::Suppressed,
            Decision::Defer(reply) => BounceRuled::Later(reply),
            Decision::Disconnect(reply) if reply.class() == Class::Transient => {
                BounceRuled::Later(reply)
            }
            Decision::Disconnect(_) => BounceRuled::Suppressed,
        }
    }

    /// Tells that somebody was told, by this notification; empty: nobody was.
    pub(crate) async fn after_bounce(
        &mut self,
        to: &Address,
        results: &Arc<[RecipientResult]>,
        notification: &str,
    ) {
        let question = self.bounce_question(to, results, notification);
        self.ask(question, Stage::After).await;
    }

    fn bounce_question(
        &self,
        to: &Address,
        results: &Arc<[RecipientResult]>,
        notification: &str,
    ) -> Question {
        Question::Bounce(Box::new(Telling {
            id: self.attempt.id.clone(),
            notification: notification.into(),
            to: to.clone(),
            results: results.clone(),
        }))
    }

    /// Asks whether a message is given up.
    pub(crate) async fn expire(&mut self) -> ExpiryRuled {
        let attempts = self.attempt.attempts.saturating_add(1);
        let attempt = Arc::new(Attempt { attempts, ..(*self.attempt).clone() });
        let question = Question::Expire { attempt };
        let verdict = self.ask(question.clone(), Stage::Before).await;
        self.ask(question, Stage::After).await;
        match verdict.decision {
            Decision::Handled(_) => return ExpiryRuled::Dropped,
            Decision::Defer(_) => return ExpiryRuled::Again,
            Decision::Disconnect(reply) if reply.class() == Class::Transient => {
                return ExpiryRuled::Again;
            }
            _ => {}
        }
        ended(&verdict).map_or(ExpiryRuled::Go, ExpiryRuled::Ended)
    }

    async fn ask(&mut self, question: Question, stage: Stage) -> Verdict {
        let Some(dispatch) = &self.dispatch else { return Verdict::default() };
        if !dispatch.interest().contains(question.event(), stage) {
            return Verdict::default();
        }
        let mut message = Draft::new(std::iter::empty(), 0, false);
        message.fill(self.header.clone());
        let asked = dispatch.ask(Ask {
            question,
            stage,
            exchange: next_exchange(),
            reply: None,
            facts: self.facts.clone(),
            message: Some(message),
            secret: None,
        });
        let verdict = answer(asked).await;
        for Attributed { edit, .. } in &verdict.edits {
            if let Edit::Attribute(attribute) = edit {
                Arc::make_mut(&mut self.facts).set_attribute(attribute.clone());
            }
        }
        verdict
    }
}

/// What an answer makes of every recipient; none: the attempt goes on.
fn ended(verdict: &Verdict) -> Option<RecipientOutcome> {
    let refused = |reply: &Reply| match reply.class() {
        Class::Transient => RecipientOutcome::Deferred(finding(reply)),
        _ => RecipientOutcome::Failed(finding(reply)),
    };
    match &verdict.decision {
        Decision::Handled(reply) => {
            let general = || Finding::new((2, 0, 0), "delivered by a plug-in");
            let finding = reply.as_ref().map_or_else(general, finding);
            return Some(RecipientOutcome::Delivered(finding, Onward::End));
        }
        Decision::Reject(reply) | Decision::Defer(reply) | Decision::Disconnect(reply) => {
            return Some(refused(reply));
        }
        Decision::Continue => {}
    }
    if let Some(reason) = reason_to_hold(&verdict.edits) {
        return Some(RecipientOutcome::Held(Finding::new((4, 2, 0), reason)));
    }
    let discards = |edit: &Attributed| edit.edit == Edit::Discard;
    verdict.edits.iter().find(|edit| discards(edit)).map(|edit| {
        let finding = Finding::new((2, 0, 0), format_args!("discarded by {}", edit.plugin));
        RecipientOutcome::Dropped(finding)
    })
}

/// A plug-in's reply as the reason for what becomes of a recipient.
fn finding(reply: &Reply) -> Finding {
    let class = (reply.code() / 100) as u8;
    let status = reply.enhanced().unwrap_or_else(|| Enhanced::new(class, 0, 0));
    let status = (class, status.subject, status.detail);
    Finding::new(status, format_args!("a plug-in: {}", reply.in_line()))
}

/// What is saved of the session that the message came in, and the recipients of the attempt.
fn facts(message: &StoredMessage, lease: &Lease) -> Facts {
    let origin = &message.origin;
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let address = |ip: IpAddr| SocketAddr::new(ip, 0);
    let client = origin.client.parse();
    // As a plug-in's message has it in its own session.
    let listener = if client.is_ok() { &*origin.listener } else { "plug-in" };
    let peer = Peer::new(address(client.unwrap_or(here)), address(here), listener);
    let mut facts = Facts::new(origin.session, Arc::new(peer));
    if !origin.helo.is_empty() {
        // What an older server has kept does not say which: most say EHLO.
        let extended = origin.extended || origin.listener.is_empty();
        facts.helo = Some(Helo { name: origin.helo.clone(), extended });
    }
    facts.authenticated = origin.login.clone().map(Arc::new);
    facts.tls = origin.tls.as_ref().map(|tls| {
        Arc::new(Tls {
            version: tls.version.clone(),
            cipher: tls.cipher.clone(),
            server_name: None,
            client: None,
            bindings: ChannelBindings::default(),
        })
    });
    facts.slots = Some(MessageSlots::default());
    facts.sender = Some(message.envelope.sender.clone());
    let recipient = |&index: &u32| message.envelope.recipients.get(index as usize);
    facts.recipients = lease
        .recipients
        .iter()
        .filter_map(recipient)
        .map(|recipient| recipient.address.clone())
        .collect();
    facts
}

/// The header block of a queued message; its body is not lent.
struct Header(Vec<u8>);

impl Content for Header {
    fn header(&self) -> &[u8] {
        &self.0
    }

    fn body<'a>(&'a self, _: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(&[])
    }

    fn body_octets(&self) -> u64 {
        0
    }

    fn scratch(&self) -> Box<dyn Scratch> {
        Box::new(NoBody)
    }
}

/// Where text for a body would go that nobody may write.
struct NoBody;

impl Scratch for NoBody {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn finish(self: Box<Self>, _: &[u8]) -> Arc<dyn Kept> {
        Arc::new(Self)
    }
}

impl Kept for NoBody {
    fn octets(&self) -> u64 {
        0
    }

    fn read<'a>(&'a self, _: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(&[])
    }
}
