//! What a plug-in keeps for a session and for a message, and when it is released.

use stagepost_smtp::MessageSlots;

use super::*;

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

/// A question about a message.
fn of_message(slots: &Option<MessageSlots>) -> Ask {
    let mut ask = mail();
    Arc::make_mut(&mut ask.facts).slots.clone_from(slots);
    ask
}

#[test]
fn a_message_has_a_slot_for_each_plug_in_until_nobody_is_asked_about_it() {
    unsafe extern "C" fn note(data: *mut c_void) {
        RELEASED.lock().unwrap().push(data.addr());
    }
    static RELEASED: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let mut rig = Rig::default();
    let found = Arc::new(Mutex::new(Vec::new()));
    for number in [1_usize, 2] {
        let found = found.clone();
        let act = move |record: &abi::EMRECORD| {
            let mut kept = std::ptr::null_mut();
            // SAFETY: the session is this call's.
            unsafe {
                let status = (sessions.message_slot)(session(record), &raw mut kept);
                found.lock().unwrap().push((status, kept.addr()));
                let next = std::ptr::without_provenance_mut(kept.addr() + number);
                let set = (sessions.message_slot_set)(session(record), next, Some(note));
                assert_eq!(set, status);
            }
            abi::ERR_EM_CONTINUE
        };
        rig.plugin(["a", "b"][number - 1], Run::Inline).on(
            abi::EM_SMTPMAIL,
            abi::EM_REG_BEFORE,
            act,
        );
    }
    let dispatch = rig.dispatch();
    let ask = |slots: &Option<MessageSlots>, wanted: [(abi::STATUS, usize); 2]| {
        now(dispatch.ask(of_message(slots)));
        assert_eq!(std::mem::take(&mut *found.lock().unwrap()), wanted);
    };
    let (first, second) = (Some(MessageSlots::default()), Some(MessageSlots::default()));
    ask(&None, [(abi::ERR_NOT_FOUND, 0); 2]);
    ask(&first, [(0, 0), (0, 0)]);
    ask(&first, [(0, 1), (0, 2)]);
    ask(&second, [(0, 0), (0, 0)]);
    ask(&first, [(0, 2), (0, 4)]);
    let released = || std::mem::take(&mut *RELEASED.lock().unwrap());
    assert_eq!(released(), [1, 2, 2, 4], "those that others took the place of");
    // A call that is late keeps the question that it was given.
    let late = of_message(&first);
    drop(first);
    assert!(released().is_empty());
    drop(late);
    assert_eq!(released(), [3, 6]);
    // Also of a message that outlives its session the registrations wait.
    drop(dispatch);
    rig.hosts.iter().for_each(|host| host.clear());
    drop(second);
    assert_eq!(released(), [1, 2]);
}

#[test]
fn what_blocking_plug_ins_keep_for_a_message_is_released_where_they_may_block() {
    unsafe extern "C" fn name(data: *mut c_void) {
        // SAFETY: the test gives a pointer to a leaked place.
        let place = unsafe { &*data.cast::<Mutex<Option<std::thread::ThreadId>>>() };
        *place.lock().unwrap() = Some(std::thread::current().id());
    }
    let place: &'static Mutex<Option<std::thread::ThreadId>> = Box::leak(Box::default());
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let mut rig = Rig::default();
    rig.plugin("p", Run::Pool).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let data = std::ptr::from_ref(place).cast_mut().cast();
        // SAFETY: the session is this call's.
        let set = unsafe { (sessions.message_slot_set)(session(record), data, Some(name)) };
        assert_eq!(set, abi::NOERROR);
        abi::ERR_EM_CONTINUE
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (dispatch, slots) = (rig.dispatch(), Some(MessageSlots::default()));
        answered(dispatch.ask(of_message(&slots))).await;
        assert_eq!(*place.lock().unwrap(), None);
        drop(slots);
        while place.lock().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    });
    assert_ne!(*place.lock().unwrap(), Some(std::thread::current().id()));
}
