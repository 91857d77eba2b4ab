//! Registrations: what can be registered, and when what was is released.

use super::*;

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
