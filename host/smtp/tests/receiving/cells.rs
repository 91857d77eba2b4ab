//! Every stage × every decision before it: the reply, and whether the session goes on.

use std::sync::Arc;
use std::time::Duration;

use stagepost_smtp::{
    Ask, Auth, Claim, Claims, Decision, Event, Interest, Mechanism, Reply, Settings, Stage,
    StartTls, Verdict,
};

use crate::rig::{Rig, settings_with_all};

/// The decisions, by column: continue, handled, handled 251, reject 550, defer 450, defer 421, disconnect 421,
/// disconnect 554, and three whose replies can't be.
fn decisions() -> [Decision; 11] {
    let reply = |code| Reply::new(code, None, "plug-in");
    [
        Decision::Continue,
        Decision::Handled(None),
        Decision::Handled(Some(reply(251))),
        Decision::Reject(reply(550)),
        Decision::Defer(reply(450)),
        Decision::Defer(reply(421)),
        Decision::Disconnect(reply(421)),
        Decision::Disconnect(reply(554)),
        Decision::Handled(Some(reply(550))),
        Decision::Reject(reply(250)),
        Decision::Disconnect(reply(250)),
    ]
}

const RCPT: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\n";
const CHUNK: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nBDAT 8\r\nA: b\r\n\r\n";

/// What is said until an event comes, and what makes it come.
fn way(event: Event) -> (&'static str, &'static str) {
    const MAIL: &str = "MAIL FROM:<>\r\n";
    const DATA: &str = "MAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n";
    match event {
        Event::Connect | Event::Timeout => ("", ""),
        Event::Command => ("", "NOOP\r\n"),
        Event::Ehlo => ("", "EHLO a.test\r\n"),
        Event::StartTls => ("", "STARTTLS\r\n"),
        Event::Auth => ("", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"),
        Event::Mail => ("", MAIL),
        Event::Rcpt => (MAIL, "RCPT TO:<u@here.test>\r\n"),
        Event::Data => (RCPT, "DATA\r\n"),
        Event::Headers | Event::Body | Event::MessageAccept => (DATA, "x\r\n.\r\n"),
        Event::Etrn => ("", "ETRN a.test\r\n"),
        Event::Atrn => ("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n", "ATRN a.test\r\n"),
        Event::Vrfy => ("", "EXPN a\r\n"),
        Event::Rset => ("", "RSET\r\n"),
        Event::Verb => ("", "xfoo a\r\n"),
        Event::Quit | Event::Disconnect => ("", "QUIT\r\n"),
        behind => unreachable!("{behind:?}: a session does not ask"),
    }
}

/// The codes by column; an exclamation mark where the connection is closed behind the reply.
fn wanted(event: Event) -> &'static str {
    match event {
        Event::Connect => "220 421! 421! 554 421! 421! 421! 554! 421! 421! 421!",
        Event::Command => "250 250 251 550 450 421! 421! 554! 451 451 421!",
        Event::Ehlo | Event::Mail | Event::Rcpt | Event::Rset => {
            "250 451 451 550 450 421! 421! 554! 451 451 421!"
        }
        Event::StartTls => "220 454 454 550 450 421! 421! 554! 454 454 421!",
        // Nobody is named whom the client would be.
        Event::Auth => "235 454 454 550 450 421! 421! 554! 454 454 421!",
        Event::Data => "354 451 451 550 450 421! 421! 554! 451 451 421!",
        Event::Headers | Event::Body => "250 451 451 550 450 421! 421! 554! 451 451 421!",
        Event::MessageAccept => "250 250 251 550 450 421! 421! 554! 451 451 421!",
        Event::Etrn => "459 250 251 550 450 421! 421! 554! 451 451 421!",
        // Nobody has said whose mail it would be.
        Event::Atrn => "450 451 451 550 450 421! 421! 554! 451 451 421!",
        Event::Vrfy | Event::Verb => "502 250 251 550 450 421! 421! 554! 451 451 421!",
        Event::Quit => "221! 451! 451! 550! 450! 421! 421! 554! 451! 451! 421!",
        Event::Timeout => "421! 451! 451! 550! 450! 421! 421! 554! 451! 451! 421!",
        Event::Disconnect => "221! 221! 221! 221! 221! 221! 221! 221! 221! 221! 221!",
        behind => unreachable!("{behind:?}: a session does not ask"),
    }
}

#[test]
fn every_decision_at_every_stage_has_its_reply() {
    for event in Event::ALL.into_iter().filter(|event| !event.is_behind_session()) {
        assert_eq!(codes(event, way(event)), wanted(event), "{event:?}");
    }
}

/// The same where the message comes in one chunk, or in the first of two.
#[test]
fn every_decision_at_a_chunk_has_its_reply() {
    let taken = "250 451 451 550 450 421! 421! 554! 451 451 421!";
    let data = [(Event::Data, taken), (Event::Headers, taken), (Event::Body, taken)];
    let accept = (Event::MessageAccept, wanted(Event::MessageAccept));
    for (event, wanted) in data.into_iter().chain([accept]) {
        assert_eq!(codes(event, (RCPT, "BDAT 3 LAST\r\nx\r\n")), wanted, "{event:?}");
        assert_eq!(
            codes(event, (CHUNK, "BDAT 3 LAST\r\nx\r\n")),
            match event {
                // Asked at the first chunk.
                Event::Data | Event::Headers => "250 250 250 250 250 250 250 250 250 250 250",
                _ => wanted,
            }
        );
    }
    for event in [Event::Data, Event::Headers] {
        assert_eq!(codes(event, (RCPT, "BDAT 9\r\nA: b\r\n\r\nx")), taken, "{event:?}");
    }
}

/// The codes by column. `way`: what is said until the event comes, and what makes it come.
fn codes(event: Event, (first, then): (&str, &str)) -> String {
    let mut found = Vec::new();
    for decision in decisions() {
        let interest = Interest::NONE.with(event, Stage::Before);
        // Nothing else is asked, so this answers the event alone.
        let odmr = event == Event::Atrn;
        let auth = Auth {
            mechanisms: Mechanism::ALL.into(),
            checks_passwords: odmr,
            allow_plaintext: true,
            ..Auth::default()
        };
        let settings = Settings { odmr, starttls: StartTls::Offered, auth, ..settings_with_all() };
        let first_chunk = first == CHUNK && matches!(event, Event::Data | Event::Headers);
        let mut rig = Rig::new(settings, interest, |_: &Ask| match first_chunk {
            true => Verdict::default(),
            false => Verdict { decision: decision.clone(), ..Verdict::default() },
        });
        let claim = Claim::verb("XFOO").expect("a verb");
        rig.session = rig.session.with_claims(Arc::new(Claims::new([claim])));
        if !matches!(event, Event::Connect | Event::Command | Event::Ehlo) {
            rig.say("EHLO a.test\r\n");
            rig.say(first);
        }
        if event != Event::Connect {
            rig.turn();
            rig.output.clear();
        }
        if event == Event::Timeout {
            rig.wait(Duration::from_secs(9999));
        } else {
            rig.say(then);
        }
        let replies = rig.replies();
        let code = replies.get(..3).unwrap_or("none");
        found.push(format!("{code}{}", if rig.closed { "!" } else { "" }));
        assert_eq!(rig.session.wants_input(), !rig.closed, "{event:?} {decision:?}");
    }
    found.join(" ")
}
