//! A plug-in driven through its C entry by a host in the same process.
//! Knows the SDK from both sides, and no real host.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]

mod fake;

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io::{BufRead, Read, Write};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake::{Fake, Session, Sheet, Value, event, text};
use stagepost_abi::*;
use stagepost_sdk::{
    AfterEdits, Answer, BodyChunk, Config, Connect, Disconnect, Edits, Fault, Filter, Headers,
    Host, Level, Mail, MessageAccept, Outcome, Plugin, Rcpt, Reason, Refusal, StartError, Timeout,
    Vrfy, export_plugin,
};

/// Plug-ins dropped, by the number in their configuration: tests run beside each other.
static DROPPED: [AtomicUsize; 16] = [const { AtomicUsize::new(0) }; 16];
static SLOTS_DROPPED: AtomicUsize = AtomicUsize::new(0);

struct Probe {
    host: Host,
    number: Option<usize>,
    networks: Option<&'static str>,
}

/// What is kept for a session.
#[derive(Default)]
struct Kept {
    mails: u32,
    bomb: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        SLOTS_DROPPED.fetch_add(1, Ordering::Relaxed);
        assert!(!self.bomb, "in the drop of what was kept");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            DROPPED[number].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Polls a future to its end; whoever wakes it wakes this thread.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}

fn use_state(host: &Host) -> Result<(), StartError> {
    let state = host.state().ok_or_else(|| StartError::failed("no state"))?;
    let text =
        |found: Option<Vec<u8>>| found.map(|octets| String::from_utf8(octets).expect("text"));
    state.put_wait(b"a/1", b"one")?;
    assert_eq!(text(state.get_wait(b"a/1")?).as_deref(), Some("one"));
    assert_eq!(state.get_wait(b"a/2")?, None);
    wait(state.put(b"a/2", b"two"))?;
    assert_eq!(text(wait(state.get(b"a/2"))?).as_deref(), Some("two"));
    assert_eq!(wait(state.get(b"a/3"))?, None);
    assert_eq!(text(state.next_wait(b"a/", b"")?).as_deref(), Some("a/1"));
    assert_eq!(text(wait(state.next(b"a/", b"a/1"))?).as_deref(), Some("a/2"));
    wait(state.remove(b"a/1"))?;
    state.remove_wait(b"a/2")?;
    assert_eq!(state.next_wait(b"a/", b"")?, None);
    // One that nobody awaits is told all the same.
    drop(state.get(b"a/1"));
    let reason = |refused: Result<Option<Vec<u8>>, Refusal>| refused.expect_err("refused").reason;
    assert_eq!(reason(wait(state.get(b"refused"))), Reason::Limit);
    assert_eq!(reason(wait(state.get(b"broken"))), Reason::Unreadable);
    assert_eq!(reason(state.get_wait(b"broken")), Reason::Unreadable);
    assert_eq!(wait(state.put(b"broken", b"")).expect_err("refused").call, "put");
    Ok(())
}

fn look_up(host: &Host) -> Result<(), StartError> {
    let directory = host.directory().ok_or_else(|| StartError::failed("no directory"))?;
    assert!(directory.is_user("alice@here")?);
    assert!(!directory.is_user("bob@here")?);
    assert_eq!(directory.is_user("bob").expect_err("refused").reason, Reason::Invalid);
    assert!(directory.is_member("alice@here", "staff")?);
    assert!(!directory.is_member("alice@here", "none")?);
    assert_eq!(directory.groups("alice@here")?, ["staff", "all"]);
    Ok(())
}

fn make_verbs(host: &Host) -> Result<(), StartError> {
    let kept = String::from("kept");
    host.admin_verb("echo", "gives back what it takes", move |arguments| {
        assert_eq!(kept, "kept");
        match arguments {
            "1" => Err(Fault::new("not one")),
            "2" => panic!("at two"),
            "3" => Ok("no json".to_owned()),
            json => Ok(json.to_owned()),
        }
    })?;
    Ok(())
}

fn use_metrics(host: &Host) -> Result<(), StartError> {
    let hits = host.counter("hits", "how many")?;
    hits.increment();
    hits.add(2);
    let depth = host.gauge("depth", "how deep")?;
    depth.set(5);
    depth.add(-1);
    host.histogram("wait", "how long", &[0.5, 1.0])?.observe(0.25);
    Ok(())
}

impl Plugin for Probe {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        match config.text("mode")? {
            Some("panic") => panic!("in start"),
            Some("fail") => return Err(StartError::failed("no wish to")),
            Some("state") => use_state(&host)?,
            Some("directory") => look_up(&host)?,
            Some("verbs") => make_verbs(&host)?,
            Some("refused verb") => host.admin_verb("v", "", |_| Ok(String::new()))?,
            Some("metrics") => use_metrics(&host)?,
            Some("refused metric") => drop(host.counter("refused", "never made")?),
            _ => {}
        }
        if config.integer("percent")?.is_some_and(|percent| !(0..=100).contains(&percent)) {
            return Err(config.error("percent", "must be 0 to 100").into());
        }
        config.boolean("switch")?;
        host.log(Level::Info, "started");
        host.log(Level::Debug, "nobody reads this");
        let number = config.integer("number")?.and_then(|number| usize::try_from(number).ok());
        Ok(Self { host, number, networks: config.text("networks")? })
    }

    fn filter(&self) -> Filter {
        match self.networks {
            None => Filter::new(),
            Some(networks) => Filter::new()
                .networks(networks.split(','))
                .listeners(["mx"])
                .sender_domains(["<>", ".example.org"])
                .recipient_domains(Vec::<String>::new()),
        }
    }

    fn before_start(&self) -> Result<(), Fault> {
        self.host.log(Level::Info, "before start");
        Ok(())
    }

    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        match section.integer("limit")? {
            Some(limit) if limit < 0 => Err(Fault::new("below zero")),
            limit => {
                self.host.log(Level::Info, format_args!("offered {limit:?}"));
                Ok(())
            }
        }
    }

    fn before_stop(&self) -> Result<(), Fault> {
        panic!("at the stop")
    }

    fn before_connect(&self, event: &Connect<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.attribute("from", &format!("{}:{}", event.remote_ip, event.remote_port))?;
        edits.grant_relay()?;
        Ok(Answer::Continue)
    }

    fn before_mail(&self, event: &Mail<'_>, edits: &mut Edits<'_>) -> Outcome {
        match event.sender {
            "reject" => Ok(Answer::reject(550, "5.7.1", "not you")),
            "defer" => Ok(Answer::defer(450, "", "later")),
            "disconnect" => Ok(Answer::disconnect(421, "4.3.0", String::from("bye"))),
            "handled" => Ok(Answer::Handled),
            "handled with words" => Ok(Answer::handled(250, "2.0.0", "done")),
            "wrong class" => Ok(Answer::reject(250, "2.0.0", "come in")),
            "panic" => panic!("no mail from {}", event.sender),
            "panic any" => std::panic::panic_any(7),
            "fault" => Err(Fault::new("a broken leg")),
            "number" => {
                "x".parse::<u8>()?;
                Ok(Answer::Continue)
            }
            "edit" => {
                edits.header_add("X-A", [b'a', 0xFF])?;
                edits.hold("for a look")?;
                edits.discard()?;
                edits.header_insert(1, "X-B", "b")?;
                edits.header_change("X-C", 2, [b'c'])?;
                edits.header_delete("X-D", 3)?;
                edits.sender("", "SIZE=1")?;
                edits.recipient_add("a@b", "NOTIFY=NEVER")?;
                edits.recipient_remove("c@d")?;
                edits.recipient_replace("e@f")?;
                edits.command_replace("NOOP")?;
                edits.tag("odd")?;
                Ok(Answer::Continue)
            }
            "refused edit" => {
                edits.hold("refuse me")?;
                Ok(Answer::Continue)
            }
            "count" => {
                let mails = event.session.slot(|kept: &mut Kept| {
                    kept.mails += 1;
                    kept.mails
                })?;
                edits.attribute("mails", &mails.to_string())?;
                Ok(Answer::Continue)
            }
            "bomb" => {
                event.session.slot_set(Kept { mails: 0, bomb: true })?;
                Ok(Answer::Continue)
            }
            _ => {
                event.session.log(Level::Info, format_args!("{:?}", event.sender));
                Ok(Answer::Continue)
            }
        }
    }

    fn after_mail(&self, _: &Mail<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let words = match edits.reply() {
            Some(reply) => format!("{} {:?} {}", reply.code, reply.enhanced, reply.text),
            None => "no reply".to_owned(),
        };
        edits.reply_text(&words)?;
        edits.attribute("after", "1")?;
        Ok(())
    }

    fn after_rcpt(&self, event: &Rcpt<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        panic!("after {}", event.recipient)
    }

    fn before_message_accept(&self, event: &MessageAccept<'_>, edits: &mut Edits<'_>) -> Outcome {
        let session = event.session;
        if event.octets == 0 {
            let message = event.message;
            let header = String::from_utf8_lossy(message.header()?);
            let (mut whole, mut lines) = (Vec::new(), message.body().lines());
            message.body().read_to_end(&mut whole)?;
            let first = lines.next().transpose()?;
            let whole = String::from_utf8_lossy(&whole);
            self.host.log(Level::Info, format_args!("{header:?} {whole:?} {first:?}"));
            return Ok(Answer::Continue);
        }
        if event.octets == 1 {
            edits.body_prepend("before\r\n")?;
            let mut text = Vec::new();
            event.message.text().read_to_end(&mut text)?;
            let mut writer = edits.body_replace()?;
            assert_eq!(writer.write(&text)?, text.len());
            writer.flush()?;
            edits.body_append([0xFF])?;
            return match edits.body_replace()?.write(b"refuse me") {
                Ok(_) => Ok(Answer::Handled),
                Err(error) => Err(error.into()),
            };
        }
        let recipients: Vec<&str> = session.recipients().collect();
        let tags: Vec<&str> = session.tags().collect();
        self.host.log(
            Level::Info,
            format_args!(
                "{} octets {recipients:?} {tags:?} {:?} {:?} {:?} {:?} {} {}",
                event.octets,
                session.remote_ip(),
                session.helo(),
                session.remote_port(),
                session.sender(),
                session.relay_granted(),
                session.skip_lists(),
            ),
        );
        Ok(Answer::Continue)
    }

    fn before_headers(&self, event: &Headers<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.header_add("X-Header-Octets", event.message.header()?.len().to_string())?;
        Ok(Answer::Continue)
    }

    fn before_body(&self, event: &BodyChunk<'_>, _: &mut Edits<'_>) -> Outcome {
        match event.octets {
            b"bad" => {
                Ok(Answer::reject(554, "5.7.1", format!("at {} {}", event.offset, event.last)))
            }
            _ => Ok(Answer::Continue),
        }
    }

    fn before_vrfy(&self, event: &Vrfy<'_>, _: &mut Edits<'_>) -> Outcome {
        if event.argument == "mail" {
            return use_mail(event.session.host(), &event.session);
        }
        Err(Fault::new(format_args!("{:?} {}", event.verb, event.argument)))
    }

    fn before_timeout(&self, event: &Timeout<'_>, _: &mut Edits<'_>) -> Outcome {
        Err(Fault::new(format_args!("{:?}", event.awaited)))
    }

    fn before_disconnect(&self, event: &Disconnect<'_>) -> Result<(), Fault> {
        self.host.log(Level::Info, format_args!("{:?}", event.reason));
        Ok(())
    }
}

export_plugin! {
    type = Probe,
    name = "probe",
    version = "1.0",
    class = inline,
    stages = [
        before_start,
        before_config,
        before_stop,

        before_connect, before_mail, after_mail, after_rcpt, before_headers, before_body,
        before_message_accept, before_vrfy, before_timeout, before_disconnect,
    ],
    edits = [verdict, header, attribute],
}

/// Leaves out where a panic was: lines move.
fn without_place(line: &str) -> String {
    match line.split_once(concat!(" at ", file!(), ":")) {
        Some((before, after)) => {
            let message = after.splitn(3, ':').nth(2).expect("line, column and message");
            format!("{before}:{message}")
        }
        None => line.to_owned(),
    }
}

fn loaded() -> &'static Fake {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    assert_eq!(fake.logged(), ["3 - started"]);
    fake
}

/// Calls the handler before MAIL: what it returns, what it wrote to the sheet, and what it logged.
fn before_mail(
    fake: &Fake,
    session: &Session,
    sender: EmText,
) -> (STATUS, Vec<String>, Vec<String>) {
    let sheet = Sheet::default();
    let mail = EmMail { event: event::<EmMail>(session, &sheet), sender, parameters: text(b"") };
    let status = fake.call(EM_SMTPMAIL, EM_BEFORE, &mail);
    (status, sheet.take(), fake.logged())
}

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

/// Does what can be done with the queue and with new messages, each once.
fn use_mail(host: &Host, session: &stagepost_sdk::Session<'_>) -> Outcome {
    let queue = host.queue();
    let count = queue.count_wait("a.test")?;
    let held = queue.hold_wait("@a.test", "closed")?;
    let failed = queue.flush_wait("refuse me").expect_err("it is refused");
    let moved = (queue.release_wait("a.test")?, held, failed.reason);
    host.log(Level::Info, format_args!("{count:?} {moved:?}"));
    let mut message = host.submit(Some(session), "", "SIZE=5")?;
    let nobody = message.recipient("nobody", "").expect_err("no route").reason;
    message.recipient("a@b", "X=1")?;
    message.recipient_granted("c@d", "")?;
    message.write_wait("octets")?;
    let id = message.commit_wait()?;
    host.log(Level::Info, format_args!("{id} {nobody:?}"));
    drop(host.submit(None, "s@t", "")?);
    Ok(Answer::Continue)
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
        assert_eq!(line.contains("panicked"), log[0].contains(concat!(" at ", file!())));
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
fn bodies_are_written_as_streams_and_what_the_host_refuses_is_an_error() {
    let fake = loaded();
    let (session, sheet) = (Session::new(8), Sheet::default());
    let message = fake::Message { header: b"", pieces: vec![b"\r\n", b"some ", b"text\r\n"] };
    let accept = EmMessageAccept {
        event: event::<EmMessageAccept>(&session, &sheet),
        octets: 1,
        message: message.handle(),
    };
    assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), EM_FAULT);
    assert_eq!(
        sheet.take(),
        [
            "body_prepend before\r\n",
            "body_replace ",
            "body_replace some text\r\n",
            "body_append \u{FFFD}",
            "body_replace ",
            "body_replace refuse me",
        ]
    );
    let line = "1 8 probe: before_message_accept failed: the host refuses body_replace: not at this event or stage";
    assert_eq!(fake.logged(), [line]);
}

#[test]
fn header_block_and_chunks_are_read_and_answered() {
    let fake = loaded();
    let (session, sheet) = (Session::new(6), Sheet::default());
    let message = fake::Message { header: b"A: b\r\n", pieces: Vec::new() };
    let headers =
        EmHeaders { event: event::<EmHeaders>(&session, &sheet), message: message.handle() };
    assert_eq!(fake.call(EM_SMTPHEADERS, EM_BEFORE, &headers), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["header_add X-Header-Octets: 6"]);
    for (octets, last, status, wanted) in [
        (&b"good\xFF"[..], 0, ERR_EM_CONTINUE, &[][..]),
        (b"", 1, ERR_EM_CONTINUE, &[]),
        (b"bad", 0, EM_VERDICT, &["verdict 2 554 5.7.1 at 9 false"]),
        (b"bad", 1, EM_VERDICT, &["verdict 2 554 5.7.1 at 9 true"]),
    ] {
        let body = EmBody {
            event: event::<EmBody>(&session, &sheet),
            octets: text(octets),
            offset: 9,
            last,
            reserved: [0; 7],
        };
        assert_eq!(fake.call(EM_SMTPBODY, EM_BEFORE, &body), status);
        assert_eq!(sheet.take(), wanted);
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
            "recipient_replace <e@f>",
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

#[test]
fn a_message_is_read_piece_by_piece() {
    let fake = loaded();
    let (session, sheet) = (Session::new(10), Sheet::default());
    let refused = "1 10 probe: before_message_accept failed: the host refuses";
    let cases: [(&[&'static [u8]], STATUS, String); 4] = [
        (&[], ERR_EM_CONTINUE, r#"3 - "A: b\r\n" "" None"#.into()),
        (
            &[b"\r\na", b"b\0c\r\nd"],
            ERR_EM_CONTINUE,
            r#"3 - "A: b\r\n" "\r\nab\0c\r\nd" Some("")"#.into(),
        ),
        (
            &[b"\xFFx\n"],
            EM_FAULT,
            "1 10 probe: before_message_accept failed: stream did not contain valid UTF-8".into(),
        ),
        (&[b"ab", b"unreadable"], EM_FAULT, format!("{refused} the body: it could not be read")),
    ];
    for (pieces, wanted, line) in cases {
        let message = fake::Message { header: b"A: b\r\n", pieces: pieces.to_vec() };
        let accept = EmMessageAccept {
            event: event::<EmMessageAccept>(&session, &sheet),
            octets: 0,
            message: message.handle(),
        };
        assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), wanted);
        assert_eq!(fake.logged(), [line]);
    }
    // As it is in an after handler.
    let accept = EmMessageAccept {
        event: event::<EmMessageAccept>(&session, &sheet),
        octets: 0,
        message: ptr::null(),
    };
    assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), EM_FAULT);
    assert_eq!(fake.logged(), [format!("{refused} the header: not at this event or stage")]);
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
    assert_eq!(sheet.take(), ["reply_text no reply", "attribute after 1"]);
    mail.event.reply = &raw const reply;
    assert_eq!(fake.call(EM_SMTPMAIL, EM_AFTER, &mail), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["reply_text 250 Some((2, 1, 0)) fine", "attribute after 1"]);
}

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
        (EM_EDITS_ID, "em.edits/1"),
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
        "1 - probe: cannot start: this host's service em.edits/1 has 8 octets, this plug-in needs {wanted}: \
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
fn a_filter_narrows_every_registration() {
    let networks = |list| BTreeMap::from([("networks", Value::Text(list))]);
    let (fake, status) =
        Fake { config: networks("192.0.2.1,2001:db8::/32"), ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
    let narrowed: Vec<String> =
        fake.logged().into_iter().filter(|line| line.starts_with("narrow")).collect();
    let wanted: Vec<String> = (1..=fake.registrations.lock().unwrap().len())
        .map(|number| {
            format!(
                "narrow {number} networks \"192.0.2.1 2001:db8::/32 \" listeners \"mx \" \
                 senders \"<> .example.org \" recipients \"\""
            )
        })
        .collect();
    assert!(wanted.len() > 2);
    assert_eq!(narrowed, wanted);
    fake.stop();
}

#[test]
fn a_filter_that_the_host_refuses_refuses_the_plug_in() {
    let config = BTreeMap::from([("networks", Value::Text("word"))]);
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_MISC_INVALID_ARGS);
    let said = fake.logged().pop().unwrap();
    assert!(said.contains("the host refuses this plug-in's filter: status 0x0495"), "{said}");
    fake.stop();
}

#[test]
fn a_host_without_filters_serves_plug_ins_without_one() {
    let host = || Fake { without: vec![EM_FILTER_ID], ..Fake::default() };
    let (fake, status) = host().load(em_entry);
    assert_eq!(status, NOERROR);
    fake.stop();
    let config = BTreeMap::from([("networks", Value::Text("192.0.2.1"))]);
    let (fake, status) = Fake { config, ..host() }.load(em_entry);
    assert_eq!(status, ERR_NOT_FOUND);
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
