//! ATRN: who may have a connection reversed, and for whose mail.
//! Uses the rig of the tests above it.

use super::*;

fn question() -> Ask {
    ask(Question::Atrn { domains: "a.test\nb.test".into() }, Stage::Before, None)
}

fn name(record: &abi::EMRECORD, destinations: &str) -> abi::STATUS {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    // SAFETY: the sheet is this call's; the text is lent for the call.
    unsafe { (edits.reverse)(sheet(record), lend(destinations)) }
}

/// What a handler names and answers, and what it comes to.
#[test]
fn a_connection_is_reversed_for_somebodys_mail() {
    let cases = [
        (Some("a.test"), abi::NOERROR, 0, 0, "handled"),
        (Some("a.test\n@b.test\n#q"), abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 250, "handled 250"),
        // Clients know by 250 alone that they are the server now.
        (Some("a.test"), abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 251, "defer 451"),
        (None, abi::NOERROR, 0, 0, "defer 451"),
        (None, abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 250, "defer 451"),
        (Some("a.test"), abi::ERR_EM_CONTINUE, 0, 0, "continue"),
        (None, abi::EM_VERDICT, abi::EM_VERDICT_DEFER, 453, "defer 453"),
        (None, abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 550, "reject 550"),
        (None, abi::EM_VERDICT, abi::EM_VERDICT_DISCONNECT, 421, "disconnect 421"),
    ];
    for (destinations, status, verdict, code, wanted) in cases {
        let mut rig = Rig::default();
        rig.plugin("p", Run::Inline).on(abi::EM_SMTPATRN, abi::EM_REG_BEFORE, move |record| {
            if let Some(destinations) = destinations {
                assert_eq!(name(record, destinations), abi::NOERROR);
            }
            if verdict != 0 {
                give(record, verdict, code);
            }
            status
        });
        let found = decided(&now(rig.dispatch().ask(question())).decision);
        assert_eq!(found, wanted, "{destinations:?} {status:#x} {verdict} {code}");
    }
}

#[test]
fn mail_is_named_where_and_by_whom_the_header_says() {
    let before = abi::EM_REG_BEFORE;
    let after =
        || Ask { stage: Stage::After, reply: Some(Reply::new(250, None, "Ok")), ..question() };
    let many = |count| vec!["a"; count].join("\n");
    let (most, more) = (many(1000), many(1001));
    let cases = [
        (abi::EM_SMTPATRN, before, question(), u64::MAX, "A.test\n@b.test", abi::NOERROR),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, &most, abi::NOERROR),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, &more, abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, "", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, "a b", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, "a.test\n", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPATRN, before, question(), u64::MAX, "#", abi::ERR_MISC_INVALID_ARGS),
        (
            abi::EM_SMTPATRN,
            before,
            question(),
            !abi::EM_EDIT_QUEUE,
            "a.test",
            abi::ERR_EM_NOTAUTHORIZED,
        ),
        (abi::EM_SMTPATRN, abi::EM_REG_AFTER, after(), u64::MAX, "a.test", abi::EM_ERR_STAGE),
        (abi::EM_SMTPMAIL, before, mail(), u64::MAX, "a.test", abi::EM_ERR_STAGE),
    ];
    for (event, flags, asked, edits, destinations, wanted) in cases {
        let mut rig = Rig::default();
        rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = edits);
        let case = format!("{event:#x} {edits:#x} {destinations:.20}");
        let destinations = destinations.to_owned();
        rig.on(event, flags, move |record| {
            assert_eq!(name(record, &destinations), wanted, "{case}");
            abi::ERR_EM_CONTINUE
        });
        now(rig.dispatch().ask(asked));
    }
}

#[test]
fn handlers_see_whose_mail_is_wanted() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPATRN, abi::EM_REG_BEFORE, |record| {
        // SAFETY: the event's own struct, valid while the handler runs.
        let event = unsafe { &*record.Event.cast::<abi::EmAtrn>() };
        // SAFETY: as above.
        let domains = unsafe {
            std::slice::from_raw_parts(event.domains.data.cast::<u8>(), event.domains.len as usize)
        };
        assert_eq!(domains, b"a.test\nb.test");
        abi::ERR_EM_CONTINUE
    });
    now(rig.dispatch().ask(question()));
}
