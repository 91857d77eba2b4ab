//! Start and end: what is registered, what refuses a plug-in, and when it is dropped.

use std::ptr;
use std::sync::atomic::Ordering;

use stagepost_abi::*;

use crate::fake::{Fake, Value};
use crate::loaded;
use crate::probe::{DROPPED, em_entry, without_place};

#[test]
fn exactly_the_stages_that_are_named_are_registered() {
    let fake = loaded();
    let registrations = fake.registrations.lock().unwrap();
    let found: Vec<(EID, u32)> =
        registrations.iter().map(|registration| (registration.event, registration.flags)).collect();
    assert_eq!(
        found,
        [
            (EM_SMTPCONNECT, EM_REG_BEFORE),
            (EM_SMTPMAIL, EM_REG_BEFORE | EM_REG_AFTER),
            (EM_SMTPRCPT, EM_REG_AFTER),
            (EM_SMTPHEADERS, EM_REG_BEFORE),
            (EM_SMTPBODY, EM_REG_BEFORE),
            (EM_SMTPMESSAGEACCEPT, EM_REG_BEFORE),
            (EM_SMTPVRFY, EM_REG_BEFORE),
            (EM_SMTPTIMEOUT, EM_REG_BEFORE),
            (EM_SMTPDISCONNECT, EM_REG_BEFORE),
            (EM_START, EM_REG_BEFORE),
            (EM_CONFIG, EM_REG_BEFORE),
            (EM_STOP, EM_REG_BEFORE),
        ]
    );
}

#[test]
fn stages_without_use_are_not_registered() {
    let config = [("mode", Value::Text("idle"))].into();
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
    let registrations = fake.registrations.lock().unwrap();
    let flags = |event| registrations.iter().find(|one| one.event == event).map(|one| one.flags);
    // Of MAIL the other half stays.
    assert_eq!(flags(EM_SMTPMAIL), Some(EM_REG_AFTER));
    assert_eq!((flags(EM_SMTPRCPT), flags(EM_SMTPBODY)), (None, None));
    assert_eq!(flags(EM_SMTPHEADERS), Some(EM_REG_BEFORE));
    drop(registrations);
    fake.stop();
}

#[test]
fn the_plugin_is_dropped_with_its_last_registration() {
    let number = 1;
    let config = [("number", Value::Integer(1))].into();
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!((status, DROPPED[number].load(Ordering::Relaxed)), (NOERROR, 0));
    fake.stop();
    assert_eq!(DROPPED[number].load(Ordering::Relaxed), 1);
}

#[test]
fn a_refused_registration_refuses_the_plugin() {
    let number = 2;
    let config = [("number", Value::Integer(2))].into();
    let (fake, status) = Fake { config, refused: EM_SMTPRCPT, ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_EM_TOOMANYADDINS);
    let line =
        "1 - probe: cannot start: the host refuses a handler for event 0x4004: status 0x02d3";
    assert_eq!(fake.logged(), ["3 - started", line]);
    assert_eq!(DROPPED[number].load(Ordering::Relaxed), 0);
    fake.stop();
    assert_eq!(DROPPED[number].load(Ordering::Relaxed), 1);
}

#[test]
fn a_host_without_what_the_sdk_needs_is_told_so() {
    for (id, name) in [
        (EM_CONFIG_ID, "em.config/1"),
        (EM_SESSION_ID, "em.session/1"),
        (EM_EDITS_ID, "em.edits/2"),
        (EM_MESSAGE_ID, "em.message/1"),
        (EM_METRICS_ID, "em.metrics/1"),
        (EM_ADMIN_ID, "em.admin/1"),
    ] {
        let (fake, status) = Fake { without: vec![id], ..Fake::default() }.load(em_entry);
        assert_eq!(status, ERR_NOT_FOUND);
        let line = format!("1 - probe: cannot start: this host has no service {name}");
        assert_eq!(fake.logged(), [line]);
        assert!(fake.registrations.lock().unwrap().is_empty());
    }
    let (fake, status) = Fake { short: Some(EM_EDITS_ID), ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_NOT_FOUND);
    let wanted = size_of::<EmEditsService>();
    let line = format!(
        "1 - probe: cannot start: this host's service em.edits/2 has 8 octets, this plug-in needs {wanted}: \
         the host is older"
    );
    assert_eq!(fake.logged(), [line]);

    // Nobody to tell.
    let (_, status) = Fake { without: vec![EM_LOG_ID], ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_NOT_FOUND);
    // SAFETY: the entry refuses a NULL.
    assert_eq!(unsafe { em_entry(ptr::null(), ptr::null_mut()) }, EM_ERR_LAYOUT);
}

#[test]
fn layouts_are_compared_before_anything_else_when_the_host_can() {
    let (fake, status) = Fake { layout: EM_ERR_LAYOUT, ..Fake::default() }.load(em_entry);
    assert_eq!(status, EM_ERR_LAYOUT);
    assert!(fake.registrations.lock().unwrap().is_empty());
    let line = "1 - probe: cannot start: the host refuses this plug-in's layouts: status 0x3313";
    assert_eq!(fake.logged(), [line]);

    let (_, status) = Fake { without: vec![EM_LAYOUT_ID], ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
}

#[test]
fn a_start_that_fails_says_why() {
    let cases = [
        ("mode", Value::Text("panic"), EM_FAULT, "it panicked: in start"),
        ("mode", Value::Text("fail"), EM_FAULT, "no wish to"),
        (
            "mode",
            Value::Text("refused verb"),
            EM_FAULT,
            "the host refuses admin_verb: an argument is not acceptable",
        ),
        (
            "mode",
            Value::Text("refused metric"),
            EM_FAULT,
            "the host refuses counter: status 0x0404",
        ),
        ("mode", Value::Integer(1), EM_ERR_TYPE, "some.toml:7:3: `mode` must be a string"),
        (
            "percent",
            Value::Integer(101),
            ERR_MISC_INVALID_ARGS,
            "some.toml:7:3: `percent` must be 0 to 100",
        ),
        ("switch", Value::Text("on"), EM_ERR_TYPE, "some.toml:7:3: `switch` must be true or false"),
    ];
    for (key, value, wanted, reason) in cases {
        let (fake, status) =
            Fake { config: [(key, value)].into(), ..Fake::default() }.load(em_entry);
        assert_eq!(status, wanted);
        let log = fake.logged();
        let wanted = format!("1 - probe: cannot start: {reason}");
        assert_eq!((without_place(&log[0]), log.len()), (wanted, 1));
        assert!(fake.registrations.lock().unwrap().is_empty());
    }
}

#[test]
fn the_life_of_a_plugin_goes_by_its_handlers() {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    fake.logged();
    let head = |size| EmEvent {
        size,
        reserved: 0,
        session: ptr::null(),
        edits: ptr::null_mut(),
        reply: ptr::null(),
    };
    let start = EmStart { event: head(size_of::<EmStart>() as u32) };
    assert_eq!(fake.call(EM_START, EM_BEFORE, &start), ERR_EM_CONTINUE);
    assert_eq!(fake.logged(), ["3 - before start"]);
    for (limit, wanted, line) in [
        (5, ERR_EM_CONTINUE, "3 - offered Some(5)"),
        (-5, EM_FAULT, "1 - probe: before_config failed: below zero"),
    ] {
        // Another host plays the section.
        let config = [("limit", Value::Integer(limit))].into();
        let section = Box::new(Fake { config, ..Fake::default() });
        let handle = ptr::from_ref(&*section).cast_mut().cast();
        let change = EmConfig { event: head(size_of::<EmConfig>() as u32), section: handle };
        assert_eq!(fake.call(EM_CONFIG, EM_BEFORE, &change), wanted);
        assert_eq!(fake.logged(), [line]);
    }
    let event = head(size_of::<EmStop>() as u32);
    let stop = EmStop { event, deadline_ms: 1, reserved: 0 };
    assert_eq!(fake.call(EM_STOP, EM_BEFORE, &stop), EM_FAULT);
    let lines = fake.logged();
    assert_eq!(without_place(&lines[0]), "1 - probe: before_stop panicked: at the stop");
}
