//! Edits of header and envelope: where they are taken, with which arguments, and what later handlers see of them.

use super::*;

/// Makes an edit by its name, first with arguments that can't be, where there are such: both statuses.
fn write(name: &str, sheet: *mut abi::EmEdits) -> (Option<abi::STATUS>, abi::STATUS) {
    let to: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let (x, y, path, none) = (lend("X"), lend("y"), lend("a@b"), lend(""));
    let broken = lend("a\rb");
    // SAFETY: the sheet is the running call's; all text is static.
    let (wrong, right) = unsafe {
        match name {
            "verdict" => (
                (to.verdict)(sheet, 99, 550, none, none),
                (to.verdict)(sheet, abi::EM_VERDICT_DEFER, 450, none, none),
            ),
            "reply text" => ((to.reply_text)(sheet, broken), (to.reply_text)(sheet, x)),
            "reply change" => {
                ((to.reply_change)(sheet, 0, none, broken), (to.reply_change)(sheet, 251, none, x))
            }
            "attribute" => ((to.attribute)(sheet, x, y), (to.attribute)(sheet, y, x)),
            "header add" => ((to.header_add)(sheet, none, y), (to.header_add)(sheet, x, y)),
            "insert" => ((to.header_insert)(sheet, 0, none, y), (to.header_insert)(sheet, 0, x, y)),
            "change" => ((to.header_change)(sheet, x, 0, y), (to.header_change)(sheet, x, 1, y)),
            "delete" => ((to.header_delete)(sheet, x, 0), (to.header_delete)(sheet, x, 1)),
            "hold" => ((to.hold)(sheet, none), (to.hold)(sheet, x)),
            "tag" => ((to.tag)(sheet, x), (to.tag)(sheet, lend("seen"))),
            "discard" => return (None, (to.discard)(sheet)),
            "sender" => {
                ((to.sender)(sheet, lend("a@b>"), none), (to.sender)(sheet, none, lend("SIZE=3")))
            }
            "add" => (
                (to.recipient_add)(sheet, path, lend("NOT=KNOWN")),
                (to.recipient_add)(sheet, path, none),
            ),
            "remove" => ((to.recipient_remove)(sheet, none), (to.recipient_remove)(sheet, path)),
            "recipient verdict" => (
                (to.recipient_verdict)(sheet, path, abi::EM_VERDICT_DEFER, 421, none, x),
                (to.recipient_verdict)(sheet, path, abi::EM_VERDICT_REJECT, 550, none, x),
            ),
            "replace" => return replace(to, sheet),
            "command" => {
                ((to.command_replace)(sheet, lend("A\tB")), (to.command_replace)(sheet, x))
            }
            "keyword add" => {
                ((to.keyword_add)(sheet, none, none), (to.keyword_add)(sheet, x, none))
            }
            "keyword remove" => ((to.keyword_remove)(sheet, none), (to.keyword_remove)(sheet, x)),
            "identity" => ((to.identity)(sheet, none), (to.identity)(sheet, path)),
            "reverse" => ((to.reverse)(sheet, none), (to.reverse)(sheet, lend("@a.test"))),
            "route" => ((to.route)(sheet, none), (to.route)(sheet, x)),
            "prepend" => ((to.body_prepend)(sheet, lend("\n")), (to.body_prepend)(sheet, y)),
            "append" => ((to.body_append)(sheet, lend("\n")), (to.body_append)(sheet, y)),
            "body" => ((to.body_replace)(sheet, lend("\n")), (to.body_replace)(sheet, y)),
            _ => panic!("{name}"),
        }
    };
    (Some(wrong), right)
}

/// Replaces a recipient: at RCPT there is one in hand, elsewhere one is named, and the other way is wrong.
fn replace(
    to: &abi::EmEditsService,
    sheet: *mut abi::EmEdits,
) -> (Option<abi::STATUS>, abi::STATUS) {
    let (path, none) = (lend("a@b"), lend(""));
    // SAFETY: the sheet is the running call's; all text is static.
    let (in_hand, named) = unsafe {
        (
            (to.recipient_replace)(sheet, none, path, none),
            (to.recipient_replace)(sheet, path, path, none),
        )
    };
    match (in_hand, named) {
        (abi::NOERROR, other) | (other, abi::NOERROR) => (Some(other), abi::NOERROR),
        (one, other) => (Some(one), other),
    }
}

/// Where an edit is taken: the stages and events that it names, and the descriptor's bit.
type Taken = (&'static str, &'static [Stage], Vec<Event>, u64);

/// Every function of the edits service.
fn table() -> [Taken; 25] {
    use Event::{
        Atrn, Auth, Body, Bounce, Command, Data, Deliver, Disconnect, Ehlo, Expire, Headers, Mail,
        MessageAccept, Queue, Rcpt, Route, StartTls,
    };
    const BEFORE: &[Stage] = &[Stage::Before];
    const AFTER: &[Stage] = &[Stage::After];
    const EITHER: &[Stage] = &[Stage::Before, Stage::After];
    let but = |out: &[Event]| Event::ALL.into_iter().filter(|e| !out.contains(e)).collect();
    let of_message = || vec![Mail, Rcpt, Data, Headers, Body, MessageAccept];
    let accept = || vec![MessageAccept];
    let and = |further: &[Event]| [&of_message()[..], further].concat();
    let mute = [StartTls, Disconnect, Queue, Route, Deliver, Bounce, Expire];
    let of_header = || and(&[Queue, Bounce]);
    [
        ("verdict", BEFORE, but(&[Disconnect]), abi::EM_EDIT_VERDICT),
        ("reply text", AFTER, but(&mute), abi::EM_EDIT_REPLY_TEXT),
        ("reply change", AFTER, but(&mute), abi::EM_EDIT_REPLY_CODE),
        ("attribute", EITHER, but(&[Disconnect]), abi::EM_EDIT_ATTRIBUTE),
        ("header add", BEFORE, of_header(), abi::EM_EDIT_HEADER),
        ("insert", BEFORE, of_header(), abi::EM_EDIT_HEADER),
        ("change", BEFORE, of_header(), abi::EM_EDIT_HEADER),
        ("delete", BEFORE, of_header(), abi::EM_EDIT_HEADER),
        ("hold", BEFORE, and(&[Queue, Route, Deliver, Bounce, Expire]), abi::EM_EDIT_HOLD),
        ("tag", BEFORE, of_message(), abi::EM_EDIT_TAG),
        ("discard", BEFORE, and(&[Route]), abi::EM_EDIT_DISCARD),
        ("sender", BEFORE, vec![Mail, Headers, MessageAccept], abi::EM_EDIT_SENDER),
        ("add", BEFORE, vec![Rcpt, Data, Headers, MessageAccept], abi::EM_EDIT_RECIPIENT),
        ("remove", BEFORE, vec![Data, Headers, MessageAccept], abi::EM_EDIT_RECIPIENT),
        ("replace", BEFORE, vec![Rcpt, Data, Headers, MessageAccept], abi::EM_EDIT_RECIPIENT),
        ("recipient verdict", BEFORE, accept(), abi::EM_EDIT_VERDICT),
        ("command", BEFORE, vec![Command], abi::EM_EDIT_COMMAND),
        ("keyword add", BEFORE, vec![Ehlo], abi::EM_EDIT_KEYWORD),
        ("keyword remove", BEFORE, vec![Ehlo], abi::EM_EDIT_KEYWORD),
        ("route", BEFORE, vec![Route], abi::EM_EDIT_ROUTE),
        ("identity", BEFORE, vec![Auth], abi::EM_EDIT_CREDENTIALS),
        ("reverse", BEFORE, vec![Atrn], abi::EM_EDIT_QUEUE),
        ("prepend", BEFORE, accept(), abi::EM_EDIT_BODY),
        ("append", BEFORE, accept(), abi::EM_EDIT_BODY),
        ("body", BEFORE, accept(), abi::EM_EDIT_BODY),
    ]
}

/// A question as the session puts it: with a reply after, but where there is none, and with the message when it is there.
fn put(question: Question, stage: Stage) -> Ask {
    let event = question.event();
    let mute = matches!(event, Event::StartTls | Event::Disconnect) || event.is_behind_session();
    let replies = stage == Stage::After && !mute;
    let message = match event {
        Event::MessageAccept => bodies::filled(b"", 1000, 1000).message,
        _ => None,
    };
    Ask { message, ..ask(question, stage, replies.then(|| Reply::new(250, None, "Ok"))) }
}

/// Every edit at every stage of every event, declared and not.
#[test]
fn edits_are_taken_where_the_header_says() {
    for (name, stages, events, bit) in table() {
        for question in questions::all() {
            let event = question.event();
            for (stage, declared) in
                questions::stages(event).iter().flat_map(|&stage| [(stage, bit), (stage, !bit)])
            {
                let here = stages.contains(&stage) && events.contains(&event);
                let wanted = match (declared == bit, here) {
                    (false, _) => (abi::ERR_EM_NOTAUTHORIZED, abi::ERR_EM_NOTAUTHORIZED),
                    (true, false) => (abi::EM_ERR_STAGE, abi::EM_ERR_STAGE),
                    (true, true) => (abi::ERR_MISC_INVALID_ARGS, abi::NOERROR),
                };
                let case = format!("{name}: {} {}", stage.name(), event.name());
                let mut rig = Rig::default();
                rig.plugin_with("p", Run::Inline, |_, descriptor| descriptor.edits = declared);
                let (number, both) = (crate::event::number(event), questions::both(event));
                let statuses = Arc::new(Mutex::new(None));
                let found = statuses.clone();
                rig.on(number, both, move |record| {
                    let (wrong, right) = write(name, sheet(record));
                    *found.lock().unwrap() = Some((wrong.unwrap_or(wanted.0), right));
                    match name == "verdict" && right == abi::NOERROR {
                        true => abi::EM_VERDICT,
                        false => abi::ERR_EM_CONTINUE,
                    }
                });
                let verdict = now(rig.dispatch().ask(put(question.clone(), stage)));
                assert_eq!(*statuses.lock().unwrap(), Some(wanted), "{case}");
                let taken = here && declared == bit;
                let edits = usize::from(taken && name != "verdict");
                assert_eq!(verdict.edits.len(), edits, "{case}");
                let decided = verdict.decision != Decision::Continue;
                assert_eq!(decided, taken && name == "verdict", "{case}");
                assert_eq!(rig.hosts[0].state().faults, 0, "{case}");
            }
        }
    }
}

fn command(line: &[u8]) -> Ask {
    ask(Question::Command { line: line.into() }, Stage::Before, None)
}

/// Plug-ins that put one line after the other in the place of the one in hand.
fn rewriters(lines: &'static [&'static str], on_fault: OnFault) -> (Rig, Arc<Mutex<Vec<String>>>) {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::default();
    for line in lines {
        rig.plugin_with(line, Run::Inline, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(20_000, on_fault));
        });
        let log = seen.clone();
        rig.on(abi::EM_SMTPCOMMAND, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmCommand, the sheet this call's.
            unsafe {
                let event = &*record.Event.cast::<abi::EmCommand>();
                log.lock().unwrap().push(read(event.line));
                assert_eq!((edits.command_replace)(sheet(record), lend(line)), 0);
            }
            abi::ERR_EM_CONTINUE
        });
    }
    (rig, seen)
}

#[test]
fn later_handlers_see_the_line_as_rewritten() {
    let (rig, seen) = rewriters(&["MAIL FROM:<a@b>", "MAIL FROM:<c@d>"], OnFault::Defer);
    let verdict = now(rig.dispatch().ask(command(b"XMAIL")));
    assert_eq!(*seen.lock().unwrap(), ["XMAIL", "MAIL FROM:<a@b>"]);
    assert_eq!((verdict.decision, verdict.edits.len()), (Decision::Continue, 2));
}

#[test]
fn a_line_that_would_put_the_client_out_of_step_is_a_fault() {
    let cases: [(&[u8], &'static [&'static str]); 6] = [
        (b"DATA", &["NOOP"]),
        (b"NOOP", &["DATA"]),
        (b"bdat 5 last", &["BDAT 6"]),
        (b"RCPT TO:<a@b>", &["NOOP"]),
        // What the first made of it counts for the second.
        (b"XRCPT", &["RCPT TO:<a@b>", "NOOP"]),
        (b"AUTH PLAIN *", &["AUTH PLAIN x"]),
    ];
    for (line, lines) in cases {
        let (rig, _) = rewriters(lines, OnFault::Defer);
        let verdict = now(rig.dispatch().ask(command(line)));
        assert!(matches!(verdict.decision, Decision::Defer(_)), "{lines:?}");
        let faults: Vec<_> = rig.hosts.iter().map(|host| host.state().faults).collect();
        assert_eq!(faults.last(), Some(&1), "{lines:?}");
        let (rig, _) = rewriters(lines, OnFault::Continue);
        let verdict = now(rig.dispatch().ask(command(line)));
        assert_eq!(verdict.edits.len(), lines.len() - 1, "the line is as before the fault");
        assert_eq!(verdict.decision, Decision::Continue);
    }
}

fn rcpt() -> Ask {
    let recipient = Address::parse("u@v").unwrap();
    ask(Question::Rcpt { recipient, parameters: "".into() }, Stage::Before, None)
}

#[test]
fn later_handlers_see_the_envelope_as_edited() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::default();
    for name in ["one", "two"] {
        rig.plugin(name, Run::Inline);
        let log = seen.clone();
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmMail, the sheet this call's.
            unsafe {
                let event = &*record.Event.cast::<abi::EmMail>();
                log.lock().unwrap().push(format!(
                    "{} {}",
                    read(event.sender),
                    read(event.parameters)
                ));
                (edits.sender)(sheet(record), lend("new@b"), lend("SIZE=3"));
            }
            abi::ERR_EM_CONTINUE
        });
        let log = seen.clone();
        rig.on(abi::EM_SMTPRCPT, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmRcpt, the sheet this call's.
            unsafe {
                let event = &*record.Event.cast::<abi::EmRcpt>();
                log.lock().unwrap().push(read(event.recipient));
                (edits.recipient_replace)(sheet(record), lend(""), lend("new@c"), lend(""));
            }
            abi::ERR_EM_CONTINUE
        });
        let log = seen.clone();
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: session and sheet are this call's; text handed out is valid during it.
            unsafe {
                let mut words = Vec::new();
                let mut value = lend("");
                if (sessions.text)(session(record), abi::EM_FACT_SENDER, &raw mut value) == 0 {
                    words.push(read(value));
                }
                for index in 0.. {
                    if (sessions.recipient)(session(record), index, &raw mut value) != 0 {
                        break;
                    }
                    words.push(read(value));
                }
                log.lock().unwrap().push(words.join(" "));
                (edits.sender)(sheet(record), lend("s@b"), lend(""));
                (edits.recipient_add)(sheet(record), lend("x@y"), lend(""));
                (edits.recipient_add)(sheet(record), lend("z@y"), lend(""));
                (edits.recipient_remove)(sheet(record), lend("x@Y"));
            }
            abi::ERR_EM_CONTINUE
        });
    }
    let dispatch = rig.dispatch();
    for question in [mail(), rcpt(), accept()] {
        now(dispatch.ask(question));
    }
    let wanted = [" ", "new@b SIZE=3", "u@v", "new@c", "", "s@b z@y"];
    assert_eq!(*seen.lock().unwrap(), wanted);
}

#[test]
fn a_fault_that_shows_later_is_counted_too() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE);
    let fault = EditFault::Emptied { recipient: Address::parse("a@b").unwrap() };
    let dispatch = rig.dispatch();
    now(dispatch.ask(mail()));
    dispatch.blame(7, "p", &fault);
    dispatch.blame(7, "somebody else", &fault);
    let state = rig.hosts[0].state();
    assert_eq!((state.calls, state.faults), (1, 1));
}

#[test]
fn tags_are_seen_by_later_handlers_and_bounded() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let sessions: &abi::EmSessionService = service(abi::EM_SESSION_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::default();
    for name in ["one", "two"] {
        let log = seen.clone();
        rig.plugin(name, Run::Inline);
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let mut tags = Vec::new();
            let mut count = 0;
            // SAFETY: session and sheet are this call's; text handed out is valid during it.
            unsafe {
                (sessions.number)(session(record), abi::EM_FACT_TAGS, &raw mut count);
                let mut value = lend("");
                while (sessions.tag)(session(record), tags.len() as u64, &raw mut value) == 0 {
                    tags.push(read(value));
                }
                (edits.tag)(sheet(record), lend(name));
                if name == "two" {
                    let statuses = (0..64)
                        .map(|number| (edits.tag)(sheet(record), lend(&format!("t{number}"))));
                    let taken = statuses.filter(|status| *status == abi::NOERROR).count();
                    assert_eq!(taken, 61, "64 with those that there are");
                    assert_eq!((edits.tag)(sheet(record), lend("more")), abi::EM_ERR_LIMIT);
                }
            }
            assert_eq!(count, tags.len() as u64);
            log.lock().unwrap().push(tags);
            abi::ERR_EM_CONTINUE
        });
    }
    let mut question = accept();
    Arc::make_mut(&mut question.facts).add_tag("earlier");
    now(rig.dispatch().ask(question));
    assert_eq!(*seen.lock().unwrap(), [vec!["earlier"], vec!["earlier", "one"]]);
}
