//! A host in the test's own process: its base, and in a file each the services, which write down what they are asked.
//! Knows no plug-in.
#![allow(unsafe_code, reason = "plays the host on the other side of the contract")]
#![allow(clippy::unwrap_used, reason = "a fake host that does not hold together fails its test")]
#![allow(dead_code, unused_imports, reason = "each test uses what it needs")]

pub(crate) mod pending;

mod admin;
mod config;
mod directory;
mod extension;
mod filter;
mod layout;
mod log;
mod message;
mod metrics;
mod outbound;
mod queue;
mod session;
mod sheet;
mod state;
mod submit;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Mutex;

use stagepost_abi::*;

use admin::Verb;
pub(crate) use config::Value;
pub(crate) use message::Message;
pub(crate) use session::Session;
pub(crate) use sheet::Sheet;
use sheet::note;

/// One call of EMRegister that was granted.
pub(crate) struct Registration {
    pub(crate) event: EID,
    pub(crate) flags: u32,
    handler: EMHANDLER,
    user_data: *mut c_void,
    release: EmRelease,
}

/// A host, and how it shall behave.
#[derive(Default)]
pub(crate) struct Fake {
    /// Services that it does not have.
    pub(crate) without: Vec<&'static CStr>,
    /// The service that is of an older size.
    pub(crate) short: Option<&'static CStr>,
    /// What the layout service answers.
    pub(crate) layout: STATUS,
    /// The event whose registration it refuses.
    pub(crate) refused: EID,
    pub(crate) config: BTreeMap<&'static str, Value>,
    pub(crate) registrations: Mutex<Vec<Registration>>,
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) verbs: Mutex<Vec<Verb>>,
    pub(crate) state: Mutex<BTreeMap<String, String>>,
}

impl Fake {
    /// Calls the plug-in's entry. The host lives as long as the process, as the contract has it.
    pub(crate) fn load(
        self,
        entry: unsafe extern "C" fn(*const EmBase, *mut EmHost) -> STATUS,
    ) -> (&'static Self, STATUS) {
        let fake: &'static Self = Box::leak(Box::new(self));
        // SAFETY: base and host belong together and are never freed.
        let status = unsafe { entry(base(), ptr::from_ref(fake).cast_mut().cast()) };
        (fake, status)
    }

    /// Calls the handler of an event.
    pub(crate) fn call<T>(&self, event: EID, notification: u16, arguments: &T) -> STATUS {
        self.call_with(event, notification, ptr::from_ref(arguments).cast())
    }

    pub(crate) fn call_with(
        &self,
        event: EID,
        notification: u16,
        arguments: *const c_void,
    ) -> STATUS {
        let (handler, record) = self.record(event, notification, arguments);
        // SAFETY: the record and its event are valid during the call; the handler is registered with this user data.
        unsafe { handler.unwrap()(&record) }
    }

    /// The handler of an event, and the record that it is called with.
    fn record(
        &self,
        event: EID,
        notification: u16,
        arguments: *const c_void,
    ) -> (EMHANDLER, EMRECORD) {
        let registrations = self.registrations.lock().unwrap();
        let found = registrations.iter().find(|registration| registration.event == event);
        let found = found.expect("the plug-in is registered for the event");
        let record = EMRECORD {
            EId: event,
            NotificationType: notification,
            Status: NOERROR,
            Size: size_of::<EMRECORD>() as u16,
            Event: arguments,
            UserData: found.user_data,
        };
        (found.handler, record)
    }

    /// Ends all registrations, as the host does when it stops.
    pub(crate) fn stop(&self) {
        for registration in self.registrations.lock().unwrap().drain(..) {
            // SAFETY: each once, with what was registered.
            unsafe { registration.release.unwrap()(registration.user_data) };
        }
    }

    pub(crate) fn logged(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// What every event starts with.
pub(crate) fn event<T>(session: &Session, sheet: &Sheet) -> EmEvent {
    EmEvent {
        size: size_of::<T>() as u32,
        reserved: 0,
        session: session.handle(),
        edits: sheet.handle(),
        reply: ptr::null(),
    }
}

pub(crate) fn text(octets: &'static [u8]) -> EmText {
    EmText { data: octets.as_ptr().cast(), len: octets.len() as u64 }
}

fn read(text: EmText) -> String {
    // SAFETY: the SDK lends what it says it lends, for the call.
    let octets = unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.len as usize) };
    String::from_utf8_lossy(octets).into_owned()
}

fn fake(host: *mut EmHost) -> &'static Fake {
    // SAFETY: the handle is what `load` made of a leaked Fake.
    unsafe { &*host.cast_const().cast() }
}

fn write<T>(value: *mut T, found: Option<T>) -> STATUS {
    let Some(found) = found else { return ERR_NOT_FOUND };
    // SAFETY: the SDK hands out room for a T.
    unsafe { value.write(found) };
    NOERROR
}

fn base() -> &'static EmBase {
    Box::leak(Box::new(EmBase {
        size: size_of::<EmBase>() as u32,
        abi_major: EM_ABI_MAJOR,
        abi_minor: EM_ABI_MINOR,
        EMRegister: register,
        EMDeregister: deregister,
        EMCreateRecursionID: create_recursion_id,
        service,
        reserved: [ptr::null(); 4],
    }))
}

unsafe extern "C" fn register(
    host: *mut EmHost,
    event: EID,
    flags: u32,
    handler: EMHANDLER,
    user_data: *mut c_void,
    release: EmRelease,
    _: u16,
    handle: *mut HEMREGISTRATION,
) -> STATUS {
    let fake = fake(host);
    if event == fake.refused {
        return ERR_EM_TOOMANYADDINS;
    }
    let registration = Registration { event, flags, handler, user_data, release };
    let mut registrations = fake.registrations.lock().unwrap();
    registrations.push(registration);
    write(handle, Some(registrations.len() as HEMREGISTRATION))
}

unsafe extern "C" fn deregister(_: *mut EmHost, _: HEMREGISTRATION) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn create_recursion_id(_: *mut EmHost, _: *mut u16) -> STATUS {
    EM_ERR_LIMIT
}

unsafe extern "C" fn service(host: *mut EmHost, id: EmText) -> *const c_void {
    let (fake, id) = (fake(host), read(id));
    if fake.without.iter().any(|without| without.to_bytes() == id.as_bytes()) {
        return ptr::null();
    }
    if fake.short.is_some_and(|short| short.to_bytes() == id.as_bytes()) {
        static SHORT: u32 = 8;
        return (&raw const SHORT).cast();
    }
    match id.as_str() {
        "em.log/1" => (&raw const log::LOG).cast(),
        "em.config/1" => (&raw const config::CONFIG).cast(),
        "em.session/1" => (&raw const session::SESSION).cast(),
        "em.edits/2" => (&raw const sheet::EDITS).cast(),
        "em.layout/1" => (&raw const layout::LAYOUT).cast(),
        "em.filter/1" => (&raw const filter::FILTER).cast(),
        "em.message/1" => (&raw const message::MESSAGE).cast(),
        "em.state/1" => (&raw const state::STATE).cast(),
        "em.directory/1" => (&raw const directory::DIRECTORY).cast(),
        "em.admin/1" => (&raw const admin::ADMIN).cast(),
        "em.extension/1" => (&raw const extension::EXTENSION).cast(),
        "em.queue/1" => (&raw const queue::QUEUE).cast(),
        "em.metrics/1" => (&raw const metrics::METRICS).cast(),
        "em.submit/1" => (&raw const submit::SUBMIT).cast(),
        "em.outbound/1" => (&raw const outbound::OUTBOUND).cast(),
        "em.async/1" => (&raw const pending::ASYNC).cast(),
        "em.timers/1" => (&raw const pending::TIMERS).cast(),
        "em.dns/1" => (&raw const pending::DNS).cast(),
        _ => ptr::null(),
    }
}
