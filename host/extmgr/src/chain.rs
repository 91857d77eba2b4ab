//! How one handler's answer moves the chain on: the only place where statuses, edits and faults get their meaning.
//! Calls nobody; dispatch feeds it outcomes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stagepost_abi as abi;
use stagepost_smtp::{
    Ask, Attributed, Decision, Edit, Event, Made, Question, Reply, Stage, Verdict, answers_handled,
    check_rewrite,
};

use crate::call::{Called, Outcome};
use crate::contract::OnFault;
use crate::event::{fault_code, goes_on, takes_handled};
use crate::fault::Fault;
use crate::figures::AnswerKind;
use crate::host::Host;
use crate::trace;

/// A chain under way: the question as edited so far, and what was edited.
pub(crate) struct Chain {
    /// Shared with calls on the pool; a late one keeps the question it was given.
    pub(crate) ask: Arc<Ask>,
    edits: Vec<Attributed>,
    decision: Decision,
}

impl Chain {
    pub(crate) fn new(ask: Arc<Ask>) -> Self {
        Self { ask, edits: Vec::new(), decision: Decision::Continue }
    }

    /// Takes what became of one handler's call, and how long it took if that was measured. False when it ends the chain.
    pub(crate) fn take(
        &mut self,
        plugin: &'static Host,
        took: Option<Duration>,
        called: Called,
    ) -> bool {
        match called {
            Called::GoesOn => self.note(plugin, took, Ok((&Decision::Continue, &[]))),
            Called::Answered(mut outcome) => match self.decide(plugin, &mut outcome) {
                Ok(decision) => {
                    self.note(plugin, took, Ok((&decision, &outcome.written.edits)));
                    if !outcome.written.edits.is_empty() {
                        self.apply(plugin, outcome.written.edits, outcome.spent);
                    }
                    self.decision = decision;
                }
                Err(fault) => self.fail(plugin, took, &fault),
            },
            Called::Faulty(fault) => self.fail(plugin, took, &fault),
            Called::Unheard | Called::Pending(_) => {}
        }
        matches!(self.decision, Decision::Continue)
    }

    fn fail(&mut self, plugin: &'static Host, took: Option<Duration>, fault: &Fault) {
        self.note(plugin, took, Err(fault));
        self.decision = self.contract(plugin, fault);
    }

    /// Counts what became of a call, and shows it to who watches.
    fn note(
        &self,
        plugin: &Host,
        took: Option<Duration>,
        became: Result<(&Decision, &[Edit]), &Fault>,
    ) {
        if let Some(counters) = plugin.counters.at(self.ask.question.event(), self.ask.stage) {
            counters.took(took);
            match became {
                Ok((decision, edits)) => counters.answered(AnswerKind::of(decision, edits)),
                Err(fault) => counters.failed(fault.kind()),
            }
        }
        if trace::is_on() {
            trace::show(&self.ask, &plugin.name, took, became);
        }
    }

    /// The answer of the whole chain.
    pub(crate) fn into_verdict(self) -> Verdict {
        Verdict { decision: self.decision, edits: self.edits }
    }

    /// Whether answers count here: not after the core has acted, nor when the session is over.
    fn answers_count(&self) -> bool {
        self.ask.stage == Stage::Before && self.ask.question.event() != Event::Disconnect
    }

    /// What a status means, and whether the edits that came with it can be.
    fn decide(&self, plugin: &Host, outcome: &mut Outcome) -> Result<Decision, Fault> {
        let decision = self.judge(plugin, outcome);
        if let Some(error) = outcome.written.lost.take() {
            self.check_loss(plugin, &decision, error)?;
        }
        let decision = decision?;
        self.check_rewrites(&outcome.written.edits)?;
        Ok(decision)
    }

    /// Whether a handler whose text for the body is lost has an answer for which that is no matter: one that does not let the
    /// message come, told all the same.
    fn check_loss(
        &self,
        plugin: &Host,
        decision: &Result<Decision, Fault>,
        error: Box<str>,
    ) -> Result<(), Fault> {
        use Decision::{Defer, Disconnect, Reject};
        if !matches!(decision, Ok(Reject(_) | Defer(_) | Disconnect(_))) {
            return Err(Fault::Lost(error));
        }
        let (session, plugin) = (self.ask.facts.id, &*plugin.name);
        tracing::warn!(session, plugin, "text for the body could not be kept: {error}");
        Ok(())
    }

    fn judge(&self, plugin: &Host, outcome: &mut Outcome) -> Result<Decision, Fault> {
        if outcome.status == abi::EM_FAULT {
            return Err(Fault::Failed);
        }
        if !self.answers_count() {
            return match outcome.status {
                abi::ERR_EM_CONTINUE | abi::NOERROR | abi::EM_VERDICT => Ok(Decision::Continue),
                abi::EM_PENDING => Err(Fault::NoToken),
                // Nothing depends on it, and still it is none.
                other => Err(Fault::Status(other)),
            };
        }
        let decision = match (outcome.status, outcome.written.verdict.take()) {
            (abi::ERR_EM_CONTINUE, None) => return Ok(Decision::Continue),
            (abi::NOERROR, None) => Decision::Handled(None),
            (abi::NOERROR, Some(handled @ Decision::Handled(_))) => handled,
            (abi::EM_VERDICT, Some(verdict)) => verdict,
            (abi::EM_VERDICT, None) => return Err(Fault::NoVerdict),
            // A setter's status returned by mistake would turn a refusal into an acceptance.
            (abi::NOERROR | abi::ERR_EM_CONTINUE, Some(_)) => {
                return Err(Fault::Contradiction(outcome.status));
            }
            (abi::EM_PENDING, _) => return Err(Fault::NoToken),
            (other, _) => return Err(Fault::Status(other)),
        };
        if plugin.descriptor.edits & abi::EM_EDIT_VERDICT == 0 {
            return Err(Fault::Undeclared);
        }
        if matches!(decision, Decision::Handled(_)) && !takes_handled(&self.ask.question) {
            return Err(Fault::Handled);
        }
        let event = self.ask.question.event();
        if let Decision::Handled(Some(reply)) = &decision
            && !answers_handled(event, reply)
        {
            return Err(Fault::HandledCode { code: reply.code(), event: event.name() });
        }
        // A login that is nobody's: a handler that says handled to everything lets nobody in.
        if matches!(decision, Decision::Handled(_))
            && matches!(self.ask.question, Question::Auth { .. })
            && !outcome.written.edits.iter().any(|edit| matches!(edit, Edit::Identity(_)))
        {
            return Err(Fault::NoIdentity);
        }
        // Mail that is nobody's: the same, of who says handled to everything.
        if matches!(decision, Decision::Handled(_))
            && event == Event::Atrn
            && !outcome.written.edits.iter().any(|edit| matches!(edit, Edit::Reverse(_)))
        {
            return Err(Fault::NoMail);
        }
        Ok(decision)
    }

    /// Whether a handler rewrote the command line into one that can't stand in its place.
    fn check_rewrites(&self, edits: &[Edit]) -> Result<(), Fault> {
        let Question::Command { line } = &self.ask.question else { return Ok(()) };
        let mut line = &line[..];
        for edit in edits {
            if let Edit::ReplaceCommand(new) = edit {
                check_rewrite(line, new)?;
                line = new.as_bytes();
            }
        }
        Ok(())
    }

    /// Makes a handler's edits visible to the next one, and keeps them for the session.
    fn apply(&mut self, plugin: &Host, edits: Vec<Edit>, spent: Option<Duration>) {
        let (event, stage) = (self.ask.question.event(), self.ask.stage);
        let made = Made { event, stage, at: SystemTime::now(), spent };
        for edit in edits {
            match &edit {
                Edit::Attribute(attribute) => {
                    let ask = Arc::make_mut(&mut self.ask);
                    Arc::make_mut(&mut ask.facts).set_attribute(attribute.clone());
                }
                Edit::ReplyText(text) => {
                    let ask = Arc::make_mut(&mut self.ask);
                    // The sheet has checked the words.
                    let reworded = ask.reply.as_mut().map(|reply| reply.reword(text));
                    debug_assert!(!matches!(reworded, Some(Err(_))), "{text:?}");
                }
                Edit::ReplyDetail { detail, text } => {
                    if let Some(reply) = &mut Arc::make_mut(&mut self.ask).reply {
                        // The sheet has checked both against the reply that the handler was shown; of two changes of the
                        // code in one call the second may not fit any more.
                        _ = reply.refine(*detail);
                        _ = text.as_ref().map(|text| reply.reword(text));
                    }
                }
                Edit::AddHeader { .. }
                | Edit::InsertHeader { .. }
                | Edit::ChangeHeader { .. }
                | Edit::DeleteHeader { .. }
                | Edit::PrependBody(_)
                | Edit::AppendBody(_)
                | Edit::ReplaceBody(_)
                | Edit::ReplaceCommand(_)
                | Edit::AddKeyword { .. }
                | Edit::RemoveKeyword(_)
                | Edit::Sender { .. }
                | Edit::AddRecipient(_)
                | Edit::RemoveRecipient(_)
                | Edit::ReplaceRecipient { .. }
                | Edit::Route(_) => Arc::make_mut(&mut self.ask).edit(&edit),
                Edit::Tag { .. } => Arc::make_mut(&mut self.ask).edit(&edit),
                Edit::RefuseRecipient { .. } => {}
                Edit::Hold { .. } | Edit::Discard | Edit::Identity(_) | Edit::Reverse(_) => {}
            }
            self.edits.push(Attributed { made, ..Attributed::new(plugin.name.clone(), edit) });
        }
    }

    /// What a fault means for the command. A fault is never a 5yz and never a consent that nobody chose.
    fn contract(&mut self, plugin: &Host, fault: &Fault) -> Decision {
        let event = self.ask.question.event();
        let on_fault = match plugin.contracts.at(event).on_fault {
            _ if !self.answers_count() => OnFault::Continue,
            chosen if chosen.is_possible_at(event) => chosen,
            _ => OnFault::Defer,
        };
        tracing::error!(
            session = self.ask.facts.id,
            plugin = &*plugin.name,
            event = event.name(),
            stage = self.ask.stage.name(),
            contract = on_fault.name(),
            "plug-in fault: {fault}"
        );
        match on_fault {
            OnFault::Defer => {}
            OnFault::Continue => return Decision::Continue,
            OnFault::Hold => {
                let reason = format!("fault of {} at {}", plugin.name, event.name()).into();
                self.apply(plugin, vec![Edit::Hold { reason }], None);
                return Decision::Continue;
            }
        }
        let code = if goes_on(event) { fault_code(event) } else { 421 };
        Decision::Defer(Reply::new(
            code,
            Some((4, 3, 0)),
            "Temporary failure of a filter, try again later",
        ))
    }
}
