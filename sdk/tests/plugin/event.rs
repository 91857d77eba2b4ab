//! Events that are not as this SDK knows them: newer numbers, bad text, short structs.

use std::ffi::c_void;
use std::ptr;

use stagepost_abi::*;

use crate::fake::{Session, Sheet, event, text};
use crate::{before_mail, loaded};

#[test]
fn numbers_that_are_newer_than_the_sdk_are_taken_as_the_contract_says() {
    let fake = loaded();
    let (session, sheet) = (Session::new(11), Sheet::default());
    for verb in [EM_VRFY_VRFY, EM_VRFY_EXPN, 9] {
        let event = event::<EmVrfy>(&session, &sheet);
        let vrfy = EmVrfy { event, argument: text(b"a"), verb, reserved: [0; 7] };
        assert_eq!(fake.call(EM_SMTPVRFY, EM_BEFORE, &vrfy), EM_FAULT);
    }
    for awaited in [EM_AWAITED_COMMAND, EM_AWAITED_MESSAGE, 9] {
        let event = event::<EmTimeout>(&session, &sheet);
        let timeout = EmTimeout { event, awaited, reserved: 0 };
        assert_eq!(fake.call(EM_SMTPTIMEOUT, EM_BEFORE, &timeout), EM_FAULT);
    }
    let line = |words: &str| format!("1 11 probe: before_{words}");
    let vrfy =
        ["Vrfy a", "Expn a", "Unknown a"].map(|words| line(&format!("vrfy failed: {words}")));
    let timeout =
        ["Command", "Message", "Command"].map(|words| line(&format!("timeout failed: {words}")));
    assert_eq!(fake.logged(), [vrfy, timeout].concat());
}

#[test]
fn text_is_checked_and_nul_is_an_octet_like_any() {
    let fake = loaded();
    let session = Session::new(3);
    let (status, _, log) = before_mail(fake, &session, text(b"a\0b"));
    assert_eq!((status, log), (ERR_EM_CONTINUE, vec!["3 3 \"a\\0b\"".to_owned()]));

    let null = EmText { data: ptr::null(), len: 0 };
    let (status, _, log) = before_mail(fake, &session, null);
    assert_eq!((status, log), (ERR_EM_CONTINUE, vec!["3 3 \"\"".to_owned()]));

    let cases = [
        (text(b"\xFF"), "the host lent text that is not UTF-8"),
        (EmText { len: 4, ..null }, "the host lent text without octets: a NULL with the length 4"),
        (
            EmText { len: u64::MAX, ..text(b"a") },
            "the host lent text of 18446744073709551615 octets, more than there is memory",
        ),
    ];
    for (sender, reason) in cases {
        let (status, _, log) = before_mail(fake, &session, sender);
        assert_eq!(
            (status, log),
            (EM_FAULT, vec![format!("1 3 probe: before_mail failed: {reason}")])
        );
    }
}

#[test]
fn an_event_that_is_too_short_or_missing_is_not_read() {
    let fake = loaded();
    let (session, sheet) = (Session::new(4), Sheet::default());
    let mut mail = EmMail {
        event: event::<EmMail>(&session, &sheet),
        sender: text(b""),
        parameters: text(b""),
    };
    mail.event.size = 40;
    assert_eq!(fake.call(EM_SMTPMAIL, EM_BEFORE, &mail), EM_FAULT);
    mail.event.size = 4;
    assert_eq!(fake.call(EM_SMTPMAIL, EM_BEFORE, &mail), EM_FAULT);
    assert_eq!(fake.call_with(EM_SMTPMAIL, EM_BEFORE, ptr::null::<c_void>()), EM_FAULT);
    let short = "probe: before_mail";
    assert_eq!(
        fake.logged(),
        [
            format!(
                "1 4 {short} failed: the host handed out a struct of 40 octets where 64 are due"
            ),
            format!("1 - {short}: the host handed out a struct of 4 octets where 32 are due"),
            format!("1 - {short}: the host handed out a NULL where there is none in the contract"),
        ]
    );
}
