//! Dispatch with plug-ins that live in the test: the rig that makes them, and below it the tests by what they look at.
//! Plays both sides of the contract; loads no file.

mod allocations;
mod atrn;
mod auth;
mod bodies;
mod chain;
mod chance;
mod claims;
mod contracts;
mod dns;
mod edits;
mod figures;
mod filters;
mod gate;
mod pending;
mod pool;
mod questions;
mod queue;
mod reading;
mod registering;
mod releases;
mod replies;
mod schedules;
mod slots;
mod state;
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

use gate::Gate;

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
            state_octets_max: 1 << 20,
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
    pub(crate) fn on(
        &mut self,
        event: abi::EID,
        flags: u32,
        act: impl Fn(&abi::EMRECORD) -> abi::STATUS + Send + Sync + 'static,
    ) -> abi::HEMREGISTRATION {
        self.on_with(event, flags, 0, act)
    }

    /// As `on`, with a recursion id.
    pub(crate) fn on_with(
        &mut self,
        event: abi::EID,
        flags: u32,
        recursion_id: u16,
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
                recursion_id,
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
    Ask { question, stage, exchange: 1, reply, facts: Arc::new(facts), message: None, secret: None }
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

/// A decision in a word, with the code of its reply.
fn decided(decision: &Decision) -> String {
    match decision {
        Decision::Continue => "continue".to_owned(),
        Decision::Handled(None) => "handled".to_owned(),
        Decision::Handled(Some(reply)) => format!("handled {}", reply.code()),
        Decision::Reject(reply) => format!("reject {}", reply.code()),
        Decision::Defer(reply) => format!("defer {}", reply.code()),
        Decision::Disconnect(reply) => format!("disconnect {}", reply.code()),
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
