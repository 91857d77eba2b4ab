//! A stretch of a chain: handlers that are called in line one after another, each as long as the one before it goes on and
//! leaves nothing behind. The way of most calls, so it is short; everything else is dispatch's to sort out.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use stagepost_abi as abi;
use stagepost_smtp::Ask;

use crate::call::Called;
use crate::context::Context;
use crate::figures::{is_timed, place};
use crate::frame::Frame;
use crate::registry::Step;
use crate::tally;
use crate::trace;
use crate::watchdog::watching;

/// How long a call took, if that was measured, and what became of it.
pub(crate) type Ended = (Option<Duration>, Called);

/// Calls handlers from a place in a chain on. Gives back the place that it came to: the end, or one whose call ended otherwise
/// than most, as `ended` tells then, or one that has not been called, since it is not to be called in line and at once, or
/// somebody watches.
#[inline]
pub(crate) fn call(
    steps: &[Step],
    from: usize,
    ask: &Ask,
    context: &Context,
    ended: &mut Option<Ended>,
) -> usize {
    match steps.get(from) {
        Some(first) if is_plain(first) && !trace::is_on() => {
            let frame = pin!(Frame::new(first.plugin, ask, context, None));
            let place = place(first.registration.event, ask.stage);
            call_on(steps, from, place, ask, frame.as_ref(), ended)
        }
        _ => from,
    }
}

/// Whether a handler is called in line, and answers then.
#[inline]
fn is_plain(step: &Step) -> bool {
    step.inline && !step.plugin.knows_pending()
}

fn call_on(
    steps: &[Step],
    from: usize,
    place: usize,
    ask: &Ask,
    frame: Pin<&Frame<'_>>,
    ended: &mut Option<Ended>,
) -> usize {
    let seat = tally::at();
    watching(ask.facts.id, |watch| {
        for (passed, step) in steps[from..].iter().enumerate() {
            if !is_plain(step) {
                return from + passed;
            }
            if !step.admits(ask) {
                continue;
            }
            let timed = is_timed();
            let record = frame.lend(step.plugin, step.user_data);
            watch.begins(step.call);
            let clock = (timed || step.changes_message).then(Instant::now);
            // SAFETY: the handler came from EMRegister, so it has this signature; its file stays mapped for ever. The
            // record and all it points to outlive the call.
            let status = unsafe { (step.handler)(record) };
            if status != abi::ERR_EM_CONTINUE || !frame.is_blank() {
                let spent = clock.map(|clock| clock.elapsed());
                let kept = spent.filter(|_| step.changes_message);
                let called = Called::answered(status, frame.take(), kept);
                *ended = Some((spent.filter(|_| timed), called));
                return from + passed;
            }
            step.plugin.counters.went_on(seat, place);
            if timed {
                time(step, ask, clock);
            }
        }
        steps.len()
    })
}

/// Keeps how long a call took that was timed.
#[cold]
fn time(step: &Step, ask: &Ask, clock: Option<Instant>) {
    if let Some(counters) = step.plugin.counters.at(step.registration.event, ask.stage) {
        counters.took(clock.map(|clock| clock.elapsed()));
    }
}
