//! A host in the test's own process: the contract's tables, made by hand, that write down what they are asked.
//! Knows no plug-in.
#![allow(unsafe_code, reason = "plays the host on the other side of the contract")]
#![allow(clippy::unwrap_used, reason = "a fake host that does not hold together fails its test")]
#![allow(dead_code, reason = "each test uses what it needs")]

pub(crate) mod pending;

mod extension;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Mutex;

use stagepost_abi::*;

/// A value of the configuration.
pub(crate) enum Value {
    Text(&'static str),
    Integer(i64),
}

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

/// A session, and what is kept for it.
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) recipients: Vec<&'static str>,
    slot: Cell<*mut c_void>,
    release: Cell<EmRelease>,
}

impl Session {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            recipients: Vec::new(),
            slot: Cell::new(ptr::null_mut()),
            release: Cell::new(None),
        }
    }

    pub(crate) fn handle(&self) -> *const EmSession {
        ptr::from_ref(self).cast()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(release) = self.release.get() {
            // SAFETY: given with this slot, and called once.
            unsafe { release(self.slot.get()) };
        }
    }
}

/// The sheet of one call.
#[derive(Default)]
pub(crate) struct Sheet(RefCell<Vec<String>>);

impl Sheet {
    pub(crate) fn handle(&self) -> *mut EmEdits {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
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

fn session<'a>(handle: *const EmSession) -> &'a Session {
    // SAFETY: the handle is what `Session::handle` made, and lives during the call.
    unsafe { &*handle.cast() }
}

fn note(edits: *mut EmEdits, line: String) -> STATUS {
    let refused = line.contains("refuse me");
    // SAFETY: the handle is what `Sheet::handle` made, and lives during the call.
    unsafe { &*edits.cast_const().cast::<Sheet>() }.0.borrow_mut().push(line);
    if refused { EM_ERR_STAGE } else { NOERROR }
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
        "em.log/1" => (&raw const LOG).cast(),
        "em.config/1" => (&raw const CONFIG).cast(),
        "em.session/1" => (&raw const SESSION).cast(),
        "em.edits/1" => (&raw const EDITS).cast(),
        "em.layout/1" => (&raw const LAYOUT).cast(),
        "em.filter/1" => (&raw const FILTER).cast(),
        "em.message/1" => (&raw const MESSAGE).cast(),
        "em.state/1" => (&raw const STATE).cast(),
        "em.directory/1" => (&raw const DIRECTORY).cast(),
        "em.admin/1" => (&raw const ADMIN).cast(),
        "em.extension/1" => (&raw const extension::EXTENSION).cast(),
        "em.queue/1" => (&raw const QUEUE).cast(),
        "em.metrics/1" => (&raw const METRICS).cast(),
        "em.async/1" => (&raw const pending::ASYNC).cast(),
        "em.timers/1" => (&raw const pending::TIMERS).cast(),
        "em.dns/1" => (&raw const pending::DNS).cast(),
        _ => ptr::null(),
    }
}

static FILTER: EmFilterService =
    EmFilterService { size: size_of::<EmFilterService>() as u32, reserved: 0, narrow };

/// Takes a filter when the plug-in is registered for it; refuses networks that are a word.
unsafe extern "C" fn narrow(
    host: *mut EmHost,
    registration: HEMREGISTRATION,
    filter: *const EmFilter,
) -> STATUS {
    let fake = fake(host);
    if registration as usize != fake.registrations.lock().unwrap().len() {
        return ERR_NOT_FOUND;
    }
    // SAFETY: the SDK lends a whole filter for the call.
    let filter = unsafe { filter.read() };
    let networks = read(filter.networks);
    if networks.contains("word") {
        return ERR_MISC_INVALID_ARGS;
    }
    fake.log.lock().unwrap().push(format!(
        "narrow {registration} networks {networks:?} listeners {:?} senders {:?} recipients {:?}",
        read(filter.listeners),
        read(filter.sender_domains),
        read(filter.recipient_domains)
    ));
    NOERROR
}

static LOG: EmLogService =
    EmLogService { size: size_of::<EmLogService>() as u32, reserved: 0, write: log_write, enabled };

unsafe extern "C" fn log_write(
    host: *mut EmHost,
    of: *const EmSession,
    level: u32,
    message: EmText,
) -> STATUS {
    let place = if of.is_null() { "-".to_owned() } else { session(of).id.to_string() };
    fake(host).log.lock().unwrap().push(format!("{level} {place} {}", read(message)));
    NOERROR
}

unsafe extern "C" fn enabled(_: *mut EmHost, level: u32) -> u8 {
    (level <= EM_LOG_INFO).into()
}

static CONFIG: EmConfigService = EmConfigService {
    size: size_of::<EmConfigService>() as u32,
    reserved: 0,
    text: config_text,
    integer: config_integer,
    boolean: config_boolean,
    json: config_text,
    place: config_place,
};

unsafe extern "C" fn config_text(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS {
    match fake(host).config.get(read(key).as_str()) {
        Some(Value::Text(found)) => write(value, Some(text(found.as_bytes()))),
        Some(_) => EM_ERR_TYPE,
        None => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn config_integer(host: *mut EmHost, key: EmText, value: *mut i64) -> STATUS {
    match fake(host).config.get(read(key).as_str()) {
        Some(Value::Integer(found)) => write(value, Some(*found)),
        Some(_) => EM_ERR_TYPE,
        None => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn config_boolean(host: *mut EmHost, key: EmText, _: *mut u8) -> STATUS {
    let known = fake(host).config.contains_key(read(key).as_str());
    if known { EM_ERR_TYPE } else { ERR_NOT_FOUND }
}

unsafe extern "C" fn config_place(host: *mut EmHost, key: EmText, place: *mut EmPlace) -> STATUS {
    let known = fake(host).config.contains_key(read(key).as_str());
    write(place, known.then(|| EmPlace { file: text(b"some.toml"), line: 7, column: 3 }))
}

static SESSION: EmSessionService = EmSessionService {
    size: size_of::<EmSessionService>() as u32,
    reserved: 0,
    text: session_text,
    number: session_number,
    recipient: session_recipient,
    attribute: session_attribute,
    slot: session_slot,
    slot_set: session_slot_set,
    tag: session_tag,
};

unsafe extern "C" fn session_text(_: *const EmSession, fact: u32, value: *mut EmText) -> STATUS {
    match fact {
        EM_FACT_REMOTE_IP => write(value, Some(text(b"192.0.2.1"))),
        EM_FACT_HELO => write(value, Some(text(b"not utf-8: \xFF"))),
        _ => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn session_number(of: *const EmSession, fact: u32, value: *mut u64) -> STATUS {
    match fact {
        EM_FACT_ID => write(value, Some(session(of).id)),
        EM_FACT_RECIPIENTS => write(value, Some(session(of).recipients.len() as u64)),
        EM_FACT_TAGS => write(value, Some(2)),
        EM_FACT_REMOTE_PORT => write(value, Some(70_000)),
        _ => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn session_recipient(
    of: *const EmSession,
    index: u64,
    value: *mut EmText,
) -> STATUS {
    let found = session(of).recipients.get(index as usize);
    write(value, found.map(|recipient| text(recipient.as_bytes())))
}

unsafe extern "C" fn session_tag(_: *const EmSession, index: u64, value: *mut EmText) -> STATUS {
    write(value, [text(b"seen"), text(b"odd")].get(index as usize).copied())
}

unsafe extern "C" fn session_attribute(
    _: *const EmSession,
    name: EmText,
    value: *mut EmText,
) -> STATUS {
    write(value, (read(name) == "relay_granted").then(|| text(b"1")))
}

unsafe extern "C" fn session_slot(of: *const EmSession, value: *mut *mut c_void) -> STATUS {
    write(value, Some(session(of).slot.get()))
}

unsafe extern "C" fn session_slot_set(
    of: *const EmSession,
    value: *mut c_void,
    release: EmRelease,
) -> STATUS {
    if session(of).id == 0 {
        return EM_ERR_LIMIT;
    }
    assert!(session(of).slot.replace(value).is_null(), "the SDK sets the slot once");
    session(of).release.set(release);
    NOERROR
}

static EDITS: EmEditsService = EmEditsService {
    size: size_of::<EmEditsService>() as u32,
    reserved: 0,
    verdict: edits_verdict,
    reply_text: edits_reply_text,
    attribute: edits_attribute,
    header_add: edits_header_add,
    hold: edits_hold,
    discard: edits_discard,
    header_insert: edits_header_insert,
    header_change: edits_header_change,
    header_delete: edits_header_delete,
    sender: edits_sender,
    recipient_add: edits_recipient_add,
    recipient_remove: edits_recipient_remove,
    recipient_replace: edits_recipient_replace,
    command_replace: edits_command_replace,
    tag: edits_tag,
    body_prepend: edits_body_prepend,
    body_append: edits_body_append,
    body_replace: edits_body_replace,
    keyword_add: edits_keyword_add,
    keyword_remove: edits_keyword_remove,
};

unsafe extern "C" fn edits_verdict(
    edits: *mut EmEdits,
    verdict: u32,
    code: u16,
    enhanced: EmText,
    text: EmText,
) -> STATUS {
    note(edits, format!("verdict {verdict} {code} {} {}", read(enhanced), read(text)));
    let class = code / 100;
    match verdict {
        EM_VERDICT_REJECT if class != 5 => ERR_MISC_INVALID_ARGS,
        EM_VERDICT_DEFER if class != 4 => ERR_MISC_INVALID_ARGS,
        _ => NOERROR,
    }
}

unsafe extern "C" fn edits_reply_text(edits: *mut EmEdits, text: EmText) -> STATUS {
    note(edits, format!("reply_text {}", read(text)))
}

unsafe extern "C" fn edits_attribute(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS {
    note(edits, format!("attribute {} {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_add(edits: *mut EmEdits, name: EmText, value: EmText) -> STATUS {
    note(edits, format!("header_add {}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_hold(edits: *mut EmEdits, reason: EmText) -> STATUS {
    note(edits, format!("hold {}", read(reason)))
}

unsafe extern "C" fn edits_discard(edits: *mut EmEdits) -> STATUS {
    note(edits, "discard".to_owned())
}

unsafe extern "C" fn edits_header_insert(
    edits: *mut EmEdits,
    position: u32,
    name: EmText,
    value: EmText,
) -> STATUS {
    note(edits, format!("header_insert {position} {}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_change(
    edits: *mut EmEdits,
    name: EmText,
    index: u32,
    value: EmText,
) -> STATUS {
    note(edits, format!("header_change {} {index}: {}", read(name), read(value)))
}

unsafe extern "C" fn edits_header_delete(edits: *mut EmEdits, name: EmText, index: u32) -> STATUS {
    note(edits, format!("header_delete {} {index}", read(name)))
}

unsafe extern "C" fn edits_sender(edits: *mut EmEdits, path: EmText, parameters: EmText) -> STATUS {
    note(edits, format!("sender <{}> {}", read(path), read(parameters)))
}

unsafe extern "C" fn edits_recipient_add(
    edits: *mut EmEdits,
    path: EmText,
    parameters: EmText,
) -> STATUS {
    note(edits, format!("recipient_add <{}> {}", read(path), read(parameters)))
}

unsafe extern "C" fn edits_recipient_remove(edits: *mut EmEdits, path: EmText) -> STATUS {
    note(edits, format!("recipient_remove <{}>", read(path)))
}

unsafe extern "C" fn edits_recipient_replace(edits: *mut EmEdits, path: EmText) -> STATUS {
    note(edits, format!("recipient_replace <{}>", read(path)))
}

unsafe extern "C" fn edits_tag(edits: *mut EmEdits, name: EmText) -> STATUS {
    note(edits, format!("tag {}", read(name)))
}

unsafe extern "C" fn edits_body_prepend(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_prepend {}", read(octets)))
}

unsafe extern "C" fn edits_body_append(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_append {}", read(octets)))
}

unsafe extern "C" fn edits_body_replace(edits: *mut EmEdits, octets: EmText) -> STATUS {
    note(edits, format!("body_replace {}", read(octets)))
}

unsafe extern "C" fn edits_keyword_add(
    edits: *mut EmEdits,
    keyword: EmText,
    parameters: EmText,
) -> STATUS {
    note(edits, format!("keyword_add {} {}", read(keyword), read(parameters)))
}

unsafe extern "C" fn edits_keyword_remove(edits: *mut EmEdits, keyword: EmText) -> STATUS {
    note(edits, format!("keyword_remove {}", read(keyword)))
}

unsafe extern "C" fn edits_command_replace(edits: *mut EmEdits, line: EmText) -> STATUS {
    note(edits, format!("command_replace {}", read(line)))
}

/// A message of the test.
pub(crate) struct Message {
    pub(crate) header: &'static [u8],
    /// Lent piece by piece; the offset must be where one begins.
    pub(crate) pieces: Vec<&'static [u8]>,
}

impl Message {
    pub(crate) fn handle(&self) -> *const EmMessage {
        ptr::from_ref(self).cast()
    }
}

static MESSAGE: EmMessageService = EmMessageService {
    size: size_of::<EmMessageService>() as u32,
    reserved: 0,
    header: message_header,
    body: message_body,
};

fn message<'a>(handle: *const EmMessage) -> &'a Message {
    // SAFETY: the handle is what `Message::handle` made, and lives during the call.
    unsafe { &*handle.cast() }
}

unsafe extern "C" fn message_header(of: *const EmMessage, value: *mut EmText) -> STATUS {
    write(value, Some(text(message(of).header)))
}

unsafe extern "C" fn message_body(of: *const EmMessage, offset: u64, value: *mut EmText) -> STATUS {
    let mut at = 0;
    for piece in &message(of).pieces {
        if at == offset {
            return if *piece == b"unreadable" {
                EM_ERR_IO
            } else {
                write(value, Some(text(piece)))
            };
        }
        at += piece.len() as u64;
    }
    assert_eq!(at, offset, "the SDK asks where pieces begin");
    write(value, Some(text(b"")))
}

static LAYOUT: EmLayoutService =
    EmLayoutService { size: size_of::<EmLayoutService>() as u32, reserved: 0, check: layout_check };

unsafe extern "C" fn layout_check(host: *mut EmHost, offer: *const c_void) -> STATUS {
    // SAFETY: the SDK's offer is that of this build.
    unsafe { stagepost_layout::compare(offer) }.expect("the SDK and this test are built together");
    fake(host).layout
}

static METRICS: EmMetricsService = EmMetricsService {
    size: size_of::<EmMetricsService>() as u32,
    reserved: 0,
    counter: metrics_counter,
    gauge: metrics_gauge,
    histogram: metrics_histogram,
    add: metrics_add,
    set: metrics_set,
    observe: metrics_observe,
};

/// A metric, and what was done with it.
struct Metric {
    host: &'static Fake,
    name: String,
}

fn metric(host: *mut EmHost, kind: &str, name: EmText, help: EmText) -> Option<*mut EmMetric> {
    let (host, name) = (fake(host), read(name));
    if name == "refused" {
        return None;
    }
    host.log.lock().unwrap().push(format!("{kind} {name}: {}", read(help)));
    Some(Box::into_raw(Box::new(Metric { host, name })).cast())
}

fn note_metric(metric: *mut EmMetric, line: String) -> STATUS {
    // SAFETY: the handle is what `metric` made, and is never freed.
    let metric = unsafe { &*metric.cast::<Metric>() };
    metric.host.log.lock().unwrap().push(format!("{} {line}", metric.name));
    NOERROR
}

unsafe extern "C" fn metrics_counter(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    value: *mut *mut EmMetric,
) -> STATUS {
    write(value, metric(host, "counter", name, help))
}

unsafe extern "C" fn metrics_gauge(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    value: *mut *mut EmMetric,
) -> STATUS {
    write(value, metric(host, "gauge", name, help))
}

unsafe extern "C" fn metrics_histogram(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    bounds: *const f64,
    count: u64,
    value: *mut *mut EmMetric,
) -> STATUS {
    // SAFETY: the SDK lends that many for the call.
    let bounds = unsafe { std::slice::from_raw_parts(bounds, count as usize) };
    write(value, metric(host, &format!("histogram {bounds:?}"), name, help))
}

unsafe extern "C" fn metrics_add(metric: *mut EmMetric, amount: i64) -> STATUS {
    note_metric(metric, format!("add {amount}"))
}

unsafe extern "C" fn metrics_set(metric: *mut EmMetric, value: i64) -> STATUS {
    note_metric(metric, format!("set {value}"))
}

unsafe extern "C" fn metrics_observe(metric: *mut EmMetric, value: f64) -> STATUS {
    note_metric(metric, format!("observe {value}"))
}

static ADMIN: EmAdminService = EmAdminService {
    size: size_of::<EmAdminService>() as u32,
    reserved: 0,
    verb: admin_verb,
    answer: admin_answer,
    fail: admin_fail,
};

/// A verb that the plug-in made.
pub(crate) struct Verb {
    name: String,
    handler: EmAdminVerb,
    user_data: *mut c_void,
    release: EmRelease,
}

impl Fake {
    /// Calls a verb as an operator does: its status, and what it said.
    pub(crate) fn call_verb(&self, name: &str, arguments: &'static [u8]) -> (STATUS, Vec<String>) {
        let verbs = self.verbs.lock().unwrap();
        let verb = verbs.iter().find(|verb| verb.name == name).expect("the plug-in has the verb");
        let mut said: Vec<String> = Vec::new();
        let call = (&raw mut said).cast();
        // SAFETY: the call is valid until the handler returns; handler and user data belong together.
        let status = unsafe { verb.handler.unwrap()(call, text(arguments), verb.user_data) };
        (status, said)
    }

    /// Gives the verbs back, as the host does when it stops.
    pub(crate) fn drop_verbs(&self) {
        for verb in self.verbs.lock().unwrap().drain(..) {
            // SAFETY: each once, with what was given.
            unsafe { verb.release.unwrap()(verb.user_data) };
        }
    }
}

unsafe extern "C" fn admin_verb(
    host: *mut EmHost,
    name: EmText,
    help: EmText,
    handler: EmAdminVerb,
    user_data: *mut c_void,
    release: EmRelease,
) -> STATUS {
    if read(help).is_empty() {
        return ERR_MISC_INVALID_ARGS;
    }
    let verb = Verb { name: read(name), handler, user_data, release };
    fake(host).verbs.lock().unwrap().push(verb);
    NOERROR
}

fn say(call: *mut EmAdminCall, line: String) -> STATUS {
    // SAFETY: the handle is what `call_verb` made of a list of its own.
    unsafe { &mut *call.cast::<Vec<String>>() }.push(line);
    NOERROR
}

unsafe extern "C" fn admin_answer(call: *mut EmAdminCall, json: EmText) -> STATUS {
    match read(json).as_str() {
        "no json" => ERR_MISC_INVALID_ARGS,
        json => say(call, format!("answer {json}")),
    }
}

unsafe extern "C" fn admin_fail(call: *mut EmAdminCall, message: EmText) -> STATUS {
    say(call, format!("fail {}", read(message)))
}

static QUEUE: EmQueueService = EmQueueService {
    size: size_of::<EmQueueService>() as u32,
    reserved: 0,
    count_wait: queue_count_wait,
    hold_wait: queue_hold_wait,
    release_wait: queue_move_wait,
    flush_wait: queue_move_wait,
    count: queue_ask,
    hold: queue_hold,
    release: queue_ask,
    flush: queue_ask,
    result: queue_result,
};

unsafe extern "C" fn queue_count_wait(
    host: *mut EmHost,
    destination: EmText,
    count: *mut EmQueueCount,
) -> STATUS {
    fake(host).log.lock().unwrap().push(format!("count {}", read(destination)));
    let size = size_of::<EmQueueCount>() as u32;
    write(count, Some(EmQueueCount { size, reserved: 0, queued: 3, held: 2, octets: 1 }))
}

unsafe extern "C" fn queue_hold_wait(
    host: *mut EmHost,
    destination: EmText,
    reason: EmText,
    count: *mut EmQueueCount,
) -> STATUS {
    fake(host).log.lock().unwrap().push(format!("hold {} {}", read(destination), read(reason)));
    let size = size_of::<EmQueueCount>() as u32;
    write(count, Some(EmQueueCount { size, reserved: 0, queued: 5, held: 0, octets: 0 }))
}

unsafe extern "C" fn queue_move_wait(
    _: *mut EmHost,
    destination: EmText,
    _: *mut EmQueueCount,
) -> STATUS {
    if read(destination) == "refuse me" { EM_ERR_IO } else { NOERROR }
}

unsafe extern "C" fn queue_ask(_: *mut EmHost, _: EmToken, _: EmText, _: *mut EmRequest) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn queue_hold(
    _: *mut EmHost,
    _: EmToken,
    _: EmText,
    _: EmText,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn queue_result(_: *mut EmHost, _: EmRequest, _: *mut EmQueueCount) -> STATUS {
    ERR_NOT_FOUND
}

static STATE: EmStateService = EmStateService {
    size: size_of::<EmStateService>() as u32,
    reserved: 0,
    get_wait: state_get_wait,
    put_wait: state_put_wait,
    remove_wait: state_remove_wait,
    next_wait: state_next_wait,
    get: state_get,
    put: state_put,
    remove: state_remove,
    next: state_next,
};

fn state_found(host: *mut EmHost, key: EmText) -> Result<String, STATUS> {
    match read(key).as_str() {
        "broken" => Err(EM_ERR_IO),
        key => fake(host).state.lock().unwrap().get(key).cloned().ok_or(ERR_NOT_FOUND),
    }
}

fn state_behind(host: *mut EmHost, prefix: EmText, after: EmText) -> Result<String, STATUS> {
    let (prefix, after) = (read(prefix), read(after));
    let state = fake(host).state.lock().unwrap();
    let mut keys = state.keys().filter(|key| key.starts_with(&prefix) && **key > after);
    keys.next().cloned().ok_or(ERR_NOT_FOUND)
}

fn state_changed(host: *mut EmHost, key: EmText, value: Option<EmText>) -> Result<String, STATUS> {
    let key = read(key);
    if key == "broken" {
        return Err(EM_ERR_IO);
    }
    let mut state = fake(host).state.lock().unwrap();
    match value {
        Some(value) => drop(state.insert(key, read(value))),
        None => drop(state.remove(&key)),
    }
    Ok(String::new())
}

fn fill(
    found: Result<String, STATUS>,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    match found {
        Ok(found) if found.len() as u64 <= capacity => {
            // SAFETY: the SDK hands out a buffer of that capacity.
            unsafe { ptr::copy_nonoverlapping(found.as_ptr(), buffer.cast(), found.len()) };
            write(length, Some(found.len() as u64))
        }
        Ok(_) => EM_ERR_LIMIT,
        Err(status) => status,
    }
}

/// Tells now, or later from another thread, as a host may; "refused" it does not begin.
fn tell(found: Result<String, STATUS>, done: EmStateDone, context: *mut c_void) -> STATUS {
    let done = done.unwrap();
    if found == Err(EM_ERR_LIMIT) {
        return EM_ERR_LIMIT;
    }
    let (status, value) = match found {
        Ok(value) => (NOERROR, value),
        Err(status) => (status, String::new()),
    };
    let context = context as usize;
    let say = move || {
        let text = EmText { data: value.as_ptr().cast(), len: value.len() as u64 };
        // SAFETY: told once, with the context that was given.
        unsafe { done(status, text, context as *mut c_void) };
    };
    if status == NOERROR {
        drop(std::thread::spawn(say))
    } else {
        say()
    }
    NOERROR
}

fn unless_refused(key: EmText, found: Result<String, STATUS>) -> Result<String, STATUS> {
    if read(key) == "refused" { Err(EM_ERR_LIMIT) } else { found }
}

unsafe extern "C" fn state_get_wait(
    host: *mut EmHost,
    key: EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    fill(state_found(host, key), buffer, capacity, length)
}

unsafe extern "C" fn state_put_wait(host: *mut EmHost, key: EmText, value: EmText) -> STATUS {
    state_changed(host, key, Some(value)).map_or_else(|status| status, |_| NOERROR)
}

unsafe extern "C" fn state_remove_wait(host: *mut EmHost, key: EmText) -> STATUS {
    state_changed(host, key, None).map_or_else(|status| status, |_| NOERROR)
}

unsafe extern "C" fn state_next_wait(
    host: *mut EmHost,
    prefix: EmText,
    after: EmText,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> STATUS {
    fill(state_behind(host, prefix, after), buffer, capacity, length)
}

unsafe extern "C" fn state_get(
    host: *mut EmHost,
    key: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(unless_refused(key, state_found(host, key)), done, context)
}

unsafe extern "C" fn state_put(
    host: *mut EmHost,
    key: EmText,
    value: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_changed(host, key, Some(value)), done, context)
}

unsafe extern "C" fn state_remove(
    host: *mut EmHost,
    key: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_changed(host, key, None), done, context)
}

unsafe extern "C" fn state_next(
    host: *mut EmHost,
    prefix: EmText,
    after: EmText,
    done: EmStateDone,
    context: *mut c_void,
) -> STATUS {
    tell(state_behind(host, prefix, after), done, context)
}

static DIRECTORY: EmDirectoryService = EmDirectoryService {
    size: size_of::<EmDirectoryService>() as u32,
    reserved: 0,
    user: directory_user,
    member: directory_member,
    group: directory_group,
};

unsafe extern "C" fn directory_user(_: *mut EmHost, address: EmText) -> STATUS {
    match read(address).as_str() {
        "alice@here" => NOERROR,
        address if address.contains('@') => ERR_NOT_FOUND,
        _ => ERR_MISC_INVALID_ARGS,
    }
}

unsafe extern "C" fn directory_member(_: *mut EmHost, _: EmText, group: EmText) -> STATUS {
    if read(group) == "staff" { NOERROR } else { ERR_NOT_FOUND }
}

unsafe extern "C" fn directory_group(
    _: *mut EmHost,
    _: EmText,
    index: u32,
    group: *mut EmText,
) -> STATUS {
    write(group, ["staff", "all"].get(index as usize).map(|name| text(name.as_bytes())))
}
