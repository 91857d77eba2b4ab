//! Releases: where they are called, that the watchdog sees them, and what they may do there.
//! Uses the rig of the tests above it.

use std::sync::mpsc;
use std::thread::ThreadId;

use super::pending::{Hand, disconnect};
use super::queue::{opened, wait};
use super::*;
use crate::watchdog::tests::under_way;

/// What a release found: who it is, its thread, the release that the watchdog sees there, and what a wait came to.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    who: &'static str,
    thread: ThreadId,
    seen: Option<(&'static str, Event, Stage, u64)>,
    waited: Result<(u64, u64, u64), abi::STATUS>,
}

/// What a release of the tests is given.
struct Kept {
    who: &'static str,
    host: &'static Host,
    said: mpsc::Sender<Found>,
}

/// What is to be released, and says what it finds then.
fn kept(who: &'static str, host: &'static Host, said: &mpsc::Sender<Found>) -> *mut c_void {
    Box::into_raw(Box::new(Kept { who, host, said: said.clone() })).cast()
}

unsafe extern "C" fn look_around(data: *mut c_void) {
    // SAFETY: made by `kept`, and released once.
    let kept = unsafe { Box::from_raw(data.cast::<Kept>()) };
    let waited = wait(kept.host, "count", "a.test");
    let thread = std::thread::current().id();
    kept.said.send(Found { who: kept.who, thread, seen: under_way(), waited }).unwrap();
}

unsafe extern "C" fn go_on(_: *const abi::EMRECORD) -> abi::STATUS {
    abi::ERR_EM_CONTINUE
}

/// Registers before an event with something to be released.
fn register(host: &'static Host, event: abi::EID, data: *mut c_void) -> abi::HEMREGISTRATION {
    let mut registration = 0;
    // SAFETY: the handle is a live host's; data and release belong together.
    let registered = unsafe {
        let (release, place) = (Some(look_around as _), &raw mut registration);
        let (register, before) = (BASE.0.EMRegister, abi::EM_REG_BEFORE);
        register(host.handle(), event, before, Some(go_on), data, release, 0, place)
    };
    assert_eq!(registered, abi::NOERROR);
    registration
}

/// A plug-in that keeps something in a registration for RCPT, and at MAIL in its slot and for a call that goes pending.
fn plugin(rig: &mut Rig, run: Run, said: &mpsc::Sender<Found>) -> abi::HEMREGISTRATION {
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let host = rig.plugin("p", run).host();
    let (hand, said) = (Hand::of(rig), said.clone());
    let registration = register(host, abi::EM_SMTPRCPT, kept("registration", host, &said));
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let data = kept("slot", host, &said);
        // SAFETY: the session is this call's; data and release belong together.
        let set = unsafe { (sessions.slot_set)(session(record), data, Some(look_around)) };
        assert_eq!(set, abi::NOERROR);
        let (data, mut token) = (kept("call", host, &said), 0);
        let (take, release) = (hand.table().pending, Some(look_around as _));
        // SAFETY: the sheet is this call's; data and release belong together.
        let taken = unsafe { take(sheet(record), None, data, release, &raw mut token) };
        assert_eq!(taken, abi::NOERROR);
        assert_eq!(hand.complete(token, abi::ERR_EM_CONTINUE), abi::NOERROR);
        abi::EM_PENDING
    });
    registration
}

fn deregister(host: &'static Host, registration: abi::HEMREGISTRATION) {
    // SAFETY: the handle is a live host's.
    let status = unsafe { (BASE.0.EMDeregister)(host.handle(), registration) };
    assert_eq!(status, abi::NOERROR);
}

/// Waits for what a release finds, while the runtime goes on.
async fn hear(found: mpsc::Receiver<Found>) -> (Found, mpsc::Receiver<Found>) {
    let hear = move || (found.recv_timeout(Duration::from_secs(20)).unwrap(), found);
    tokio::task::spawn_blocking(hear).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn releases_of_a_plug_in_in_line_are_calls_in_line() {
    let mut rig = Rig::default();
    let (said, found) = mpsc::channel();
    let registration = plugin(&mut rig, Run::Inline, &said);
    let directory = opened(&rig);
    let dispatch = Dispatch::new(directory.current());
    answered(dispatch.ask(mail())).await;
    deregister(rig.host(), registration);
    drop(dispatch);
    let thread = std::thread::current().id();
    let in_line = |who, event, session| Found {
        who,
        thread,
        seen: Some(("a release in line", event, Stage::Before, session)),
        waited: Err(abi::EM_ERR_STAGE),
    };
    let wanted = [
        in_line("call", Event::Mail, 7),
        in_line("slot", Event::Mail, 7),
        in_line("registration", Event::Rcpt, 0),
    ];
    assert_eq!(found.try_iter().collect::<Vec<_>>(), wanted);
    assert_eq!(under_way(), None);
    assert!(!crate::watchdog::is_called_in_line());
}

#[tokio::test]
async fn releases_of_a_plug_in_that_may_block_are_never_called_where_sessions_are_served() {
    let mut rig = Rig::default();
    let (said, mut found) = mpsc::channel();
    let registration = plugin(&mut rig, Run::Pool, &said);
    let host = rig.host();
    // Another plug-in's call ends last, on the thread of its runtime.
    rig.plugin("q", Run::Inline);
    let hand = Hand::of(&rig);
    let (taken, tokens) = mpsc::channel();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let null = std::ptr::null_mut();
        taken.send(super::pending::take_with(hand.table(), record, None, null).unwrap()).unwrap();
        abi::EM_PENDING
    });
    let directory = opened(&rig);
    let registry = directory.current();
    let dispatch = Dispatch::new(registry.clone());
    let Asked::Waiting(mut answer) = dispatch.ask(mail()) else { panic!("it is on a pool") };
    let mut who = Vec::new();
    while who.is_empty() {
        assert!(super::contracts::is_open(&mut answer).await);
        tokio::task::yield_now().await;
        who.extend(found.try_recv());
    }
    let token = loop {
        assert!(super::contracts::is_open(&mut answer).await);
        tokio::task::yield_now().await;
        if let Ok(token) = tokens.try_recv() {
            break token;
        }
    };
    drop(answer);
    answered(dispatch.ask(disconnect())).await;
    drop(dispatch);
    deregister(host, registration);
    assert_eq!(hand.complete(token, abi::NOERROR), abi::EM_ERR_OVER);
    let (slot, rest) = hear(found).await;
    who.push(slot);
    // As when two last sessions end at once, and each sees the other.
    drop(registry);
    let (last, rest) = hear(rest).await;
    who.push(last);
    found = rest;
    assert_eq!(found.try_iter().count(), 0);
    assert_eq!(
        who.iter().map(|found| found.who).collect::<Vec<_>>(),
        ["call", "slot", "registration"]
    );
    for found in who {
        assert_ne!(found.thread, std::thread::current().id(), "{found:?}");
        assert_eq!((found.seen, found.waited), (None, Ok((1, 3, 4))), "{}", found.who);
    }
}

unsafe extern "C" fn done(_: *mut abi::EmAdminCall, _: abi::EmText, _: *mut c_void) -> abi::STATUS {
    abi::NOERROR
}

/// Handlers of a plug-in's own life and verbs may block whatever its class, and so may what is released with them.
#[tokio::test]
async fn what_belongs_to_no_session_is_released_where_it_may_block() {
    let admin: &abi::EmAdminService = service(abi::EM_ADMIN_ID);
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        let (said, found) = mpsc::channel();
        let host = rig.plugin("p", run).host();
        let [first, _] = [abi::EM_START, abi::EM_STOP]
            .map(|event| register(host, event, kept("life", host, &said)));
        let (data, release) = (kept("verb", host, &said), Some(look_around as _));
        // SAFETY: the handle is a live host's, and text is lent; data and release belong together.
        let made = unsafe {
            (admin.verb)(host.handle(), lend("v"), lend("help"), Some(done), data, release)
        };
        assert_eq!(made, abi::NOERROR);
        let _directory = opened(&rig);
        deregister(host, first);
        let (life, found) = hear(found).await;
        // As when the plug-in does not start, or the server stops.
        host.clear();
        let (one, found) = hear(found).await;
        let (other, found) = hear(found).await;
        assert_eq!(found.try_iter().count(), 0);
        let mut who = [one.who, other.who];
        who.sort_unstable();
        assert_eq!((life.who, who), ("life", ["life", "verb"]));
        for found in [life, one, other] {
            assert_ne!(found.thread, std::thread::current().id(), "{found:?}");
            assert_eq!((found.seen, found.waited), (None, Ok((1, 3, 4))), "{}", found.who);
        }
    }
}

#[test]
fn releases_are_called_though_the_runtime_ends() {
    let mut rig = Rig::default();
    let (said, found) = mpsc::channel();
    let registration = plugin(&mut rig, Run::Pool, &said);
    let of_life = register(rig.host(), abi::EM_START, kept("life", rig.host(), &said));
    let of_nobody = register(rig.host(), abi::EM_START, kept("of nobody", rig.host(), &said));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = opened(&rig);
        deregister(rig.host(), registration);
        deregister(rig.host(), of_life);
        drop(directory);
    });
    drop(runtime);
    let mut who: Vec<_> = found.try_iter().map(|found| found.who).collect();
    who.sort_unstable();
    assert_eq!(who, ["life", "registration"]);
    // On a thread of the plug-in's own it is called there.
    deregister(rig.host(), of_nobody);
    assert_eq!(found.try_recv().map(|found| found.thread), Ok(std::thread::current().id()));
}
