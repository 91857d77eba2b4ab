//! The stages at which a client is judged: connect, MAIL, RCPT and the end of the header block.
//! Puts the rules in their order; what each decides stands with the rule.

use std::fmt::Arguments;
use std::net::IpAddr;
use std::sync::Arc;

use stagepost_sdk::{
    Answer, Connect, Edits, Fault, Headers, Level, Mail, Outcome, Pending, Rcpt, Route, Session,
};

use crate::AccessControl;
use crate::author::{Author, author};
use crate::cause::Cause;
use crate::client::{Client, Decided};
use crate::connection::{Connection, RefuseAt, Verified};
use crate::helo::Helo;
use crate::look_up;
use crate::mailbox::{self, Domain, Listed};
use crate::own_address;
use crate::peer::{HostName, Peer, Trust};
use crate::refusal::Refusal;
use crate::relay::{Authenticated, By, Relay, Subject};
use crate::rules::Rules;

/// A session in hand.
struct Visit<'v> {
    plugin: &'v AccessControl,
    rules: Arc<Rules>,
    session: Session<'v>,
    address: IpAddr,
    call: &'v Pending,
    client: Client,
}

/// What is done next.
type Step = Result<Option<Refusal>, Fault>;

impl<'v> Visit<'v> {
    fn begin(
        plugin: &'v AccessControl,
        session: Session<'v>,
        call: &'v Pending,
    ) -> Result<Self, Fault> {
        let address = session.remote_ip().unwrap_or_default();
        let address = address.parse::<IpAddr>()?.to_canonical();
        let client = session.slot_take::<Client>().unwrap_or_default().under(session.tls());
        Ok(Self { plugin, rules: plugin.rules(), session, address, call, client })
    }

    /// Keeps what is known, and gives the answer.
    ///
    /// - about: what a refusal is about, for the log, behind the client's address.
    fn end(self, step: Step, about: Arguments<'_>) -> Outcome {
        let Self { plugin, session, client, .. } = self;
        session.slot_set(client)?;
        match step? {
            Some(refusal) => plugin.refuse(session, &refusal, about),
            None => Ok(Answer::Continue),
        }
    }

    fn peer(&self) -> Peer<'_> {
        Peer { address: self.address, name: &self.client.name }
    }

    /// Asks for the host's name, once in a session.
    async fn need_name(&mut self) {
        if self.client.name == HostName::NotAsked {
            let confirm = self.rules.relay.trust == Trust::Confirmed;
            self.client.name = look_up::host_name(self.call, self.address, confirm).await;
        }
    }

    /// The refusal of a host that may not connect.
    async fn connection(&mut self) -> Option<Refusal> {
        if matches!(self.rules.connection.decide(self.peer()), Connection::NeedsName) {
            self.need_name().await;
        }
        match self.rules.connection.decide(self.peer()) {
            Connection::Accepted(_) | Connection::NeedsName => None,
            Connection::Denied(hit) => Some(Refusal::connection(hit.into())),
            Connection::NotAllowed(list) => Some(Refusal::connection(Cause::not_listed(list))),
            Connection::NameUnknown(list) => Some(Refusal::name_unknown(Cause::unknown(list))),
        }
    }

    /// The refusal of a host that has no name and needs one.
    async fn verified(&mut self) -> Option<Refusal> {
        if self.rules.connection.verify(&self.client.name) == Verified::NeedsName {
            self.need_name().await;
        }
        match self.rules.connection.verify(&self.client.name) {
            Verified::Yes | Verified::NeedsName => None,
            Verified::No => Some(Refusal::no_name()),
            Verified::Trouble => Some(Refusal::name_trouble()),
        }
    }

    /// Whether the client is subject to the relay check, and so to the lists. One that is not may relay.
    async fn subject(&mut self, edits: &mut Edits<'_>) -> Result<bool, Fault> {
        let exempt = self.rules.relay.authenticated == Authenticated::Allow;
        if self.session.authenticated() && exempt {
            self.grant(edits, true)?;
            return Ok(false);
        }
        match self.client.subject {
            Some(Decided { rules, decision }) if rules == self.rules.number => return Ok(decision),
            _ => {}
        }
        // Whoever came before us may have said that this is no relay, as Domino's handler of connections can. Later it is we who have.
        if self.client.subject.is_none() {
            self.client.cleared = self.session.attribute("possible_relay") == Some("0");
        }
        let cleared = self.client.cleared;
        let mut decided = self.rules.relay.subject(self.peer());
        if !cleared && matches!(decided, Subject::NeedsName) {
            self.need_name().await;
            let rules = Arc::clone(&self.rules);
            decided = rules.relay.subject(self.peer());
            let subject = matches!(decided, Subject::Yes | Subject::NeedsName);
            return self.subject_is(subject, edits);
        }
        let subject = !cleared && matches!(decided, Subject::Yes | Subject::NeedsName);
        self.subject_is(subject, edits)
    }

    fn subject_is(&mut self, subject: bool, edits: &mut Edits<'_>) -> Result<bool, Fault> {
        self.client.subject = Some(Decided { rules: self.rules.number, decision: subject });
        edits.attribute("possible_relay", if subject { "1" } else { "0" })?;
        self.grant(edits, !subject)?;
        Ok(subject)
    }

    /// Lets the session relay, or lets it no more where it was us who did.
    fn grant(&mut self, edits: &mut Edits<'_>, granted: bool) -> Result<(), Fault> {
        match (granted, self.client.granted, self.session.relay_granted()) {
            (true, false, false) => edits.grant_relay()?,
            (false, true, _) => edits.attribute("relay_granted", "0")?,
            // It is so already, or another plug-in's.
            _ => return Ok(()),
        }
        self.client.granted = granted;
        Ok(())
    }

    /// The refusal of a sender.
    async fn sender(&mut self, sender: &str) -> Option<Refusal> {
        if sender.is_empty() {
            return None;
        }
        let rules = Arc::clone(&self.rules);
        if let Some(refusal) = self.plugin.not_own(&rules, self.session, self.call, sender).await {
            return Some(refusal);
        }
        let lists = [&rules.sender.allow, &rules.sender.deny];
        if self.plugin.fetch_groups(self.call, sender, &lists).await.is_err() {
            return Some(Refusal::directory_trouble("sender"));
        }
        let member = |group: &str| self.plugin.is_member(sender, group);
        match mailbox::decide(&rules.sender.allow, &rules.sender.deny, sender, member) {
            Listed::Accepted(_) => {}
            Listed::Denied(hit) => return Some(Refusal::sender(sender, hit.into())),
            Listed::NotAllowed(list) => {
                return Some(Refusal::sender(sender, Cause::not_listed(list)));
            }
        }
        let (_, domain) = sender.rsplit_once('@')?;
        // A literal is an address: there is nothing to look up.
        if !rules.sender.verify_domain || domain.starts_with('[') {
            return None;
        }
        match look_up::domain(self.call, domain).await {
            Domain::Exists => None,
            Domain::Missing => Some(Refusal::sender_domain()),
            Domain::TakesNone => Some(Refusal::sender_takes_none()),
            Domain::Trouble => Some(Refusal::sender_trouble()),
        }
    }

    /// The refusal of a client for what it calls itself.
    async fn helo(&self) -> Option<Refusal> {
        let helo = &self.rules.helo;
        match helo.decide(self.session.helo().unwrap_or_default()) {
            Helo::Accepted => None,
            Helo::Denied(hit) => Some(Refusal::helo(hit.into())),
            Helo::NotFull if helo.full_name => Some(Refusal::helo_not_full("helo.full_name")),
            Helo::NotFull => Some(Refusal::helo_not_full("helo.verify")),
            Helo::MustExist(name) => match look_up::domain(self.call, name).await {
                Domain::Exists | Domain::TakesNone => None,
                Domain::Missing => Some(Refusal::helo_missing()),
                Domain::Trouble => Some(Refusal::helo_trouble()),
            },
        }
    }

    /// Whether a recipient is put off, since nobody knows the client. Who is on a white list is known.
    async fn greylisted(
        &mut self,
        sender: &str,
        recipient: &str,
        edits: &mut Edits<'_>,
    ) -> Result<bool, Fault> {
        if !self.rules.greylist.enabled || self.session.skip_lists() || !self.subject(edits).await?
        {
            return Ok(false);
        }
        if self.client.lists.as_ref().is_some_and(|lists| lists.decision.white) {
            return Ok(false);
        }
        let (host, settings) = (&self.plugin.host, &self.rules.greylist);
        let pair = [sender, recipient];
        Ok(self.plugin.greylist.puts_off(host, self.call, settings, pair, self.address).await)
    }

    /// The refusal of a recipient.
    async fn recipient(&self, recipient: &str) -> Option<Refusal> {
        let (allow, deny) = (&self.rules.recipient.allow, &self.rules.recipient.deny);
        if self.plugin.fetch_groups(self.call, recipient, &[allow, deny]).await.is_err() {
            return Some(Refusal::directory_trouble("recipient"));
        }
        let member = |group: &str| self.plugin.is_member(recipient, group);
        match mailbox::decide(allow, deny, recipient, member) {
            Listed::Accepted(_) => None,
            Listed::Denied(hit) => Some(Refusal::recipient(hit.into())),
            Listed::NotAllowed(list) => Some(Refusal::recipient(Cause::not_listed(list))),
        }
    }

    /// The refusal of relaying, or the grant.
    async fn relay(&mut self, recipient: &str, edits: &mut Edits<'_>) -> Step {
        if !self.plugin.is_foreign(recipient) || !self.subject(edits).await? {
            return Ok(None);
        }
        if self.session.relay_granted() && !self.client.granted {
            return Ok(None);
        }
        if self.rules.relay.name_matters(self.peer()) {
            self.need_name().await;
        }
        let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain);
        let rules = Arc::clone(&self.rules);
        let Relay { granted, by } = rules.relay.decide(self.peer(), domain);
        self.grant(edits, granted)?;
        let by = match by {
            _ if granted => return Ok(None),
            By::Entry(hit) => hit.into(),
            By::NotListed(list) => Cause::not_listed(list),
            By::NoRule => Cause::rule("relay"),
        };
        Ok(Some(Refusal::relay(by)))
    }
}

impl AccessControl {
    /// A client has connected.
    pub(crate) async fn judge_connection(&self, event: &Connect<'_>, call: &Pending) -> Outcome {
        let mut visit = Visit::begin(self, event.session, call)?;
        // A proxy may tell of another client in the same session: nothing of what is known is about that one.
        visit.client = Client::default();
        let denied = visit.connection().await;
        if visit.rules.connection.refuse_at == RefuseAt::Connect {
            return visit.end(Ok(denied), format_args!(""));
        }
        visit.client.denied = denied;
        visit.end(Ok(None), format_args!(""))
    }

    /// MAIL: the client is judged, and the sender.
    pub(crate) async fn judge_sender(
        &self,
        event: &Mail<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        let mut visit = Visit::begin(self, event.session, call)?;
        let step = self.sender_step(&mut visit, event.sender, edits).await;
        visit.end(step, format_args!(", from <{}>", event.sender))
    }

    async fn sender_step(
        &self,
        visit: &mut Visit<'_>,
        sender: &str,
        edits: &mut Edits<'_>,
    ) -> Step {
        let rules = Arc::clone(&visit.rules);
        if rules.connection.refuse_at == RefuseAt::Mail
            && let Some(refusal) = visit.client.denied.clone()
        {
            return Ok(Some(refusal));
        }
        if let Some(refusal) = visit.verified().await {
            return Ok(Some(refusal));
        }
        let subject = visit.subject(edits).await?;
        if subject && let Some(refusal) = visit.helo().await {
            return Ok(Some(refusal));
        }
        if subject && !visit.session.skip_lists() {
            let lists = match visit.client.lists.take() {
                Some(lists) if lists.rules == rules.number => lists.decision,
                _ => self.look_at_lists(visit.session, visit.peer(), &rules, visit.call).await,
            };
            let decision = lists.clone();
            visit.client.lists = Some(Decided { rules: rules.number, decision });
            if let Some(refusal) = lists.refusal {
                return Ok(Some(refusal));
            }
            if let Some((name, value)) = lists.tag {
                edits.header_add(name, value)?;
            }
        }
        if let Some(refusal) = visit.sender(sender).await {
            return Ok(Some(refusal));
        }
        Ok(self.rates.message(&rules.limits, visit.address, sender))
    }

    /// RCPT: the recipient is judged, and whether mail may be relayed there.
    pub(crate) async fn judge_recipient(
        &self,
        event: &Rcpt<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        let mut visit = Visit::begin(self, event.session, call)?;
        let step = self.recipient_step(&mut visit, event.recipient, edits).await;
        let sender = event.session.sender().unwrap_or_default();
        visit.end(step, format_args!(", from <{sender}> to <{}>", event.recipient))
    }

    async fn recipient_step(
        &self,
        visit: &mut Visit<'_>,
        recipient: &str,
        edits: &mut Edits<'_>,
    ) -> Step {
        if let Some(refusal) = visit.client.denied.clone() {
            return Ok(Some(refusal));
        }
        // That nobody knows is the core's to say.
        let _ = self.fetch_route(visit.call, recipient).await;
        if let Some(refusal) = visit.relay(recipient, edits).await? {
            return Ok(Some(refusal));
        }
        if let Some(refusal) = visit.recipient(recipient).await {
            return Ok(Some(refusal));
        }
        let sender = visit.session.sender().unwrap_or_default();
        if visit.greylisted(sender, recipient, edits).await? {
            return Ok(Some(Refusal::greylisted()));
        }
        Ok(self.rates.recipient(&visit.rules.limits, visit.address, sender))
    }

    /// The header block is there: a user who has to is held to its own addresses.
    pub(crate) async fn judge_author(&self, event: &Headers<'_>, call: &Pending) -> Outcome {
        let rules = self.rules();
        let held = rules.own_address.authenticated == own_address::Authenticated::Message;
        if !held || !event.session.authenticated() {
            return Ok(Answer::Continue);
        }
        let header = event.message.header()?;
        for field in ["From", "Sender"] {
            let refusal = match author(header, field) {
                Author::Nobody => continue,
                Author::One(address) => {
                    match self.not_own(&rules, event.session, call, &address).await {
                        Some(refusal) => refusal,
                        None => continue,
                    }
                }
                Author::Unclear => Refusal::author_unclear(field),
            };
            let sender = event.session.sender().unwrap_or_default();
            let about = format_args!(", from <{sender}>, {field}");
            return self.refuse(event.session, &refusal, about);
        }
        Ok(Answer::Continue)
    }

    /// The refusal of an address that whoever has logged in, if anybody, may not send as.
    async fn not_own(
        &self,
        rules: &Rules,
        session: Session<'_>,
        call: &Pending,
        address: &str,
    ) -> Option<Refusal> {
        let own = &rules.own_address;
        if own.authenticated == own_address::Authenticated::Any || !session.authenticated() {
            return None;
        }
        let user = session.identity().unwrap_or_default();
        let given: Vec<_> = own.given_to(user).into_iter().collect();
        if self.fetch_route(call, address).await.is_err()
            || self.fetch_groups(call, address, &given).await.is_err()
        {
            return Some(Refusal::directory_trouble("sender.authenticated"));
        }
        let is_local = || {
            let route = self.host.directory().map(|directory| directory.route(address));
            matches!(route, Some(Ok(Route::Local | Route::UnknownUser | Route::Ambiguous)))
        };
        let owns = own.owns(user, address, is_local, |group| self.is_member(address, group));
        (!owns).then(|| Refusal::not_own(address))
    }

    /// Gives a refusal; it is logged with who was refused, and by the list and entry that made it.
    fn refuse(&self, session: Session<'_>, refusal: &Refusal, about: Arguments<'_>) -> Outcome {
        self.counters.refused(refusal);
        self.statistics.refused(&refusal.by.rule);
        let (client, by) = (session.remote_ip().unwrap_or_default(), &refusal.by);
        session.log(Level::Info, format_args!("{client} refused by {by}{about}"));
        Ok(refusal.answer())
    }
}
