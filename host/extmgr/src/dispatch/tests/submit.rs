//! The submit service: who may make messages, in which order, and that one is in one hand at a time.

use super::pending::{async_service, leak, look, take_with};
use super::queue::opened;
use super::*;

fn submit() -> &'static abi::EmSubmitService {
    service(abi::EM_SUBMIT_ID)
}

/// Begins a message, without a cause or with the session of a record.
fn begin(host: &'static Host, record: Option<&abi::EMRECORD>) -> Result<u64, abi::STATUS> {
    let (mut message, cause) = (0, record.map_or(std::ptr::null(), session));
    // SAFETY: the handle is a live host's; the session is this call's; the text is lent; there is room for the number.
    let status =
        unsafe { (submit().begin)(host.handle(), cause, lend("s@a"), lend(""), &raw mut message) };
    if status == abi::NOERROR { Ok(message) } else { Err(status) }
}

fn add(host: &'static Host, message: u64, path: &str, flags: u32) -> abi::STATUS {
    // SAFETY: the handle is a live host's; the text is lent.
    unsafe { (submit().recipient)(host.handle(), message, lend(path), lend(""), flags) }
}

fn write(host: &'static Host, message: u64, octets: &str) -> abi::STATUS {
    // SAFETY: the handle is a live host's; the octets are lent.
    unsafe { (submit().write_wait)(host.handle(), message, lend(octets)) }
}

fn shown(id: &abi::EmQueueId) -> String {
    // SAFETY: the last place is a NUL.
    unsafe { std::ffi::CStr::from_ptr(id.text.as_ptr()) }.to_string_lossy().into_owned()
}

fn commit(host: &'static Host, message: u64) -> Result<String, abi::STATUS> {
    let mut id = abi::EmQueueId { text: [0; 32] };
    // SAFETY: the handle is a live host's; there is room for the id.
    let status = unsafe { (submit().commit_wait)(host.handle(), message, &raw mut id) };
    if status == abi::NOERROR { Ok(shown(&id)) } else { Err(status) }
}

fn abandon(host: &'static Host, message: u64) -> abi::STATUS {
    // SAFETY: the handle is a live host's.
    unsafe { (submit().abandon)(host.handle(), message) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_made_on_a_thread_that_may_block() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Pool);
    let host = rig.hosts[0];
    assert_eq!(begin(host, None), Err(abi::EM_ERR_STAGE), "while it is loaded");
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let message = begin(host, Some(record)).unwrap();
        assert_eq!(add(host, message, "nobody", 0), abi::EM_ERR_ROUTE);
        assert_eq!(add(host, message, "a@b", 2), abi::ERR_MISC_INVALID_ARGS);
        assert_eq!(add(host, message, "a@b", abi::EM_SUBMIT_GRANT), abi::NOERROR);
        assert_eq!(write(host, message, "octets"), abi::NOERROR);
        assert_eq!(add(host, message + 1, "a@b", 0), abi::ERR_NOT_FOUND);
        // Cut to what an id has room for.
        assert_eq!(commit(host, message).unwrap(), "p 7 0 <s@a>|a@b true|octets");
        assert_eq!(commit(host, message), Err(abi::ERR_NOT_FOUND));
        let lost = begin(host, None).unwrap();
        assert_eq!(write(host, lost, "lost"), abi::EM_ERR_IO);
        assert_eq!(write(host, lost, "more"), abi::ERR_NOT_FOUND);
        let messages: Vec<u64> = (0..64).map(|_| begin(host, None).unwrap()).collect();
        assert_eq!(begin(host, None), Err(abi::EM_ERR_LIMIT));
        assert!(messages.iter().all(|message| abandon(host, *message) == abi::NOERROR));
        assert_eq!(abandon(host, messages[0]), abi::ERR_NOT_FOUND);
        abi::ERR_EM_CONTINUE
    });
    let directory = opened(&rig);
    answered(Dispatch::new(directory.current()).ask(mail())).await;
    assert_eq!(host.state().faults, 0);
}

#[test]
fn messages_are_for_those_who_declare_them() {
    let mut rig = Rig::default();
    rig.plugin_with("p", Run::Pool, |_, descriptor| descriptor.edits = !abi::EM_EDIT_SUBMIT);
    let host = rig.hosts[0];
    let refused = abi::ERR_EM_NOTAUTHORIZED;
    assert_eq!((begin(host, None), commit(host, 1)), (Err(refused), Err(refused)));
    let statuses = [add(host, 1, "a@b", 0), write(host, 1, "x"), abandon(host, 1)];
    assert_eq!(statuses, [refused; 3]);
}

#[tokio::test]
async fn a_message_is_in_one_hand_at_a_time() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let host = rig.hosts[0];
    // A host that was asked for it makes room for calls that may go pending.
    async_service(host);
    let asked = Arc::new(Mutex::new((0, 0)));
    let (reading, seen) = (asked.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = seen.clone();
    let poll = leak(move |_, _| {
        let (message, request) = *reading.lock().unwrap();
        let mut id = abi::EmQueueId { text: [0; 32] };
        // SAFETY: the handle is a live host's; there is room for the id.
        let status = unsafe { (submit().result)(host.handle(), request, &raw mut id) };
        // SAFETY: as before.
        let again = unsafe { (submit().result)(host.handle(), request, &raw mut id) };
        assert_eq!(again, abi::ERR_MISC_INVALID_ARGS, "taken before");
        log.lock().unwrap().push((status, shown(&id), abandon(host, message)));
        abi::ERR_EM_CONTINUE
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(async_service(host), record, Some(look), poll.data()).unwrap();
        let (message, mut request) = (begin(host, None).unwrap(), 0);
        assert_eq!(write(host, message, "x"), abi::EM_ERR_STAGE, "in line nobody waits");
        // SAFETY: the handle is a live host's; octets are lent; there is room for the request.
        unsafe {
            let begun = |token, request| {
                (submit().write)(host.handle(), token, message, lend("octets"), request)
            };
            assert_eq!(begun(u64::MAX, &raw mut request), abi::ERR_NOT_FOUND);
            assert_eq!(begun(token, &raw mut request), abi::NOERROR);
            assert_eq!(begun(token, &raw mut request), abi::EM_ERR_STAGE);
        }
        assert_eq!(add(host, message, "a@b", 0), abi::EM_ERR_STAGE);
        *asked.lock().unwrap() = (message, request);
        abi::EM_PENDING
    });
    let directory = opened(&rig);
    answered(Dispatch::new(directory.current()).ask(mail())).await;
    assert_eq!(*seen.lock().unwrap(), [(abi::NOERROR, String::new(), abi::NOERROR)]);
    drop(directory);
}

/// Registers for messages of plug-ins, too.
fn see(rig: &mut Rig, recursion_id: u16, act: impl Fn(&abi::EMRECORD) + Send + Sync + 'static) {
    let flags = abi::EM_REG_BEFORE | abi::EM_REG_SUBMITTED;
    rig.on_with(abi::EM_SMTPMESSAGEACCEPT, flags, recursion_id, move |record| {
        act(record);
        abi::ERR_EM_CONTINUE
    });
}

/// An id of the plug-in that was made last.
fn recursion(rig: &Rig) -> u16 {
    let mut id = 0;
    // SAFETY: the handle is a live host's; there is room for the id.
    let status = unsafe { (BASE.0.EMCreateRecursionID)(rig.host().handle(), &raw mut id) };
    assert_eq!(status, abi::NOERROR);
    id
}

/// The place of a plug-in that registers without a recursion id.
const NO_ID: usize = usize::MAX;

/// What a message of a client leads to, when plug-ins that see it and each other's make one each time: the plug-ins that are
/// called, in order. Each has the id of its place in `ids`; those in `silent` give no cause.
fn led_to(names: &'static [&'static str], ids: &[usize], silent: &'static str) -> String {
    let mut rig = Rig::default();
    let calls = Arc::new(Mutex::new(String::new()));
    let mut made = Vec::new();
    for (&name, &place) in names.iter().zip(ids) {
        rig.plugin(name, Run::Inline);
        while place != NO_ID && made.len() <= place {
            made.push(recursion(&rig));
        }
        let (host, seen) = (rig.host(), calls.clone());
        see(&mut rig, made.get(place).copied().unwrap_or(0), move |record| {
            seen.lock().unwrap().push_str(name);
            let cause = (name != silent).then_some(record);
            assert_eq!(abandon(host, begin(host, cause).unwrap()), abi::NOERROR);
        });
    }
    // This one sees sessions alone.
    let seen = calls.clone();
    rig.plugin("z", Run::Inline).on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |_| {
        seen.lock().unwrap().push('z');
        abi::ERR_EM_CONTINUE
    });
    let directory = opened(&rig);
    now(Dispatch::new(directory.current()).ask(accept()));
    assert!(rig.hosts.iter().all(|host| host.state().faults == 0));
    calls.lock().unwrap().clone()
}

#[tokio::test]
async fn recursion_ids_follow_what_handlers_cause() {
    assert_eq!(led_to(&["a"], &[0], ""), "az");
    assert_eq!(led_to(&["a", "b"], &[0, 1], ""), "abbaz");
    // c has the id of a: what either led to, neither sees.
    assert_eq!(led_to(&["a", "b", "c"], &[0, 1, 0], ""), "abbaccbz");
    // Who gives no cause begins a chain, which does not come back to it all the same.
    assert_eq!(led_to(&["a", "n"], &[0, 1], "n"), "anana".to_owned() + "z");
    assert_eq!(led_to(&["n"], &[0], "n"), "nz");
    // Also without an id: nothing would end that.
    assert_eq!(led_to(&["n"], &[NO_ID], "n"), "nz");
}

#[test]
fn messages_of_plug_ins_are_seen_at_their_own_events_alone() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let host = rig.host();
    let register = |event, flags| {
        let null = std::ptr::null_mut();
        // SAFETY: the handle is a live host's; the handler is never called.
        unsafe {
            (BASE.0.EMRegister)(host.handle(), event, flags, Some(none), null, None, 0, null.cast())
        }
    };
    unsafe extern "C" fn none(_: *const abi::EMRECORD) -> abi::STATUS {
        abi::ERR_EM_CONTINUE
    }
    let (before, after, seen) = (abi::EM_REG_BEFORE, abi::EM_REG_AFTER, abi::EM_REG_SUBMITTED);
    for (event, flags, wanted) in [
        (abi::EM_SMTPHEADERS, before | seen, abi::NOERROR),
        (abi::EM_SMTPBODY, before | seen, abi::NOERROR),
        (abi::EM_SMTPMESSAGEACCEPT, before | after | seen, abi::NOERROR),
        (abi::EM_SMTPMESSAGEACCEPT, seen, abi::ERR_EM_ILLEGALFLAGS),
        (abi::EM_SMTPMAIL, before | seen, abi::ERR_EM_ILLEGALFLAGS),
        (abi::EM_START, before | seen, abi::ERR_EM_ILLEGALFLAGS),
        (abi::EM_SMTPBODY, before | 8, abi::ERR_EM_ILLEGALFLAGS),
    ] {
        assert_eq!(register(event, flags), wanted, "{event:#x} {flags}");
    }
}
