//! Figures of a plug-in at each event and stage: what it answered, how it failed, how long its calls took.
//! Written by every call without a lock and without an allocation; knows nobody who reads them.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stagepost_smtp::{Decision, Edit, Event, Stage};

use crate::latency::{Latency, LatencyFigures};
use crate::metric::MetricFigures;
use crate::tally::{At, PLACES, Tally};

/// What a call came to, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// Continue, and what *after* answers.
    Continue,
    /// Handled.
    Handled,
    /// Refused for good.
    Reject,
    /// Refused for now.
    Defer,
    /// A reply, and the connection is closed.
    Disconnect,
    /// Continue, with the edit hold.
    Hold,
    /// Continue, with the edit discard.
    Discard,
}

impl AnswerKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Continue,
        Self::Handled,
        Self::Reject,
        Self::Defer,
        Self::Disconnect,
        Self::Hold,
        Self::Discard,
    ];

    /// The word for it in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Handled => "handled",
            Self::Reject => "reject",
            Self::Defer => "defer",
            Self::Disconnect => "disconnect",
            Self::Hold => "hold",
            Self::Discard => "discard",
        }
    }

    /// The kind of an answer.
    pub(crate) fn of(decision: &Decision, edits: &[Edit]) -> Self {
        let has = |wanted: fn(&Edit) -> bool| edits.iter().any(wanted);
        match decision {
            Decision::Continue if has(|edit| matches!(edit, Edit::Discard)) => Self::Discard,
            Decision::Continue if has(|edit| matches!(edit, Edit::Hold { .. })) => Self::Hold,
            Decision::Continue => Self::Continue,
            Decision::Handled(_) => Self::Handled,
            Decision::Reject(_) => Self::Reject,
            Decision::Defer(_) => Self::Defer,
            Decision::Disconnect(_) => Self::Disconnect,
        }
    }
}

/// How a plug-in failed, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A status, verdict or rewritten line that is none here.
    BadVerdict,
    /// It failed inside.
    Failure,
    /// It was late, or got no thread in time.
    Overrun,
    /// The host could not make the call.
    Host,
    /// Its edits could not be carried out. Comes on top of the call's answer.
    BadEdit,
    /// A call in line that was named by the watchdog. Comes on top of the call's answer.
    Stall,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::BadVerdict, Self::Failure, Self::Overrun, Self::Host, Self::BadEdit, Self::Stall];

    /// The word for it in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadVerdict => "bad-verdict",
            Self::Failure => "failure",
            Self::Overrun => "overrun",
            Self::Host => "host",
            Self::BadEdit => "bad-edit",
            Self::Stall => "stall",
        }
    }

    /// Whether the fault is what a call came to, rather than something beside its answer.
    fn ends_call(self) -> bool {
        !matches!(self, Self::BadEdit | Self::Stall)
    }
}

/// One plug-in at one event and stage. On cache lines of its own: threads at other stages do not wait for it.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct StageCounters {
    answers: [AtomicU64; AnswerKind::ALL.len()],
    faults: [AtomicU64; FaultKind::ALL.len()],
    latency: Latency,
}

impl StageCounters {
    /// Counts an answer.
    pub(crate) fn answered(&self, kind: AnswerKind) {
        self.answers[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault.
    pub(crate) fn failed(&self, kind: FaultKind) {
        self.faults[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds how long a call took, if it was timed.
    pub(crate) fn took(&self, time: Option<Duration>) {
        if let Some(time) = time {
            self.latency.add(time);
        }
    }
}

/// One plug-in at every event and stage that it registered for.
pub(crate) struct Counters {
    stages: [OnceLock<Box<StageCounters>>; PLACES],
    /// Calls in line that went on and left nothing behind. They are counted nowhere else.
    tally: Tally,
}

impl Default for Counters {
    fn default() -> Self {
        Self { stages: std::array::from_fn(|_| OnceLock::new()), tally: Tally::default() }
    }
}

impl Counters {
    /// Makes room for an event and stage, as somebody registers for it.
    pub(crate) fn prepare(&self, event: Event, stage: Stage) {
        self.stages[place(event, stage)].get_or_init(Box::default);
    }

    /// The counters of an event and stage; none where nothing is registered.
    pub(crate) fn at(&self, event: Event, stage: Stage) -> Option<&StageCounters> {
        self.stages[place(event, stage)].get().map(|counters| &**counters)
    }

    /// Counts a call in line that went on and left nothing behind, at a [`place`].
    #[inline]
    pub(crate) fn went_on(&self, at: At, place: usize) {
        self.tally.add(at, place);
    }

    /// All figures of this moment.
    pub(crate) fn read(&self) -> Vec<StageFigures> {
        let stages = Event::ALL.into_iter().flat_map(|event| {
            [Stage::Before, Stage::After].into_iter().map(move |stage| (event, stage))
        });
        let read = |(event, stage)| {
            let mut figures = StageFigures::read(event, stage, self.at(event, stage)?);
            figures.answers[AnswerKind::Continue as usize] += self.tally.read(place(event, stage));
            Some(figures)
        };
        stages.filter_map(read).collect()
    }
}

/// Where an event and stage is counted.
pub(crate) fn place(event: Event, stage: Stage) -> usize {
    event as usize * 2 + stage as usize
}

/// What one plug-in did at one event and stage since the start.
#[derive(Clone, Debug)]
pub struct StageFigures {
    /// The event.
    pub event: Event,
    /// The stage.
    pub stage: Stage,
    /// How many calls came to each kind of answer, in the order of [`AnswerKind::ALL`].
    pub answers: [u64; AnswerKind::ALL.len()],
    /// How many faults there were of each kind, in the order of [`FaultKind::ALL`].
    pub faults: [u64; FaultKind::ALL.len()],
    /// How long calls took: of calls in line one in 64, of others all, with their wait for a thread.
    pub latency: LatencyFigures,
}

impl StageFigures {
    fn read(event: Event, stage: Stage, counters: &StageCounters) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            event,
            stage,
            answers: counters.answers.each_ref().map(load),
            faults: counters.faults.each_ref().map(load),
            latency: counters.latency.read(),
        }
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        let faults = FaultKind::ALL.into_iter().zip(self.faults);
        let failed: u64 = faults.filter(|(kind, _)| kind.ends_call()).map(|(_, count)| count).sum();
        self.answers.iter().sum::<u64>() + failed
    }

    /// How many faults there were.
    pub fn faults(&self) -> u64 {
        self.faults.iter().sum()
    }
}

/// What one plug-in did since the start.
#[derive(Clone, Debug)]
pub struct PluginFigures {
    /// Its name.
    pub name: std::sync::Arc<str>,
    /// At each event and stage that it registered for.
    pub stages: Vec<StageFigures>,
    /// Its own metrics.
    pub metrics: Vec<MetricFigures>,
}

impl PluginFigures {
    /// The name by which the operator reads a metric of this plug-in.
    pub fn metric_name(&self, metric: &MetricFigures) -> String {
        format!("plugin_{}_{}", self.name.replace('-', "_"), metric.name)
    }
}

/// Whether a call in line is timed: one in 64 is, chosen at random, so that no pattern of calls is always or never timed.
#[inline]
pub(crate) fn is_timed() -> bool {
    thread_local! {
        static DICE: Cell<u32> = const { Cell::new(0x9e37_79b9) };
    }
    // The constants are those of Numerical Recipes; the upper bits are the random ones.
    let thrown = DICE.with(|dice| {
        let next = dice.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        dice.set(next);
        next
    });
    thrown >> 26 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally;

    #[test]
    fn one_call_in_64_is_timed() {
        let timed = (0..640_000).filter(|_| is_timed()).count();
        assert!((9_500..10_500).contains(&timed), "{timed}");
    }

    #[test]
    fn what_is_counted_is_read() {
        let counters = Counters::default();
        counters.prepare(Event::Mail, Stage::After);
        assert!(counters.at(Event::Mail, Stage::Before).is_none());
        let at = counters.at(Event::Mail, Stage::After).unwrap();
        at.answered(AnswerKind::Hold);
        at.answered(AnswerKind::Hold);
        at.failed(FaultKind::Overrun);
        at.failed(FaultKind::BadEdit);
        at.took(Some(Duration::from_micros(3)));
        at.took(None);
        counters.went_on(tally::at(), place(Event::Mail, Stage::After));
        let read = counters.read();
        let [figures] = &read[..] else { panic!("{read:?}") };
        assert_eq!((figures.event, figures.stage), (Event::Mail, Stage::After));
        assert_eq!(figures.answers, [1, 0, 0, 0, 0, 2, 0]);
        assert_eq!((figures.calls(), figures.faults()), (4, 2));
        assert_eq!(figures.latency.count(), 1);
    }
}
