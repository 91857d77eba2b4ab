//! AUTH: every mechanism and every reply, what plug-ins see of it, and what it changes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stagepost_smtp::{
    Ask, Attribute, Attributed, Auth, AuthResult, Decision, DisconnectReason, Edit, Event, Facts,
    Interest, Limits, Mechanism, Question, Reply, Settings, Stage, StartTls, Verdict, Verified,
    Verify,
};

use crate::rig::{Answers, Fine, Rig, settings, tls};

const PLAIN: &str = "AHVzZXIAcGVuY2ls";

fn text(words: &str) -> String {
    STANDARD.encode(words)
}

/// AUTH by every mechanism, also in clear text.
fn open() -> Settings {
    let auth = Auth {
        mechanisms: Mechanism::ALL.into(),
        checks_passwords: true,
        allow_plaintext: true,
        ..Auth::default()
    };
    Settings { auth, ..settings() }
}

/// The same, but not in clear text.
fn closed() -> Settings {
    let mut settings = open();
    settings.auth.allow_plaintext = false;
    settings
}

fn greeted<A: Answers>(settings: Settings, interest: Interest, answers: A) -> Rig<A> {
    let mut rig = Rig::new(settings, interest, answers);
    rig.say("EHLO a.test\r\n");
    rig.output.clear();
    rig.asked.clear();
    rig
}

/// The same behind a handshake.
fn protected<A: Answers>(settings: Settings, interest: Interest, answers: A) -> Rig<A> {
    let mut rig = Rig::new(settings, interest, answers);
    rig.session = rig.session.secured(tls());
    rig.say("EHLO a.test\r\n");
    rig.output.clear();
    rig.asked.clear();
    rig
}

/// The codes of the replies to what is said, with enhanced codes where they have some.
fn codes<A: Answers>(rig: &mut Rig<A>, said: &str) -> String {
    rig.say(said);
    let replies = rig.replies();
    let code = |line: &str| {
        let mut words = line.split(' ');
        let (code, next) = (words.next().expect("a code"), words.next().unwrap_or_default());
        if next.contains('.') { format!("{code} {next}") } else { code.to_owned() }
    };
    replies.lines().map(code).collect::<Vec<_>>().join(", ")
}

fn logged_in<A>(rig: &Rig<A>) -> Option<(&str, Mechanism)> {
    let known = rig.session.facts().authenticated.as_ref();
    known.and_then(|known| Some((&*known.identity, known.mechanism?)))
}

#[test]
fn every_end_of_an_exchange_has_its_reply() {
    let (user, pencil, wrong) = (text("user"), text("pencil"), text("pencils"));
    let cases = [
        (format!("AUTH PLAIN {PLAIN}"), "235 2.7.0"),
        (format!("auth plain\r\n{PLAIN}"), "334, 235 2.7.0"),
        (format!("AUTH PLAIN {}", text("user\0user\0pencil")), "235 2.7.0"),
        (format!("AUTH PLAIN {}", text("boss\0user\0pencil")), "535 5.7.8"),
        (format!("AUTH PLAIN {}", text("\0user\0pencils")), "535 5.7.8"),
        (format!("AUTH PLAIN {}", text("\0nobody\0pencil")), "535 5.7.8"),
        (format!("AUTH PLAIN {}", text("\0a b\0pencil")), "535 5.7.8"),
        (format!("AUTH PLAIN {}", text("user\0pencil")), "501 5.5.2"),
        ("AUTH PLAIN =".to_owned(), "501 5.5.2"),
        ("AUTH PLAIN\r\n".to_owned(), "334, 501 5.5.2"),
        ("AUTH PLAIN\r\n*".to_owned(), "334, 501 5.7.0"),
        ("AUTH PLAIN *".to_owned(), "501 5.5.2"),
        ("AUTH PLAIN AHVzZXIAcGVuY2l".to_owned(), "501 5.5.2"),
        ("AUTH PLAIN\r\nAHVzZXIAcGVuY2l".to_owned(), "334, 501 5.5.2"),
        ("AUTH PLAIN\r\nAHVzZXI\0".to_owned(), "334, 501 5.5.2"),
        ("AUTH PLAIN\r\n=".to_owned(), "334, 501 5.5.2"),
        (format!("AUTH LOGIN\r\n{user}\r\n{pencil}"), "334, 334, 235 2.7.0"),
        (format!("AUTH LOGIN {user}\r\n{pencil}"), "334, 235 2.7.0"),
        (format!("AUTH LOGIN\r\n{user}\r\n{wrong}"), "334, 334, 535 5.7.8"),
        (format!("AUTH LOGIN\r\n{user}\r\n*"), "334, 334, 501 5.7.0"),
        ("AUTH LOGIN\r\n*".to_owned(), "334, 501 5.7.0"),
        ("AUTH SCRAM-SHA-256-PLUS".to_owned(), "504 5.5.4"),
        ("AUTH CRAM-MD5".to_owned(), "504 5.5.4"),
        ("AUTH".to_owned(), "501 5.5.4"),
    ];
    for (said, wanted) in cases {
        let mut rig = greeted(open(), Interest::NONE, Fine);
        assert_eq!(codes(&mut rig, &format!("{said}\r\n")), wanted, "{said:?}");
        let name = logged_in(&rig).map(|(name, _)| name);
        assert_eq!(name, wanted.ends_with("235 2.7.0").then_some("user"), "{said:?}");
        assert_eq!(codes(&mut rig, "NOOP\r\n"), "250 2.0.0", "{said:?}");
    }
}

/// What RFC 7677 section 3 has for an example; and the same octet by octet.
#[test]
fn scram_is_spoken() {
    let first = text("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let theirs = text(&format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let last = text(&format!("c=biws,r={nonce},p={proof}"));
    let signed = text("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    for single in [false, true] {
        let mut rig = greeted(open(), Interest::NONE, Fine);
        let said = format!("AUTH SCRAM-SHA-256 {first}\r\n{last}\r\n\r\nNOOP\r\n");
        for piece in said.as_bytes().chunks(if single { 1 } else { said.len() }) {
            rig.say(piece);
        }
        let wanted = format!(
            "334 {theirs}\r\n334 {signed}\r\n235 2.7.0 Authentication successful\r\n250 2.0.0 Ok\r\n"
        );
        assert_eq!(rig.replies(), wanted);
        assert_eq!(rig.verified, ["keys user", "user true"]);
        assert_eq!(logged_in(&rig), Some(("user", Mechanism::ScramSha256)));
    }
    let cases = [
        (
            format!(
                "{first}\r\n{}",
                text(&format!("c=biws,r={nonce},p={}", text(&"x".repeat(32))))
            ),
            "334, 535 5.7.8",
        ),
        (format!("{first}\r\n{}", text("c=biws")), "334, 501 5.5.2"),
        (format!("{first}\r\n{last}\r\n*"), "334, 334, 501 5.7.0"),
        (format!("{first}\r\n{last}\r\n{}", text("x")), "334, 334, 501 5.5.2"),
        (text("n,,n=a b,r=x"), "535 5.7.8"),
        (text("p=tls-exporter,,n=user,r=x"), "535 5.7.8"),
        (text("n,a=boss,n=user,r=x"), "535 5.7.8"),
    ];
    for (said, wanted) in cases {
        let mut rig = greeted(open(), Interest::NONE, Fine);
        assert_eq!(codes(&mut rig, &format!("AUTH SCRAM-SHA-256 {said}\r\n")), wanted, "{said}");
        assert_eq!(logged_in(&rig), None, "{said}");
    }
    // It knows of PLUS, and was told that there is none: by somebody between the two.
    let mut rig = protected(open(), Interest::NONE, Fine);
    let said = format!("AUTH SCRAM-SHA-256 {}\r\n", text("y,,n=user,r=x"));
    assert_eq!(codes(&mut rig, &said), "535 5.7.8");
    let said = format!("AUTH SCRAM-SHA-256-PLUS {}\r\n", text("p=tls-exporter,,n=user,r=x"));
    assert_eq!(codes(&mut rig, &said), "334");
}

#[test]
fn mechanisms_are_announced_where_they_work() {
    let announced = |settings: Settings, interest, secured: bool| {
        let mut rig = Rig::new(settings, interest, Fine);
        if secured {
            rig.session = rig.session.secured(tls());
        }
        rig.say("EHLO a.test\r\n");
        let replies = rig.replies();
        let line = replies.lines().find_map(|line| line[4..].strip_prefix("AUTH "));
        line.unwrap_or("-").to_owned()
    };
    let all = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN";
    let with = |change: fn(&mut Auth)| {
        let mut settings = open();
        change(&mut settings.auth);
        settings
    };
    let before = Interest::NONE.with(Event::Auth, Stage::Before);
    let cases = [
        (settings(), Interest::ALL, ["-", "-"]),
        (open(), Interest::NONE, ["SCRAM-SHA-256 PLAIN LOGIN", all]),
        (with(|auth| auth.allow_plaintext = false), Interest::NONE, ["-", all]),
        (
            with(|auth| auth.checks_passwords = false),
            Interest::NONE,
            ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS SCRAM-SHA-256"],
        ),
        (
            with(|auth| {
                auth.checks_passwords = false;
                auth.mechanisms = vec![Mechanism::Login];
            }),
            Interest::NONE,
            ["-", "-"],
        ),
        (
            with(|auth| {
                auth.checks_passwords = false;
                auth.mechanisms = vec![Mechanism::Login];
            }),
            before,
            ["LOGIN", "LOGIN"],
        ),
    ];
    for (settings, interest, wanted) in cases {
        let found = [false, true].map(|secured| announced(settings.clone(), interest, secured));
        assert_eq!(found, wanted, "{:?}", settings.auth);
    }
    let mut rig = greeted(open(), Interest::NONE, Fine);
    rig.say(format!("AUTH PLAIN {PLAIN}\r\nEHLO a.test\r\n"));
    assert!(!rig.replies().contains("AUTH"));
}

#[test]
fn auth_has_its_place() {
    let auth = format!("AUTH PLAIN {PLAIN}\r\n");
    // In no session without it.
    let mut rig = greeted(settings(), Interest::ALL, Fine);
    assert_eq!(codes(&mut rig, &auth), "502 5.5.1");
    // Before EHLO, after HELO, in a transaction, twice.
    let mut rig = Rig::new(open(), Interest::NONE, Fine);
    rig.turn();
    rig.output.clear();
    assert_eq!(codes(&mut rig, &auth), "503 5.5.1");
    assert_eq!(codes(&mut rig, &format!("HELO a.test\r\n{auth}")), "250 mx.here.test, 503 5.5.1");
    assert_eq!(codes(&mut rig, "EHLO a.test\r\n").matches("250").count(), 8);
    assert_eq!(
        codes(&mut rig, &format!("MAIL FROM:<>\r\n{auth}RSET\r\n")),
        "250 2.1.0, 503 5.5.1, 250 2.0.0"
    );
    assert_eq!(codes(&mut rig, &format!("{auth}{auth}")), "235 2.7.0, 503 5.5.1");
    assert_eq!(codes(&mut rig, "MAIL FROM:<a@here.test> AUTH=<>\r\n"), "250 2.1.0");
    // In clear text.
    let mut shut = open();
    shut.auth.allow_plaintext = false;
    let mut rig = greeted(shut.clone(), Interest::NONE, Fine);
    assert_eq!(codes(&mut rig, &auth), "538 5.7.11");
    let mut rig = greeted(Settings { starttls: StartTls::Required, ..shut }, Interest::NONE, Fine);
    assert_eq!(codes(&mut rig, &auth), "530 5.7.0");
    // Weaker than the operator wants.
    let mut strong = open();
    strong.auth.mechanisms = vec![Mechanism::ScramSha256];
    let mut rig = greeted(strong, Interest::NONE, Fine);
    assert_eq!(codes(&mut rig, &auth), "534 5.7.9");
    // A login in clear text is none behind STARTTLS.
    let mut rig = greeted(Settings { starttls: StartTls::Offered, ..open() }, Interest::NONE, Fine);
    rig.say(&auth);
    assert!(logged_in(&rig).is_some());
    rig.say("STARTTLS\r\n");
    assert!(logged_in(&rig).is_none());
}

#[test]
fn who_must_log_in_does_nothing_before() {
    let mut required = open();
    required.auth.required = true;
    let mut rig = greeted(required, Interest::NONE, Fine);
    for (said, wanted) in [
        ("MAIL FROM:<>\r\n", "530 5.7.0"),
        ("VRFY a\r\n", "530 5.7.0"),
        ("EXPN a\r\n", "530 5.7.0"),
        ("ETRN a.test\r\n", "530 5.7.0"),
        ("NOOP\r\n", "250 2.0.0"),
        ("RSET\r\n", "250 2.0.0"),
        ("RCPT TO:<u@here.test>\r\n", "503 5.5.1"),
    ] {
        assert_eq!(codes(&mut rig, said), wanted, "{said}");
    }
    rig.say(format!("AUTH PLAIN {PLAIN}\r\n"));
    rig.output.clear();
    assert_eq!(codes(&mut rig, "MAIL FROM:<>\r\n"), "250 2.1.0");
}

/// Verified in one way.
struct Answer(Verified);

impl Answers for Answer {
    fn verified(&mut self, verify: &Verify) -> Verified {
        match verify {
            Verify::Outcome { .. } => Verified::Noted,
            _ => self.0.clone(),
        }
    }
}

#[test]
fn trouble_is_temporary() {
    let cases = [
        (Verified::Unavailable, "454 4.7.0"),
        (Verified::Barred, "454 4.7.0"),
        (Verified::Noted, "454 4.7.0"),
        (Verified::Refused, "535 5.7.8"),
    ];
    for (verified, wanted) in cases {
        let scram = format!("SCRAM-SHA-256 {}", text("n,,n=user,r=x"));
        for said in [format!("PLAIN {PLAIN}"), scram] {
            let mut rig = greeted(open(), Interest::NONE, Answer(verified.clone()));
            assert_eq!(codes(&mut rig, &format!("AUTH {said}\r\n")), wanted, "{verified:?} {said}");
        }
    }
    // Keys of nobody's asking.
    let accepted = Verified::Accepted { identity: "user".into() };
    let mut rig = greeted(open(), Interest::NONE, Answer(accepted));
    let said = format!("AUTH SCRAM-SHA-256 {}\r\n", text("n,,n=user,r=x"));
    assert_eq!(codes(&mut rig, &said), "454 4.7.0");
    assert_eq!(logged_in(&rig), None);
}

#[test]
fn guessing_ends_the_session() {
    let limits = Limits { logins_refused_max: 2, ..Limits::default() };
    let mut rig = greeted(Settings { limits, ..open() }, Interest::NONE, Fine);
    let wrong = format!("AUTH PLAIN {}\r\n", text("\0user\0pen"));
    // A message between the two takes nothing back.
    let mail = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n.\r\n";
    assert_eq!(codes(&mut rig, &wrong), "535 5.7.8");
    rig.say(mail);
    rig.output.clear();
    assert_eq!(codes(&mut rig, &format!("{wrong}{wrong}")), "535 5.7.8, 421 4.7.0");
    assert_eq!((rig.closed, rig.mails.len()), (true, 1));
    assert_eq!(rig.verified, ["password user", "password user"]);
}

#[test]
fn lines_of_the_exchange_are_bounded() {
    let mut rig = greeted(open(), Interest::NONE, Fine);
    let long = "A".repeat(12_288);
    assert_eq!(codes(&mut rig, &format!("AUTH PLAIN\r\n{long}\r\n")), "334, 501 5.5.2");
    assert_eq!(codes(&mut rig, &format!("AUTH PLAIN\r\n{long}AAAA\r\n")), "334, 500 5.5.6");
    let chunk = format!("BDAT{long}");
    assert_eq!(
        codes(&mut rig, &format!("AUTH PLAIN\r\n{chunk}\r\nNOOP\r\n")),
        "334, 500 5.5.6, 250 2.0.0"
    );
    // The command itself is a command line (RFC 4954 section 4).
    assert_eq!(codes(&mut rig, &format!("AUTH PLAIN {long}\r\n")), "500 5.5.2");
}

#[test]
fn silence_hang_up_and_shutdown_end_an_exchange() {
    let mut rig = greeted(open(), Interest::NONE, Fine);
    rig.say("AUTH LOGIN\r\nYQ");
    rig.wait(Duration::from_secs(299));
    assert!(!rig.closed);
    rig.wait(Duration::from_secs(1));
    assert!(rig.replies().ends_with("421 4.4.2 Timeout\r\n") && rig.closed);
    let mut rig = greeted(open(), Interest::ALL, Fine);
    rig.say("AUTH LOGIN\r\n");
    rig.hang_up();
    assert_eq!(rig.reasons, [DisconnectReason::Hangup]);
    let mut rig = greeted(open(), Interest::NONE, Fine);
    rig.say("AUTH LOGIN\r\n");
    rig.session.handle_shutdown(rig.now);
    rig.turn();
    assert!(rig.replies().ends_with("421 4.3.2 mx.here.test shutting down\r\n") && rig.closed);
}

/// What plug-ins are shown, as text; secrets only from where they belong.
fn told(ask: &Ask) -> Option<String> {
    let stage = ask.stage.name();
    let secret = ask.secret.as_ref().map_or_else(
        || "-".to_owned(),
        |secret| String::from_utf8_lossy(secret.expose()).into_owned(),
    );
    match &ask.question {
        Question::Command { line } => {
            Some(format!("{stage} {} {secret}", String::from_utf8_lossy(line)))
        }
        Question::Auth { mechanism, identity, authorization, result } => {
            let result = result.map_or("-", AuthResult::name);
            let name = mechanism.name();
            let who = ask.facts.authenticated.as_ref().map_or("-", |known| &known.identity);
            Some(format!("{stage} {name} {identity}/{authorization} {result} {who} {secret}"))
        }
        _ => None,
    }
}

#[test]
fn plug_ins_see_who_and_secrets_stand_apart() {
    let mut seen = Vec::new();
    let mut rig = greeted(open(), Interest::ALL, |ask: &Ask| {
        seen.extend(told(ask));
        assert!(!format!("{ask:?}").contains("pencil"), "{ask:?}");
        assert!(!format!("{ask:?}").contains(PLAIN), "{ask:?}");
        Verdict::default()
    });
    rig.say(format!("AUTH PLAIN {PLAIN}\r\n"));
    rig.say("RSET\r\n");
    drop(rig);
    let plain = [
        "before EHLO a.test -".to_owned(),
        "after EHLO a.test -".to_owned(),
        format!("before AUTH PLAIN * AUTH PLAIN {PLAIN}"),
        "before PLAIN user/ - - pencil".to_owned(),
        "after PLAIN user/ accepted user -".to_owned(),
        "after AUTH PLAIN * -".to_owned(),
        "before RSET -".to_owned(),
        "after RSET -".to_owned(),
    ];
    assert_eq!(seen, plain);
    let mut seen = Vec::new();
    let mut rig = greeted(open(), Interest::ALL, |ask: &Ask| {
        seen.extend(told(ask));
        Verdict::default()
    });
    let (user, pen) = (text("user"), text("pen"));
    rig.say(format!("AUTH LOGIN\r\n{user}\r\n{pen}\r\n"));
    rig.say(format!("AUTH SCRAM-SHA-256\r\n{}\r\n", text("n,a=boss,n=USER,r=x")));
    rig.say(format!("AUTH SCRAM-SHA-256\r\n{}\r\n*\r\n", text("n,,n=USER,r=x")));
    rig.say("AUTH PLAIN\r\n*\r\n");
    drop(rig);
    let lines = [
        "before AUTH LOGIN -",
        "before LOGIN user/ - - pen",
        "after LOGIN user/ refused - -",
        "after AUTH LOGIN -",
        "before AUTH SCRAM-SHA-256 -",
        "before SCRAM-SHA-256 USER/boss - - -",
        "after SCRAM-SHA-256 USER/boss refused - -",
        "after AUTH SCRAM-SHA-256 -",
        "before AUTH SCRAM-SHA-256 -",
        "before SCRAM-SHA-256 USER/ - - -",
        "after SCRAM-SHA-256 USER/ broken - -",
        "after AUTH SCRAM-SHA-256 -",
        "before AUTH PLAIN -",
        "after AUTH PLAIN -",
    ];
    assert_eq!(seen[2..], lines);
}

/// AUTH is the last of a group (RFC 2920 section 3.1). Who sends more before its reply has to be told that it was no command, once AUTH
/// is refused; but the words may be a name and a password, and plug-ins that see lines are not to see those.
#[test]
fn words_behind_a_refused_auth_are_shown_to_nobody() {
    let (user, pencil) = (text("user"), text("pencil"));
    let login = format!("AUTH LOGIN\r\n{user}\r\n{pencil}\r\n");
    let auth = ["before AUTH LOGIN -", "after AUTH LOGIN -"];
    let cases = [
        (settings(), login.clone(), "502 5.5.1, 500 5.5.2, 500 5.5.2"),
        (closed(), login.clone(), "538 5.7.11, 500 5.5.2, 500 5.5.2"),
        (open(), format!("AUTH LOGIN\r\n?\r\n{pencil}\r\n"), "334, 501 5.5.2, 500 5.5.2"),
        (open(), format!("AUTH LOGIN\r\n*\r\n{pencil}\r\n"), "334, 501 5.7.0, 500 5.5.2"),
    ];
    for (settings, said, wanted) in cases {
        for single in [false, true] {
            let mut seen = Vec::new();
            let mut rig = greeted(settings.clone(), Interest::ALL, |ask: &Ask| {
                seen.extend(told(ask));
                Verdict::default()
            });
            for piece in said.as_bytes().chunks(if single { 1 } else { said.len() }) {
                rig.say(piece);
            }
            assert_eq!(codes(&mut rig, ""), wanted, "{said:?}");
            // Any command that is known ends it, and so it does in the next exchange.
            rig.say("XFOO\r\nRSET\r\nXFOO\r\n");
            drop(rig);
            let rest = ["before RSET -", "after RSET -", "before XFOO -", "after XFOO -"];
            assert_eq!(seen[2..], [&auth[..], &rest].concat(), "{said:?}");
        }
    }
    // Nor when it was a plug-in that refused it.
    let mut seen = Vec::new();
    let mut rig = greeted(open(), Interest::ALL, |ask: &Ask| {
        seen.extend(told(ask));
        let refuses =
            matches!(&ask.question, Question::Command { line } if line.starts_with(b"AUTH"));
        let reply = Reply::new(550, Some((5, 7, 1)), "plug-in");
        let decision = if refuses { Decision::Reject(reply) } else { Decision::Continue };
        Verdict { decision, ..Verdict::default() }
    });
    assert_eq!(codes(&mut rig, &login), "550 5.7.1, 500 5.5.2, 500 5.5.2");
    drop(rig);
    assert!(!seen.iter().any(|line| line.contains(&user) || line.contains(&pencil)), "{seen:?}");
}

fn identity(name: &str) -> Attributed {
    Attributed::new("p", Edit::Identity(name.into()))
}

/// What a plug-in answers before AUTH, the mechanism, the reply, who is logged in, and what is counted.
#[test]
fn a_plug_in_decides_a_login() {
    let handled = |reply: Option<Reply>| Decision::Handled(reply);
    let reply = |code, class| Reply::new(code, Some((class, 7, 1)), "plug-in");
    let scram = format!("SCRAM-SHA-256 {}", text("n,,n=user,r=x"));
    let plain = format!("PLAIN {}", text("\0alice\0secret"));
    let cases = [
        (handled(None), Some("alice@x"), &plain, "235 2.7.0", Some("alice@x"), "alice true"),
        (handled(Some(reply(235, 2))), Some("a"), &plain, "235 2.7.1", Some("a"), "alice true"),
        (handled(None), None, &plain, "454 4.3.0", None, ""),
        (handled(None), Some("a"), &scram, "454 4.3.0", None, ""),
        (Decision::Continue, Some("a"), &plain, "535 5.7.8", None, "password alice"),
        (Decision::Reject(reply(535, 5)), None, &plain, "535 5.7.1", None, "alice false"),
        (Decision::Reject(reply(535, 5)), Some("a"), &scram, "535 5.7.1", None, "user false"),
        (Decision::Defer(reply(432, 4)), None, &plain, "432 4.7.1", None, ""),
    ];
    for (decision, name, said, wanted, who, counted) in cases {
        let edits: Vec<_> = name.map(identity).into_iter().collect();
        let interest = Interest::NONE.with(Event::Auth, Stage::Before);
        let mut rig = greeted(open(), interest, |_: &Ask| Verdict {
            decision: decision.clone(),
            edits: edits.clone(),
        });
        let case = format!("{decision:?} {name:?} {said}");
        assert_eq!(codes(&mut rig, &format!("AUTH {said}\r\n")), wanted, "{case}");
        assert_eq!(logged_in(&rig).map(|(name, _)| name), who, "{case}");
        assert_eq!(rig.verified.join(" "), counted, "{case}");
    }
}

#[test]
fn a_login_grants_relaying_where_the_listener_says_so() {
    for (grants, word, wanted) in [
        (false, None, None),
        (true, None, Some("1 (core)")),
        (true, Some("0"), Some("0 p")),
        (false, Some("1"), Some("1 p")),
    ] {
        let mut settings = open();
        settings.auth.grants_relay = grants;
        let interest = Interest::NONE.with(Event::Ehlo, Stage::Before);
        let mut rig = greeted(settings, interest, |_: &Ask| {
            let attribute = |word: &str| Attribute {
                name: Facts::RELAY_GRANTED.into(),
                value: word.into(),
                plugin: "p".into(),
            };
            let edit = |word| Attributed::new("p", Edit::Attribute(attribute(word)));
            Verdict { edits: word.map(edit).into_iter().collect(), ..Verdict::default() }
        });
        rig.say(format!("AUTH PLAIN {PLAIN}\r\n"));
        let known = rig.session.facts().attribute(Facts::RELAY_GRANTED);
        let known = known.map(|known| format!("{} {}", known.value, known.plugin));
        assert_eq!(known.as_deref(), wanted, "{grants} {word:?}");
        let reply = codes(&mut rig, "MAIL FROM:<>\r\nRCPT TO:<u@there.test>\r\n");
        let relayed = wanted.is_some_and(|word| word.starts_with('1'));
        assert_eq!(reply.ends_with("250 2.1.5"), relayed, "{reply}");
    }
}

/// CRAM-MD5 (RFC 2195), with the example of its section 2: only where there are secrets, and the server begins.
#[test]
fn who_knows_nothing_better_proves_a_secret() {
    let auth = Auth {
        mechanisms: vec![Mechanism::CramMd5],
        allow_plaintext: true,
        required: true,
        ..Auth::default()
    };
    let settings = Settings { hostname: "postoffice.reston.mci.net".into(), auth, ..settings() };
    let mut rig = Rig::new(settings, Interest::ALL, Fine);
    rig.say("EHLO a.test\r\n");
    assert!(rig.replies().contains(" AUTH CRAM-MD5\r\n"));
    let challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\r\n";
    for (said, wanted) in [
        ("AUTH CRAM-MD5 dXNlcg==", "501 5.5.2"),
        ("AUTH PLAIN", "534 5.7.9"),
        ("AUTH CRAM-MD5", challenge),
        ("dXNlcg==", "501 5.5.2"),
        ("AUTH CRAM-MD5", challenge),
        // user, and the digest by another secret
        ("dXNlciAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==", "535 5.7.8"),
        ("auth cram-md5", challenge),
        // user b913a602c7eda7a495b4e6e7334d3890
        ("dXNlciBiOTEzYTYwMmM3ZWRhN2E0OTViNGU2ZTczMzRkMzg5MA==", "235 2.7.0"),
    ] {
        rig.say(format!("{said}\r\n"));
        let reply = rig.replies();
        assert!(reply.starts_with(wanted), "{said}: {reply}");
    }
    let known = rig.session.facts().authenticated.clone().expect("somebody");
    assert_eq!((&*known.identity, known.mechanism), ("user", Some(Mechanism::CramMd5)));
    let asked = ["random", "random", "proof user", "random", "proof user"];
    assert_eq!(rig.verified, asked);
}
