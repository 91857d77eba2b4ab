//! XCLIENT: who is known behind it, and what is not known any more.

use stagepost_smtp::{
    Ask, Attribute, Attributed, Edit, Event, Interest, Session, Stage, StartTls, Verdict,
};

use crate::rig::{Rig, settings};

fn attribute(event: Event, name: &str, value: &str) -> Attributed {
    let attribute =
        Attribute { name: name.into(), value: value.into(), plugin: event.name().into() };
    Attributed::new(event.name(), Edit::Attribute(attribute))
}

/// Plug-ins that note in attributes whom they were asked about.
fn noting(ask: &Ask) -> Verdict {
    let event = ask.question.event();
    let edits = match (event, ask.stage) {
        (Event::Connect, Stage::Before) => {
            vec![attribute(event, "connect", &ask.facts.peer.remote_text)]
        }
        (Event::Ehlo, Stage::Before) => vec![attribute(event, "relay_granted", "1")],
        _ => Vec::new(),
    };
    Verdict { edits, ..Verdict::default() }
}

fn attributes(session: &Session) -> Vec<(&str, &str)> {
    let known = session.facts().attributes.iter();
    known.map(|attribute| (&*attribute.name, &*attribute.value)).collect()
}

#[test]
fn nothing_of_the_proxy_becomes_its_clients() {
    let mut rig = Rig::new(settings(), Interest::ALL, noting);
    rig.session = rig.session.with_xclient();
    rig.say("EHLO proxy.test\r\n");
    let proxy = rig.session.facts().peer.remote;
    assert!(rig.session.facts().relay_granted());
    rig.say("XCLIENT ADDR=192.0.2.99 NAME=client.test HELO=client.test PROTO=SMTP\r\n");
    let facts = rig.session.facts();
    assert!(!facts.relay_granted());
    assert_eq!(attributes(&rig.session), [("connect", "192.0.2.99")]);
    let peer = &facts.peer;
    assert_eq!((&*peer.remote_text, peer.remote.port()), ("192.0.2.99", 0));
    assert_eq!(peer.name.as_deref(), Some("client.test"));
    assert_eq!(peer.proxy.as_ref().map(|known| known.address), Some(proxy));
    let helo = facts.helo.as_ref();
    assert_eq!(helo.map(|helo| (&*helo.name, helo.extended)), Some(("client.test", false)));
    // An address that is not known is nobody's.
    rig.say("EHLO client.test\r\nXCLIENT ADDR=[UNAVAILABLE]\r\n");
    assert_eq!(attributes(&rig.session), [("connect", "0.0.0.0")]);
}

#[test]
fn what_plug_ins_say_of_the_client_outlives_starttls() {
    let offered = stagepost_smtp::Settings { starttls: StartTls::Offered, ..settings() };
    let mut rig = Rig::new(offered, Interest::ALL, noting);
    rig.session = rig.session.with_xclient();
    rig.say("EHLO proxy.test\r\nXCLIENT ADDR=192.0.2.99\r\n");
    rig.say("EHLO client.test\r\n");
    assert!(rig.session.facts().relay_granted());
    rig.say("STARTTLS\r\n");
    assert_eq!(rig.handshakes, 1);
    assert_eq!(attributes(&rig.session), [("connect", "192.0.2.99")]);
}
