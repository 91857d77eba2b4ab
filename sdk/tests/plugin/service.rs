//! Services that a plug-in asks for: slots, metrics, state, users, verbs, queue and new messages.

use std::sync::atomic::Ordering;

use stagepost_abi::*;

use crate::fake::{self, Fake, Session, Sheet, Value, event, text};
use crate::probe::{MESSAGE_SLOTS_DROPPED, SLOTS_DROPPED, em_entry, without_place};
use crate::{before_mail, loaded};

#[test]
fn what_is_kept_for_a_session_is_dropped_once_with_it() {
    let fake = loaded();
    let (one, two) = (Session::new(8), Session::new(9));
    for (session, wanted) in [(&one, "1"), (&one, "2"), (&two, "1"), (&one, "3")] {
        let (status, sheet, _) = before_mail(fake, session, text(b"count"));
        assert_eq!((status, sheet), (ERR_EM_CONTINUE, vec![format!("attribute mails {wanted}")]));
    }
    assert_eq!(SLOTS_DROPPED.load(Ordering::Relaxed), 0);
    drop(one);
    assert_eq!(SLOTS_DROPPED.load(Ordering::Relaxed), 1);
    // What was kept is dropped where another takes its place, and a panic there stays inside, at the session's end as
    // well.
    assert_eq!(before_mail(fake, &two, text(b"bomb")).0, ERR_EM_CONTINUE);
    assert_eq!(SLOTS_DROPPED.load(Ordering::Relaxed), 2);
    drop(two);
    assert_eq!(SLOTS_DROPPED.load(Ordering::Relaxed), 3);
    // The host refuses to keep more: dropped at once.
    assert_eq!(before_mail(fake, &Session::new(0), text(b"count")).0, EM_FAULT);
    assert_eq!(SLOTS_DROPPED.load(Ordering::Relaxed), 4);
}

#[test]
fn what_is_kept_for_a_message_is_dropped_with_it() {
    let fake = loaded();
    let mut session = Session::new(8);
    let calls = |session: &Session| {
        let (status, sheet, _) = before_mail(fake, session, text(b"count message"));
        (status, sheet.into_iter().next())
    };
    let said = |calls: u32| (ERR_EM_CONTINUE, Some(format!("attribute calls {calls}")));
    let dropped = || MESSAGE_SLOTS_DROPPED.load(Ordering::Relaxed);
    assert_eq!([calls(&session), calls(&session)], [said(1), said(2)]);
    assert_eq!(dropped(), 0);
    session.end_message(true);
    assert_eq!(dropped(), 1);
    assert_eq!(calls(&session), said(1));
    session.end_message(false);
    assert_eq!(dropped(), 2);
    // There is no message: what would have been kept is dropped at once.
    assert_eq!(calls(&session), (EM_FAULT, None));
    assert_eq!(dropped(), 3);
}

#[test]
fn metrics_are_made_and_updated() {
    let config = [("mode", Value::Text("metrics"))].into();
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
    let wanted = [
        "counter hits: how many",
        "hits add 1",
        "hits add 2",
        "gauge depth: how deep",
        "depth set 5",
        "depth add -1",
        "histogram [0.5, 1.0] wait: how long",
        "wait observe 0.25",
        "3 - started",
    ];
    assert_eq!(fake.logged(), wanted);
    fake.stop();
}

#[test]
fn state_and_users_are_there_where_the_host_has_them() {
    for (mode, id) in [("state", EM_STATE_ID), ("directory", EM_DIRECTORY_ID)] {
        let config = || [("mode", Value::Text(mode))].into();
        let (fake, status) = Fake { config: config(), ..Fake::default() }.load(em_entry);
        assert_eq!(status, NOERROR, "{:?}", fake.logged());
        let without = vec![id];
        let (fake, status) = Fake { config: config(), without, ..Fake::default() }.load(em_entry);
        assert_eq!(status, EM_FAULT);
        assert_eq!(fake.logged(), [format!("1 - probe: cannot start: no {mode}")]);
    }
}

#[test]
fn verbs_answer_or_say_why_not() {
    let config = [("mode", Value::Text("verbs"))].into();
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
    let cases: [(&'static [u8], STATUS, &str); 5] = [
        (b"null", NOERROR, "answer null"),
        (b"1", EM_FAULT, "fail not one"),
        (b"2", EM_FAULT, "fail the plug-in panicked: at two"),
        (b"3", EM_FAULT, "fail the host refuses the verb's answer: an argument is not acceptable"),
        (b"\xFF", EM_FAULT, "fail the host lent text that is not UTF-8"),
    ];
    for (arguments, wanted, said) in cases {
        let (status, lines) = fake.call_verb("echo", arguments);
        assert_eq!((status, lines.len()), (wanted, 1), "{lines:?}");
        assert_eq!(without_place(&lines[0]), said);
    }
    fake.drop_verbs();
}

#[test]
fn the_queue_and_new_messages_are_reached() {
    let fake = loaded();
    let (session, sheet) = (fake::Session::new(12), Sheet::default());
    let event = event::<EmVrfy>(&session, &sheet);
    let vrfy = EmVrfy { event, argument: text(b"mail"), verb: EM_VRFY_VRFY, reserved: [0; 7] };
    assert_eq!(fake.call(EM_SMTPVRFY, EM_BEFORE, &vrfy), ERR_EM_CONTINUE);
    let wanted = [
        "count a.test",
        "hold @a.test closed",
        "3 - Count { queued: 3, held: 2, octets: 1 } (0, 5, Unreadable)",
        "begin 12 <> SIZE=5",
        "recipient 9 <a@b> X=1 0",
        "recipient 9 <c@d>  1",
        "write 9 octets",
        "commit 9",
        "3 - 01J NoRoute",
        "begin 0 <s@t> ",
        "abandon 9",
    ];
    assert_eq!(fake.logged(), wanted);
}

#[test]
fn other_servers_are_reached() {
    let fake = loaded();
    let (session, sheet) = (fake::Session::new(12), Sheet::default());
    let event = event::<EmVrfy>(&session, &sheet);
    let vrfy = EmVrfy { event, argument: text(b"outbound"), verb: EM_VRFY_VRFY, reserved: [0; 7] };
    assert_eq!(fake.call(EM_SMTPVRFY, EM_BEFORE, &vrfy), ERR_EM_CONTINUE);
    let told = "450 told so / 450 told\nso / the host refuses push: the call is over / 450 told so";
    let known = "(Some(\"PLAIN CRAM-MD5\"), None, \"192.0.2.1\") OutboundProgress { state: Ready, \
        secured: true, pushed: 3, done: 2, received: 1 }";
    let wanted = [
        "dial isp.test 366 3 1 5000",
        "open 4",
        "auth 4 user secret 1",
        "command 4 ETRN a.test",
        "push 4 break",
        "push 4 end",
        "reverse 4 \"a.test\\nb.test\" \"@a.test\" refuse",
        &format!("3 - {told}"),
        &format!("3 - {known}"),
        "quit 4",
        "close 4",
    ];
    assert_eq!(fake.logged(), wanted);
}
