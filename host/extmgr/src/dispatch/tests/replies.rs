//! Replies after their stage: what handlers may change of them, and what those behind are shown.
//! Knows nothing of how the session words them in the first place.

use super::*;

#[test]
fn a_reply_is_changed_after_its_stage_and_within_its_class() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    // The reply, what is asked for, the status, and the reply that the next handler is shown.
    let cases = [
        ((550, "No"), (551, "5.1.6", "Moved"), abi::NOERROR, (551, "Moved")),
        ((550, "No"), (0, "", "Moved"), abi::NOERROR, (550, "Moved")),
        ((550, "No"), (554, "", ""), abi::NOERROR, (554, "No")),
        ((550, "No"), (450, "", ""), abi::EM_ERR_CLASS, (550, "No")),
        ((550, "No"), (250, "", "Yes"), abi::EM_ERR_CLASS, (550, "No")),
        ((250, "Ok"), (550, "", ""), abi::EM_ERR_CLASS, (250, "Ok")),
        ((250, "Ok"), (221, "", ""), abi::EM_ERR_CLASS, (250, "Ok")),
        ((421, "Bye"), (450, "", ""), abi::EM_ERR_CLASS, (421, "Bye")),
        ((235, "Hi"), (250, "", ""), abi::EM_ERR_CLASS, (235, "Hi")),
        ((235, "Hi"), (0, "2.7.8", "Welcome"), abi::NOERROR, (235, "Welcome")),
        ((354, "Go"), (355, "", ""), abi::EM_ERR_CLASS, (354, "Go")),
        ((550, "No"), (550, "4.1.6", ""), abi::ERR_MISC_INVALID_ARGS, (550, "No")),
        ((550, "No"), (550, "junk", ""), abi::ERR_MISC_INVALID_ARGS, (550, "No")),
        ((550, "No"), (550, "", "a\rb"), abi::ERR_MISC_INVALID_ARGS, (550, "No")),
        ((550, "No"), (65535, "", ""), abi::EM_ERR_CLASS, (550, "No")),
    ];
    for ((code, text), (new, enhanced, words), wanted, shown) in cases {
        let mut rig = Rig::default();
        let change = move |record: &abi::EMRECORD| {
            // SAFETY: the sheet is this call's; text is lent for the call.
            unsafe { (edits.reply_change)(sheet(record), new, lend(enhanced), lend(words)) }
        };
        rig.plugin("one", Run::Inline);
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_AFTER, move |record| {
            assert_eq!(change(record), wanted, "{new} {enhanced} {words:?}");
            abi::ERR_EM_CONTINUE
        });
        let seen = Arc::new(Mutex::new(None));
        let see = seen.clone();
        rig.plugin("two", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_AFTER, move |record| {
            // SAFETY: the event is an EmMail with a reply.
            let (code, text) = unsafe {
                let reply = &*(*record.Event.cast::<abi::EmMail>()).event.reply;
                (reply.code, read(reply.text))
            };
            *see.lock().unwrap() = Some((code, text));
            abi::ERR_EM_CONTINUE
        });
        rig.plugin_with("undeclared", Run::Inline, |_, descriptor| {
            descriptor.edits = !abi::EM_EDIT_REPLY_CODE;
        });
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_AFTER, move |record| {
            assert_eq!(change(record), abi::ERR_EM_NOTAUTHORIZED);
            abi::ERR_EM_CONTINUE
        });
        let mark = (code != 354).then_some(((code / 100) as u8, 1, 0));
        let question =
            Ask { stage: Stage::After, reply: Some(Reply::new(code, mark, text)), ..mail() };
        let verdict = now(rig.dispatch().ask(question));
        assert_eq!(*seen.lock().unwrap(), Some((shown.0, shown.1.to_owned())));
        assert_eq!(verdict.edits.len(), usize::from(wanted == abi::NOERROR));
        assert!(rig.hosts.iter().all(|host| host.state().faults == 0));
    }
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        // SAFETY: the sheet is this call's; text is lent for the call.
        let status = unsafe { (edits.reply_change)(sheet(record), 251, lend(""), lend("")) };
        assert_eq!(status, abi::EM_ERR_STAGE);
        abi::ERR_EM_CONTINUE
    });
    now(rig.dispatch().ask(mail()));
}

/// After every event that has an after: the code and the words change, and the next handler is shown both.
#[test]
fn every_reply_is_changed_after_its_event() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    for question in questions::all() {
        let event = question.event();
        if !event.has_after() {
            continue;
        }
        let number = crate::event::number(event);
        let mute = matches!(event, Event::StartTls | Event::Disconnect);
        let replies = !mute && !event.is_behind_session();
        let status = if replies { abi::NOERROR } else { abi::EM_ERR_STAGE };
        let mut rig = Rig::default();
        rig.plugin("one", Run::Inline).on(number, abi::EM_REG_AFTER, move |record| {
            let (mark, words, none) = (lend("5.1.6"), lend("Changed"), lend(""));
            // SAFETY: the sheet is this call's; text is lent for the call.
            unsafe {
                assert_eq!((edits.reply_text)(sheet(record), lend("Said")), status, "{event:?}");
                assert_eq!((edits.reply_change)(sheet(record), 551, mark, words), status);
                let wrong = if replies { abi::EM_ERR_CLASS } else { abi::EM_ERR_STAGE };
                assert_eq!((edits.reply_change)(sheet(record), 251, none, none), wrong);
            }
            abi::ERR_EM_CONTINUE
        });
        let seen = Arc::new(Mutex::new(None));
        let see = seen.clone();
        rig.plugin("two", Run::Inline).on(number, abi::EM_REG_AFTER, move |record| {
            // SAFETY: every event struct starts with an EmEvent; its reply is valid during the call, or NULL.
            *see.lock().unwrap() = Some(unsafe {
                (*record.Event.cast::<abi::EmEvent>()).reply.as_ref().map(|reply| {
                    let mark = (reply.enhanced_subject, reply.enhanced_detail);
                    (reply.code, mark, read(reply.text))
                })
            });
            abi::ERR_EM_CONTINUE
        });
        let reply = replies.then(|| Reply::new(550, Some((5, 0, 0)), "No"));
        let verdict = now(rig.dispatch().ask(ask(question, Stage::After, reply)));
        let shown = replies.then(|| (551, (1, 6), "Changed".to_owned()));
        assert_eq!(*seen.lock().unwrap(), Some(shown), "{event:?}");
        assert_eq!(verdict.edits.len(), if replies { 2 } else { 0 }, "{event:?}");
        assert_eq!(verdict.decision, Decision::Continue);
        assert!(rig.hosts.iter().all(|host| host.state().faults == 0), "{event:?}");
    }
}
