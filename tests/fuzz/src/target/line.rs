//! Command lines: only CRLF ends one, each gets one reply, and how they arrive makes no difference.

use stagepost_smtp::{Event, Interest, Question, Stage};

use crate::Target;
use crate::plugins::Answers;
use crate::replies::codes;
use crate::rig::{Rig, settings};

pub(crate) const TARGET: Target = Target { name: "line", run, shape: None };

/// Words that other protocols begin with.
const FOREIGN: [&str; 6] = ["CONNECT", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

/// Commands that the server knows, if only to refuse them, and the one that a plug-in claims.
const KNOWN: [&str; 23] = [
    "HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "HELP", "VRFY", "EXPN",
    "ETRN", "STARTTLS", "AUTH", "XCLIENT", "ATRN", "TURN", "SEND", "SOML", "SAML", "XFORWARD",
    "XVERB",
];

fn run(input: &[u8]) {
    let interest = Interest::NONE.with(Event::Command, Stage::Before);
    let hear = |cuts: &mut dyn Iterator<Item = usize>| {
        let mut rig = Rig::new(settings(true), interest, Answers::refusing_lines());
        rig.say_in_pieces(input, cuts);
        let asked = rig.asked.iter().map(|ask| ask.question.clone()).collect::<Vec<_>>();
        (rig.output(), asked, rig.closed)
    };
    let whole = hear(&mut std::iter::empty());
    assert_eq!(hear(&mut (1..input.len())), whole, "octet by octet");
    assert_eq!(hear(&mut (1..input.len()).step_by(7)), whole, "in sevens");
    let (output, asked, closed) = whole;
    let heard = codes(&output);
    let plain = plainly(input);
    assert_eq!(heard[..plain.codes.len()], plain.codes);
    for (question, line) in asked.iter().zip(&plain.lines) {
        match question {
            // What it says of secrets is not shown.
            Question::Command { line: shown }
                if !line.to_ascii_uppercase().starts_with(b"AUTH") =>
            {
                assert_eq!(&**shown, *line);
            }
            _ => {}
        }
    }
    if plain.whole {
        assert_eq!((heard.len(), closed), (plain.codes.len(), plain.closed));
        assert_eq!(asked.len(), plain.lines.len());
    }
}

/// What is to be heard.
struct Plain<'i> {
    codes: Vec<u16>,
    lines: Vec<&'i [u8]>,
    closed: bool,
    /// It goes to the end of the input; not beyond a chunk, which has a target of its own.
    whole: bool,
}

/// Written plainly, from the whole: lines are what stands between CRLFs.
fn plainly(input: &[u8]) -> Plain<'_> {
    let mut plain = Plain { codes: vec![220], lines: Vec::new(), closed: false, whole: true };
    let (mut rest, mut behind_auth) = (input, false);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let chunk = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"));
        if chunk {
            plain.whole = false;
            break;
        }
        if line.len() + 2 > 512 || !line.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            plain.codes.push(500);
            continue;
        }
        let mut words = line.splitn(2, |&octet| octet == b' ');
        let verb = words.next().unwrap_or_default();
        let foreign = FOREIGN.iter().any(|word| verb.eq_ignore_ascii_case(word.as_bytes()));
        if foreign && words.next().is_some_and(|behind| behind.iter().any(|&octet| octet != b' ')) {
            plain.codes.push(421);
            plain.closed = true;
            break;
        }
        // Words of a login, perhaps, that was refused: answered, and shown to nobody.
        let stray =
            behind_auth && !KNOWN.iter().any(|word| verb.eq_ignore_ascii_case(word.as_bytes()));
        behind_auth = stray || verb.eq_ignore_ascii_case(b"AUTH");
        if stray {
            plain.codes.push(500);
            continue;
        }
        plain.codes.push(550);
        plain.lines.push(line);
    }
    plain
}
