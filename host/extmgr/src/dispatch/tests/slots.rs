//! What a plug-in keeps for a session, and when it is released.

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
