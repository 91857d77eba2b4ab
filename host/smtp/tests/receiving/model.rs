//! Every sequence of a few commands, with every decision at every stage, against a model made of two tables: what each
//! command does where, and what each decision makes of it. One by one and in one group, the replies are the same.

use std::time::Duration;

use stagepost_smtp::{Ask, Decision, Event, Interest, Reply, Settings, Stage, StartTls, Verdict};

use crate::rig::{Rig, settings};

/// Every sequence of so many commands, each behind none, one, two and three of those that lead to a message.
const DEPTH: u32 = 3;
const BEFORE: usize = 4;
const NUMBERS: usize = ROWS.len().pow(DEPTH);

const MESSAGE: &str = "Subject: a\r\n\r\n..\r\n.\r\n";

/// Where the model is in the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Unwelcome,
    Stranger,
    Greeted,
    Sender,
    Recipient,
    Closed,
}

/// What a command does in a place: its code, and the place behind it.
type Move = (u16, At);

/// A command, the stage that it has, and what it does as a stranger, greeted, behind MAIL, and behind RCPT.
struct Row {
    line: &'static str,
    event: Option<Event>,
    moves: [Move; 4],
}

/// RFC 5321 section 4.1.4. DATA is judged to the reply to its dot.
const ROWS: [Row; 9] = [
    row("EHLO a.test", Some(Event::Ehlo), [(250, At::Greeted); 4]),
    row(
        "MAIL FROM:<a@b.test>",
        Some(Event::Mail),
        [(503, At::Stranger), (250, At::Sender), (503, At::Sender), (503, At::Recipient)],
    ),
    row(
        "RCPT TO:<u@here.test>",
        Some(Event::Rcpt),
        [(503, At::Stranger), (503, At::Greeted), (250, At::Recipient), (250, At::Recipient)],
    ),
    row(
        "DATA",
        Some(Event::Data),
        [(503, At::Stranger), (503, At::Greeted), (554, At::Sender), (354, At::Greeted)],
    ),
    row(
        "RSET",
        Some(Event::Rset),
        [(250, At::Stranger), (250, At::Greeted), (250, At::Greeted), (250, At::Greeted)],
    ),
    row(
        "NOOP",
        None,
        [(250, At::Stranger), (250, At::Greeted), (250, At::Sender), (250, At::Recipient)],
    ),
    row(
        "STARTTLS",
        Some(Event::StartTls),
        [(503, At::Stranger), (220, At::Stranger), (503, At::Sender), (503, At::Recipient)],
    ),
    row(
        "MAIL FROM:<",
        None,
        [(501, At::Stranger), (501, At::Greeted), (501, At::Sender), (501, At::Recipient)],
    ),
    row("QUIT", Some(Event::Quit), [(221, At::Closed); 4]),
];

const fn row(line: &'static str, event: Option<Event>, moves: [Move; 4]) -> Row {
    Row { line, event, moves }
}

/// A decision by its name, and the code it makes; at the door 4yz and 5yz are 421 and 554.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Continue,
    Reject,
    Defer,
    Handled,
    /// 421 from somebody who only wanted to defer: it closes all the same.
    Unavailable,
    Disconnect,
}

const DECISIONS: [Says; 6] =
    [Says::Continue, Says::Reject, Says::Defer, Says::Handled, Says::Unavailable, Says::Disconnect];

impl Says {
    fn decision(self) -> Decision {
        match self {
            Self::Continue => Decision::Continue,
            Self::Reject => Decision::Reject(Reply::new(550, None, "No")),
            Self::Defer => Decision::Defer(Reply::new(452, None, "Later")),
            Self::Handled => Decision::Handled(None),
            Self::Unavailable => Decision::Defer(Reply::new(421, None, "Gone")),
            Self::Disconnect => Decision::Disconnect(Reply::new(554, None, "Go")),
        }
    }

    /// What it makes of a command that the core would carry out: the code, and whether the session ends. None: nothing.
    fn refuses(self, event: Event, answerable: bool) -> Option<(u16, bool)> {
        let trouble = if event == Event::StartTls { 454 } else { 451 };
        Some(match self {
            Self::Continue => return None,
            Self::Handled if answerable => (250, false),
            Self::Reject => (550, false),
            Self::Defer => (452, false),
            Self::Handled => (trouble, false),
            Self::Unavailable => (421, true),
            Self::Disconnect => (554, true),
        })
    }
}

/// One case: what is decided where, all else is let pass.
#[derive(Clone, Copy, Debug)]
struct Case {
    event: Event,
    says: Says,
}

/// The model: its place, whether TLS is on, and how many messages it has stored.
struct Model {
    case: Case,
    at: At,
    secured: bool,
    stored: usize,
    codes: Vec<u16>,
}

impl Model {
    fn new(case: Case) -> Self {
        let (code, at) = match (case.event, case.says) {
            (Event::Connect, Says::Reject) => (554, At::Unwelcome),
            (Event::Connect, Says::Disconnect) => (554, At::Closed),
            (Event::Connect, Says::Continue) => (220, At::Stranger),
            (Event::Connect, _) => (421, At::Closed),
            _ => (220, At::Stranger),
        };
        Self { case, at, secured: false, stored: 0, codes: vec![code] }
    }

    fn refuses(&self, event: Event, answerable: bool) -> Option<(u16, bool)> {
        let here = self.case.event == event;
        here.then(|| self.case.says.refuses(event, answerable)).flatten()
    }

    /// Says a command; whether its message follows.
    fn say(&mut self, row: &Row) -> bool {
        if self.at == At::Closed {
            return false;
        }
        if self.at == At::Unwelcome {
            let leaves = row.line == "QUIT";
            self.answer(if leaves { (221, At::Closed) } else { (503, At::Unwelcome) });
            return false;
        }
        // Only what the core itself never has to know of can be carried out by others.
        if let Some((code, ends)) = self.refuses(Event::Command, row.line == "NOOP") {
            self.answer((code, if ends { At::Closed } else { self.at }));
            return false;
        }
        let (code, next) = match row.line {
            "STARTTLS" if self.secured => (503, self.at),
            _ => row.moves[self.place()],
        };
        let carried_out = code < 400;
        if let Some(event) = row.event.filter(|_| carried_out)
            && let Some((code, ends)) = self.refuses(event, false)
        {
            let ends = ends || row.line == "QUIT";
            self.answer((code, if ends { At::Closed } else { self.at }));
            return false;
        }
        self.secured |= code == 220;
        self.answer((code, next));
        code == 354
    }

    /// Says the message behind DATA.
    fn message(&mut self) {
        let events = [(Event::Headers, false), (Event::Body, false), (Event::MessageAccept, true)];
        let refused =
            events.into_iter().find_map(|(event, answerable)| self.refuses(event, answerable));
        let (code, ends) = refused.unwrap_or((250, false));
        self.stored += usize::from(refused.is_none());
        self.answer((code, if ends { At::Closed } else { At::Greeted }));
    }

    fn answer(&mut self, (code, at): Move) {
        self.codes.push(code);
        self.at = at;
    }

    fn place(&self) -> usize {
        match self.at {
            At::Stranger | At::Unwelcome | At::Closed => 0,
            At::Greeted => 1,
            At::Sender => 2,
            At::Recipient => 3,
        }
    }
}

fn rig(case: Case) -> Rig<impl FnMut(&Ask) -> Verdict> {
    let settings = Settings { starttls: StartTls::Offered, ..settings() };
    Rig::new(settings, Interest::ALL, move |ask: &Ask| {
        let here = ask.stage == Stage::Before && ask.question.event() == case.event;
        let decision = if here { case.says.decision() } else { Decision::Continue };
        Verdict { decision, edits: Vec::new() }
    })
}

fn codes(output: &str) -> Vec<u16> {
    let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    output
        .split_terminator("\r\n")
        .filter(last)
        .map(|line| line[..3].parse().expect("a code"))
        .collect()
}

fn check(case: Case, commands: &[usize]) {
    let lines: Vec<_> = commands.iter().map(|&at| ROWS[at].line).collect();
    let mut model = Model::new(case);
    let mut alone = rig(case);
    let mut sent = String::new();
    let mut output = String::new();
    alone.turn();
    for &command in commands {
        let row = &ROWS[command];
        let follows = model.say(row);
        let mut say = |text: &str| {
            sent.push_str(text);
            alone.say(text);
            output.push_str(&alone.replies());
        };
        say(&format!("{}\r\n", row.line));
        if follows {
            say(MESSAGE);
            model.message();
        }
        assert_eq!(codes(&output), model.codes, "{lines:?} {case:?}");
        assert_eq!(alone.closed, model.at == At::Closed, "{lines:?} {case:?}");
        assert_eq!(alone.mails.len(), model.stored, "{lines:?} {case:?}");
    }
    // What stands in clear text behind STARTTLS is never looked at, so it has no group.
    if !alone.closed && alone.handshakes == 0 && !lines.contains(&"STARTTLS") {
        let mut group = rig(case);
        group.say(&sent);
        assert_eq!(group.replies(), output, "{lines:?} {case:?} in one group");
        assert_eq!((group.mails, group.closed), (alone.mails.clone(), alone.closed));
    }
    // Whatever was said, the end comes and is told once.
    alone.wait(Duration::from_secs(86_400));
    assert!(alone.closed);
    let ends = alone.asked.iter().filter(|asked| **asked == (Stage::Before, Event::Disconnect));
    assert_eq!(ends.count(), 1, "{lines:?} {case:?}");
}

/// Whether somebody is asked about `event` in a dialogue of these commands.
fn concerns(event: Event, commands: &[usize]) -> bool {
    let told = |line: &str| commands.iter().any(|&at| ROWS[at].line == line);
    match event {
        Event::Connect | Event::Command => true,
        Event::Headers | Event::Body | Event::MessageAccept => told("DATA"),
        _ => commands.iter().any(|&at| ROWS[at].event == Some(event)),
    }
}

#[test]
fn every_sequence_is_answered_as_the_tables_say() {
    // Nothing of the others is said, or nothing can be decided at them.
    let events = Event::ALL.into_iter().filter(|event| {
        matches!(
            event,
            Event::Connect | Event::Command | Event::Headers | Event::Body | Event::MessageAccept
        ) || ROWS.iter().any(|row| row.event == Some(*event))
    });
    let mut sequences = 0;
    for event in events {
        for says in DECISIONS {
            // Where all is let pass one event is as good as another.
            if says == Says::Continue && event != Event::Connect {
                continue;
            }
            for (before, number) in
                (0..BEFORE).flat_map(|before| (0..NUMBERS).map(move |number| (before, number)))
            {
                let digit = |place| number / ROWS.len().pow(place) % ROWS.len();
                let commands: Vec<_> = (0..before).chain((0..DEPTH).map(digit)).collect();
                if concerns(event, &commands) {
                    check(Case { event, says }, &commands);
                    sequences += 1;
                }
            }
        }
    }
    assert!(sequences > 50_000, "{sequences}");
}
