//! A plug-in that asks for any edit at any event, with any arguments, by the contract: what is taken can be carried out, and what
//! is refused changes nothing.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use stagepost_extmgr::{
    Asked, ExtMgr, FaultContract, FaultContracts, Limits, OnFault, OnLoadError, PluginConfig,
    Section,
};
use stagepost_smtp::{
    Address, Ask, Attribute, Awaited, Class, Decision, DisconnectReason, Draft, Edit, EtrnNode,
    Event, Facts, Mechanism, Peer, Question, Reply, ReversePath, Secret, Stage, VrfyVerb,
    check_rewrite,
};

use crate::Target;
use crate::message::Memory;
use crate::octets::Octets;
use crate::plugin_file::compiled;

pub(crate) const TARGET: Target = Target { name: "edits", run, shape: None };

/// How much may be written into a body.
const WRITTEN_MAX: u64 = 2000;
const HEADER: &[u8] = b"A: 1\r\nSubject: x\r\n y\r\na: 2\r\n";

/// The plug-in, loaded once.
static PLUGINS: LazyLock<ExtMgr> = LazyLock::new(|| {
    let (folder, file) = compiled("tests/fuzz/plugins/wishes.c");
    let deadline = Duration::from_secs(60);
    let contract = FaultContract { deadline, deadline_max: deadline, on_fault: OnFault::Defer };
    let config = PluginConfig {
        name: "wishes".to_owned(),
        path: file,
        run: None,
        priority: 0,
        contracts: FaultContracts::everywhere(contract),
        on_load_error: OnLoadError::Abort,
        threads_max: 1,
        pending_max: 1,
        state_octets_max: 1 << 20,
        sha256: None,
        section: Section::new("none", serde_json::json!({}), Default::default()),
    };
    // A fuzzer's machine may stand still for long.
    let limits = Limits { inline_abort: None, ..Limits::default() };
    ExtMgr::load(vec![config], limits, folder.path()).expect("the plug-in is sound")
});

fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let event = octets.one_of(&of_session());
    let stage = match octets.draw() % 2 {
        1 if event.has_after() => Stage::After,
        _ => Stage::Before,
    };
    let binary = octets.draw() % 4 == 3;
    let wishes = octets.rest();
    let ask = asked(event, stage, binary, wishes);
    let (reply, message) = (ask.reply.clone(), ask.message.clone());
    let question = ask.question.clone();
    let Asked::Answered(verdict) = PLUGINS.session().ask(ask) else {
        panic!("a plug-in in line is not waited for");
    };
    let edits: Vec<&Edit> = verdict.edits.iter().map(|known| &known.edit).collect();
    check_decision(event, stage, &verdict.decision, &edits);
    check_counts(&edits);
    let line = match &question {
        Question::Command { line } => &line[..],
        _ => b"",
    };
    let mut line = line.to_vec();
    let mut reply = reply;
    let mut message = message;
    for edit in &edits {
        check_place(event, stage, edit);
        check_form(edit);
        match edit {
            Edit::ReplaceCommand(new) => {
                check_rewrite(&line, new).expect("it can stand in the place of the line");
                line = new.as_bytes().to_vec();
            }
            Edit::ReplyText(text) => {
                let reply = reply.as_mut().expect("there is a reply");
                reply.reword(text).expect("it can be said");
            }
            Edit::ReplyDetail { detail, text } => {
                let reply = reply.as_mut().expect("there is a reply");
                let class = reply.class();
                // Of two in one call the second may not fit behind the first.
                _ = reply.refine(*detail);
                _ = text.as_ref().map(|text| reply.reword(text));
                assert_eq!(reply.class(), class);
            }
            edit => _ = message.as_mut().map(|message| message.edit(edit)),
        }
    }
    for reply in reply.iter().chain(reply_of(&verdict.decision)) {
        check_reply(reply);
    }
    if let Some(message) = &message {
        check_message(message, binary);
    }
}

/// The question, in a session whose attribute says what the plug-in is to ask for.
fn asked(event: Event, stage: Stage, binary: bool, wishes: &[u8]) -> Ask {
    let address = ([127, 0, 0, 1], 4000).into();
    let mut facts = Facts::new(7, Arc::new(Peer::new(address, address, "mx")));
    let digits: String = wishes.iter().map(|octet| format!("{octet:02x}")).collect();
    // The one that the plug-in answers with is there already, so there is room for it.
    for (name, value) in [("wishes", &*digits), ("statuses", "")] {
        let (name, value) = (name.into(), value.into());
        facts.set_attribute(Attribute { name, value, plugin: "fuzz".into() });
    }
    let after = stage == Stage::After;
    let replies = after && !matches!(event, Event::StartTls | Event::Disconnect);
    let message = matches!(event, Event::Headers | Event::MessageAccept) && !after;
    let message = message.then(|| {
        let mut draft = Draft::new([].into_iter(), WRITTEN_MAX, binary);
        let body = if binary { &b"\r\nold\0\r"[..] } else { b"\r\nold\r\n" };
        draft.fill(Arc::new(Memory { header: HEADER, body: body.to_vec() }));
        draft
    });
    let login = event == Event::Auth && !after;
    Ask {
        question: question(event),
        stage,
        exchange: 1,
        reply: replies.then(|| Reply::new(550, Some((5, 7, 1)), "No")),
        facts: Arc::new(facts),
        message,
        secret: login.then(|| Secret::new(b"pencil".to_vec())),
    }
}

/// The events that a session asks about; those behind it have no reply to hold a verdict to.
fn of_session() -> Vec<Event> {
    let behind = [Event::Queue, Event::Route, Event::Deliver, Event::Bounce, Event::Expire];
    Event::ALL.into_iter().filter(|event| !behind.contains(event)).collect()
}

fn question(event: Event) -> Question {
    let recipient = || Address::parse("u@here.test").expect("an address");
    match event {
        Event::Connect => Question::Connect,
        Event::Command => Question::Command { line: b"VRFY someone"[..].into() },
        Event::Ehlo => {
            Question::Ehlo { name: "x".into(), extended: true, keywords: "HELP\nSIZE 5".into() }
        }
        Event::StartTls => Question::StartTls,
        Event::Auth => Question::Auth {
            mechanism: Mechanism::Plain,
            identity: "alice".into(),
            authorization: "".into(),
            result: None,
        },
        Event::Mail => Question::Mail { sender: ReversePath::Null, parameters: "SIZE=3".into() },
        Event::Rcpt => Question::Rcpt { recipient: recipient(), parameters: "".into() },
        Event::Data => Question::Data { chunk: None },
        Event::Headers => Question::Headers,
        Event::Body => Question::Body { octets: b"x"[..].into(), offset: 0, last: true },
        Event::MessageAccept => Question::MessageAccept { octets: 5 },
        Event::Etrn => Question::Etrn { node: EtrnNode::Host("x".into()) },
        Event::Atrn => Question::Atrn { domains: "".into() },
        Event::Vrfy => Question::Vrfy { verb: VrfyVerb::Vrfy, argument: "x".into() },
        Event::Rset => Question::Rset,
        Event::Verb => Question::Verb { verb: "XFOO".into(), argument: "".into() },
        Event::Quit => Question::Quit,
        Event::Timeout => Question::Timeout { awaited: Awaited::Message },
        Event::Disconnect => Question::Disconnect { reason: DisconnectReason::Quit },
        Event::Queue | Event::Route | Event::Deliver | Event::Bounce | Event::Expire => {
            unreachable!("no session asks about {event:?}")
        }
    }
}

fn reply_of(decision: &Decision) -> Option<&Reply> {
    match decision {
        Decision::Continue | Decision::Handled(None) => None,
        Decision::Handled(Some(reply))
        | Decision::Reject(reply)
        | Decision::Defer(reply)
        | Decision::Disconnect(reply) => Some(reply),
    }
}

/// Each decision has a reply of its class, where it can stand; nobody is logged in whom nobody named.
fn check_decision(event: Event, stage: Stage, decision: &Decision, edits: &[&Edit]) {
    if stage == Stage::After || event == Event::Disconnect {
        assert_eq!(*decision, Decision::Continue);
    }
    let class = reply_of(decision).map(Reply::class);
    let sound = match decision {
        Decision::Continue => true,
        Decision::Handled(_) => class.is_none_or(|class| class == Class::Positive),
        Decision::Reject(_) => class == Some(Class::Permanent),
        Decision::Defer(_) => class == Some(Class::Transient),
        Decision::Disconnect(_) => matches!(class, Some(Class::Transient | Class::Permanent)),
    };
    assert!(sound, "{decision:?}");
    if let Decision::Handled(reply) = decision {
        let answerable = [
            Event::Command,
            Event::Auth,
            Event::MessageAccept,
            Event::Etrn,
            Event::Atrn,
            Event::Vrfy,
            Event::Verb,
        ];
        assert!(answerable.contains(&event), "handled at {event:?}");
        if event == Event::Auth {
            assert!(edits.iter().any(|edit| matches!(edit, Edit::Identity(_))));
            assert!(reply.as_ref().is_none_or(|reply| reply.code() == 235));
        }
        if event == Event::Atrn {
            assert!(edits.iter().any(|edit| matches!(edit, Edit::Reverse(_))));
        }
    }
}

/// As many edits as the plug-in was told are taken, and one that says how many; none of a call at fault.
fn check_counts(edits: &[&Edit]) {
    let said = edits.iter().find_map(|edit| match edit {
        Edit::Attribute(attribute) if &*attribute.name == "statuses" => Some(&attribute.value),
        _ => None,
    });
    let Some(said) = said else {
        let found = edits.len();
        assert_eq!(found, 0, "a fault leaves nothing, and nothing is taken where it can't be told");
        return;
    };
    let taken = said.as_bytes().chunks(4).filter(|status| *status == b"0000").count();
    // A verdict is no edit; what is written into a body is one for each of three places.
    assert!(edits.len() <= taken + 1, "{} edits, {taken} taken", edits.len());
}

/// Whether the contract lets this be asked for here.
fn check_place(event: Event, stage: Stage, edit: &Edit) {
    use Event::{Atrn, Auth, Body, Command, Data, Ehlo, Headers, Mail, MessageAccept, Rcpt};
    let (at, events): (Stage, &[Event]) = match edit {
        Edit::Attribute(_) => {
            assert_ne!(event, Event::Disconnect);
            return;
        }
        Edit::ReplyText(_) | Edit::ReplyDetail { .. } => {
            assert_eq!(stage, Stage::After);
            return;
        }
        Edit::AddKeyword { .. } | Edit::RemoveKeyword(_) => (Stage::Before, &[Ehlo]),
        Edit::Identity(_) => (Stage::Before, &[Auth]),
        Edit::Reverse(_) => (Stage::Before, &[Atrn]),
        Edit::ReplaceCommand(_) => (Stage::Before, &[Command]),
        Edit::Sender { .. } => (Stage::Before, &[Mail, Headers, MessageAccept]),
        Edit::AddRecipient(_) | Edit::ReplaceRecipient { .. } => {
            (Stage::Before, &[Rcpt, Data, Headers, MessageAccept])
        }
        Edit::RemoveRecipient(_) => (Stage::Before, &[Data, Headers, MessageAccept]),
        Edit::PrependBody(_)
        | Edit::AppendBody(_)
        | Edit::ReplaceBody(_)
        | Edit::RefuseRecipient { .. } => (Stage::Before, &[MessageAccept]),
        Edit::Route(_) => (Stage::Before, &[Event::Route]),
        Edit::AddHeader { .. }
        | Edit::InsertHeader { .. }
        | Edit::ChangeHeader { .. }
        | Edit::DeleteHeader { .. }
        | Edit::Hold { .. }
        | Edit::Tag { .. }
        | Edit::Discard => (Stage::Before, &[Mail, Rcpt, Data, Headers, Body, MessageAccept]),
    };
    assert!(stage == at && events.contains(&event), "{edit:?} {} {event:?}", stage.name());
}

/// Whether what an edit holds can be written where it goes.
fn check_form(edit: &Edit) {
    let plain = |text: &str| text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    // Of any script, where SMTPUTF8 is on.
    let text = |text: &str| !text.contains(char::is_control);
    let path = |path: &str| Address::parse_international(path).is_ok();
    let sound = match edit {
        Edit::Hold { reason } => (1..=256).contains(&reason.len()) && plain(reason),
        Edit::Tag { name } => (1..=64).contains(&name.len()) && plain(name) && !name.contains(' '),
        Edit::Identity(identity) => {
            (1..=255).contains(&identity.len())
                && !identity.chars().any(|c| c.is_control() || c == ' ')
        }
        Edit::AddKeyword { keyword, parameters } => {
            plain(keyword) && plain(parameters) && !keyword.is_empty() && !keyword.contains(' ')
        }
        Edit::Reverse(destinations) => (1..=1000).contains(&destinations.len()),
        Edit::RemoveKeyword(keyword) => plain(keyword) && !keyword.is_empty(),
        Edit::ReplaceCommand(line) => plain(line),
        Edit::Attribute(attribute) => {
            (1..=64).contains(&attribute.name.len()) && attribute.value.len() <= 1024
        }
        Edit::ChangeHeader { index, .. } | Edit::DeleteHeader { index, .. } => *index > 0,
        Edit::Sender { sender, parameters } => {
            let taken = *sender == ReversePath::Null || path(sender.as_str());
            taken && parameters.as_ref().is_none_or(|given| plain(&given.text))
        }
        Edit::AddRecipient(recipient) => {
            path(recipient.address.as_str()) && text(&recipient.parameters)
        }
        Edit::RemoveRecipient(recipient) | Edit::ReplaceRecipient { recipient, .. } => {
            path(recipient.as_str())
        }
        Edit::RefuseRecipient { recipient, reply } => {
            check_reply(reply);
            let refuses = matches!(reply.class(), Class::Transient | Class::Permanent);
            path(recipient.as_str()) && refuses && reply.code() != 421
        }
        _ => true,
    };
    assert!(sound, "{edit:?}");
}

/// A reply is whole lines of printable text, each with the code.
fn check_reply(reply: &Reply) {
    let mut out = Vec::new();
    reply.write(true, &mut out);
    let text = String::from_utf8(out).expect("a reply is ASCII");
    let lines: Vec<&str> = text.strip_suffix("\r\n").expect("whole lines").split("\r\n").collect();
    for (at, line) in lines.iter().enumerate() {
        let joint = if at + 1 < lines.len() { "-" } else { " " };
        assert!(line.starts_with(&format!("{}{joint}", reply.code())), "{text:?}");
        assert!(
            line.len() <= 510 && !line.contains(|c: char| c.is_control() && c != '\t'),
            "{text:?}"
        );
    }
}

/// A message is fields, an empty line, and text: whole lines, or in the body of a binary one whatever there is.
fn check_message(message: &Draft, binary: bool) {
    let header = message.header();
    let lines: Vec<&[u8]> = header.split_inclusive(|&octet| octet == b'\n').collect();
    for (at, line) in lines.iter().enumerate() {
        let text = line.strip_suffix(b"\r\n").expect("whole lines");
        assert!(!text.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)), "{text:?}");
        assert!(text.len() <= 998, "{} octets", text.len());
        let goes_on = text.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
        let name = text.split(|&octet| octet == b':').next().unwrap_or_default();
        let named =
            !name.is_empty() && name.len() < text.len() && name.iter().all(u8::is_ascii_graphic);
        assert!(named || goes_on && at > 0, "{:?}", String::from_utf8_lossy(header));
    }
    let (mut body, mut buffer) = (Vec::new(), Vec::new());
    while let piece @ [_, ..] = message.body(body.len() as u64, &mut buffer).expect("in memory") {
        body.extend_from_slice(piece);
    }
    let text = body.strip_prefix(b"\r\n").expect("an empty line behind the fields");
    if !binary {
        assert!(text.is_empty() || text.ends_with(b"\r\n"));
        let rest = String::from_utf8_lossy(text).replace("\r\n", "");
        assert!(!rest.contains(['\r', '\n', '\0']), "{rest:?}");
    }
    assert!(text.len() as u64 <= WRITTEN_MAX + 16);
}
