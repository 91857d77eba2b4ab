//! ETRN: mail that waits for a node is sent to where its route says, and who is entitled is told how much (RFC 1985).
//! Puts the rules in their order; never sends anything over the connection of who asks.

use std::net::IpAddr;

use stagepost_sdk::{Answer, Etrn, EtrnKind, Fault, Level, Outcome, Pending, Refusal};

use crate::PullDelivery;
use crate::held::{Meant, Request, TooMuch};
use crate::look_up;
use crate::node::Client;
use crate::rules::Rules;
use crate::runs::Full;
use crate::scope::Scope;
use crate::section::Tell;
use crate::visitor::Visitor;

/// The most destinations that one request may mean.
const SCOPES_MAX: usize = 100;

/// What a request came to.
enum Came {
    /// Nobody here holds such mail, or not for this client. Both are answered alike, by the core.
    NotAllowed,
    /// So many deliveries, and what the client is told of them.
    Started(u64, Tell),
    /// Not now.
    NotNow(&'static str),
}

impl PullDelivery {
    /// Answers ETRN.
    pub(crate) async fn answer_etrn(&self, event: &Etrn<'_>, call: &Pending) -> Outcome {
        let rules = self.rules();
        if rules.held.is_empty() {
            return Ok(Answer::Continue);
        }
        let session = event.session;
        self.counters.requests.increment();
        let came = self.request(event, call, &rules).await?;
        let (node, kind) = (event.node, sign(event.kind));
        match &came {
            Came::NotAllowed => {
                self.counters.refused.increment();
                session.log(Level::Info, format_args!("ETRN {kind}{node}: not allowed"));
            }
            Came::Started(count, _) => {
                session.log(Level::Info, format_args!("ETRN {kind}{node}: {count} deliveries"));
            }
            Came::NotNow(why) => {
                self.counters.put_off.increment();
                session.log(Level::Warn, format_args!("ETRN {kind}{node}: {why}"));
            }
        }
        Ok(answer(node, &came))
    }

    async fn request(
        &self,
        event: &Etrn<'_>,
        call: &Pending,
        rules: &Rules,
    ) -> Result<Came, Fault> {
        let session = event.session;
        let request = match event.kind {
            EtrnKind::Host => Request::Domains(Scope::of(event.node, false)),
            EtrnKind::Domain => Request::Domains(Scope::of(event.node, true)),
            EtrnKind::Queue => Request::Queue(event.node.into()),
            _ => return Ok(Came::NotAllowed),
        };
        let requests = session.slot(|visitor: &mut Visitor| {
            visitor.requests = visitor.requests.saturating_add(1);
            visitor.requests
        })?;
        if requests > rules.limits.per_session_max {
            return Ok(Came::NotNow("too many requests in one session"));
        }
        let address = session.remote_ip().unwrap_or_default();
        let address = address.parse::<IpAddr>()?.to_canonical();
        let names = self.names(event, call, rules, address).await?;
        let client = Client {
            address,
            names: &names,
            certificate: session.tls_client_sha256(),
            user: session.identity(),
        };
        match rules.held.find(&request, &rules.held.allowed(client)) {
            Ok(None) => Ok(Came::NotAllowed),
            Ok(Some(meant)) if meant.scopes.len() <= SCOPES_MAX => {
                self.run(&meant, call, rules).await
            }
            Ok(Some(_)) | Err(TooMuch) => {
                Ok(Came::NotNow("more destinations than one request may mean"))
            }
        }
    }

    /// The client's names, where any node's are of interest: whichever is asked for, so that the time it takes tells nothing.
    async fn names(
        &self,
        event: &Etrn<'_>,
        call: &Pending,
        rules: &Rules,
        address: IpAddr,
    ) -> Result<Vec<String>, Fault> {
        if !rules.held.wants_host_names() {
            return Ok(Vec::new());
        }
        if let Some(names) = event.session.slot(|visitor: &mut Visitor| visitor.names.clone())? {
            return Ok(names);
        }
        let names = look_up::confirmed_names(call, address).await;
        event.session.slot(|visitor: &mut Visitor| visitor.names = Some(names.clone()))?;
        Ok(names)
    }

    /// Counts what waits, and has it sent.
    async fn run(&self, meant: &Meant, call: &Pending, rules: &Rules) -> Result<Came, Fault> {
        let queue = self.host.queue();
        let mut count = 0;
        for scope in &meant.scopes {
            match queue.count(call, &scope.to_string()).await {
                Ok(waiting) => count += waiting.queued,
                Err(refusal) => return Ok(self.queue_fails(&refusal)),
            }
        }
        if count == 0 {
            return Ok(Came::Started(0, meant.tell));
        }
        let mut scopes = meant.scopes.clone();
        scopes.retain(|scope| match rules.handed_over(scope) {
            Some(connection) => {
                self.calls.asked_for(&connection.name);
                false
            }
            None => true,
        });
        match self.runs.begin(&scopes, rules.limits.runs_max) {
            Ok(begun) => self.counters.runs.add(u32::try_from(begun).unwrap_or(u32::MAX)),
            Err(Full) => return Ok(Came::NotNow("as many runs under way as there may be")),
        }
        Ok(Came::Started(count, meant.tell))
    }

    fn queue_fails(&self, refusal: &Refusal) -> Came {
        self.host.log(Level::Error, format_args!("mail that waits can't be counted: {refusal}"));
        Came::NotNow("the queue can't be used now")
    }
}

/// The answer to the client (RFC 1985 section 5.2).
fn answer(node: &str, came: &Came) -> Answer {
    let (code, text) = match came {
        // The core says 459, to everybody and for every node in the same words.
        Came::NotAllowed => return Answer::Continue,
        Came::NotNow(_) => {
            let text = format!("Unable to queue messages for node {node} now");
            return Answer::defer(458, "4.3.2", text);
        }
        Came::Started(_, Tell::Nothing) => (250, format!("Queuing for node {node} started")),
        Came::Started(0, _) => (251, format!("No messages waiting for node {node}")),
        Came::Started(_, Tell::Pending) => {
            (252, format!("Pending messages for node {node} started"))
        }
        Came::Started(count, Tell::Count) => {
            (253, format!("{count} pending messages for node {node} started"))
        }
    };
    Answer::handled(code, "2.0.0", text)
}

fn sign(kind: EtrnKind) -> &'static str {
    match kind {
        EtrnKind::Domain => "@",
        EtrnKind::Queue => "#",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_no_more_than_may_be() {
        let said = |came| answer("a.test", &came);
        let handled = |code, text: &'static str| Answer::handled(code, "2.0.0", text);
        let nothing = handled(250, "Queuing for node a.test started");
        for (came, wanted) in [
            (Came::NotAllowed, Answer::Continue),
            (Came::Started(0, Tell::Nothing), nothing.clone()),
            (Came::Started(7, Tell::Nothing), nothing),
            (Came::Started(0, Tell::Pending), handled(251, "No messages waiting for node a.test")),
            (
                Came::Started(7, Tell::Pending),
                handled(252, "Pending messages for node a.test started"),
            ),
            (Came::Started(0, Tell::Count), handled(251, "No messages waiting for node a.test")),
            (
                Came::Started(7, Tell::Count),
                handled(253, "7 pending messages for node a.test started"),
            ),
            (
                Came::NotNow("any"),
                Answer::defer(458, "4.3.2", "Unable to queue messages for node a.test now"),
            ),
        ] {
            assert_eq!(said(came), wanted);
        }
    }
}
