//! Chains of add-ins: who is asked before an event and told after it, on threads that may block, each within its deadline.
//! Knows no event's meaning.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use stagepost_sdk::{Level, Pending};

use crate::arguments::{Arguments, Buffer, Left};
use crate::bridge::Bridge;
use crate::registry::{AFTER, BEFORE, DISCONNECT, Registration, TERMINATE};
use crate::seat::Seat;
use crate::status::{self, ERR_EM_CONTINUE, NOERROR};
use crate::threads::{NoThread, Returned};

/// What the host is asked for beyond an add-in's own deadline, so that it is the bridge that names who is late.
const MARGIN: Duration = Duration::from_millis(500);

/// Why an add-in has no answer. It is to blame, but for a thread that is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("add-in {0} is still in an earlier call for this session")]
    Busy(String),
    #[error("add-in {name} has not returned within {} ms", deadline.as_millis())]
    Late { name: String, deadline: Duration },
    #[error("add-in {0} has written behind a buffer that it was lent, or has left no NUL in it")]
    Overrun(String),
    #[error("the call of add-in {0} has failed inside the bridge")]
    Broken(String),
    #[error(transparent)]
    NoThread(#[from] NoThread),
    #[error("libnotes.so is not bound")]
    Unbound,
}

/// A call that is out. When nobody waits for it any more, its add-in is late.
struct Out {
    bridge: &'static Bridge,
    seat: Arc<Seat>,
    add_in: usize,
    returned: Returned<Left>,
}

impl Drop for Out {
    fn drop(&mut self) {
        // Without effect when it is back.
        self.seat.late(self.add_in);
    }
}

impl Out {
    fn begin(
        bridge: &'static Bridge,
        seat: &Arc<Seat>,
        registration: Registration,
        (stage, status): (u16, u16),
        arguments: Arguments,
    ) -> Result<Self, CallError> {
        let add_in = registration.add_in;
        let notes = *bridge.notes.get().ok_or(CallError::Unbound)?;
        if !seat.begin(add_in) {
            return Err(CallError::Busy(bridge.name(add_in).to_owned()));
        }
        let taken = Arc::clone(seat);
        let job = move || {
            let mut left = arguments.call(&notes, &registration, stage, status);
            taken.keep(left.arguments.take_names());
            taken.finished(bridge, add_in);
            left
        };
        match bridge.threads.run(job) {
            Ok(returned) => Ok(Self { bridge, seat: Arc::clone(seat), add_in, returned }),
            Err(error) => {
                seat.finished(bridge, add_in);
                Err(error.into())
            }
        }
    }

    /// What came of it: nothing, when it is late; nothing inside, when it panicked.
    fn came(&self, deadline: Duration, came: Option<Option<Left>>) -> Result<Left, CallError> {
        let name = || self.bridge.name(self.add_in).to_owned();
        match came {
            None => Err(CallError::Late { name: name(), deadline }),
            Some(None) => Err(CallError::Broken(name())),
            Some(Some(left)) if !left.sound => Err(CallError::Overrun(name())),
            Some(Some(left)) => Ok(left),
        }
    }
}

/// Asks the add-ins that want to be asked before an event, up to the first that does not say to go on. What that one said, and what all
/// have left of the arguments.
pub(crate) async fn ask(
    bridge: &'static Bridge,
    seat: &Arc<Seat>,
    call: &Pending,
    mut arguments: Arguments,
) -> Result<(u16, Arguments), CallError> {
    for registration in bridge.registry.chain(arguments.event(), BEFORE) {
        // One before it may have taken it away.
        if !bridge.registry.has(registration.id) {
            continue;
        }
        let deadline = bridge.deadline(registration.add_in);
        if let Err(refusal) = call.extend(deadline + MARGIN) {
            let name = bridge.name(registration.add_in);
            let remedy = "deadline_max_ms of the plug-in is less than deadline_ms of the add-in";
            bridge.host.log(Level::Debug, format_args!("{name}: {refusal}: {remedy}"));
        }
        let out = Out::begin(bridge, seat, registration, (BEFORE, NOERROR), arguments.clone())?;
        let came = within(call, deadline, out).await?;
        arguments.follow(came.arguments);
        if status::plain(came.status) != ERR_EM_CONTINUE {
            return Ok((status::plain(came.status), arguments));
        }
    }
    Ok((ERR_EM_CONTINUE, arguments))
}

async fn within(call: &Pending, deadline: Duration, mut out: Out) -> Result<Left, CallError> {
    let mut timer = pin!(call.timer(deadline));
    let came = poll_fn(|context| {
        if let Poll::Ready(came) = std::pin::Pin::new(&mut out.returned).poll(context) {
            return Poll::Ready(Some(came));
        }
        // A timer that fails is over as well.
        timer.as_mut().poll(context).map(|_| None)
    });
    let came = came.await;
    out.came(deadline, came)
}

/// Tells the add-ins that want to be told after an event: all of them. What they have left of the arguments, and the last that has
/// changed the reply.
pub(crate) fn tell(
    bridge: &'static Bridge,
    seat: &Arc<Seat>,
    status: u16,
    mut arguments: Arguments,
) -> (Arguments, Option<usize>) {
    let mut changed_by = None;
    for registration in bridge.registry.chain(arguments.event(), AFTER) {
        if !bridge.registry.has(registration.id) {
            continue;
        }
        match one(bridge, seat, registration, (AFTER, status), arguments.clone()) {
            Ok(left) => {
                if left.arguments.reply().map(Buffer::text) != arguments.reply().map(Buffer::text) {
                    changed_by = Some(registration.add_in);
                }
                arguments.follow(left.arguments);
            }
            Err(error) => bridge.host.log(Level::Error, error),
        }
    }
    (arguments, changed_by)
}

/// Calls one handler and waits for it, on a thread that may block.
fn one(
    bridge: &'static Bridge,
    seat: &Arc<Seat>,
    registration: Registration,
    how: (u16, u16),
    arguments: Arguments,
) -> Result<Left, CallError> {
    let deadline = bridge.deadline(registration.add_in);
    let due = Instant::now() + deadline;
    let out = Out::begin(bridge, seat, registration, how, arguments)?;
    out.came(deadline, out.returned.wait_until(due))
}

/// Tells every add-in that a session is over; one that is late is told when it is back.
pub(crate) fn disconnect(bridge: &'static Bridge, seat: &Arc<Seat>) {
    for add_in in 0..bridge.add_ins.len() {
        if seat.owe(add_in) || partings(bridge, add_in).is_empty() {
            continue;
        }
        let (kept, deadline) = (Arc::clone(seat), bridge.deadline(add_in));
        // All that it has for this on one thread, so that it is told to the end, however long it takes.
        let tell = move || disconnect_now(bridge, kept.id, add_in);
        let name = || bridge.name(add_in).to_owned();
        let error = match bridge.threads.run(tell) {
            Ok(returned) => match returned.wait_until(Instant::now() + deadline) {
                Some(Some(())) => continue,
                Some(None) => CallError::Broken(name()),
                None => CallError::Late { name: name(), deadline },
            },
            Err(error) => {
                // It must be told: this thread may block as well.
                disconnect_now(bridge, seat.id, add_in);
                error.into()
            }
        };
        bridge.host.log(Level::Error, error);
    }
}

/// Tells one add-in, on this thread.
pub(crate) fn disconnect_now(bridge: &Bridge, session: u32, add_in: usize) {
    let Some(notes) = bridge.notes.get() else { return };
    for (stage, registration) in partings(bridge, add_in) {
        if bridge.registry.has(registration.id) {
            Arguments::Disconnect { session }.call(notes, &registration, stage, NOERROR);
        }
    }
}

/// The handlers of one add-in for the end of a session, before and after.
fn partings(bridge: &Bridge, add_in: usize) -> Vec<(u16, Registration)> {
    let of =
        |stage| bridge.registry.chain(DISCONNECT, stage).into_iter().map(move |one| (stage, one));
    of(BEFORE).chain(of(AFTER)).filter(|(_, one)| one.add_in == add_in).collect()
}

/// Tells every add-in that the server stops, and lets it go.
pub(crate) fn terminate(bridge: &'static Bridge) {
    let seat = Arc::new(Seat::new(0, bridge.add_ins.len()));
    for registration in bridge.registry.chain(TERMINATE, BEFORE) {
        if let Err(error) =
            one(bridge, &seat, registration, (BEFORE, NOERROR), Arguments::Terminate)
        {
            bridge.host.log(Level::Error, error);
        }
    }
    for (add_in, opened) in bridge.opened.get().into_iter().flatten().enumerate() {
        let opened = *opened;
        let leave = move || Bridge::inside(add_in, || opened.leave());
        let due = Instant::now() + bridge.deadline(add_in);
        match bridge.threads.run(leave) {
            Ok(returned) if returned.wait_until(due).is_some() => {}
            _ => bridge.host.log(
                Level::Warn,
                format_args!("{}: TerminateLibrary has not returned", bridge.name(add_in)),
            ),
        }
    }
}
