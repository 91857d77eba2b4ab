//! One call of one handler: the record is made, the handler called, its sheet taken.
//! The only functions that enter a plug-in's handler; what the answer means is decided in the chain.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Event, Stage};

use crate::context::Context;
use crate::fault::Fault;
use crate::frame::Frame;
use crate::pending::{Begun, Held, Site, Waited};
use crate::registry::Registration;
use crate::sheet::Written;
use crate::turn::Turn;

/// What a handler left behind.
pub(crate) struct Outcome {
    pub(crate) status: abi::STATUS,
    pub(crate) written: Written,
    /// How long the handler took, when that was measured: where it may be asked how a message came to be changed.
    pub(crate) spent: Option<Duration>,
}

/// What became of a call.
pub(crate) enum Called {
    /// It answers continue and left nothing behind, as most do: there is nothing to judge and nothing to keep.
    GoesOn,
    /// It has an answer.
    Answered(Outcome),
    /// It answers later.
    Pending(Waited),
    /// Nobody waits for its answer: it is made when the plug-in's turn comes, or the client is gone.
    Unheard,
    /// The call is at fault.
    Faulty(Fault),
}

impl Called {
    /// A call that has an answer, with what was written to its sheet, if anything was.
    pub(crate) fn answered(
        status: abi::STATUS,
        written: Option<Written>,
        spent: Option<Duration>,
    ) -> Self {
        if status == abi::ERR_EM_CONTINUE && written.is_none() {
            return Self::GoesOn;
        }
        let written = written.unwrap_or_default();
        Self::Answered(Outcome { status, written, spent })
    }

    /// Whether the handler failed inside.
    pub(crate) fn failed(&self) -> bool {
        matches!(self, Self::Answered(outcome) if outcome.status == abi::EM_FAULT)
    }
}

/// Calls a handler. Everything it is lent lives on this stack or in `ask` and `context`, which the caller keeps. Where its
/// thread may block, that ends sometime.
pub(crate) fn invoke(
    registration: &Registration,
    ask: &Ask,
    context: &Context,
    blocks_until: Option<tokio::time::Instant>,
) -> Called {
    let (plugin, user_data) = (registration.plugin, registration.user_data);
    let frame = pin!(Frame::new(plugin, ask, context, blocks_until));
    let record = frame.as_ref().lend(plugin, user_data);
    let clock = frame.may_change_message().then(Instant::now);
    // SAFETY: the handler came from EMRegister, so it has this signature; its file stays mapped for ever. The record and
    // all it points to outlive the call.
    let status = unsafe { (registration.handler)(record) };
    let spent = clock.map(|clock| clock.elapsed());
    Called::answered(status, frame.take(), spent)
}

/// Calls a handler in its plug-in's turn. If the plug-in knows how, the call may go pending, and the turn with it.
pub(crate) fn invoke_in(
    turn: Turn,
    registration: &Arc<Registration>,
    ask: &Arc<Ask>,
    begun: Begun,
) -> Called {
    if !may_pend(registration, ask.stage) {
        let context = turn.context();
        return invoke(registration, ask, context, begun.blocks_until);
    }
    let held = Held::new(Site::new(registration, ask, turn.context(), begun));
    let clock = held.may_change_message().then(Instant::now);
    // SAFETY: as in `invoke`; what the record points to is held until the call has ended.
    let status = unsafe { (registration.handler)(held.record()) };
    match held.site().pending() {
        Some(pending) => pending.returned(held, turn, status),
        None => {
            let spent = clock.map(|clock| clock.elapsed());
            Called::answered(status, held.take(), spent)
        }
    }
}

/// Whether a call may go pending: somebody waits for its answer, and the plug-in has asked how to answer later.
fn may_pend(registration: &Registration, stage: Stage) -> bool {
    registration.plugin.knows_pending()
        && stage == Stage::Before
        && registration.event != Event::Disconnect
}
