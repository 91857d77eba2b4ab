//! What a session understands a line as, seen from the questions that it raises.
//! Knows the session's public side only, so how it parses is its own affair.

use stagepost_smtp::{Event, Interest, Question, Stage, StartTls};

use crate::plugins::Answers;
use crate::replies::codes;
use crate::rig::{Rig, settings};

/// What a line came to in one place of the dialogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What plug-ins would be asked before anything is done, in its order.
    pub questions: Vec<Question>,
    /// The code of each reply.
    pub codes: Vec<u16>,
    /// The session is over.
    pub closed: bool,
}

/// Says `before`, then a line without its CRLF; tells what came of the line.
pub fn meaning(before: &str, line: &str) -> Meaning {
    let mut interest = Interest::NONE;
    for event in Event::ALL {
        if !matches!(event, Event::Connect | Event::Command | Event::Disconnect) {
            interest = interest.with(event, Stage::Before);
        }
    }
    let mut settings = settings(true);
    settings.starttls = StartTls::Offered;
    let mut rig = Rig::new(settings, interest, Answers::fine());
    rig.say(before.as_bytes());
    rig.output();
    rig.asked.clear();
    rig.say(format!("{line}\r\n").as_bytes());
    let codes = codes(&rig.output());
    let questions = rig.asked.iter().map(|ask| ask.question.clone()).collect();
    Meaning { questions, codes, closed: rig.closed }
}
