//! pull-delivery: mail that waits for sites that are not always on-line, and how they get it.
//! Takes the configuration and the handlers' calls; the rules stand in their own files.

mod arrivals;
mod atrn;
mod call;
mod calls;
mod connection;
mod counters;
mod domains;
mod entitlement;
mod etrn;
mod held;
mod history;
mod lines;
mod look_up;
mod node;
mod peer;
mod rules;
mod runs;
mod schedule;
mod scope;
mod secret;
mod section;
mod timed_command;
mod urgency;
mod verbs;
mod visitor;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use stagepost_sdk::{
    AfterEdits, Answer, AsyncPlugin, Atrn, Config, Delivery, Edits, Ehlo, Enqueue, Etrn, Fault,
    Host, Level, Outcome, Pending, Plugin, StartError, export_plugin,
};

use calls::Calls;
use connection::Connection;
use counters::Counters;
use lines::Lines;
use rules::Rules;
use runs::Runs;
use scope::Scope;
use urgency::Urgency;

/// The plug-in.
pub(crate) struct PullDelivery {
    host: Host,
    /// Those in force; a session keeps none, so that a reload is in force for every command to come.
    rules: RwLock<Arc<Rules>>,
    runs: Runs,
    lines: Lines,
    calls: Calls,
    counters: Counters,
}

impl PullDelivery {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plugin for PullDelivery {
    fn start(host: Host) -> Result<Self, StartError> {
        let rules = Rules::read(&host.config())?;
        let counters = Counters::new(&host)?;
        // Reported where it happens: who asked has had an answer by then, and the mail waits on.
        let runs = Runs::new(move |scope| {
            if let Err(refusal) = host.queue().flush_wait(&scope.to_string()) {
                host.log(Level::Error, format_args!("the run for {scope} failed: {refusal}"));
            }
        });
        if !rules.held.is_empty() {
            // Clients may ask before all plug-ins have learned that the server serves.
            runs.start().map_err(StartError::failed)?;
        }
        let rules = RwLock::new(Arc::new(rules));
        let calls = Calls::new(host);
        verbs::make(host, &calls)?;
        Ok(Self { host, rules, runs, lines: Lines::default(), calls, counters })
    }

    /// Other servers can be called from now on.
    fn after_start(&self) -> Result<(), Fault> {
        self.calls.configure(&self.rules().connections);
        Ok(self.calls.start()?)
    }

    fn before_stop(&self) -> Result<(), Fault> {
        self.calls.stop();
        Ok(())
    }

    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        Rules::read(section)?;
        Ok(())
    }

    fn after_config(&self, section: &Config) -> Result<(), Fault> {
        // Read again rather than kept: what is refused in between, of any plug-in, must leave nothing.
        let rules = Arc::new(Rules::read(section)?);
        self.calls.configure(&rules.connections);
        if !rules.held.is_empty() {
            self.runs.start()?;
        }
        let old = {
            let mut in_force = self.rules.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *in_force, rules)
        };
        drop(old);
        Ok(())
    }

    /// What is announced can be answered.
    fn before_ehlo(&self, event: &Ehlo<'_>, edits: &mut Edits<'_>) -> Outcome {
        let rules = self.rules();
        for (keyword, there) in [("ETRN", !rules.held.is_empty()), ("ATRN", rules.held.has_users())]
        {
            if event.extended && !there {
                edits.keyword_remove(keyword)?;
            }
        }
        Ok(Answer::Continue)
    }

    fn before_queue(&self, event: &Enqueue<'_>, _: &mut Edits<'_>) -> Outcome {
        let matters = |one: &Arc<Connection>| one.urgent_at_once || one.low_priority.is_some();
        if self.rules().connections.iter().any(matters) {
            match Urgency::of(event.message.header()?) {
                Urgency::High => self.calls.urgent(),
                Urgency::Normal => {}
                Urgency::Low => self.calls.low(),
            }
        }
        Ok(Answer::Continue)
    }

    /// Mail that came may be what a call waits for, or enough to make one.
    fn after_queue(&self, event: &Enqueue<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let session = event.session;
        let arrivals = self.calls.arrivals();
        if !arrivals.nobody_waits() {
            let client: IpAddr = session.remote_ip().unwrap_or_default().parse()?;
            arrivals.arrived(client.to_canonical(), session.recipients());
        }
        if !self.rules().connections.is_empty() {
            self.calls.queued();
        }
        Ok(())
    }

    /// What is not urgent goes at its own times, where a connection says so.
    fn before_deliver(&self, event: &Delivery<'_>, _: &mut Edits<'_>) -> Outcome {
        if event.next_hop != "pushed" || Urgency::of(event.message.header()?) != Urgency::Low {
            return Ok(Answer::Continue);
        }
        if self.calls.keeps_back(&Scope::of(event.destination, false)) {
            return Ok(Answer::defer(
                450,
                "4.2.1",
                "waits for the times of mail that is not urgent",
            ));
        }
        Ok(Answer::Continue)
    }
}

impl AsyncPlugin for PullDelivery {
    async fn before_etrn(&self, event: &Etrn<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        self.answer_etrn(event, call).await
    }

    async fn before_atrn(
        &self,
        event: &Atrn<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.answer_atrn(event, edits, call).await
    }
}

export_plugin! {
    type = PullDelivery,
    name = "pull-delivery",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [
        after_start, before_config, after_config, before_stop, before_ehlo, before_queue, after_queue,
        before_deliver,
    ],
    async_stages = [before_etrn, before_atrn],
    edits = [verdict, keyword, queue, outbound],
}
