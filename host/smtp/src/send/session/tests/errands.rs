//! What is asked for beside messages: being opened, logging in, a command; and messages between them.
//! Knows the session only by its public methods.

use super::*;
use crate::{Credentials, Secret, SendingLogin, SendingTls};

/// One thing to do with a session, and how it is told to have ended.
enum Errand {
    Open,
    LogIn { cram: bool },
    Command(&'static str),
    Message,
}

/// An errand; the server's turns and ours in answer to them; how it ends.
type Part<'p> = (Errand, &'p [(&'static str, &'static str)], &'static str);

struct Talk {
    session: SendingSession,
    now: Instant,
    turn: String,
    ended: Option<String>,
    closed: bool,
}

impl Talk {
    fn new(settings: SendingSettings) -> Self {
        let now = start();
        let session = SendingSession::new(now, settings);
        Self { session, now, turn: String::new(), ended: None, closed: false }
    }

    fn begin(&mut self, errand: &Errand) {
        match errand {
            Errand::Open => self.session.open(),
            Errand::LogIn { cram } => assert!(self.session.log_in(self.now, login(*cram))),
            Errand::Command(line) => assert!(self.session.command(self.now, line)),
            Errand::Message => {
                assert_eq!(self.session.start(self.now, transaction(1)), Ok(()));
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                SendingAction::Send(octets) => self.turn += &String::from_utf8(octets).unwrap(),
                SendingAction::SendSecret(line) => {
                    self.turn += std::str::from_utf8(line.expose()).unwrap();
                }
                SendingAction::Settled(ended) => {
                    let words = match ended {
                        Ok(None) => "done".to_owned(),
                        Ok(Some(reply)) => reply.in_line(),
                        Err(cause) => format!("failed: {cause}"),
                    };
                    assert_eq!(self.ended.replace(words), None, "it ends once");
                }
                SendingAction::Result(outcomes) => self.ended = Some(words(&outcomes[0])),
                SendingAction::Body => self.session.handle_body(self.now, &[b"a\r\n"], true),
                SendingAction::StartTls => self.turn += "<handshake>",
                SendingAction::Close => self.closed = true,
                SendingAction::Derive(_) => panic!("nobody offers SCRAM here"),
            }
        }
    }

    fn hear(&mut self, said: &str) {
        match said {
            SECURED => self.session.handle_tls(self.now, Ok(())),
            BROKEN => self.session.handle_tls(self.now, Err("why".into())),
            HANG_UP => self.session.handle_closed(),
            SILENCE => {
                self.now = self.session.poll_timeout().expect("something is waited for");
                self.session.handle_timeout(self.now);
            }
            // Octet by octet.
            words => {
                for octet in words.as_bytes() {
                    self.session.handle_input(self.now, &[*octet]);
                    self.drain();
                }
            }
        }
        self.drain();
    }
}

fn login(cram: bool) -> SendingLogin {
    let credentials = Credentials::new("tim", Secret::new(b"tanstaaftanstaaf".to_vec())).unwrap();
    SendingLogin { credentials, shown: true, cram, nonce: "x".into() }
}

fn check(settings: SendingSettings, parts: &[Part<'_>], closed: bool) {
    let mut talk = Talk::new(settings);
    for (errand, turns, wanted) in parts {
        talk.begin(errand);
        for (said, answer) in *turns {
            talk.hear(said);
            assert_eq!(std::mem::take(&mut talk.turn), *answer, "behind {said:?}");
        }
        assert_eq!(talk.ended.take().as_deref(), Some(*wanted));
    }
    assert_eq!(talk.closed, closed);
}

const HELLO: &str = "250-hop\r\n250-PIPELINING\r\n250 ETRN\r\n";
const OPENED: Part<'static> =
    (Errand::Open, &[("220 hop\r\n", "EHLO us.test\r\n"), (HELLO, "")], "done");

#[test]
fn a_server_is_opened_and_asked_and_given_mail() {
    let mail = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nDATA\r\n";
    let parts = [
        OPENED,
        (Errand::Command("ETRN a.test"), &[("253 2.0.0 7 wait\r\n", "")], "253 2.0.0 7 wait"),
        (Errand::Command("ETRN b.test"), &[("459 4.7.1 No\r\n", "")], "459 4.7.1 No"),
        (
            Errand::Message,
            &[("250 a\r\n250 b\r\n354 go\r\n", "a\r\n.\r\n"), ("250 kept\r\n", "")],
            "delivered kept",
        ),
        (Errand::Command("X"), &[("500-a\r\n500 b\r\n", "")], "500 a b"),
    ];
    // Behind the first command what is to be said is said with it.
    let mut talk = Talk::new(settings());
    for (errand, turns, wanted) in parts {
        talk.begin(&errand);
        match &errand {
            Errand::Command(line) => {
                assert_eq!(std::mem::take(&mut talk.turn), format!("{line}\r\n"));
            }
            Errand::Message => assert_eq!(std::mem::take(&mut talk.turn), mail),
            _ => {}
        }
        for (said, answer) in turns {
            talk.hear(said);
            assert_eq!(std::mem::take(&mut talk.turn), *answer, "behind {said:?}");
        }
        assert_eq!(talk.ended.take().as_deref(), Some(wanted));
        assert!(talk.session.is_idle());
    }
    assert_eq!(talk.session.keywords(), "PIPELINING\nETRN");
    talk.session.quit(talk.now);
    talk.drain();
    assert_eq!(talk.turn, "QUIT\r\n");
}

#[test]
fn what_can_not_be_asked_for_is_not() {
    let mut talk = Talk::new(settings());
    assert!(!talk.session.command(talk.now, "NOOP"), "before the greeting");
    talk.begin(&Errand::Open);
    talk.hear("220 hop\r\n");
    talk.hear(HELLO);
    for line in ["NOOP\r\nQUIT", "\u{e4}", "a\tb"] {
        assert!(!talk.session.command(talk.now, line), "{line:?}");
    }
    assert!(talk.session.command(talk.now, "NOOP"));
    assert!(!talk.session.command(talk.now, "NOOP") && !talk.session.log_in(talk.now, login(true)));
    assert!(!talk.session.is_idle() && !talk.session.is_ready());
}

#[test]
fn a_server_that_does_not_open_says_why() {
    let opening = |turns: &[(&'static str, &'static str)], wanted, tls, closed| {
        check(SendingSettings { tls, ..settings() }, &[(Errand::Open, turns, wanted)], closed);
    };
    let never = SendingTls::Never;
    opening(&[("554 no\r\n", "QUIT\r\n")], "failed: 554 no to the connection", never, false);
    opening(&[("421 no\r\n", "")], "failed: 421 no to the connection", never, true);
    opening(&[(HANG_UP, "")], "failed: connection closed at the connection", never, true);
    opening(&[(SILENCE, "")], "failed: timed out waiting for the connection", never, true);
    let greeted = ("220 hop\r\n", "EHLO us.test\r\n");
    opening(
        &[greeted, (HELLO, "QUIT\r\n")],
        "failed: TLS is required, and the server does not offer it",
        SendingTls::Must,
        false,
    );
    let starttls = [
        greeted,
        ("250-hop\r\n250 STARTTLS\r\n", "STARTTLS\r\n"),
        ("220 go\r\n", "<handshake>"),
        (BROKEN, ""),
    ];
    opening(&starttls, "failed: the TLS handshake failed: why", SendingTls::Must, true);
}

#[test]
fn tls_that_came_first_is_not_asked_for_again() {
    let before = SendingSettings { tls: SendingTls::Before, ..settings() };
    let offered = "250-hop\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n";
    let open = [("220 hop\r\n", "EHLO us.test\r\n"), (offered, "")];
    let mut talk = Talk::new(before);
    talk.begin(&Errand::Open);
    for (said, answer) in open {
        talk.hear(said);
        assert_eq!(std::mem::take(&mut talk.turn), answer);
    }
    assert!(talk.session.is_secured());
    talk.begin(&Errand::LogIn { cram: false });
    assert_eq!(talk.turn, "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
}

#[test]
fn a_command_that_breaks_the_conversation_says_so() {
    for (said, wanted, closed) in [
        ("421 4.3.2 bye\r\n", "failed: 421 4.3.2 bye to the command", true),
        ("354 go on\r\n", "failed: 354 go on to the command", true),
        (
            "what?\r\n",
            "failed: no SMTP reply to the command: a line is not a reply: \"what?\"",
            true,
        ),
        (HANG_UP, "failed: connection closed at the command", true),
        (SILENCE, "failed: timed out waiting for the command", true),
    ] {
        let mut talk = Talk::new(settings());
        talk.begin(&Errand::Open);
        talk.hear("220 hop\r\n");
        talk.hear(HELLO);
        talk.ended = None;
        talk.begin(&Errand::Command("ETRN a.test"));
        talk.hear(said);
        assert_eq!((talk.ended.as_deref(), talk.closed), (Some(wanted), closed), "{said:?}");
    }
}

#[test]
fn a_connection_that_is_handed_over_is_not_closed() {
    let opened = || {
        let mut talk = Talk::new(settings());
        talk.begin(&Errand::Open);
        talk.hear("220 hop\r\n");
        talk.hear(HELLO);
        (talk.ended, talk.turn) = (None, String::new());
        assert!(talk.session.hand_over(talk.now, "ATRN a.test"));
        talk.drain();
        assert_eq!(std::mem::take(&mut talk.turn), "ATRN a.test\r\n");
        talk
    };
    let mut talk = opened();
    // What stands behind the reply was said too early, by whoever it was.
    talk.session.handle_input(talk.now, b"250 turned\r\nMAIL FROM:<>\r\n");
    talk.drain();
    assert_eq!(talk.ended.as_deref(), Some("250 turned"));
    assert!(talk.session.is_handed_over() && talk.session.is_over() && !talk.closed);
    assert_eq!((talk.session.poll_timeout(), &*talk.turn), (None, ""));
    let mut talk = opened();
    talk.hear("453 4.2.1 no mail\r\n");
    assert_eq!(talk.ended.as_deref(), Some("453 4.2.1 no mail"));
    assert!(talk.session.is_idle() && !talk.session.is_handed_over());
}

/// The example of RFC 2195 section 2.
#[test]
fn the_weak_mechanism_is_used_where_it_is_allowed() {
    let hello = "250-hop\r\n250 AUTH CRAM-MD5\r\n";
    let challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n";
    let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n";
    let opened = |talk: &mut Talk| {
        talk.begin(&Errand::Open);
        talk.hear("220 hop\r\n");
        talk.hear(hello);
        assert_eq!(talk.ended.take().as_deref(), Some("done"));
        talk.turn.clear();
    };
    let mut talk = Talk::new(settings());
    opened(&mut talk);
    talk.begin(&Errand::LogIn { cram: true });
    assert_eq!(std::mem::take(&mut talk.turn), "AUTH CRAM-MD5\r\n");
    talk.hear(challenge);
    assert_eq!(std::mem::take(&mut talk.turn), answer);
    talk.hear("235 in\r\n");
    assert_eq!(talk.ended.take().as_deref(), Some("done"));
    assert!(talk.session.is_idle() && !talk.session.log_in(talk.now, login(true)), "once");

    let mut talk = Talk::new(settings());
    opened(&mut talk);
    talk.begin(&Errand::LogIn { cram: false });
    let none = "failed: the server offers no way to log in that may be used with it";
    assert_eq!((talk.ended.as_deref(), &*talk.turn), (Some(none), "QUIT\r\n"));

    let mut talk = Talk::new(settings());
    opened(&mut talk);
    talk.begin(&Errand::LogIn { cram: true });
    talk.hear(challenge);
    talk.turn.clear();
    talk.hear("535 5.7.8 no\r\n");
    assert_eq!(
        (talk.ended.as_deref(), &*talk.turn),
        (Some("failed: 535 5.7.8 no to AUTH"), "QUIT\r\n")
    );
}
