//! Whole sessions of chance: what must hold whatever is sent, however it is cut, and whatever is answered.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use stagepost_smtp::{
    Ask, Attribute, Attributed, BodyFault, Claim, Claims, Decision, Edit, Event, Facts, Interest,
    Question, Reply, Route, Stage, Stored, Verdict,
};

use crate::rig::{Answers, Rig, settings_with_all};

/// Answers by a list of numbers; when it is at its end everything goes well.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    numbers: VecDeque<u8>,
    /// A refusing or swallowing verdict was given to the message in hand.
    pub(crate) message_stopped: bool,
}

impl Chance {
    fn next(&mut self) -> u8 {
        self.numbers.pop_front().unwrap_or(255)
    }
}

impl Answers for Chance {
    fn verdict(&mut self, ask: &Ask) -> Verdict {
        let decision = match self.next() {
            0..=9 => Decision::Reject(Reply::new(550, Some((5, 7, 1)), "No")),
            10..=19 => Decision::Defer(Reply::new(451, Some((4, 7, 1)), "Later")),
            20..=24 => Decision::Handled(None),
            25 => Decision::Disconnect(Reply::new(421, Some((4, 7, 0)), "Go")),
            // Verdicts that can't be.
            26 => Decision::Reject(Reply::new(250, None, "Yes")),
            27 => Decision::Handled(Some(Reply::new(550, None, "No"))),
            _ => Decision::Continue,
        };
        let edit = match self.next() {
            0..=9 => Some(Edit::Discard),
            10..=19 => Some(Edit::ReplyText("two\nlines".into())),
            20..=39 => Some(Edit::Attribute(Attribute {
                name: Facts::RELAY_GRANTED.into(),
                value: "1".into(),
                plugin: "p".into(),
            })),
            40..=79 if matches!(ask.question, Question::Ehlo { .. }) => {
                let names =
                    ["SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP", "PIPELINING", "X-A"];
                match usize::from(self.next()) {
                    number @ 0..100 => {
                        Some(Edit::RemoveKeyword(names[number % names.len()].into()))
                    }
                    number => Some(Edit::AddKeyword {
                        keyword: format!("X-{number}").into(),
                        parameters: "y".repeat(number).into(),
                    }),
                }
            }
            40..=59 if matches!(ask.question, Question::Command { .. }) => {
                let lines =
                    ["NOOP", "DATA", "RSET", "EHLO x.test", "BDAT 5", "RCPT TO:<w@here.test>"];
                let line = lines[usize::from(self.next()) % lines.len()];
                Some(Edit::ReplaceCommand(line.into()))
            }
            _ => None,
        };
        let event = ask.question.event();
        if ask.stage == Stage::Before
            && matches!(event, Event::Headers | Event::Body | Event::MessageAccept)
        {
            self.message_stopped |= decision != Decision::Continue || edit == Some(Edit::Discard);
        }
        let edits = edit.map(|edit| Attributed::new("p", edit));
        Verdict { decision, edits: edits.into_iter().collect() }
    }

    fn route(&mut self, recipient: &str) -> Route {
        match self.next() {
            0..=19 => Route::UnknownUser,
            20..=29 => Route::Unavailable,
            30..=39 => Route::Foreign,
            _ if recipient.ends_with("@here.test") => Route::Local,
            _ => Route::Foreign,
        }
    }

    fn taken(&mut self) -> Result<(), BodyFault> {
        match self.next() {
            0..=9 => Err(BodyFault::NoSpace),
            10..=14 => Err(BodyFault::Unavailable),
            _ => Ok(()),
        }
    }

    fn stored(&mut self) -> Stored {
        match self.next() {
            0..=19 => Stored::NoSpace,
            20..=29 => Stored::Unavailable,
            _ => Stored::Committed("ID".to_owned()),
        }
    }
}

pub(crate) fn chance(numbers: Vec<u8>) -> Chance {
    Chance { numbers: numbers.into(), message_stopped: false }
}

/// Splits output into replies; every line must be lawful (RFC 5321 section 4.2.1).
fn replies(output: &[u8]) -> Vec<u16> {
    let text = std::str::from_utf8(output).expect("ASCII");
    let mut codes = Vec::new();
    let mut open: Option<&str> = None;
    let Some(text) = text.strip_suffix("\r\n") else {
        assert!(text.is_empty(), "unfinished: {text:?}");
        return codes;
    };
    for line in text.split("\r\n") {
        assert!(line.len() <= 510 && !line.contains(['\r', '\n']), "{line:?}");
        let (code, joint) = (&line[..3], line.as_bytes()[3]);
        assert!(matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9']), "{line:?}");
        assert!(open.is_none_or(|open| open == code), "{line:?} inside {open:?}");
        match joint {
            b'-' => open = Some(code),
            b' ' => {
                open = None;
                codes.push(code.parse().expect("three digits"));
            }
            _ => panic!("{line:?}"),
        }
    }
    assert!(open.is_none());
    codes
}

fn line() -> impl Strategy<Value = String> {
    let fixed = proptest::sample::select(vec![
        "EHLO a.test",
        "EHLO a.test",
        "HELO a.test",
        "EHLO",
        "MAIL FROM:<a@b.test>",
        "MAIL FROM:<a@b.test>",
        "MAIL FROM:<> SIZE=10 BODY=8BITMIME",
        "MAIL FROM:<> SIZE=99999999999",
        "MAIL FROM:<",
        "RCPT TO:<u@here.test>",
        "RCPT TO:<u@here.test>",
        "RCPT TO:<v@here.test>",
        "RCPT TO:<v@there.test>",
        "RCPT TO:<>",
        "RSET",
        "NOOP",
        "HELP",
        "VRFY x",
        "ETRN a.test",
        "EXPN",
        "EXPN x",
        "XVERB a",
        "MAIL FROM:<> XTAG=1",
        "STARTTLS",
        "AUTH PLAIN x",
        "FOO",
        "",
        "NO\0OP",
        "NO\nOP",
        "NO\rOP",
        "BDAT 0",
        "BDAT 7 LAST\r\nQUIT\r",
        "BDAT 8\r\nA: b\r\n",
        "BDAT 3\r\n.",
        "BDAT 6 LAST\r\nQUIT",
        "MAIL FROM:<> BODY=BINARYMIME",
    ]);
    fixed.prop_map(str::to_owned)
}

/// A group of commands and the message that is sent when its DATA is answered 354.
fn group() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let octets = proptest::sample::select(&b"\r\n\r\n..ab: \t\0\xff"[..]);
    let message = vec(
        prop_oneof![
            4 => Just(b"a: b\r\n".to_vec()),
            4 => Just(b"text\r\n".to_vec()),
            2 => Just(b".\r\n".to_vec()),
            2 => Just(b"\r\n".to_vec()),
            1 => vec(octets, 1..5),
        ],
        0..8,
    );
    (vec(line(), 0..6), message.prop_map(|pieces| pieces.concat()))
}

/// The message as its client means it, and whether its octets are lawful.
fn lawful(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message).replace("\r\n", "");
    let whole = message.is_empty() || message.ends_with(b"\r\n");
    whole && !text.contains(['\r', '\n', '\0'])
}

fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    for (at, &octet) in message.iter().enumerate() {
        if octet == b'.' && (at == 0 || message[..at].ends_with(b"\r\n")) {
            stuffed.push(b'.');
        }
        stuffed.push(octet);
    }
    stuffed
}

fn claims() -> Arc<Claims> {
    let claims = [Claim::verb("XVERB"), Claim::mail_parameter("XTAG"), Claim::keyword("X-A", "")];
    Arc::new(Claims::new(claims.map(|claim| claim.expect("a claim"))))
}

pub(crate) fn interest(bits: u64) -> Interest {
    let mut interest = Interest::NONE;
    for (at, event) in Event::ALL.into_iter().enumerate() {
        for (stage, shift) in [(Stage::Before, 0), (Stage::After, 32)] {
            if bits >> (at + shift) & 1 == 1 {
                interest = interest.with(event, stage);
            }
        }
    }
    interest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// One final reply per command; nothing stored that a verdict stopped or that was not sent so; and an end.
    #[test]
    fn every_command_gets_one_reply(
        groups in vec(group(), 1..6),
        bits in any::<u64>(),
        numbers in vec(prop_oneof![3 => Just(255u8), 1 => any::<u8>()], 0..120),
    ) {
        let mut rig = Rig::new(settings_with_all(), interest(bits), chance(numbers));
        rig.session = rig.session.with_claims(claims());
        rig.turn();
        let greeting = replies(&std::mem::take(&mut rig.output));
        prop_assert_eq!(greeting.len(), 1);
        for (lines, message) in groups {
            if rig.closed {
                break;
            }
            let mut commands = lines.join("\r\n");
            commands.push_str(if lines.is_empty() { "DATA\r\n" } else { "\r\nDATA\r\n" });
            rig.say(&commands);
            let codes = replies(&std::mem::take(&mut rig.output));
            if rig.closed {
                prop_assert!(codes.len() <= lines.len() + 1);
                break;
            }
            prop_assert_eq!(codes.len(), lines.len() + 1, "{:?}: {:?}", commands, codes);
            prop_assert!(rig.session.wants_input());
            if codes.last() != Some(&354) {
                continue;
            }
            rig.answers.message_stopped = false;
            let before = rig.mails.len();
            let mut octets = stuffed(&message);
            octets.extend(if message.is_empty() || message.ends_with(b"\r\n") {
                &b".\r\n"[..]
            } else {
                b"\r\n.\r\n"
            });
            rig.say(&octets);
            let codes = replies(&std::mem::take(&mut rig.output));
            // An unlawful octet may have hidden the end: then nothing is said yet, and nothing stored.
            if codes.is_empty() {
                prop_assert!(!lawful(&message) && !rig.closed);
                rig.say("\r\n.\r\n");
                prop_assert_eq!(replies(&std::mem::take(&mut rig.output)).len(), 1);
                prop_assert_eq!(rig.mails.len(), before);
                continue;
            }
            prop_assert_eq!(codes.len(), 1, "{:?}", octets);
            if let Some(mail) = rig.mails.get(before) {
                prop_assert!(!rig.answers.message_stopped, "stored against a verdict");
                let got = [mail.header.as_slice(), &mail.body].concat();
                let sent = octets.len() - 3;
                prop_assert_eq!(&stuffed(&got), &octets[..sent], "not as it was sent");
                prop_assert!(!mail.envelope.recipients.is_empty());
                let committed = matches!(mail.stored, Stored::Committed(_));
                prop_assert_eq!(codes[0] == 250, committed, "{:?}", mail.stored);
            } else if codes[0] == 250 {
                // Taken over, or discarded by an edit at this or an earlier stage.
                prop_assert!(bits != 0);
            }
        }
        let told = rig.asked.iter().filter(|(_, event)| *event == Event::Disconnect).count();
        prop_assert!(told == 0 || rig.closed);
        rig.hang_up();
        prop_assert!(rig.closed);
        for stage in [Stage::Before, Stage::After] {
            let told = rig.asked.iter().filter(|asked| **asked == (stage, Event::Disconnect));
            let wanted = interest(bits).contains(Event::Disconnect, stage);
            prop_assert_eq!(told.count(), usize::from(wanted));
        }
    }

    /// However the octets are cut, the same is asked, stored and said.
    #[test]
    fn cuts_make_no_difference(
        pieces in vec(prop_oneof![
            9 => line().prop_map(|line| format!("{line}\r\n").into_bytes()),
            1 => Just(b"QUIT\r\n".to_vec()),
            6 => Just(b"EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n".to_vec()),
            3 => Just(b"\r\n.\r\n".to_vec()),
            3 => Just(b"\n.\n".to_vec()),
            3 => vec(proptest::sample::select(&b"\r\n.a:\0 \xff"[..]), 0..8),
            3 => Just([b'x'; 3000].to_vec()),
        ], 0..14),
        bits in any::<u64>(),
        numbers in vec(prop_oneof![6 => Just(255u8), 1 => any::<u8>()], 0..60),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
        end in 0..3,
    ) {
        let octets = pieces.concat();
        // Whether plug-ins see the beginning of a message whose end is unlawful depends on when the end comes.
        let bits = bits & !(1 << Event::Headers as u32 | 1 << Event::Body as u32);
        // What is lent depends on the cuts, so the store answers well; so do abandoned octets.
        let run = |cuts: &[usize]| {
            let answers = Sound(chance(numbers.clone()));
            let mut rig = Rig::new(settings_with_all(), interest(bits), answers);
            rig.session = rig.session.with_claims(claims());
            let mut from = 0;
            for &to in cuts.iter().chain([&octets.len()]) {
                rig.say(&octets[from..to]);
                from = to;
            }
            match end {
                0 => rig.hang_up(),
                1 => rig.wait(std::time::Duration::from_secs(4000)),
                _ => {
                    rig.session.handle_shutdown(rig.now);
                    rig.turn();
                }
            }
            (rig.output, rig.asked, rig.mails, rig.reasons, rig.closed)
        };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        cuts.sort_unstable();
        let each: Vec<_> = (0..octets.len()).collect();
        let whole = run(&[]);
        replies(&whole.0);
        prop_assert_eq!(&run(&cuts), &whole);
        prop_assert_eq!(&run(&each), &whole);
    }
}

/// Chance, but lent octets are always kept: in how many pieces they come is no matter of the protocol.
struct Sound(Chance);

impl Answers for Sound {
    fn verdict(&mut self, ask: &Ask) -> Verdict {
        self.0.verdict(ask)
    }
    fn route(&mut self, recipient: &str) -> Route {
        self.0.route(recipient)
    }
    fn stored(&mut self) -> Stored {
        self.0.stored()
    }
}
