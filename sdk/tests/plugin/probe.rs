//! The plug-in that the tests load: its configuration and what it is sent say what it does.
//! Knows no host.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stagepost_sdk::{
    AfterEdits, Answer, BodyChunk, Config, Connect, Disconnect, Edits, Fault, Filter, Headers,
    Host, Level, Mail, MessageAccept, OutboundTls, Outcome, Plugin, Rcpt, Reason, Refusal,
    Reversal, Route, Stages, StartError, Target, Timeout, Vrfy, export_plugin, stage,
};

/// Plug-ins dropped, by the number in their configuration: tests run beside each other.
pub(crate) static DROPPED: [AtomicUsize; 16] = [const { AtomicUsize::new(0) }; 16];
pub(crate) static SLOTS_DROPPED: AtomicUsize = AtomicUsize::new(0);
pub(crate) static MESSAGE_SLOTS_DROPPED: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Probe {
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

#[derive(Default)]
struct KeptOfMessage(u32);

impl Drop for KeptOfMessage {
    fn drop(&mut self) {
        MESSAGE_SLOTS_DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            DROPPED[number].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn use_state(host: &Host) -> Result<(), StartError> {
    let state = host.state().ok_or_else(|| StartError::failed("no state"))?;
    let text =
        |found: Option<Vec<u8>>| found.map(|octets| String::from_utf8(octets).expect("text"));
    state.put_wait(b"a/1", b"one")?;
    assert_eq!(text(state.get_wait(b"a/1")?).as_deref(), Some("one"));
    assert_eq!(state.get_wait(b"a/2")?, None);
    assert_eq!(text(state.next_wait(b"a/", b"")?).as_deref(), Some("a/1"));
    state.remove_wait(b"a/1")?;
    assert_eq!(state.next_wait(b"a/", b"")?, None);
    let reason = |refused: Result<Option<Vec<u8>>, Refusal>| refused.expect_err("refused").reason;
    assert_eq!(reason(state.get_wait(b"broken")), Reason::Unreadable);
    assert_eq!(state.put_wait(b"broken", b"").expect_err("refused").call, "put_wait");
    Ok(())
}

fn look_up(host: &Host) -> Result<(), StartError> {
    let directory = host.directory().ok_or_else(|| StartError::failed("no directory"))?;
    assert!(directory.is_user("alice@here")?);
    assert!(!directory.is_user("bob@here")?);
    for (address, wanted) in [
        ("alice@here", Route::Local),
        ("bob@here", Route::UnknownUser),
        ("bob@there", Route::Foreign),
        ("x@new", Route::Foreign),
    ] {
        assert_eq!(directory.route(address)?, wanted, "{address}");
    }
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

/// Does what can be done with another server, each once.
fn use_outbound(host: &Host) -> Outcome {
    let target = Target {
        host: "isp.test",
        port: 366,
        tls: OutboundTls::Verified,
        implicit: true,
        deadline: Duration::from_secs(5),
    };
    let session = host.outbound(&target)?;
    session.open_wait()?;
    session.auth_wait("user", "secret", true)?;
    let reply = session.command_wait("ETRN a.test")?;
    let broken = session.push_wait("break").expect_err("it breaks");
    let over = session.push_wait("end").expect_err("it is over");
    let (domains, accept) = (["a.test", "b.test"], ["@a.test"]);
    let reversal = Reversal { domains: &domains, accept: &accept, listener: "refuse" };
    let refused = session.reverse_wait(&reversal).expect_err("it is refused");
    let known = (session.keyword("AUTH"), session.keyword("TURN"), session.remote());
    host.log(Level::Info, format_args!("{reply} / {broken} / {over} / {refused}"));
    host.log(Level::Info, format_args!("{known:?} {:?}", session.progress()));
    session.quit_wait()?;
    Ok(Answer::Continue)
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
        assert_eq!(config.own_file(), Some(Path::new("/plugins/libprobe.so")));
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
                .recipient_domains(Vec::<String>::new())
                .tls(true),
        }
    }

    fn unused(&self) -> Stages {
        match self.host.config().text("mode") {
            Ok(Some("idle")) => {
                Stages::all(&[stage::before_mail, stage::after_rcpt, stage::before_body])
            }
            _ => Stages::all(&[]),
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
                edits.recipient_reject("c@d", 550, "5.7.1", "no")?;
                edits.recipient_defer("e@f", 451, "4.7.1", "later")?;
                edits.recipient_replace(None, "e@f", "")?;
                edits.recipient_replace(Some("e@f"), "g@h", "NOTIFY=NEVER")?;
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
            "count message" => {
                let calls = event.session.message_slot(|kept: &mut KeptOfMessage| {
                    kept.0 += 1;
                    kept.0
                })?;
                edits.attribute("calls", &calls.to_string())?;
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
        edits.reply_change(251, "2.1.5", "")?;
        let refused = edits.reply_change(551, "", "no").map_err(|refusal| refusal.reason);
        assert_eq!(refused, Err(Reason::Class));
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
        if event.argument == "outbound" {
            return use_outbound(event.session.host());
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
pub(crate) fn without_place(line: &str) -> String {
    match line.split_once(concat!(" at ", file!(), ":")) {
        Some((before, after)) => {
            let message = after.splitn(3, ':').nth(2).expect("line, column and message");
            format!("{before}:{message}")
        }
        None => line.to_owned(),
    }
}

/// Whether a line says that a panic was in this file.
pub(crate) fn has_place(line: &str) -> bool {
    line.contains(concat!(" at ", file!()))
}
