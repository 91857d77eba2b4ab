//! Filters of registrations: given while a plug-in is loaded, looked at before each call.

use super::*;

pub(super) fn filter(networks: &str, senders: &str, recipients: &str) -> abi::EmFilter {
    // The text of a test lives long enough; the lists are read before `narrow` returns.
    abi::EmFilter {
        size: size_of::<abi::EmFilter>() as u32,
        reserved: 0,
        networks: lend(networks),
        listeners: lend(""),
        sender_domains: lend(senders),
        recipient_domains: lend(recipients),
        tls: abi::EM_FILTER_TLS_ANY,
        authenticated: abi::EM_FILTER_AUTHENTICATED_ANY,
    }
}

/// Narrows a registration of the plug-in made last.
pub(super) fn narrow(
    rig: &Rig,
    registration: abi::HEMREGISTRATION,
    filter: *const abi::EmFilter,
) -> abi::STATUS {
    let service: &abi::EmFilterService = service(abi::EM_FILTER_ID);
    // SAFETY: a live host's handle; the filter is NULL or whole.
    unsafe { (service.narrow)(rig.host().handle(), registration, filter) }
}

fn at(event: Question, sender: &str, recipients: &[&str]) -> Ask {
    let mut asked = ask(event, Stage::Before, None);
    let facts = Arc::make_mut(&mut asked.facts);
    facts.sender = Some(match sender {
        "" => ReversePath::Null,
        sender => ReversePath::Address(Address::parse(sender).unwrap()),
    });
    facts.recipients = recipients.iter().map(|one| Address::parse(one).unwrap()).collect();
    asked
}

#[tokio::test]
async fn a_handler_is_called_for_what_its_filter_admits() {
    let mail = |sender: &str| {
        let mut asked = at(Question::Data { chunk: None }, sender, &[]);
        let sender = Arc::make_mut(&mut asked.facts).sender.take().unwrap();
        asked.question = Question::Mail { sender, parameters: "".into() };
        asked
    };
    let rcpt = |sender, recipient: &str| {
        let recipient = Address::parse(recipient).unwrap();
        at(Question::Rcpt { recipient, parameters: "".into() }, sender, &["x@elsewhere.test"])
    };
    let accept = |recipients| at(Question::MessageAccept { octets: 1 }, "", recipients);
    let here = "127.0.0.0/8";
    let cases = [
        (here, "", "", mail(""), true),
        ("10.0.0.0/8", "", "", mail(""), false),
        ("10.0.0.0/8", "", "", ask(Question::Connect, Stage::Before, None), false),
        (here, "a.test", "", mail("x@a.test"), true),
        (here, "a.test", "", mail(""), false),
        (here, "a.test", "", rcpt("x@b.test", "y@a.test"), false),
        (here, "a.test", "a.test", rcpt("x@a.test", "y@A.test"), true),
        (here, "", "a.test", rcpt("", "y@b.test"), false),
        (here, "", "a.test", mail("x@b.test"), true),
        (here, "", "a.test", accept(&["x@b.test", "y@a.test"]), true),
        (here, "", "a.test", accept(&["x@b.test"]), false),
        (here, "b.test", "a.test", ask(Question::Connect, Stage::Before, None), true),
    ];
    for run in [Run::Inline, Run::Pool] {
        for (networks, senders, recipients, asked, wanted) in cases.clone() {
            let mut rig = Rig::default();
            let called = Arc::new(Mutex::new(0));
            let counted = called.clone();
            let number = crate::event::number(asked.question.event());
            let registration =
                rig.plugin("narrow", run).on(number, abi::EM_REG_BEFORE, move |_| {
                    *counted.lock().unwrap() += 1;
                    abi::ERR_EM_CONTINUE
                });
            let filter = filter(networks, senders, recipients);
            assert_eq!(narrow(&rig, registration, &raw const filter), abi::NOERROR);
            let verdict = answered(rig.dispatch().ask(asked.clone())).await;
            assert_eq!(verdict.decision, Decision::Continue);
            let what = format!("{run:?} {networks} {senders} {recipients} {asked:?}");
            assert_eq!(*called.lock().unwrap(), i32::from(wanted), "{what}");
        }
    }
}

/// The questions of a session in clear text and of one that is protected.
#[tokio::test]
async fn a_filter_tells_protected_connections_from_others() {
    for (tls, wanted) in [
        (abi::EM_FILTER_TLS_ANY, [true, true]),
        (abi::EM_FILTER_TLS_ON, [false, true]),
        (abi::EM_FILTER_TLS_OFF, [true, false]),
    ] {
        let mut rig = Rig::default();
        let called = Arc::new(Mutex::new(false));
        let noted = called.clone();
        let registration =
            rig.plugin("narrow", Run::Inline).on(abi::EM_SMTPQUIT, abi::EM_REG_BEFORE, move |_| {
                *noted.lock().unwrap() = true;
                abi::ERR_EM_CONTINUE
            });
        let filter = abi::EmFilter { tls, ..filter("", "", "") };
        assert_eq!(narrow(&rig, registration, &raw const filter), abi::NOERROR);
        let dispatch = rig.dispatch();
        let found =
            [ask(Question::Quit, Stage::Before, None), protected(Question::Quit)].map(|asked| {
                now(dispatch.ask(asked));
                std::mem::take(&mut *called.lock().unwrap())
            });
        assert_eq!(found, wanted, "{tls}");
    }
}

/// A question in a session with TLS.
fn protected(question: Question) -> Ask {
    let mut asked = ask(question, Stage::Before, None);
    Arc::make_mut(&mut asked.facts).tls = Some(Arc::new(stagepost_smtp::Tls {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        server_name: None,
        client: Some(stagepost_smtp::ClientCertificate {
            subject: "CN=client".into(),
            sha256: "00ff".into(),
        }),
        bindings: stagepost_smtp::ChannelBindings::default(),
    }));
    asked
}

#[test]
fn what_is_known_of_tls_can_be_read() {
    let facts = |asked: Ask| {
        let mut rig = Rig::default();
        let read = Arc::new(Mutex::new(Vec::new()));
        let noted = read.clone();
        rig.plugin("reader", Run::Inline).on(abi::EM_SMTPQUIT, abi::EM_REG_BEFORE, move |record| {
            let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
            let mut on = 9;
            // SAFETY: the session came with the record; the values have room for what is written.
            let status =
                unsafe { (sessions.number)(session(record), abi::EM_FACT_TLS, &raw mut on) };
            noted.lock().unwrap().push(format!("{status} {on}"));
            for fact in abi::EM_FACT_TLS_VERSION..=abi::EM_FACT_TLS_CLIENT_SHA256 {
                let mut value = abi::EmText { data: std::ptr::null(), len: 0 };
                // SAFETY: as above.
                let status = unsafe { (sessions.text)(session(record), fact, &raw mut value) };
                let text = if status == abi::NOERROR {
                    // SAFETY: written on success.
                    unsafe {
                        std::slice::from_raw_parts(value.data.cast::<u8>(), value.len as usize)
                    }
                } else {
                    assert_eq!(status, abi::ERR_NOT_FOUND);
                    &b"-"[..]
                };
                noted.lock().unwrap().push(String::from_utf8_lossy(text).into_owned());
            }
            abi::ERR_EM_CONTINUE
        });
        now(rig.dispatch().ask(asked));
        let read = read.lock().unwrap();
        read.join(" ")
    };
    assert_eq!(facts(ask(Question::Quit, Stage::Before, None)), "0 0 - - - - -");
    let wanted = "0 1 TLSv1.3 TLS_AES_256_GCM_SHA384 - CN=client 00ff";
    assert_eq!(facts(protected(Question::Quit)), wanted);
}

/// A plug-in that was built before there was `tls`.
#[test]
fn a_filter_of_the_first_version_is_whole() {
    let mut rig = Rig::default();
    let registration =
        rig.plugin("narrow", Run::Inline)
            .on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let first = std::mem::offset_of!(abi::EmFilter, tls) as u32;
    // What stands behind it is not the plug-in's.
    let old = abi::EmFilter { size: first, tls: 77, authenticated: 77, ..filter("", "a.test", "") };
    assert_eq!(narrow(&rig, registration, &raw const old), abi::NOERROR);
}

#[test]
fn what_narrows_nothing_is_told() {
    let mut rig = Rig::default();
    let registration =
        rig.plugin("narrow", Run::Inline)
            .on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let sound = filter("", "a.test", "");
    let whole = size_of::<abi::EmFilter>() as u32;
    let many = "a.test ".repeat(257);
    let huge = abi::EmText { data: "x".as_ptr().cast(), len: u64::MAX };
    let null = abi::EmText { data: std::ptr::null(), len: 3 };
    for (bad, wanted) in [
        (abi::EmFilter { size: whole - 1, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { size: u32::MAX, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { reserved: 1, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { authenticated: 3, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { tls: 3, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { networks: huge, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (abi::EmFilter { networks: null, ..sound }, abi::ERR_MISC_INVALID_ARGS),
        (filter("not-an-address", "", ""), abi::ERR_MISC_INVALID_ARGS),
        (filter("", &many, ""), abi::EM_ERR_LIMIT),
    ] {
        assert_eq!(narrow(&rig, registration, &raw const bad), wanted, "{bad:?}");
    }
    assert_eq!(narrow(&rig, registration, std::ptr::null()), abi::ERR_MISC_INVALID_ARGS);
    let mut room = [sound, sound];
    let beside = (&raw mut room).cast::<abi::EmFilter>().wrapping_byte_add(1);
    // SAFETY: there is room for one beside the first place.
    unsafe { beside.write_unaligned(sound) };
    assert_eq!(narrow(&rig, registration, beside), abi::ERR_MISC_INVALID_ARGS);
    assert_eq!(narrow(&rig, registration + 1_000, &raw const sound), abi::ERR_NOT_FOUND);
    assert_eq!(narrow(&rig, registration, &raw const sound), abi::NOERROR);
    assert_eq!(narrow(&rig, registration, &raw const sound), abi::EM_ERR_STAGE, "once");
    let late = rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    drop(rig.directory());
    assert_eq!(narrow(&rig, late, &raw const sound), abi::EM_ERR_STAGE, "em_entry is over");
}

#[test]
fn members_that_this_host_does_not_know_must_be_empty() {
    #[repr(C)]
    struct Longer {
        known: abi::EmFilter,
        further: abi::EmText,
    }
    let mut rig = Rig::default();
    let registration =
        rig.plugin("narrow", Run::Inline)
            .on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let known = abi::EmFilter { size: size_of::<Longer>() as u32, ..filter("", "a.test", "") };
    let further = abi::EmText { data: std::ptr::null(), len: 0 };
    let set = Longer { known, further: lend("x") };
    let status = narrow(&rig, registration, (&raw const set).cast());
    assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
    let empty = Longer { known, further };
    assert_eq!(narrow(&rig, registration, (&raw const empty).cast()), abi::NOERROR);
}
