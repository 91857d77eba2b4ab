//! Dispatch with plug-ins that live in the test: order, verdicts, edits, faults, late calls, release.
//! Plays both sides of the contract; loads no file.

mod bodies;
mod chance;
mod claims;
mod contracts;
mod dns;
mod edits;
mod figures;
mod filters;
mod pending;
mod queue;
mod reading;
mod schedules;
mod submit;
mod timers;
mod trace;

use std::ffi::c_void;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::{
    Address, Ask, Attribute, Awaited, Decision, DisconnectReason, Edit, EditFault, Event, Facts,
    Peer, Question, Reply, ReversePath, Stage, Verdict, VrfyVerb,
};

use super::{Asked, Dispatch};
use crate::base::BASE;
use crate::contract::{FaultContract, FaultContracts, OnFault};
use crate::descriptor::{Class, Descriptor, Language};
use crate::host::Host;
use crate::limits::Limits;
use crate::plugin::{OnLoadError, PluginConfig, Run};
use crate::registry::Directory;
use crate::section::Section;

/// What a handler of the test does: it is given the record and the words to log its call with.
type Act = Box<dyn Fn(&abi::EMRECORD) -> abi::STATUS + Send + Sync>;

/// The user data of a handler.
struct Script {
    act: Act,
    released: Arc<AtomicUsize>,
}

unsafe extern "C" fn play(record: *const abi::EMRECORD) -> abi::STATUS {
    // SAFETY: the host lends a record for the call; the user data is the script of `Rig::on`.
    let (record, script) = unsafe { (&*record, &*(*record).UserData.cast::<Script>()) };
    (script.act)(record)
}

unsafe extern "C" fn release(data: *mut c_void) {
    // SAFETY: made by Box::into_raw in `Rig::on`; released once.
    let script = unsafe { Box::from_raw(data.cast::<Script>()) };
    script.released.fetch_add(1, Ordering::SeqCst);
}

/// Plug-ins under construction.
#[derive(Default)]
pub(crate) struct Rig {
    hosts: Vec<&'static Host>,
    released: Arc<AtomicUsize>,
}

const EVERYTHING: u64 = u64::MAX;

fn contract(deadline_ms: u64, on_fault: OnFault) -> FaultContract {
    let deadline = Duration::from_millis(deadline_ms);
    FaultContract { deadline, deadline_max: deadline * 2, on_fault }
}

impl Rig {
    pub(crate) fn plugin(&mut self, name: &str, run: Run) -> &mut Self {
        self.plugin_with(name, run, |_, _| {})
    }

    fn plugin_with(
        &mut self,
        name: &str,
        run: Run,
        change: impl FnOnce(&mut PluginConfig, &mut Descriptor),
    ) -> &mut Self {
        let mut config = PluginConfig {
            name: name.to_owned(),
            path: "/none".into(),
            run: Some(run),
            priority: 0,
            contracts: FaultContracts::everywhere(contract(20_000, OnFault::Defer)),
            on_load_error: OnLoadError::Abort,
            threads_max: 4,
            pending_max: 4,
            sha256: None,
            section: Section::new("test", serde_json::json!({}), Default::default()),
        };
        let mut descriptor = Descriptor {
            name: name.to_owned(),
            version: "1".to_owned(),
            abi: (0, 0),
            class: Class::Inline,
            language: Language::C,
            stages: EVERYTHING,
            edits: EVERYTHING,
        };
        change(&mut config, &mut descriptor);
        self.hosts.push(Host::leak(self.hosts.len(), config, descriptor, run));
        self
    }

    /// Registers a handler of the plug-in made last.
    fn on(
        &mut self,
        event: abi::EID,
        flags: u32,
        act: impl Fn(&abi::EMRECORD) -> abi::STATUS + Send + Sync + 'static,
    ) -> abi::HEMREGISTRATION {
        let script = Box::new(Script { act: Box::new(act), released: self.released.clone() });
        let mut registration = 0;
        let host = self.hosts.last().unwrap().handle();
        let data = Box::into_raw(script).cast();
        // SAFETY: the handle is a live host's; handler, data and release belong together.
        let status = unsafe {
            (BASE.0.EMRegister)(
                host,
                event,
                flags,
                Some(play),
                data,
                Some(release),
                0,
                &raw mut registration,
            )
        };
        assert_eq!(status, abi::NOERROR);
        registration
    }

    /// The plug-in made last.
    pub(crate) fn host(&self) -> &'static Host {
        self.hosts.last().unwrap()
    }

    fn directory(&self) -> Arc<Directory> {
        let directory =
            Arc::new(Directory::new(self.hosts.clone(), Limits::default().chain_budget));
        for host in &self.hosts {
            host.close_registration();
            host.join(Arc::downgrade(&directory));
        }
        directory
    }

    fn dispatch(&self) -> Dispatch {
        Dispatch::new(self.directory().current())
    }
}

fn ask(question: Question, stage: Stage, reply: Option<Reply>) -> Ask {
    let address = SocketAddr::from(([127, 0, 0, 1], 4000));
    let facts = Facts::new(7, Arc::new(Peer::new(address, address, "test")));
    Ask { question, stage, exchange: 1, reply, facts: Arc::new(facts), message: None }
}

fn mail() -> Ask {
    let question = Question::Mail { sender: ReversePath::Null, parameters: "".into() };
    ask(question, Stage::Before, None)
}

fn accept() -> Ask {
    ask(Question::MessageAccept { octets: 5 }, Stage::Before, None)
}

fn chunk(octets: &[u8], offset: u64, last: bool) -> Ask {
    ask(Question::Body { octets: octets.into(), offset, last }, Stage::Before, None)
}

fn now(asked: Asked) -> Verdict {
    match asked {
        Asked::Answered(verdict) => verdict,
        Asked::Waiting(_) => panic!("an inline chain waits"),
    }
}

async fn answered(asked: Asked) -> Verdict {
    match asked {
        Asked::Answered(verdict) => verdict,
        Asked::Waiting(answer) => answer.await,
    }
}

/// The edits sheet of a call.
fn sheet(record: &abi::EMRECORD) -> *mut abi::EmEdits {
    // SAFETY: every event struct starts with an EmEvent.
    unsafe { (*record.Event.cast::<abi::EmEvent>()).edits }
}

fn session(record: &abi::EMRECORD) -> *const abi::EmSession {
    // SAFETY: every event struct starts with an EmEvent.
    unsafe { (*record.Event.cast::<abi::EmEvent>()).session }
}

fn lend(text: &str) -> abi::EmText {
    abi::EmText { data: text.as_ptr().cast(), len: text.len() as u64 }
}

/// Text that the host handed out.
///
/// # Safety
/// It is valid.
unsafe fn read(text: abi::EmText) -> String {
    // SAFETY: by the caller's promise.
    let octets = unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.len as usize) };
    String::from_utf8_lossy(octets).into_owned()
}

/// A service's table, asked for as a plug-in does.
fn service<T>(id: &std::ffi::CStr) -> &'static T {
    let id = abi::EmText { data: id.as_ptr(), len: id.count_bytes() as u64 };
    // SAFETY: the id is text; tables are statics of the type that the contract gives for the id.
    unsafe { (BASE.0.service)(std::ptr::null_mut(), id).cast::<T>().as_ref() }.unwrap()
}

fn give(record: &abi::EMRECORD, verdict: u32, code: u16) -> abi::STATUS {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let words = if code == 0 { "" } else { "words" };
    // SAFETY: the sheet is this call's.
    unsafe { (edits.verdict)(sheet(record), verdict, code, lend(""), lend(words)) }
}

#[test]
fn the_chain_goes_by_priority_then_configuration_and_ends_with_the_first_verdict() {
    let mut rig = Rig::default();
    let called = Arc::new(Mutex::new(String::new()));
    for (name, priority, answer) in [
        ("a", 5, abi::ERR_EM_CONTINUE),
        ("b", -1, abi::ERR_EM_CONTINUE),
        ("c", 0, abi::ERR_EM_CONTINUE),
        ("d", 0, abi::EM_VERDICT),
        ("e", 0, abi::ERR_EM_CONTINUE),
    ] {
        let called = called.clone();
        rig.plugin_with(name, Run::Inline, |config, _| config.priority = priority);
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE | abi::EM_REG_AFTER, move |record| {
            called.lock().unwrap().push_str(name);
            if answer == abi::EM_VERDICT {
                let status = give(record, abi::EM_VERDICT_REJECT, 550);
                let before = record.NotificationType == abi::EM_BEFORE;
                assert_eq!(status, if before { abi::NOERROR } else { abi::EM_ERR_STAGE });
            }
            answer
        });
    }
    let dispatch = rig.dispatch();
    assert!(dispatch.interest().contains(Event::Mail, Stage::Before));
    assert!(!dispatch.interest().contains(Event::Rcpt, Stage::Before));
    let verdict = now(dispatch.ask(mail()));
    assert_eq!(*called.lock().unwrap(), "bcd");
    assert!(
        matches!(&verdict.decision, Decision::Reject(reply) if reply.code() == 550),
        "{verdict:?}"
    );
    called.lock().unwrap().clear();
    let after = Ask { stage: Stage::After, reply: Some(Reply::new(250, None, "Ok")), ..mail() };
    assert_eq!(now(dispatch.ask(after)).decision, Decision::Continue);
    assert_eq!(*called.lock().unwrap(), "bcdea", "after runs everybody");
}

/// Every status and verdict at one event: what it decides, or that it is a fault.
#[test]
fn statuses_and_verdicts_mean_what_the_header_says() {
    const FAULT: &str = "defer 451";
    let command = |line: &[u8]| ask(Question::Command { line: line.into() }, Stage::Before, None);
    let etrn = ask(
        Question::Etrn { node: stagepost_smtp::EtrnNode::Host("x".into()) },
        Stage::Before,
        None,
    );
    let rcpt = Question::Rcpt { recipient: Address::parse("a@b").unwrap(), parameters: "".into() };
    let helo = Question::Ehlo { name: "x".into(), extended: true, keywords: "".into() };
    let vrfy = |verb| ask(Question::Vrfy { verb, argument: "x".into() }, Stage::Before, None);
    let verb = Question::Verb { verb: "XFOO".into(), argument: "".into() };
    let timeout = Question::Timeout { awaited: Awaited::Command };
    let asks: [(&str, abi::EID, Ask, bool); 17] = [
        ("connect", abi::EM_SMTPCONNECT, ask(Question::Connect, Stage::Before, None), false),
        ("noop", abi::EM_SMTPCOMMAND, command(b"NOOP"), true),
        ("data line", abi::EM_SMTPCOMMAND, command(b"data"), false),
        ("ehlo", abi::EM_SMTPEHLO, ask(helo, Stage::Before, None), false),
        ("mail", abi::EM_SMTPMAIL, mail(), false),
        ("rcpt", abi::EM_SMTPRCPT, ask(rcpt, Stage::Before, None), false),
        ("data", abi::EM_SMTPDATA, ask(Question::Data, Stage::Before, None), false),
        ("headers", abi::EM_SMTPHEADERS, ask(Question::Headers, Stage::Before, None), false),
        ("body", abi::EM_SMTPBODY, chunk(b"x", 0, true), false),
        ("accept", abi::EM_SMTPMESSAGEACCEPT, accept(), true),
        ("etrn", abi::EM_SMTPETRN, etrn, true),
        ("vrfy", abi::EM_SMTPVRFY, vrfy(VrfyVerb::Vrfy), true),
        ("expn", abi::EM_SMTPVRFY, vrfy(VrfyVerb::Expn), true),
        ("verb", abi::EM_SMTPVERB, ask(verb, Stage::Before, None), true),
        ("rset", abi::EM_SMTPRSET, ask(Question::Rset, Stage::Before, None), false),
        ("quit", abi::EM_SMTPQUIT, ask(Question::Quit, Stage::Before, None), false),
        ("timeout", abi::EM_SMTPTIMEOUT, ask(timeout, Stage::Before, None), false),
    ];
    for (name, event, question, takes_handled) in asks {
        let last = ["connect", "quit", "timeout"].contains(&name);
        let fault = if last { "defer 421" } else { FAULT };
        let handled = |text| if takes_handled { text } else { fault };
        let cells: [(abi::STATUS, u32, u16, &str); 14] = [
            (abi::ERR_EM_CONTINUE, 0, 0, "continue"),
            (abi::NOERROR, 0, 0, handled("handled")),
            (abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 0, handled("handled")),
            (abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 250, handled("handled 250")),
            (abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 550, "reject 550"),
            (abi::EM_VERDICT, abi::EM_VERDICT_DEFER, 450, "defer 450"),
            (abi::EM_VERDICT, abi::EM_VERDICT_DISCONNECT, 421, "disconnect 421"),
            (abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 450, fault),
            (abi::EM_VERDICT, 99, 550, fault),
            (abi::EM_FAULT, 0, 0, fault),
            // `return edits->verdict(...)`: the setter's success is not the handler's.
            (abi::NOERROR, abi::EM_VERDICT_REJECT, 550, fault),
            (abi::ERR_EM_CONTINUE, abi::EM_VERDICT_REJECT, 550, fault),
            (abi::NOERROR, abi::EM_VERDICT_HANDLED, 250, handled("handled 250")),
            (0x7777, 0, 0, fault),
        ];
        for (status, verdict, code, wanted) in cells {
            let mut rig = Rig::default();
            rig.plugin("p", Run::Inline).on(event, abi::EM_REG_BEFORE, move |record| {
                if verdict != 0 {
                    give(record, verdict, code);
                }
                status
            });
            let decision = now(rig.dispatch().ask(question.clone())).decision;
            let found = match &decision {
                Decision::Continue => "continue".to_owned(),
                Decision::Handled(None) => "handled".to_owned(),
                Decision::Handled(Some(reply)) => format!("handled {}", reply.code()),
                Decision::Reject(reply) => format!("reject {}", reply.code()),
                Decision::Defer(reply) => format!("defer {}", reply.code()),
                Decision::Disconnect(reply) => format!("disconnect {}", reply.code()),
            };
            assert_eq!(found, wanted, "{name}: status {status:#x}, verdict {verdict}, code {code}");
        }
    }
}

#[test]
fn what_has_no_after_can_not_be_registered_for_it() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let host = rig.hosts[0].handle();
    let register = |flags| {
        let none = std::ptr::null_mut();
        // SAFETY: the handle is a live host's; the handler is never called.
        unsafe {
            let register = BASE.0.EMRegister;
            register(host, abi::EM_SMTPTIMEOUT, flags, Some(play), none, None, 0, none.cast())
        }
    };
    let (before, after) = (abi::EM_REG_BEFORE, abi::EM_REG_AFTER);
    let found = [after, before | after, before].map(register);
    assert_eq!(found, [abi::ERR_EM_ILLEGALFLAGS, abi::ERR_EM_ILLEGALFLAGS, abi::NOERROR]);
}

#[test]
fn later_handlers_see_earlier_edits_and_faults_leave_none() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for (name, status) in
        [("one", abi::ERR_EM_CONTINUE), ("two", 0x7777), ("three", abi::ERR_EM_CONTINUE)]
    {
        let seen = seen.clone();
        rig.plugin_with(name, Run::Inline, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(20_000, OnFault::Continue));
        });
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let mut value = lend("");
            // SAFETY: session and sheet are this call's; text handed out is valid during it.
            unsafe {
                let found = (sessions.attribute)(session(record), lend("who"), &raw mut value);
                let text = std::slice::from_raw_parts(value.data.cast::<u8>(), value.len as usize);
                seen.lock().unwrap().push((found, String::from_utf8_lossy(text).into_owned()));
                assert_eq!((edits.attribute)(sheet(record), lend("who"), lend(name)), 0);
                assert_eq!((edits.header_add)(sheet(record), lend("X"), lend(name)), 0);
            }
            status
        });
    }
    let verdict = now(rig.dispatch().ask(accept()));
    let wanted = [(abi::ERR_NOT_FOUND, ""), (0, "one"), (0, "one")];
    assert_eq!(*seen.lock().unwrap(), wanted.map(|(status, text)| (status, text.to_owned())));
    let by: Vec<_> = verdict.edits.iter().map(|edit| &*edit.plugin).collect();
    assert_eq!(by, ["one", "one", "three", "three"], "{verdict:?}");
    assert_eq!(verdict.decision, Decision::Continue);
    assert!(matches!(verdict.edits[3].edit, Edit::AddHeader { .. }));
    assert_eq!(rig.hosts[1].state().faults, 1);
}

#[test]
fn a_descriptor_binds() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = 0);
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
        let refused = abi::ERR_EM_NOTAUTHORIZED;
        assert_eq!(give(record, abi::EM_VERDICT_REJECT, 550), refused);
        // SAFETY: the sheet is this call's.
        unsafe {
            assert_eq!((edits.header_add)(sheet(record), lend("X"), lend("y")), refused);
            assert_eq!((edits.attribute)(sheet(record), lend("x"), lend("y")), refused);
            assert_eq!((edits.hold)(sheet(record), lend("x")), refused);
            assert_eq!((edits.discard)(sheet(record)), refused);
        }
        abi::NOERROR
    });
    let verdict = now(rig.dispatch().ask(accept()));
    assert!(matches!(verdict.decision, Decision::Defer(_)), "an undeclared handled is a fault");
}

#[test]
fn a_registration_is_released_once_nobody_can_reach_it() {
    let mut rig = Rig::default();
    let registration =
        rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::NOERROR);
    let directory = rig.directory();
    let old = Dispatch::new(directory.current());
    let host = rig.hosts[0].handle();
    // SAFETY: the handle is a live host's.
    let deregister = || unsafe { (BASE.0.EMDeregister)(host, registration) };
    assert_eq!(deregister(), abi::NOERROR);
    assert_eq!(deregister(), abi::ERR_NOT_FOUND);
    assert!(!Dispatch::new(directory.current()).interest().contains(Event::Mail, Stage::Before));
    assert_eq!(rig.released.load(Ordering::SeqCst), 0, "a session under way still sees it");
    assert!(matches!(now(old.ask(mail())).decision, Decision::Defer(_)));
    drop(old);
    assert_eq!(rig.released.load(Ordering::SeqCst), 1);
}

/// A gate that handlers wait at, so that a test decides when a call returns.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let mut open = self.0.lock().unwrap();
        // A test that fails does not hang.
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !*open && std::time::Instant::now() < end {
            open = self.1.wait_timeout(open, Duration::from_secs(1)).unwrap().0;
        }
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

#[tokio::test]
async fn calls_on_the_pool_answer_like_others() {
    let mut rig = Rig::default();
    let caller = std::thread::current().id();
    rig.plugin("first", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        assert_eq!(std::thread::current().id(), caller);
        abi::ERR_EM_CONTINUE
    });
    rig.plugin("pooled", Run::Pool).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        assert_ne!(std::thread::current().id(), caller, "a blocking call on the async thread");
        abi::ERR_EM_CONTINUE
    });
    rig.plugin("last", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |record| {
        give(record, abi::EM_VERDICT_DEFER, 450);
        abi::EM_VERDICT
    });
    let verdict = answered(rig.dispatch().ask(mail())).await;
    assert!(matches!(verdict.decision, Decision::Defer(reply) if reply.code() == 450));
}

#[tokio::test]
async fn threads_of_a_plugin_are_bounded_and_free_again() {
    let mut rig = Rig::default();
    let gate = Arc::new(Gate::default());
    rig.plugin_with("narrow", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20, OnFault::Defer));
        config.threads_max = 1;
    });
    let waiting = gate.clone();
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        waiting.pass();
        abi::ERR_EM_CONTINUE
    });
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    assert!(matches!(answered(one.ask(mail())).await.decision, Decision::Defer(_)));
    assert!(matches!(answered(two.ask(mail())).await.decision, Decision::Defer(_)), "exhausted");
    assert_eq!(rig.hosts[0].state().faults, 2);
    gate.open();
    // The second session was never called, so it is free as soon as the thread is.
    let free = async {
        while answered(two.ask(mail())).await.decision != Decision::Continue {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), free).await.unwrap();
}

#[tokio::test]
async fn a_disconnect_is_made_even_if_no_thread_is_free_in_time() {
    let mut rig = Rig::default();
    let (gate, ended) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    rig.plugin_with("narrow", Run::Pool, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20, OnFault::Defer));
        config.threads_max = 1;
    });
    let (waiting, over) = (gate.clone(), ended.clone());
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
        waiting.pass();
        abi::ERR_EM_CONTINUE
    });
    rig.on(abi::EM_SMTPDISCONNECT, abi::EM_REG_BEFORE, move |_| {
        over.open();
        abi::ERR_EM_CONTINUE
    });
    let directory = rig.directory();
    let (one, two) = (Dispatch::new(directory.current()), Dispatch::new(directory.current()));
    assert!(matches!(answered(one.ask(mail())).await.decision, Decision::Defer(_)));
    let question = Question::Disconnect { reason: DisconnectReason::Quit };
    let owed = answered(two.ask(ask(question, Stage::Before, None))).await;
    assert_eq!(owed.decision, Decision::Continue);
    assert_eq!(rig.hosts[0].state().faults, 1, "what is owed is no fault");
    drop(two);
    gate.open();
    let waited = tokio::task::spawn_blocking(move || ended.pass());
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap().unwrap();
}

#[test]
fn nothing_is_registered_once_the_entry_point_has_returned() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let host = rig.hosts[0];
    host.close_registration();
    // SAFETY: the handle is a live host's; the handler is never called.
    let status = unsafe {
        let register = BASE.0.EMRegister;
        let none = std::ptr::null_mut();
        register(host.handle(), 224, 1, Some(play), none, Some(release), 0, none.cast())
    };
    assert_eq!(status, abi::EM_ERR_STAGE, "and what was refused is not released");
    assert!(host.registrations().is_empty());
}

#[test]
fn nobody_registers_for_after_where_there_is_none() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).host().handle();
    let register = |event, flags| {
        let none = std::ptr::null_mut();
        // SAFETY: the handle is a live host's; the handler is never called.
        unsafe { (BASE.0.EMRegister)(host, event, flags, Some(play), none, None, 0, none.cast()) }
    };
    let (before, after) = (abi::EM_REG_BEFORE, abi::EM_REG_AFTER);
    for event in Event::ALL {
        let wanted = if event.has_after() { abi::NOERROR } else { abi::ERR_EM_ILLEGALFLAGS };
        let number = crate::event::number(event);
        assert_eq!(register(number, before), abi::NOERROR, "{event:?}");
        assert_eq!(register(number, after), wanted, "{event:?}");
        assert_eq!(register(number, before | after), wanted, "{event:?}");
    }
}

#[test]
fn a_full_table_of_attributes_can_still_be_changed() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        // SAFETY: the sheet is this call's.
        let set = |name: &str| unsafe { (edits.attribute)(sheet(record), lend(name), lend("0")) };
        assert_eq!(set("last"), 0);
        assert_eq!(set("last"), 0, "its place is taken once");
        assert_eq!(set("further"), abi::EM_ERR_LIMIT);
        assert_eq!(set("a0"), 0, "a grant can be taken back");
        abi::ERR_EM_CONTINUE
    });
    let mut question = mail();
    let facts = Arc::make_mut(&mut question.facts);
    for number in 0..63 {
        let name = format!("a{number}").into();
        facts.set_attribute(Attribute { name, value: "1".into(), plugin: "q".into() });
    }
    assert_eq!(now(rig.dispatch().ask(question)).edits.len(), 3);
}

#[test]
fn slots_are_released_before_registrations() {
    static ORDER: Mutex<String> = Mutex::new(String::new());
    unsafe extern "C" fn slot(_: *mut c_void) {
        ORDER.lock().unwrap().push('s');
    }
    struct Registered;
    impl Drop for Registered {
        fn drop(&mut self) {
            ORDER.lock().unwrap().push('r');
        }
    }
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let mut rig = Rig::default();
    let registered = Registered;
    let registration =
        rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let _ = &registered;
            // SAFETY: the session is this call's.
            let status =
                unsafe { (sessions.slot_set)(session(record), std::ptr::null_mut(), Some(slot)) };
            assert_eq!(status, 0);
            abi::ERR_EM_CONTINUE
        });
    let dispatch = rig.dispatch();
    now(dispatch.ask(mail()));
    // SAFETY: the handle is a live host's.
    unsafe { (BASE.0.EMDeregister)(rig.hosts[0].handle(), registration) };
    drop(dispatch);
    assert_eq!(*ORDER.lock().unwrap(), "sr");
}

#[test]
fn a_slot_is_released_when_replaced_and_when_the_session_is_over() {
    unsafe extern "C" fn count(data: *mut c_void) {
        // SAFETY: the test gives a pointer to a leaked counter.
        unsafe { &*data.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
    }
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let counter: &'static AtomicUsize = Box::leak(Box::default());
    let calls = AtomicUsize::new(0);
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let data = std::ptr::from_ref(counter).cast_mut().cast();
        let mut found = std::ptr::null_mut();
        // SAFETY: the session is this call's.
        unsafe {
            assert_eq!((sessions.slot)(session(record), &raw mut found), 0);
            let kept = calls.fetch_add(1, Ordering::SeqCst) > 0;
            assert_eq!(found, if kept { data } else { std::ptr::null_mut() });
            assert_eq!((sessions.slot_set)(session(record), data, Some(count)), 0);
        }
        abi::ERR_EM_CONTINUE
    });
    let dispatch = rig.dispatch();
    now(dispatch.ask(mail()));
    assert_eq!(counter.load(Ordering::SeqCst), 0);
    now(dispatch.ask(mail()));
    assert_eq!(counter.load(Ordering::SeqCst), 1);
    drop(dispatch);
    assert_eq!(counter.load(Ordering::SeqCst), 2);
}
