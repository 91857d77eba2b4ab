//! What a session remembers of what its client was refused: enough to explain it, and no secret.

use std::time::Duration;

use stagepost_smtp::{Auth, Interest, Mechanism, Settings};

use crate::rig::{Fine, Rig, settings};

const MAIL: &str = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@here.test>\r\n";

/// How often, the reply, the command, sender and recipient.
fn told(rig: &Rig<Fine>) -> String {
    let Some(refused) = rig.session.refused() else { return String::new() };
    let command = String::from_utf8_lossy(refused.command.as_deref().unwrap_or(b"-"));
    let [sender, recipient] =
        [&refused.sender, &refused.recipient].map(|path| path.as_deref().unwrap_or("-").to_owned());
    let reply = refused.reply.in_line();
    format!("{} {reply:.9} ({command}) {sender} {recipient}", refused.count)
}

#[test]
fn the_last_refusal_is_known_with_what_it_answered() {
    let cases = [
        ("EHLO a.test\r\nNOOP\r\n".to_owned(), ""),
        (format!("EHLO a.test\r\n{MAIL}DATA\r\n.\r\n"), ""),
        ("RCPT TO:<u@here.test>\r\n".to_owned(), "1 503 5.5.1 (RCPT TO:<u@here.test>) - -"),
        (
            format!("EHLO a.test\r\n{MAIL}RCPT TO:<x@away.test>\r\nNOOP\r\n"),
            "1 550 5.7.1 (RCPT TO:<x@away.test>) a@b.test -",
        ),
        (
            format!("EHLO a.test\r\nVRFY\r\n{MAIL}DATA\r\nx\ny\r\n.\r\n"),
            "2 550 5.5.2 (-) a@b.test u@here.test",
        ),
        // What is no command may be a password.
        ("EHLO a.test\r\nPASS secret\r\n".to_owned(), "1 500 5.5.2 (-) - -"),
        ("EHLO a.test\r\nNOOP \u{1}secret\r\n".to_owned(), "1 500 5.5.2 (-) - -"),
        ("EHLO a.test\r\nAUTH PLAIN secret\r\n".to_owned(), "1 501 5.5.2 (AUTH PLAIN *) - -"),
        ("EHLO a.test\r\nAUTH PLAIN\r\nsecret\r\n".to_owned(), "1 501 5.5.2 (AUTH PLAIN) - -"),
    ];
    for interest in [Interest::NONE, Interest::ALL] {
        for (said, wanted) in &cases {
            let auth = Auth {
                mechanisms: Mechanism::ALL.into(),
                checks_passwords: true,
                allow_plaintext: true,
                ..Auth::default()
            };
            let mut rig = Rig::new(Settings { auth, ..settings() }, interest, Fine);
            rig.say(said);
            assert_eq!(told(&rig), *wanted, "{said}");
        }
    }
}

#[test]
fn that_time_is_up_is_no_refusal() {
    let mut rig = Rig::new(settings(), Interest::NONE, Fine);
    rig.say("EHLO a.test\r\n");
    rig.wait(Duration::from_secs(3600));
    assert!(rig.closed && rig.replies().contains("421 4.4.2"));
    assert_eq!(told(&rig), "");
}
