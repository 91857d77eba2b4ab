//! Pending calls: what a call holds on to until it has ended, and who has told it what.
//! Knows no session loop; waiting for an answer is next door, in `waiting`.

mod alarm;
mod ending;
mod fetching;
mod site;

use std::ffi::c_void;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::{Event, Stage};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::call::{Called, Outcome};
use crate::fault::{Allowance, Fault};
use crate::frame::Frame;
use crate::host::Host;
use crate::lookup::Lookups;
use crate::plugin::Run;
use crate::release::Release;
use crate::sheet::Written;
use crate::turn::Turn;
use crate::watchdog::watched;
use alarm::{Alarms, LookingUp};
use fetching::Fetches;
use site::Time;
pub(crate) use site::{Begun, Site};

/// A poll function as the contract has it, known not to be NULL.
type Poll = unsafe extern "C" fn(
    record: *const abi::EMRECORD,
    data: *mut c_void,
    reason: u32,
) -> abi::STATUS;

/// What a call is lent, and what that borrows from.
pub(crate) struct Held {
    /// Borrows from `site`. Pinned and boxed: plug-ins have pointers into it.
    frame: Pin<Box<Frame<'static>>>,
    record: *const abi::EMRECORD,
    site: Arc<Site>,
    /// The plug-in's turn in the session, once the handler has returned.
    turn: Option<Turn>,
}

// SAFETY: the pointers point into the frame, which does not move, and into what the site shares; all of it may be used
// from any thread, and `Held` itself hands them out and never follows them.
unsafe impl Send for Held {}

impl Held {
    pub(crate) fn new(site: Site) -> Self {
        let site = Arc::new(site);
        // SAFETY: what the frame borrows is in the site's own `Arc`s or in the site, whose places do not move; the site
        // is kept as long as the frame (the field below it is dropped later) and never changed.
        let kept: &'static Site = unsafe { &*Arc::as_ptr(&site) };
        let deadline = kept.begun.blocks_until;
        let (plugin, user_data) = (kept.registration.plugin, kept.registration.user_data);
        let mut frame = Frame::new(plugin, &kept.ask, &kept.context, deadline);
        frame.may_pend(kept);
        let frame = Box::pin(frame);
        let record = frame.as_ref().lend(plugin, user_data);
        Self { frame, record, site, turn: None }
    }

    pub(crate) fn record(&self) -> *const abi::EMRECORD {
        self.record
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Whether an edit of the message can be asked for in this call.
    pub(crate) fn may_change_message(&self) -> bool {
        self.frame.may_change_message()
    }

    /// Takes what was written to the sheet.
    pub(crate) fn take(&self) -> Option<Written> {
        self.frame.take()
    }
}

/// A plug-in's pointer for its poll.
struct Data(*mut c_void);

// SAFETY: only handed back to the plug-in, which the contract tells to expect it on any thread.
unsafe impl Send for Data {}
// SAFETY: as above.
unsafe impl Sync for Data {}

/// A call that has a token.
pub(crate) struct Pending {
    token: abi::EmToken,
    plugin: &'static Host,
    event: Event,
    session: u64,
    poll: abi::EmPoll,
    data: Data,
    /// None once the call has ended.
    release: Mutex<Option<Release>>,
    /// Where a call goes on that ends when nobody waits for it.
    runtime: Handle,
    time: Time,
    lookups: Lookups,
    looking_up: LookingUp,
    fetches: Fetches,
    state: Mutex<State>,
    /// Told whenever whoever waits must look again.
    pub(crate) changed: Notify,
}

struct State {
    /// The first answer, which counts unless the call was over before.
    answer: Option<abi::STATUS>,
    /// Poll is to be called.
    woken: bool,
    /// Poll is being called.
    polling: bool,
    /// The client is gone.
    gone: bool,
    /// Nobody waits any more.
    over: bool,
    /// Poll was told so, or is being told.
    told_over: bool,
    deadline: Instant,
    alarms: Alarms,
    /// None while the handler runs, and once the call has ended.
    held: Option<Held>,
}

impl State {
    fn new(deadline: Instant) -> Self {
        Self {
            answer: None,
            woken: false,
            polling: false,
            gone: false,
            over: false,
            told_over: false,
            deadline,
            alarms: Alarms::default(),
            held: None,
        }
    }

    fn is_open(&self) -> Result<(), abi::STATUS> {
        if self.answer.is_some() || self.over { Err(abi::EM_ERR_OVER) } else { Ok(()) }
    }

    /// What is held, if nobody uses it any more.
    fn release(&mut self) -> Option<Held> {
        if self.polling { None } else { self.held.take() }
    }
}

/// A pending call that is to be waited for. It is given up when nobody does so any more, or never began.
pub(crate) struct Waited(Arc<Pending>);

impl Deref for Waited {
    type Target = Arc<Pending>;

    fn deref(&self) -> &Arc<Pending> {
        &self.0
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// What whoever waits has to do next.
pub(crate) enum Next {
    /// Wait until something changes, or until then.
    Wait(Instant),
    /// Call poll.
    Poll,
    /// Take the answer.
    Take(Outcome),
    /// The client is gone: nobody wants the answer.
    Leave,
}

impl Pending {
    pub(crate) fn plugin(&self) -> &'static Host {
        self.plugin
    }

    /// Takes over when the handler has returned.
    pub(crate) fn returned(
        self: Arc<Self>,
        mut held: Held,
        turn: Turn,
        status: abi::STATUS,
    ) -> Called {
        held.turn = Some(turn);
        let mut state = self.state();
        state.held = Some(held);
        if status != abi::EM_PENDING {
            drop(state);
            self.give_up();
            return Called::Faulty(Fault::Leaked(status));
        }
        let answered = state.answer.is_some();
        drop(state);
        if answered && let Next::Take(outcome) = self.next() {
            return Called::Answered(outcome);
        }
        Called::Pending(Waited(self))
    }

    /// Answers for a plug-in.
    ///
    /// # Errors
    /// The status for the plug-in: the answer comes too late, or is the second.
    pub(crate) fn complete(self: &Arc<Self>, status: abi::STATUS) -> Result<(), abi::STATUS> {
        let mut state = self.state();
        if state.answer.is_some() {
            return Err(abi::EM_ERR_OVER);
        }
        state.answer = Some(status);
        if !state.over {
            drop(state);
            self.changed.notify_one();
            return Ok(());
        }
        let held = state.release();
        drop(state);
        if let Some(held) = held {
            self.end_elsewhere(held);
        }
        Err(abi::EM_ERR_OVER)
    }

    /// Has poll called.
    ///
    /// # Errors
    /// The status for the plug-in: the call is over, or has no poll.
    pub(crate) fn wake(&self) -> Result<(), abi::STATUS> {
        if self.poll.is_none() {
            return Err(abi::EM_ERR_STAGE);
        }
        let mut state = self.state();
        state.is_open()?;
        state.woken = true;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Where what it waits for is done.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Puts the deadline off.
    ///
    /// # Errors
    /// The status for the plug-in: the call is over, or may not take so long.
    pub(crate) fn extend(&self, more: Duration) -> Result<(), abi::STATUS> {
        let wanted = Instant::now() + more;
        let mut state = self.state();
        state.is_open()?;
        if wanted > self.time.latest {
            return Err(abi::EM_ERR_LIMIT);
        }
        if wanted > state.deadline {
            state.deadline = wanted;
            drop(state);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Tells that the client is gone. A message that it has sent may be stored all the same, so its filters are waited
    /// for: else who hangs up in time would get past them.
    pub(crate) fn hang_up(&self) {
        if !matches!(self.event, Event::Headers | Event::Body | Event::MessageAccept) {
            self.state().gone = true;
            self.changed.notify_one();
        }
    }

    pub(crate) fn begun(&self) -> Instant {
        self.time.begun
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.state().deadline
    }

    /// What whoever waits has to do next.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.state();
        if let Some(status) = state.answer {
            // While poll runs what it is lent stays.
            let Some(held) = state.release() else { return Next::Wait(state.deadline) };
            drop(state);
            let written = held.take().unwrap_or_default();
            let spent = held.may_change_message().then(|| self.time.begun.elapsed());
            self.end(held);
            return Next::Take(Outcome { status, written, spent });
        }
        if state.gone {
            state.over = true;
            return Next::Leave;
        }
        let rung = state.alarms.ring(Instant::now());
        if std::mem::take(&mut state.woken) || rung {
            return Next::Poll;
        }
        Next::Wait(state.alarms.first().unwrap_or(state.deadline).min(state.deadline))
    }

    /// Ends the wait at the deadline, unless an answer came at the last moment or the deadline was put off. A poll that
    /// has not returned is late, whatever was answered.
    pub(crate) fn expire(&self) -> Option<Fault> {
        let mut state = self.state();
        let answered = state.answer.is_some() && !state.polling;
        if answered || Instant::now() < state.deadline {
            return None;
        }
        state.over = true;
        let own = self.time.begun + self.plugin.contracts.at(self.event).deadline;
        let source = match state.deadline {
            deadline if deadline > self.time.deadline => "as extended",
            deadline if deadline < own => "what was left of chain_budget_ms",
            _ => "deadline_ms",
        };
        let time = state.deadline - self.time.begun;
        Some(Fault::Unfinished(Allowance { time, source }))
    }

    /// Calls poll for whoever waits. If nobody does any more when it returns, the call goes on by itself.
    pub(crate) fn poll_woken(self: &Arc<Self>) {
        if !self.begin_poll() {
            return;
        }
        let status = self.enter_poll(abi::EM_POLL_WOKEN);
        let mut state = self.state();
        state.polling = false;
        if status != abi::EM_PENDING && state.answer.is_none() {
            state.answer = Some(status);
        }
        let over = state.over;
        drop(state);
        if over {
            self.go_on_alone();
        } else {
            self.changed.notify_one();
        }
    }

    /// Marks that poll is being called. False when there is nobody to call it for.
    fn begin_poll(&self) -> bool {
        let mut state = self.state();
        let begins = state.held.is_some() && !state.polling && state.is_open().is_ok();
        state.polling |= begins;
        begins
    }

    /// Calls poll. Only with `polling` set, which keeps what it is lent.
    fn enter_poll(&self, reason: u32) -> abi::STATUS {
        let record = self.state().held.as_ref().map(Held::record);
        let (Some(record), Some(poll)) = (record, self.poll) else { return abi::EM_PENDING };
        let poll: Poll = poll;
        // SAFETY: poll came from the plug-in with this signature, and its file stays mapped for ever. The record and
        // all it points to are held while `polling` is set.
        let make = || unsafe { poll(record, self.data.0, reason) };
        match self.plugin.run {
            Run::Inline => watched(self.plugin, self.event, Stage::Before, self.session, make),
            Run::Pool => make(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
