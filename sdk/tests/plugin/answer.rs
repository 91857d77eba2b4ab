//! Answers, edits and what goes wrong in a handler, as the host sees them.

use std::ptr;

use stagepost_abi::*;

use crate::fake::{Session, Sheet, event, text};
use crate::probe::{has_place, without_place};
use crate::{before_mail, loaded};

#[test]
fn answers_become_statuses_and_verdicts() {
    let fake = loaded();
    let session = Session::new(1);
    let cases: [(&[u8], STATUS, &[&str]); 6] = [
        (b"somebody", ERR_EM_CONTINUE, &[]),
        (b"handled", NOERROR, &[]),
        (b"handled with words", EM_VERDICT, &["verdict 1 250 2.0.0 done"]),
        (b"reject", EM_VERDICT, &["verdict 2 550 5.7.1 not you"]),
        (b"defer", EM_VERDICT, &["verdict 3 450  later"]),
        (b"disconnect", EM_VERDICT, &["verdict 4 421 4.3.0 bye"]),
    ];
    for (sender, wanted, verdicts) in cases {
        let (status, sheet, _) = before_mail(fake, &session, text(sender));
        assert_eq!((status, sheet), (wanted, verdicts.iter().map(ToString::to_string).collect()));
    }
}

#[test]
fn what_goes_wrong_in_a_handler_is_a_fault_with_a_reason() {
    let fake = loaded();
    let session = Session::new(5);
    let cases: [(&[u8], &str); 6] = [
        (b"panic", "1 5 probe: before_mail panicked: no mail from panic"),
        (b"panic any", "1 5 probe: before_mail panicked: a panic without a message"),
        (b"fault", "1 5 probe: before_mail failed: a broken leg"),
        (b"number", "1 5 probe: before_mail failed: invalid digit found in string"),
        (
            b"wrong class",
            "1 5 probe: before_mail failed: the host refuses the verdict: an argument is not acceptable",
        ),
        (
            b"refused edit",
            "1 5 probe: before_mail failed: the host refuses hold: not at this event or stage",
        ),
    ];
    for (sender, line) in cases {
        let (status, _, log) = before_mail(fake, &session, text(sender));
        assert_eq!(line.contains("panicked"), has_place(&log[0]));
        assert_eq!((status, without_place(&log[0]).as_str(), log.len()), (EM_FAULT, line, 1));
    }
}

#[test]
fn a_panic_after_the_fact_is_caught_too() {
    let fake = loaded();
    let (session, sheet) = (Session::new(2), Sheet::default());
    let rcpt = EmRcpt {
        event: event::<EmRcpt>(&session, &sheet),
        recipient: text(b"a@b"),
        parameters: text(b""),
    };
    assert_eq!(fake.call(EM_SMTPRCPT, EM_AFTER, &rcpt), EM_FAULT);
    let log = fake.logged();
    assert_eq!(log.len(), 1);
    assert_eq!(without_place(&log[0]), "1 2 probe: after_rcpt panicked: after a@b");
}

#[test]
fn after_handlers_see_the_reply_and_change_its_words() {
    let fake = loaded();
    let (session, sheet) = (Session::new(7), Sheet::default());
    let reply = EmReply {
        size: size_of::<EmReply>() as u32,
        code: 250,
        enhanced_class: 2,
        reserved: 0,
        enhanced_subject: 1,
        enhanced_detail: 0,
        reserved_2: 0,
        text: text(b"fine"),
    };
    let mut mail = EmMail {
        event: event::<EmMail>(&session, &sheet),
        sender: text(b""),
        parameters: text(b""),
    };
    assert_eq!(fake.call(EM_SMTPMAIL, EM_AFTER, &mail), ERR_EM_CONTINUE);
    assert_eq!(
        sheet.take(),
        [
            "reply_text no reply",
            "reply_change 251 2.1.5 ",
            "reply_change 551  no",
            "attribute after 1"
        ]
    );
    mail.event.reply = &raw const reply;
    assert_eq!(fake.call(EM_SMTPMAIL, EM_AFTER, &mail), ERR_EM_CONTINUE);
    assert_eq!(
        sheet.take(),
        [
            "reply_text 250 Some((2, 1, 0)) fine",
            "reply_change 251 2.1.5 ",
            "reply_change 551  no",
            "attribute after 1"
        ]
    );
}

#[test]
fn edits_and_facts_arrive() {
    let fake = loaded();
    let (mut session, sheet) = (Session::new(6), Sheet::default());
    session.recipients = vec!["a@b", "c@d"];
    let connect = EmConnect {
        event: event::<EmConnect>(&session, &sheet),
        remote_ip: text(b"192.0.2.1"),
        local_ip: text(b"192.0.2.2"),
        listener: text(b"smtp"),
        remote_port: 1024,
        local_port: 25,
        reserved: 0,
    };
    assert_eq!(fake.call(EM_SMTPCONNECT, EM_BEFORE, &connect), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["attribute from 192.0.2.1:1024", "attribute relay_granted 1"]);

    let (status, sheet, _) = before_mail(fake, &session, text(b"edit"));
    assert_eq!(status, ERR_EM_CONTINUE);
    assert_eq!(
        sheet,
        [
            "header_add X-A: a\u{FFFD}",
            "hold for a look",
            "discard",
            "header_insert 1 X-B: b",
            "header_change X-C 2: c",
            "header_delete X-D 3",
            "sender <> SIZE=1",
            "recipient_add <a@b> NOTIFY=NEVER",
            "recipient_remove <c@d>",
            "recipient_verdict <c@d> 2 550 5.7.1 no",
            "recipient_verdict <e@f> 3 451 4.7.1 later",
            "recipient_replace <> <e@f> ",
            "recipient_replace <e@f> <g@h> NOTIFY=NEVER",
            "command_replace NOOP",
            "tag odd",
        ]
    );

    let sheet = Sheet::default();
    let accept = EmMessageAccept {
        event: event::<EmMessageAccept>(&session, &sheet),
        octets: 9,
        message: ptr::null(),
    };
    assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), ERR_EM_CONTINUE);
    // Text that is no text, a port that is none and a sender that is not known are not there.
    assert_eq!(
        fake.logged(),
        [
            "3 - 9 octets [\"a@b\", \"c@d\"] [\"seen\", \"odd\"] Some(\"192.0.2.1\") None None None true false"
        ]
    );

    let disconnect =
        EmDisconnect { event: event::<EmDisconnect>(&session, &sheet), reason: 99, reserved: 0 };
    assert_eq!(fake.call(EM_SMTPDISCONNECT, EM_BEFORE, &disconnect), ERR_EM_CONTINUE);
    assert_eq!(fake.logged(), ["3 - Refused"]);
}
