//! The chain of one event: its order, what statuses and verdicts mean, and what handlers see of each other.

use super::*;

#[test]
fn the_chain_goes_by_priority_then_configuration_and_ends_with_the_first_verdict() {
    let mut rig = Rig::default();
    let called = Arc::new(Mutex::new(String::new()));
    for (name, priority, answer) in [
        ("a", 5, abi::ERR_EM_CONTINUE),
        ("b", -1, abi::ERR_EM_CONTINUE),
        ("c", 0, abi::ERR_EM_CONTINUE),
        ("d", 0, abi::EM_VERDICT),
        ("e", 0, abi::ERR_EM_CONTINUE),
    ] {
        let called = called.clone();
        rig.plugin_with(name, Run::Inline, |config, _| config.priority = priority);
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE | abi::EM_REG_AFTER, move |record| {
            called.lock().unwrap().push_str(name);
            if answer == abi::EM_VERDICT {
                let status = give(record, abi::EM_VERDICT_REJECT, 550);
                let before = record.NotificationType == abi::EM_BEFORE;
                assert_eq!(status, if before { abi::NOERROR } else { abi::EM_ERR_STAGE });
            }
            answer
        });
    }
    let dispatch = rig.dispatch();
    assert!(dispatch.interest().contains(Event::Mail, Stage::Before));
    assert!(!dispatch.interest().contains(Event::Rcpt, Stage::Before));
    let verdict = now(dispatch.ask(mail()));
    assert_eq!(*called.lock().unwrap(), "bcd");
    assert!(
        matches!(&verdict.decision, Decision::Reject(reply) if reply.code() == 550),
        "{verdict:?}"
    );
    called.lock().unwrap().clear();
    let after = Ask { stage: Stage::After, reply: Some(Reply::new(250, None, "Ok")), ..mail() };
    assert_eq!(now(dispatch.ask(after)).decision, Decision::Continue);
    assert_eq!(*called.lock().unwrap(), "bcdea", "after runs everybody");
}

/// Every status and verdict at one event: what it decides, or that it is a fault.
#[test]
fn statuses_and_verdicts_mean_what_the_header_says() {
    const FAULT: &str = "defer 451";
    let command = |line: &[u8]| ask(Question::Command { line: line.into() }, Stage::Before, None);
    let etrn = ask(
        Question::Etrn { node: stagepost_smtp::EtrnNode::Host("x".into()) },
        Stage::Before,
        None,
    );
    let rcpt = Question::Rcpt { recipient: Address::parse("a@b").unwrap(), parameters: "".into() };
    let helo = Question::Ehlo { name: "x".into(), extended: true, keywords: "".into() };
    let vrfy = |verb| ask(Question::Vrfy { verb, argument: "x".into() }, Stage::Before, None);
    let atrn = Question::Atrn { domains: "".into() };
    let verb = Question::Verb { verb: "XFOO".into(), argument: "".into() };
    let timeout = Question::Timeout { awaited: Awaited::Command };
    let disconnect = Question::Disconnect { reason: DisconnectReason::Quit };
    let behind = |event: Event| {
        let mut all = questions::all().into_iter();
        ask(all.find(|question| question.event() == event).unwrap(), Stage::Before, None)
    };
    let asks: [(&str, abi::EID, Ask, bool); 31] = [
        ("connect", abi::EM_SMTPCONNECT, ask(Question::Connect, Stage::Before, None), false),
        ("noop", abi::EM_SMTPCOMMAND, command(b"NOOP"), true),
        ("data line", abi::EM_SMTPCOMMAND, command(b"data"), false),
        ("bdat line", abi::EM_SMTPCOMMAND, command(b"BDAT 5 LAST"), false),
        ("starttls line", abi::EM_SMTPCOMMAND, command(b"STARTTLS"), false),
        ("auth line", abi::EM_SMTPCOMMAND, command(b"AUTH PLAIN *"), false),
        ("atrn line", abi::EM_SMTPCOMMAND, command(b"ATRN example.org"), false),
        ("xclient line", abi::EM_SMTPCOMMAND, command(b"XCLIENT ADDR=192.0.2.1"), false),
        ("ehlo", abi::EM_SMTPEHLO, ask(helo, Stage::Before, None), false),
        ("starttls", abi::EM_SMTPSTARTTLS, ask(Question::StartTls, Stage::Before, None), false),
        // Handled needs the name of a user: see `auth`.
        ("auth", abi::EM_SMTPAUTH, auth::plain(), false),
        ("mail", abi::EM_SMTPMAIL, mail(), false),
        ("rcpt", abi::EM_SMTPRCPT, ask(rcpt, Stage::Before, None), false),
        ("data", abi::EM_SMTPDATA, ask(Question::Data { chunk: None }, Stage::Before, None), false),
        ("headers", abi::EM_SMTPHEADERS, ask(Question::Headers, Stage::Before, None), false),
        ("body", abi::EM_SMTPBODY, chunk(b"x", 0, true), false),
        ("accept", abi::EM_SMTPMESSAGEACCEPT, accept(), true),
        ("etrn", abi::EM_SMTPETRN, etrn, true),
        // Handled needs somebody's mail: see `atrn`.
        ("atrn", abi::EM_SMTPATRN, ask(atrn, Stage::Before, None), false),
        ("vrfy", abi::EM_SMTPVRFY, vrfy(VrfyVerb::Vrfy), true),
        ("expn", abi::EM_SMTPVRFY, vrfy(VrfyVerb::Expn), true),
        ("verb", abi::EM_SMTPVERB, ask(verb, Stage::Before, None), true),
        ("rset", abi::EM_SMTPRSET, ask(Question::Rset, Stage::Before, None), false),
        ("quit", abi::EM_SMTPQUIT, ask(Question::Quit, Stage::Before, None), false),
        ("timeout", abi::EM_SMTPTIMEOUT, ask(timeout, Stage::Before, None), false),
        ("queue", abi::EM_SMTPQUEUE, behind(Event::Queue), true),
        ("route", abi::EM_SMTPROUTE, behind(Event::Route), false),
        ("deliver", abi::EM_SMTPDELIVER, behind(Event::Deliver), true),
        ("bounce", abi::EM_SMTPBOUNCE, behind(Event::Bounce), true),
        ("expire", abi::EM_SMTPEXPIRE, behind(Event::Expire), true),
        ("disconnect", abi::EM_SMTPDISCONNECT, ask(disconnect, Stage::Before, None), false),
    ];
    for (name, event, question, takes_handled) in asks {
        let last = ["connect", "quit", "timeout"].contains(&name);
        let fault = match name {
            _ if last => "defer 421",
            "starttls" | "auth" => "defer 454",
            _ => FAULT,
        };
        let handled = |text| if takes_handled { text } else { fault };
        let cells: [(abi::STATUS, u32, u16, &str); 14] = [
            (abi::ERR_EM_CONTINUE, 0, 0, "continue"),
            (abi::NOERROR, 0, 0, handled("handled")),
            (abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 0, handled("handled")),
            (abi::EM_VERDICT, abi::EM_VERDICT_HANDLED, 250, handled("handled 250")),
            (abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 550, "reject 550"),
            (abi::EM_VERDICT, abi::EM_VERDICT_DEFER, 450, "defer 450"),
            (abi::EM_VERDICT, abi::EM_VERDICT_DISCONNECT, 421, "disconnect 421"),
            (abi::EM_VERDICT, abi::EM_VERDICT_REJECT, 450, fault),
            (abi::EM_VERDICT, 99, 550, fault),
            (abi::EM_FAULT, 0, 0, fault),
            // `return edits->verdict(...)`: the setter's success is not the handler's.
            (abi::NOERROR, abi::EM_VERDICT_REJECT, 550, fault),
            (abi::ERR_EM_CONTINUE, abi::EM_VERDICT_REJECT, 550, fault),
            (abi::NOERROR, abi::EM_VERDICT_HANDLED, 250, handled("handled 250")),
            (0x7777, 0, 0, fault),
        ];
        for (status, verdict, code, wanted) in cells {
            let mut rig = Rig::default();
            rig.plugin("p", Run::Inline).on(event, abi::EM_REG_BEFORE, move |record| {
                if verdict != 0 {
                    give(record, verdict, code);
                }
                status
            });
            let decision = now(rig.dispatch().ask(question.clone())).decision;
            let found = decided(&decision);
            // Nobody is left to be told anything.
            let wanted = if name == "disconnect" { "continue" } else { wanted };
            assert_eq!(found, wanted, "{name}: status {status:#x}, verdict {verdict}, code {code}");
        }
    }
}

#[test]
fn later_handlers_see_earlier_edits_and_faults_leave_none() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for (name, status) in
        [("one", abi::ERR_EM_CONTINUE), ("two", 0x7777), ("three", abi::ERR_EM_CONTINUE)]
    {
        let seen = seen.clone();
        rig.plugin_with(name, Run::Inline, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(20_000, OnFault::Continue));
        });
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let mut value = lend("");
            // SAFETY: session and sheet are this call's; text handed out is valid during it.
            unsafe {
                let found = (sessions.attribute)(session(record), lend("who"), &raw mut value);
                let text = std::slice::from_raw_parts(value.data.cast::<u8>(), value.len as usize);
                seen.lock().unwrap().push((found, String::from_utf8_lossy(text).into_owned()));
                assert_eq!((edits.attribute)(sheet(record), lend("who"), lend(name)), 0);
                assert_eq!((edits.header_add)(sheet(record), lend("X"), lend(name)), 0);
            }
            status
        });
    }
    let verdict = now(rig.dispatch().ask(accept()));
    let wanted = [(abi::ERR_NOT_FOUND, ""), (0, "one"), (0, "one")];
    assert_eq!(*seen.lock().unwrap(), wanted.map(|(status, text)| (status, text.to_owned())));
    let by: Vec<_> = verdict.edits.iter().map(|edit| &*edit.plugin).collect();
    assert_eq!(by, ["one", "one", "three", "three"], "{verdict:?}");
    assert_eq!(verdict.decision, Decision::Continue);
    assert!(matches!(verdict.edits[3].edit, Edit::AddHeader { .. }));
    assert_eq!(rig.hosts[1].state().faults, 1);
}

#[test]
fn a_descriptor_binds() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = 0);
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
        let refused = abi::ERR_EM_NOTAUTHORIZED;
        assert_eq!(give(record, abi::EM_VERDICT_REJECT, 550), refused);
        // SAFETY: the sheet is this call's.
        unsafe {
            assert_eq!((edits.header_add)(sheet(record), lend("X"), lend("y")), refused);
            assert_eq!((edits.attribute)(sheet(record), lend("x"), lend("y")), refused);
            assert_eq!((edits.hold)(sheet(record), lend("x")), refused);
            assert_eq!((edits.discard)(sheet(record)), refused);
        }
        abi::NOERROR
    });
    let verdict = now(rig.dispatch().ask(accept()));
    assert!(matches!(verdict.decision, Decision::Defer(_)), "an undeclared handled is a fault");
}

#[test]
fn a_full_table_of_attributes_can_still_be_changed() {
    let mut rig = Rig::default();
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        // SAFETY: the sheet is this call's.
        let set = |name: &str| unsafe { (edits.attribute)(sheet(record), lend(name), lend("0")) };
        assert_eq!(set("last"), 0);
        assert_eq!(set("last"), 0, "its place is taken once");
        assert_eq!(set("further"), abi::EM_ERR_LIMIT);
        assert_eq!(set("a0"), 0, "a grant can be taken back");
        abi::ERR_EM_CONTINUE
    });
    let mut question = mail();
    let facts = Arc::make_mut(&mut question.facts);
    for number in 0..63 {
        let name = format!("a{number}").into();
        facts.set_attribute(Attribute { name, value: "1".into(), plugin: "q".into() });
    }
    assert_eq!(now(rig.dispatch().ask(question)).edits.len(), 3);
}
