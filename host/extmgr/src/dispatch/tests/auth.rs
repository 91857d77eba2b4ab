//! AUTH: who may decide a login, who gets to see its secrets, and what is known behind it.
//! Uses the rig of the tests above it.

use stagepost_smtp::{AuthResult, Authenticated, Mechanism, Secret};

use super::*;

pub(super) fn question(mechanism: Mechanism, result: Option<AuthResult>) -> Question {
    Question::Auth { mechanism, identity: "alice".into(), authorization: "boss".into(), result }
}

/// A login by PLAIN.
pub(super) fn plain() -> Ask {
    let secret = Some(Secret::new(b"pencil".to_vec()));
    Ask { secret, ..ask(question(Mechanism::Plain, None), Stage::Before, None) }
}

fn name(record: &abi::EMRECORD, identity: &str) -> abi::STATUS {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    // SAFETY: the sheet is this call's; the text is lent for the call.
    unsafe { (edits.identity)(sheet(record), lend(identity)) }
}

/// What a handler names and answers, by the mechanism, and what it comes to.
#[test]
fn a_login_is_decided_with_the_name_of_a_user() {
    let scram = || ask(question(Mechanism::ScramSha256, None), Stage::Before, None);
    let cases = [
        (plain(), Some("alice@x"), abi::NOERROR, 0, 0, "handled"),
        (plain(), Some("alice@x"), abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 235, "handled 235"),
        // Clients know success by 235 alone.
        (plain(), Some("alice@x"), abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 250, "defer 454"),
        (plain(), None, abi::NOERROR, 0, 0, "defer 454"),
        (plain(), None, abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 235, "defer 454"),
        (plain(), Some("alice@x"), abi::ERR_EM_CONTINUE, 0, 0, "continue"),
        (plain(), None, abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 535, "reject 535"),
        (plain(), None, abi::EM_VERDICT, abi::EM_VERDICT_DEFER, 432, "defer 432"),
        (scram(), Some("alice@x"), abi::NOERROR, 0, 0, "defer 454"),
        (scram(), None, abi::ERR_EM_CONTINUE, 0, 0, "continue"),
        (scram(), None, abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 535, "reject 535"),
    ];
    for (asked, identity, status, verdict, code, wanted) in cases {
        let mut rig = Rig::default();
        rig.plugin("p", Run::Inline).on(abi::EM_SMTPAUTH, abi::EM_REG_BEFORE, move |record| {
            if let Some(identity) = identity {
                assert_eq!(name(record, identity), abi::NOERROR);
            }
            if verdict != 0 {
                give(record, verdict, code);
            }
            status
        });
        let case = format!("{:?} {identity:?} {status:#x} {verdict}", asked.question);
        let verdict = now(rig.dispatch().ask(asked));
        let found = decided(&verdict.decision);
        assert_eq!(found, wanted, "{case}");
        let named = |edit: &stagepost_smtp::Attributed| {
            edit.edit == Edit::Identity(identity.unwrap_or_default().into())
        };
        if wanted.starts_with("handled") {
            assert!(verdict.edits.iter().any(named), "{case}");
        }
    }
}

#[test]
fn users_are_named_where_and_by_whom_the_header_says() {
    let long = "x".repeat(256);
    let before = abi::EM_REG_BEFORE;
    let after = || {
        let asked = question(Mechanism::Plain, Some(AuthResult::Refused));
        ask(asked, Stage::After, Some(Reply::new(535, None, "no")))
    };
    let cases = [
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, "a\u{e9}@x", abi::NOERROR),
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, "", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, "a b", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, "a\n", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, "\u{2168}", abi::ERR_MISC_INVALID_ARGS),
        (abi::EM_SMTPAUTH, before, plain(), u64::MAX, &long, abi::ERR_MISC_INVALID_ARGS),
        (
            abi::EM_SMTPAUTH,
            before,
            plain(),
            !abi::EM_EDIT_CREDENTIALS,
            "a",
            abi::ERR_EM_NOTAUTHORIZED,
        ),
        (abi::EM_SMTPAUTH, abi::EM_REG_AFTER, after(), u64::MAX, "a", abi::EM_ERR_STAGE),
        (abi::EM_SMTPMAIL, before, mail(), u64::MAX, "a", abi::EM_ERR_STAGE),
    ];
    for (event, flags, asked, edits, identity, wanted) in cases {
        let mut rig = Rig::default();
        rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = edits);
        let case = format!("{event:#x} {edits:#x} {identity:?}");
        let identity = identity.to_owned();
        rig.on(event, flags, move |record| {
            assert_eq!(name(record, &identity), wanted, "{case}");
            abi::ERR_EM_CONTINUE
        });
        now(rig.dispatch().ask(asked));
    }
}

/// What a handler reads of the two events that secrets belong to.
fn seen(record: &abi::EMRECORD) -> String {
    // SAFETY: the event decides the struct; all text is valid during the call.
    unsafe {
        if record.EId == abi::EM_SMTPCOMMAND {
            return read((*record.Event.cast::<abi::EmCommand>()).line);
        }
        let auth = &*record.Event.cast::<abi::EmAuth>();
        let password = match auth.password.data.is_null() {
            true => "NULL".to_owned(),
            false => read(auth.password),
        };
        let (mechanism, identity) = (read(auth.mechanism), read(auth.identity));
        let authorization = read(auth.authorization);
        format!("{mechanism} {identity} {authorization} {password} {}", auth.result)
    }
}

#[test]
fn secrets_are_for_those_who_declare_that_they_want_them() {
    let line = Ask {
        secret: Some(Secret::new(b"AUTH PLAIN AHVzZXIAcGVuY2ls".to_vec())),
        ..ask(Question::Command { line: b"AUTH PLAIN *"[..].into() }, Stage::Before, None)
    };
    let after = ask(
        question(Mechanism::Plain, Some(AuthResult::Broken)),
        Stage::After,
        Some(Reply::new(501, None, "x")),
    );
    let both = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
    for (edits, wanted) in [
        (u64::MAX, ["AUTH PLAIN AHVzZXIAcGVuY2ls", "PLAIN alice boss pencil 0"]),
        (!abi::EM_EDIT_CREDENTIALS, ["AUTH PLAIN *", "PLAIN alice boss NULL 0"]),
    ] {
        let mut rig = Rig::default();
        let all = Arc::new(Mutex::new(Vec::new()));
        rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = edits);
        for event in [abi::EM_SMTPCOMMAND, abi::EM_SMTPAUTH] {
            let all = all.clone();
            rig.on(event, both, move |record| {
                all.lock().unwrap().push(seen(record));
                abi::ERR_EM_CONTINUE
            });
        }
        let dispatch = rig.dispatch();
        for asked in [line.clone(), plain(), after.clone()] {
            now(dispatch.ask(asked));
        }
        let wanted = [&wanted[..], &["PLAIN alice boss NULL 4"]].concat();
        assert_eq!(*all.lock().unwrap(), wanted, "{edits:#x}");
    }
}

/// A question in a session whose client has logged in.
fn logged_in(question: Question) -> Ask {
    let mut asked = ask(question, Stage::Before, None);
    Arc::make_mut(&mut asked.facts).authenticated = Some(Arc::new(Authenticated {
        identity: "alice@x".into(),
        mechanism: Some(Mechanism::ScramSha256Plus),
    }));
    asked
}

#[test]
fn who_has_logged_in_can_be_read() {
    let facts = |asked: Ask| {
        let mut rig = Rig::default();
        let read = Arc::new(Mutex::new(Vec::new()));
        let noted = read.clone();
        rig.plugin("reader", Run::Inline).on(abi::EM_SMTPQUIT, abi::EM_REG_BEFORE, move |record| {
            let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
            let mut known = 9;
            let mut text = abi::EmText { data: std::ptr::null(), len: 0 };
            // SAFETY: the session came with the record; the values have room for what is written, on success.
            unsafe {
                let asked = session(record);
                (sessions.number)(asked, abi::EM_FACT_AUTHENTICATED, &raw mut known);
                noted.lock().unwrap().push(known.to_string());
                for fact in [abi::EM_FACT_IDENTITY, abi::EM_FACT_MECHANISM] {
                    noted.lock().unwrap().push(match (sessions.text)(asked, fact, &raw mut text) {
                        abi::NOERROR => super::read(text),
                        status => format!("{status:#x}"),
                    });
                }
            }
            abi::ERR_EM_CONTINUE
        });
        now(rig.dispatch().ask(asked));
        let read = read.lock().unwrap();
        read.join(" ")
    };
    let unknown = format!("{:#x}", abi::ERR_NOT_FOUND);
    let stranger = ask(Question::Quit, Stage::Before, None);
    assert_eq!(facts(stranger), format!("0 {unknown} {unknown}"));
    assert_eq!(facts(logged_in(Question::Quit)), "1 alice@x SCRAM-SHA-256-PLUS");
}

#[test]
fn a_filter_tells_those_who_have_logged_in_from_others() {
    for (authenticated, wanted) in [
        (abi::EM_FILTER_AUTHENTICATED_ANY, [true, true]),
        (abi::EM_FILTER_AUTHENTICATED_YES, [false, true]),
        (abi::EM_FILTER_AUTHENTICATED_NO, [true, false]),
    ] {
        let mut rig = Rig::default();
        let called = Arc::new(Mutex::new(false));
        let noted = called.clone();
        let registration =
            rig.plugin("narrow", Run::Inline).on(abi::EM_SMTPQUIT, abi::EM_REG_BEFORE, move |_| {
                *noted.lock().unwrap() = true;
                abi::ERR_EM_CONTINUE
            });
        let filter = abi::EmFilter { authenticated, ..filters::filter("", "", "") };
        assert_eq!(filters::narrow(&rig, registration, &raw const filter), abi::NOERROR);
        let dispatch = rig.dispatch();
        let asked = [ask(Question::Quit, Stage::Before, None), logged_in(Question::Quit)];
        let found = asked.map(|asked| {
            now(dispatch.ask(asked));
            std::mem::take(&mut *called.lock().unwrap())
        });
        assert_eq!(found, wanted, "{authenticated}");
    }
}
