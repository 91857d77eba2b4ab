//! Every dialogue script, on the bare session (as sent, and octet by octet) and over TCP.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_smtp::{Action, Interest, Peer, Route, Session, Settings, Stored};
use stagepost_tests::dialogue::{BareSession, Need, Pieces, Played, Script, TcpServer, play};

fn scripts() -> Vec<Script> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&directory).unwrap_or_else(|error| panic!("{error}"));
    assert!(scripts.len() >= 30, "only {} scripts found", scripts.len());
    scripts
}

/// Plays all scripts on the bare session; every failure is told, not only the first.
fn play_bare(pieces: Pieces) {
    let mut failures = Vec::new();
    for script in scripts() {
        let played = BareSession::new(&script, pieces)
            .map_err(|mismatch| format!("{}: {mismatch}", script.name))
            .and_then(|mut player| play(&script, &mut player).map_err(|error| error.to_string()));
        match played {
            Ok(played) => assert_eq!(played, Played::Passed, "{}", script.name),
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_bare_session_keeps_to_every_script() {
    play_bare(Pieces::Whole);
}

#[test]
fn the_bare_session_keeps_to_every_script_octet_by_octet() {
    play_bare(Pieces::Single);
}

#[test]
fn scripts_run_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let scripts: Vec<_> = scripts().into_iter().filter(|s| s.needs().is_empty()).collect();
    assert!(scripts.len() >= 15, "only {} scripts need nothing", scripts.len());
    let sessions = scripts.len();
    let server = std::thread::spawn(move || {
        for _ in 0..sessions {
            let (stream, _) = listener.accept().unwrap();
            serve(stream).unwrap();
        }
    });
    for script in scripts {
        let mut player = TcpServer::connect(address).unwrap();
        let played = play(&script, &mut player).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(played, Played::Passed, "{}", script.name);
    }
    server.join().unwrap();
}

/// The least connection loop: a store that forgets, a router that knows one domain, nobody to ask.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let settings = Settings { hostname: "mx.example.test".into(), ..Settings::default() };
    let peer = Peer::new(stream.peer_addr()?, stream.local_addr()?, "mx");
    let now = Instant::now();
    let mut session = Session::new(Arc::new(settings), Interest::NONE, 1, Arc::new(peer), now);
    let mut buffer = [0; 1000];
    loop {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Send(octets) => stream.write_all(&octets)?,
                Action::Ask(ask) => panic!("nobody is interested in {ask:?}"),
                Action::Route(recipient) => {
                    let local = matches!(&*recipient.domain_key(), "" | "example.test");
                    let route = if local { Route::Local } else { Route::Foreign };
                    session.handle_route(now, route);
                }
                Action::Body { .. } => session.handle_body_taken(now, Ok(())),
                Action::Store { .. } => {
                    session.handle_stored(now, Stored::Committed("1".to_owned()));
                }
                Action::Blame { plugin, fault } => panic!("{plugin} edited nothing: {fault}"),
                Action::StartTls => panic!("there is no TLS"),
                Action::Verify(verify) => panic!("nobody logs in, but {verify:?}"),
                Action::Reverse(reversal) => panic!("nobody fetches mail, but {reversal:?}"),
                Action::Abandon => {}
                Action::Close => return Ok(()),
            }
        }
        match stream.read(&mut buffer)? {
            0 => session.handle_hangup(now),
            length => session.handle_input(now, &buffer[..length]),
        }
    }
}

/// A player that passed everything would prove nothing.
#[test]
fn a_script_that_says_something_else_fails() {
    let wrong = [
        "S: 221 *\nexpect close",
        "S: 220 *\nC: NOOP\nS: 250 2.0.0 Ok\nexpect close",
        "S: 220 *\nC: NOOP\nC: QUIT\nS: 250 *\nexpect close",
        "S: 220 *\nC: EHLO a\nS+: 221\nexpect close",
        "S: 220 *\nC: EHLO a\nS: 250-mx.example.test\nC: QUIT\nS+: 221\nexpect close",
        "S: 220 *\nverdict before mail continue\nC: QUIT\nS+: 221\nexpect close",
        "S: 220 *\nasked before mail\nC: QUIT\nS+: 221\nexpect close",
        "S: 220 *\nabandoned\nhangup",
        "S: 220 *\ntls\nhangup",
        "starttls offered\nS: 220 *\nC: EHLO a\nS+: 250\nC: STARTTLS\nS: 220 *\nC: NOOP\nS: 250 *\nhangup",
        "S: 220 *\nmessage <> to <a@b>\nhangup",
        "S: 220 *\nC: NOOP\nS: 250 *\nwrites 2\nhangup",
        "S: 220 *",
        "S: 220 *\nC: EHLO a\nS+: 250\nC: MAIL FROM:<>\nC: RCPT TO:<a@example.test>\nC: DATA\n\
         S: 250*\nS: 250*\nS: 354*\nC: .\nS: 250*\nC: QUIT\nS+: 221\nexpect close",
    ];
    for text in wrong {
        let script = Script::parse("wrong", text).unwrap();
        let mut player = BareSession::new(&script, Pieces::Whole).unwrap();
        assert!(play(&script, &mut player).is_err(), "{text}");
    }
}

#[test]
fn scripts_that_say_nothing_are_refused() {
    let wrong = [
        "",
        "# only a comment",
        "X: 1",
        "S:220",
        "expect",
        "hangup now",
        "time 5",
        "settings x=1",
        "settings errors_max=x",
        "verdict before mail",
        "verdict before lunch reject 550 5.7.1 x",
        "verdict before mail reject 550 x",
        "verdict before mail reject 199 5.7.1 x",
        "route a@b nowhere",
        "stored well",
        "starttls never",
        "tls works",
        "| text",
        "C~ \"x",
        "C~ \"\\q\"",
        "repeat 3\nC: NOOP",
        "asked before",
    ];
    for text in wrong {
        assert!(Script::parse("wrong", text).is_err(), "{text}");
    }
    let script = Script::parse("x", "C: a\nrepeat 2\nC~ \"{n}\\x41\" * 2\nend\nS: 1\ntime +1s");
    let script = script.unwrap();
    assert_eq!(script.needs(), [Need::Clock]);
    let shown = format!("{:?}", script.steps[0].step);
    assert_eq!(shown, format!("Send({:?})", b"a\r\n1A1A2A2A"));
}
