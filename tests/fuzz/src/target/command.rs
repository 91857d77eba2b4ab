//! Commands: what a line is understood as, seen from the questions that it raises.

use stagepost_smtp::{EtrnNode, Question, VrfyVerb, check_rewrite};

use crate::Target;
use crate::meaning::meaning;

pub(crate) const TARGET: Target = Target { name: "command", run, shape: None };

const BEFORE: [&str; 3] = ["", "EHLO a.test\r\n", "EHLO a.test\r\nMAIL FROM:<>\r\n"];

fn run(input: &[u8]) {
    let Ok(line) = std::str::from_utf8(input) else { return };
    if line.len() > 500 || !line.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return;
    }
    let (verb, _) = line.split_once(' ').unwrap_or((line, ""));
    // Its octets belong to it, and they have a target of their own.
    let chunk = line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case("BDAT"));
    for before in BEFORE {
        let found = meaning(before, line);
        assert!(chunk || found.codes.len() == 1, "{line:?}: {:?}", found.codes);
        let (low, high) = (verb.to_ascii_lowercase(), verb.to_ascii_uppercase());
        for verb in [low, high] {
            let same = format!("{verb}{}", &line[verb.len()..]);
            assert_eq!(meaning(before, &same), found, "{same:?} as {line:?}");
        }
        if !chunk {
            // RFC 5321 section 4.1.1: white space behind a command is let pass.
            let same = format!("{line}  ");
            let same = meaning(before, &same);
            let named = found.questions.first().is_some_and(|question| {
                matches!(question, Question::Verb { .. } | Question::Vrfy { .. })
            });
            assert!(named || same == found, "{line:?} and two spaces: {same:?}, not {found:?}");
        }
        for question in &found.questions {
            if let Some(again) = written(question) {
                let same = meaning(before, &again);
                assert_eq!(same.questions, found.questions, "{again:?} as {line:?}");
            }
        }
    }
    for other in ["NOOP", "MAIL FROM:<>", "DATA", "", line] {
        // Whatever it says, it is an answer.
        _ = (check_rewrite(input, other), check_rewrite(other.as_bytes(), line));
    }
}

/// A line that means the question, written from what was understood.
fn written(question: &Question) -> Option<String> {
    Some(match question {
        Question::Ehlo { name, extended, .. } => {
            format!("{} {name}", if *extended { "EHLO" } else { "HELO" })
        }
        Question::Mail { sender, parameters } => format!("MAIL FROM:{sender} {parameters}"),
        Question::Rcpt { recipient, parameters } => format!("RCPT TO:<{recipient}> {parameters}"),
        Question::Etrn { node: EtrnNode::Host(name) } => format!("ETRN {name}"),
        Question::Etrn { node: EtrnNode::Domain(name) } => format!("ETRN @{name}"),
        Question::Etrn { node: EtrnNode::Queue(name) } => format!("ETRN #{name}"),
        Question::Vrfy { verb: VrfyVerb::Vrfy, argument } => format!("VRFY {argument}"),
        Question::Vrfy { verb: VrfyVerb::Expn, argument } => format!("EXPN {argument}"),
        Question::Verb { verb, argument } => format!("{verb} {argument}"),
        _ => return None,
    })
}
