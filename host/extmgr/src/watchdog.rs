//! The watchdog over calls in line: names one that does not return, and in the end ends the process.
//! Knows what is being called on which thread; nothing can take such a call back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use stagepost_smtp::{Event, Stage};

use crate::figures::FaultKind;
use crate::host::Host;
use crate::limits::Limits;
use crate::load::PLUGINS_MAX;

/// How long the watchdog sleeps between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// How many times the watchdog has looked: the clock of calls in line, read without a system call. Looks rather than time,
/// so that a machine or process that stood still, and its watchdog with it, finds no call late.
static LOOKS: AtomicU64 = AtomicU64::new(0);

/// The cell of every thread that has made a call in line.
static CELLS: Mutex<Vec<Weak<Cell>>> = Mutex::new(Vec::new());

thread_local! {
    static CELL: Arc<Cell> = Cell::of_this_thread();
}

/// The call that one thread is in.
#[derive(Default)]
struct Cell {
    /// 0, or when it began and what it is: see [`Call`].
    call: AtomicU64,
    session: AtomicU64,
    /// The call that was named last. The watchdog's own.
    named: AtomicU64,
}

impl Cell {
    fn of_this_thread() -> Arc<Self> {
        let cell = Arc::new(Self::default());
        let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|known| known.strong_count() > 0);
        cells.push(Arc::downgrade(&cell));
        cell
    }

    /// The call under way, with its session.
    fn read(&self) -> Option<(Call, u64)> {
        let call = self.call.load(Ordering::Acquire);
        let session = self.session.load(Ordering::Acquire);
        // A call that has ended meanwhile is not late, and the session may be the next one's.
        let same = self.call.load(Ordering::Acquire) == call;
        (call != 0 && same).then_some((Call(call), session))
    }
}

/// A call in one word: looks at its beginning (from bit 16), whether it is a release, the plug-in's place (7 bits), the
/// event (6 bits), the stage, and a bit that is always set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call(u64);

impl Call {
    const RELEASE: u64 = 1 << 15;

    /// A call of a handler of a plug-in, which has not begun.
    pub(crate) fn of(plugin: &Host, event: Event, stage: Stage) -> Self {
        Self::new(0, plugin.index, event, stage)
    }

    fn new(looks: u64, plugin: usize, event: Event, stage: Stage) -> Self {
        const { assert!(PLUGINS_MAX <= 0x80) };
        let (plugin, event, stage) = (plugin as u64 & 0x7f, event as u64, stage as u64);
        Self(looks << 16 | plugin << 8 | event << 2 | stage << 1 | 1)
    }

    /// The same call, which begins now.
    #[inline]
    fn begun(self) -> Self {
        Self(LOOKS.load(Ordering::Relaxed) << 16 | self.0)
    }

    /// The same, of a release rather than a handler.
    fn of_release(self) -> Self {
        Self(self.0 | Self::RELEASE)
    }

    fn is_release(self) -> bool {
        self.0 & Self::RELEASE != 0
    }

    /// What does not return, in the log.
    fn what(self) -> &'static str {
        if self.is_release() { "a release in line" } else { "a call in line" }
    }

    fn plugin(self) -> usize {
        (self.0 >> 8 & 0x7f) as usize
    }

    fn event(self) -> Event {
        Event::ALL[(self.0 >> 2 & 0x3f) as usize % Event::ALL.len()]
    }

    fn stage(self) -> Stage {
        if self.0 & 2 == 0 { Stage::Before } else { Stage::After }
    }

    /// How long it has lasted at least. It began between two looks, so the first does not count.
    fn lasted(self, looks: u64) -> Duration {
        let looks = looks.saturating_sub(self.0 >> 16).saturating_sub(1);
        LOOK * u32::try_from(looks).unwrap_or(u32::MAX)
    }
}

/// Makes a call in line under the watchdog's eyes.
#[inline]
pub(crate) fn watched<T>(
    plugin: &Host,
    event: Event,
    stage: Stage,
    session: u64,
    make: impl FnOnce() -> T,
) -> T {
    watching(session, |watch| {
        watch.begins(Call::of(plugin, event, stage));
        make()
    })
}

/// Calls a release in line under the watchdog's eyes: of something that was given in a call at this event and stage.
pub(crate) fn watched_release(
    plugin: &Host,
    event: Event,
    stage: Stage,
    session: u64,
    make: impl FnOnce(),
) {
    if CELL.try_with(|_| ()).is_err() {
        // The thread is ending, so it serves no session.
        return make();
    }
    watching(session, |watch| {
        watch.begins(Call::of(plugin, event, stage).of_release());
        make();
    });
}

/// Makes calls in line for a session, one after another, each under the watchdog's eyes once it is told that it begins.
#[inline]
pub(crate) fn watching<T>(session: u64, make: impl FnOnce(&Watch<'_>) -> T) -> T {
    CELL.with(|cell| make(&Watch::begin(cell, session)))
}

/// The calls of one session on one thread, under the watchdog's eyes. Ends the last of them when it is dropped, and goes on
/// with the one that they were made in, if any.
pub(crate) struct Watch<'c> {
    cell: &'c Cell,
    around: u64,
    session: u64,
}

impl<'c> Watch<'c> {
    #[inline]
    fn begin(cell: &'c Cell, session: u64) -> Self {
        let around = cell.call.load(Ordering::Relaxed);
        let watch = Self { cell, around, session: cell.session.load(Ordering::Relaxed) };
        if around != 0 {
            // Between two calls the session is nobody's.
            cell.call.store(0, Ordering::Release);
        }
        cell.session.store(session, Ordering::Release);
        watch
    }

    /// A call begins; the one before it has ended.
    #[inline]
    pub(crate) fn begins(&self, call: Call) {
        self.cell.call.store(call.begun().0, Ordering::Release);
    }
}

impl Drop for Watch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cell.call.store(0, Ordering::Release);
        if self.around != 0 {
            self.cell.session.store(self.session, Ordering::Release);
            self.cell.call.store(self.around, Ordering::Release);
        }
    }
}

/// Whether a call in line is being made on this thread, a handler's or a release's; it must not block then.
pub(crate) fn is_called_in_line() -> bool {
    // A thread that ends is in no call.
    CELL.try_with(|cell| cell.call.load(Ordering::Relaxed) != 0).unwrap_or(false)
}

/// The thread that looks. Dropping it ends the thread.
pub(crate) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Begins to look after the calls of these plug-ins.
    pub(crate) fn start(plugins: Vec<&'static Host>, limits: Limits) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let look = move || {
            while stopped.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                let looks = LOOKS.fetch_add(1, Ordering::Relaxed) + 1;
                let cells: Vec<Arc<Cell>> = {
                    let cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
                    cells.iter().filter_map(Weak::upgrade).collect()
                };
                for cell in &cells {
                    match judge(cell, looks, &limits) {
                        Judgement::Fine => {}
                        Judgement::Late(call, session) => name(call, session, &plugins, &limits),
                        Judgement::Stuck(call, session) => end(call, session, &plugins, &limits),
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(look)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// What is to be said of a call.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// Nothing, or it was said.
    Fine,
    /// It is to be named, once.
    Late(Call, u64),
    /// It is to end the process.
    Stuck(Call, u64),
}

fn judge(cell: &Cell, looks: u64, limits: &Limits) -> Judgement {
    let Some((call, session)) = cell.read() else { return Judgement::Fine };
    let lasted = call.lasted(looks);
    if limits.inline_abort.is_some_and(|abort| lasted >= abort) {
        return Judgement::Stuck(call, session);
    }
    // Two calls of one thread never have the same word here: the earlier one would have ended within one look.
    if lasted >= limits.inline_warn && cell.named.swap(call.0, Ordering::Relaxed) != call.0 {
        return Judgement::Late(call, session);
    }
    Judgement::Fine
}

fn name(call: Call, session: u64, plugins: &[&'static Host], limits: &Limits) {
    let Some(plugin) = plugins.get(call.plugin()) else { return };
    plugin.count_fault(call.event(), call.stage(), FaultKind::Stall);
    tracing::error!(
        session,
        plugin = &*plugin.name,
        event = call.event().name(),
        stage = call.stage().name(),
        "plug-in fault: overrun: {} did not return within {} ms (inline_warn_ms); every session of its thread waits",
        call.what(),
        limits.inline_warn.as_millis()
    );
}

/// Ends the process: what was acknowledged is on disk, and a core file shows where the plug-in is stuck.
fn end(call: Call, session: u64, plugins: &[&'static Host], limits: &Limits) -> ! {
    tracing::error!(
        session,
        plugin = plugins.get(call.plugin()).map_or("?", |plugin| &*plugin.name),
        event = call.event().name(),
        stage = call.stage().name(),
        "ending the process: {} did not return within {} ms (inline_abort_ms)",
        call.what(),
        limits.inline_abort.unwrap_or_default().as_millis()
    );
    std::process::abort()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The call in line that this thread is in, with its session.
    pub(crate) fn under_way() -> Option<(&'static str, Event, Stage, u64)> {
        let called = CELL.with(|cell| cell.read());
        called.map(|(call, session)| (call.what(), call.event(), call.stage(), session))
    }

    #[test]
    fn a_word_holds_a_call() {
        for event in Event::ALL {
            for stage in [Stage::Before, Stage::After] {
                let call = Call::new(77, 63, event, stage);
                assert_eq!((call.plugin(), call.event(), call.stage()), (63, event, stage));
                assert_eq!(call.lasted(77), Duration::ZERO);
                assert_eq!(call.lasted(88), Duration::from_secs(1));
                assert_ne!(Call::new(0, 0, event, stage).0, 0);
                let release = call.of_release();
                assert_eq!((call.is_release(), release.is_release()), (false, true));
                assert_eq!(
                    (release.plugin(), release.event(), release.stage()),
                    (63, event, stage)
                );
                assert_eq!(release.lasted(88), Duration::from_secs(1));
            }
        }
    }

    #[test]
    fn a_call_is_named_once_and_ends_the_process_later() {
        let limits = Limits {
            inline_warn: Duration::from_secs(1),
            inline_abort: Some(Duration::from_secs(60)),
            ..Limits::default()
        };
        let never = Limits { inline_abort: None, ..limits.clone() };
        let cell = Cell::default();
        assert_eq!(judge(&cell, 5000, &limits), Judgement::Fine);
        for begun in [5000, 8000] {
            let call = Call::new(begun, 2, Event::Rcpt, Stage::Before);
            cell.session.store(9, Ordering::Relaxed);
            cell.call.store(call.0, Ordering::Relaxed);
            assert_eq!(
                judge(&cell, begun + 10, &limits),
                Judgement::Fine,
                "it may just have begun"
            );
            assert_eq!(judge(&cell, begun + 11, &limits), Judgement::Late(call, 9));
            assert_eq!(judge(&cell, begun + 12, &limits), Judgement::Fine, "it was named");
            assert_eq!(judge(&cell, begun + 600, &limits), Judgement::Fine);
            assert_eq!(judge(&cell, begun + 601, &limits), Judgement::Stuck(call, 9));
            assert_eq!(judge(&cell, begun + 9999, &never), Judgement::Fine);
        }
    }

    #[test]
    fn a_slow_release_is_counted_once_where_it_was_given() {
        let mut rig = crate::dispatch::tests::Rig::default();
        rig.plugin("p", crate::plugin::Run::Inline);
        rig.on(stagepost_abi::EM_SMTPMAIL, stagepost_abi::EM_REG_BEFORE, |_| 0);
        let plugin = rig.host();
        let limits =
            Limits { inline_warn: Duration::ZERO, inline_abort: None, ..Limits::default() };
        watched_release(plugin, Event::Mail, Stage::Before, 7, || {
            // The watchdog looks while it lasts, more than once.
            for _ in 0..3 {
                match CELL.with(|cell| judge(cell, LOOKS.load(Ordering::Relaxed), &limits)) {
                    Judgement::Late(call, session) => {
                        assert_eq!((call.what(), session), ("a release in line", 7));
                        name(call, session, &[plugin], &limits);
                    }
                    judgement => assert_eq!(judgement, Judgement::Fine),
                }
            }
        });
        assert_eq!(plugin.state().faults, 1);
        let figures = plugin.figures();
        let at_mail = figures.stages.iter().find(|at| at.event == Event::Mail).unwrap();
        assert_eq!(at_mail.faults.iter().sum::<u64>(), 1);
    }

    #[test]
    fn a_call_is_over_also_when_it_unwinds() {
        let mut rig = crate::dispatch::tests::Rig::default();
        rig.plugin("p", crate::plugin::Run::Inline);
        let plugin = rig.host();
        let of_this_thread = || CELL.with(|cell| cell.read());
        let called = watched(plugin, Event::Mail, Stage::After, 7, of_this_thread);
        let (call, session) = called.unwrap();
        assert_eq!((call.event(), call.stage(), session), (Event::Mail, Stage::After, 7));
        assert_eq!(of_this_thread(), None);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            watched(plugin, Event::Mail, Stage::After, 7, || {
                std::panic::resume_unwind(Box::new(()))
            })
        }));
        assert!(failed.is_err());
        assert_eq!(of_this_thread(), None);
        watched(plugin, Event::Mail, Stage::After, 7, || {
            let around = under_way();
            watched_release(plugin, Event::Rcpt, Stage::Before, 8, || {
                let release = ("a release in line", Event::Rcpt, Stage::Before, 8);
                assert_eq!(under_way(), Some(release));
            });
            assert_eq!(under_way(), around, "it goes on");
            assert!(is_called_in_line());
        });
    }
}
