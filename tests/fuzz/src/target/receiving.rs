//! Whole receiving sessions with answers of chance, held to a model: one final reply per command, no acceptance behind a
//! refusal, what is stored is what was sent, and the same however it arrives.

use std::time::Duration;

use stagepost_smtp::{
    Auth, BodyKind, Event, Interest, Mechanism, Question, Stage, StartTls, Stored,
};

use crate::Target;
use crate::octets::Octets;
use crate::plugins::Answers;
use crate::replies::codes;
use crate::rig::{Rig, settings};
use crate::seeded::Seed;

pub(crate) const TARGET: Target = Target { name: "receiving", run, shape: Some(shape) };

/// What a client says, mostly.
const LINES: &[&str] = &[
    "EHLO a.test",
    "MAIL FROM:<a@b.test>",
    "RCPT TO:<u@here.test>",
    "DATA",
    "RCPT TO:<v@here.test>",
    "RCPT TO:<f@there.test>",
    "MAIL FROM:<> SIZE=10 BODY=8BITMIME",
    "MAIL FROM:<a@b.test> SIZE=999999",
    "MAIL FROM:<a@b.test> XTAG=1",
    "RCPT TO:<u@here.test> XTO=2",
    "RCPT TO:<Postmaster>",
    "RCPT TO:<@x,@y:u@here.test>",
    "HELO a.test",
    "EHLO",
    "RSET",
    "NOOP",
    "HELP",
    "VRFY x",
    "EXPN x",
    "ETRN a.test",
    "XVERB x",
    "STARTTLS",
    "STARTTLS x",
    "AUTH",
    "ATRN",
    "DATA x",
    "QUIT",
    "GET / HTTP/1.1",
    "UNKNOWN",
    "",
    "AUTH PLAIN AHUAUGE1NXcwcmQh",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "AUTH SCRAM-SHA-256 biwsbj11LHI9ck9wck5HZndFYmVSV2diTkVrcU8=",
    "AUTH SCRAM-SHA-256",
    "AUTH LOGIN dQ==",
    "AUTH SCRAM-SHA-256-PLUS",
    "MAIL FROM:<a@b.test> BODY=BINARYMIME",
    "ATRN a.test",
    "ATRN a.test,b.test,",
    "BDAT",
    "BDAT 5 LATS",
    "BDAT 18446744073709551616 LAST",
];

/// Of the flags: the listener is for ATRN.
const ODMR: u8 = 0x80;

/// What a client says in an authentication, mostly.
const RESPONSES: &[&str] = &[
    "*",
    "AHUAUGE1NXcwcmQh",
    "dQ==",
    "UGE1NXcwcmQh",
    "biwsbj11LHI9ck9wck5HZndFYmVSV2diTkVrcU8=",
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8zcmZjTkhZSlkxWlZ2V1ZzN2oscD0AAAA=",
    "",
    "=",
    "NOOP",
    "AHUA",
];

/// One thing that happens to a session.
enum Unit {
    /// Octets that are one command, or more than one line when a chunk is in it.
    Command(Vec<u8>),
    Wait(Duration),
    HangUp,
    ShutDown,
}

/// Somebody who asks for little and says something to it, and a client who sends messages.
fn shape(seed: &mut Seed, words: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![seed.octet()];
    // All is asked, or some, or one thing.
    let bits = [seed.draw(), seed.draw() & seed.draw() & seed.draw(), 1 << seed.below(17)];
    input.extend(bits[seed.below(3)].to_le_bytes());
    let mut answers = [0; 80];
    for _ in 0..=seed.below(4) {
        answers[seed.below(80)] = seed.octet() >> seed.below(6);
    }
    // Now and then somebody who comes for mail.
    let odmr = seed.below(6) == 0;
    input[0] = if odmr { input[0] | ODMR } else { input[0] & !ODMR };
    let part = seed.below(21);
    input.push(u8::try_from(part).unwrap_or(0));
    input.extend(&answers[..part * 4]);
    if odmr {
        for line in ["EHLO a.test", "AUTH PLAIN AHUAUGE1NXcwcmQh", "ATRN", "ATRN a.test"] {
            let at = LINES.iter().position(|known| *known == line).unwrap_or_default();
            input.extend([0, u8::try_from(at).unwrap_or(0)]);
        }
    }
    for _ in 0..=seed.below(4) {
        for line in 0..4 {
            if seed.below(8) == 0 {
                input.extend(seed.piece(words));
            }
            input.extend([0, line]);
        }
        let text = seed.piece(words);
        let octets = text.len().div_ceil(4).min(255);
        input.push(u8::try_from(octets).unwrap_or(0));
        input.extend(text);
    }
    input
}

fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let flags = octets.draw();
    let bits = u64::from_le_bytes(std::array::from_fn(|_| octets.draw()));
    let interest = match flags & 3 {
        0 => Interest::NONE,
        1 => Interest::ALL,
        _ => interest(bits),
    };
    let mut settings = settings(flags & 4 != 0);
    settings.odmr = flags & ODMR != 0;
    settings.starttls = match flags >> 3 & 3 {
        0 | 1 => StartTls::None,
        2 => StartTls::Offered,
        _ => StartTls::Required,
    };
    let mechanisms = if flags >> 5 & 3 == 0 { &[][..] } else { &Mechanism::ALL };
    settings.auth = Auth {
        mechanisms: mechanisms.to_vec(),
        checks_passwords: true,
        allow_plaintext: true,
        required: flags >> 5 & 3 == 3,
        grants_relay: flags >> 5 & 3 == 2,
    };
    let answers = Answers::new(octets.part());
    let mut model = Model::new(Rig::new(settings.clone(), interest, answers));
    let program = octets;
    while !octets.is_empty() && !model.rig.closed {
        model.go_on(&mut octets);
    }
    model.finish(interest);
    // What is lent and shown of a message depends on how it arrives, and so would the answers.
    if interest.contains(Event::Headers, Stage::Before)
        || interest.contains(Event::Body, Stage::Before)
    {
        return;
    }
    let slow = Model::new(Rig::new(settings.clone(), interest, answers.steady())).collect(program);
    if slow.uncut {
        let piece = 1 + (bits >> 48 & 31) as usize;
        for piece in [slow.sent.len().max(1), piece] {
            let mut rig = Rig::new(settings.clone(), interest, answers.steady());
            rig.say_in_pieces(&slow.sent, (piece..slow.sent.len()).step_by(piece));
            assert_eq!(rig.closed, slow.closed);
            assert_eq!(
                String::from_utf8_lossy(&rig.output()),
                String::from_utf8_lossy(&slow.output),
                "in pieces of {piece}"
            );
            assert_eq!(rig.mails, slow.mails);
        }
    }
}

fn interest(bits: u64) -> Interest {
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

/// A session step by step, and what should be true of it.
struct Model<'d> {
    rig: Rig<'d>,
    /// All that was sent and said so far.
    sent: Vec<u8>,
    output: Vec<u8>,
    /// Nothing but octets came, and none of it had to wait for a reply.
    uncut: bool,
    /// What MAIL and RCPT named and was accepted.
    sender: Option<String>,
    recipients: Vec<String>,
    /// What has come of a message that comes in chunks.
    chunks: Option<Chunks>,
}

/// The octets of a message so far, by BDAT.
#[derive(Default)]
struct Chunks {
    octets: Vec<u8>,
    refused: bool,
}

/// What came of a whole session.
struct Told {
    sent: Vec<u8>,
    output: Vec<u8>,
    uncut: bool,
    mails: Vec<crate::rig::Mail>,
    closed: bool,
}

impl<'d> Model<'d> {
    fn new(rig: Rig<'d>) -> Self {
        let mut model = Self {
            rig,
            sent: Vec::new(),
            output: Vec::new(),
            uncut: true,
            sender: None,
            recipients: Vec::new(),
            chunks: None,
        };
        let greeting = model.heard();
        assert_eq!(greeting.len(), 1);
        model
    }

    /// Runs all of a program.
    fn collect(mut self, mut octets: Octets<'_>) -> Told {
        while !octets.is_empty() && !self.rig.closed {
            self.go_on(&mut octets);
        }
        let Self { rig, sent, output, uncut, .. } = self;
        Told { sent, output, uncut, closed: rig.closed, mails: rig.mails }
    }

    fn heard(&mut self) -> Vec<u16> {
        let output = self.rig.output();
        let codes = codes(&output);
        self.output.extend(output);
        codes
    }

    fn say(&mut self, octets: &[u8]) -> Vec<u16> {
        self.sent.extend_from_slice(octets);
        self.rig.say(octets);
        let codes = self.heard();
        assert!(self.rig.closed || self.rig.wants_input(), "it neither reads nor ends");
        assert!(self.rig.closed || self.rig.has_deadline(), "it waits for ever");
        codes
    }

    fn go_on(&mut self, octets: &mut Octets<'_>) {
        match unit(octets) {
            Unit::Command(octets_of_it) => self.command(&octets_of_it, octets),
            Unit::Wait(time) => {
                self.uncut = false;
                self.rig.wait(time);
                let codes = self.heard();
                assert_eq!(codes.len(), usize::from(self.rig.closed));
            }
            Unit::HangUp => {
                self.uncut = false;
                self.rig.hang_up();
                assert!(self.heard().is_empty() && self.rig.closed);
            }
            Unit::ShutDown => {
                self.uncut = false;
                self.rig.shut_down();
                // A message that comes in chunks may be finished before.
                if self.chunks.is_some() && !self.rig.closed {
                    assert!(self.heard().is_empty());
                    self.rig.hang_up();
                    return;
                }
                assert!(self.heard() == [421] && self.rig.closed);
            }
        }
    }

    fn command(&mut self, line: &[u8], octets: &mut Octets<'_>) {
        let chunk = chunk(line);
        if self.chunks.is_none() {
            self.rig.stopped = false;
        }
        let before = self.rig.mails.len();
        let handshakes = self.rig.handshakes;
        // What would follow it in one group is never looked at, whatever its reply.
        self.uncut &= !line.to_ascii_uppercase().starts_with(b"STARTTLS");
        let codes = self.say(line);
        let &[mut code] = &codes[..] else {
            panic!("{:?}: {codes:?}", line.escape_ascii().to_string());
        };
        while code == 334 && !self.rig.closed {
            code = self.respond(octets);
        }
        if self.rig.reversed {
            assert!(code / 100 == 2 && self.rig.closed, "reversed behind {code}");
            assert!(line.to_ascii_uppercase().starts_with(b"ATRN"), "reversed by another command");
        }
        if self.rig.handshakes > handshakes {
            (self.sender, self.recipients) = (None, Vec::new());
            assert_eq!(code, 220);
        }
        if let Some((octets, last)) = chunk {
            return self.chunk(octets, last, code, before);
        }
        assert_eq!(self.rig.mails.len(), before, "{code}: stored without an end");
        self.note(line, code);
        if code == 354 && !self.rig.closed {
            self.message(octets);
        }
    }

    /// Says something in an authentication; the code of the reply.
    fn respond(&mut self, octets: &mut Octets<'_>) -> u16 {
        let words = match octets.draw() {
            number @ 0..200 => RESPONSES[usize::from(number) % RESPONSES.len()].as_bytes().to_vec(),
            number => one_line(octets.take(usize::from(number) - 200)),
        };
        let line = [&words[..], b"\r\n"].concat();
        let codes = self.say(&line);
        let &[code] = &codes[..] else {
            panic!("{:?}: {codes:?}", line.escape_ascii().to_string());
        };
        code
    }

    /// Notes a chunk, and judges what became of the message that it ends.
    fn chunk(&mut self, octets: &[u8], last: bool, code: u16, before: usize) {
        let mut chunks = self.chunks.take().unwrap_or_default();
        chunks.octets.extend_from_slice(octets);
        chunks.refused |= code / 100 != 2;
        if last {
            match self.rig.mails.get(before) {
                Some(mail) => {
                    let kept = matches!(mail.stored, Stored::Committed(_) | Stored::TakenOver(_));
                    assert_eq!(code / 100 == 2, kept, "{code}: {:?}", mail.stored);
                    assert!(!chunks.refused || !kept, "stored though a chunk was refused");
                    assert_eq!(mail.octets, chunks.octets, "not as it was sent");
                    self.judge_mail(before);
                }
                None => assert!(code >= 400 || self.rig.stopped, "{code} for what is nowhere"),
            }
            self.sender = None;
        } else {
            assert_eq!(self.rig.mails.len(), before, "stored before its end");
            self.chunks = Some(chunks);
        }
    }

    /// Judges what every stored message must be.
    fn judge_mail(&self, at: usize) {
        let mail = &self.rig.mails[at];
        assert!(!self.rig.stopped, "stored against a verdict");
        let envelope = &mail.envelope;
        let binary = envelope.body == BodyKind::BinaryMime;
        assert!(binary || !mail.octets.contains(&0), "NUL");
        let to: Vec<_> =
            envelope.recipients.iter().map(|known| known.address.to_string()).collect();
        assert!(!to.is_empty());
        for recipient in &to {
            assert!(self.rig.permitted.contains(recipient), "{recipient} without a route");
        }
        if !self.rig.rewritten {
            assert_eq!(Some(envelope.sender.as_str()), self.sender.as_deref());
            assert_eq!(to, self.recipients);
        }
    }

    /// Notes what a command has done to the transaction.
    fn note(&mut self, line: &[u8], code: u16) {
        let Ok(text) = std::str::from_utf8(line) else { return };
        let path = || {
            text.split(['<', '>', ':']).rfind(|part| part.contains('@') || *part == "Postmaster")
        };
        let verb = text.split([' ', '\r']).next().unwrap_or_default();
        match verb {
            "MAIL" if code / 100 == 2 => {
                self.sender = Some(path().unwrap_or_default().to_owned());
                self.recipients.clear();
                self.rig.permitted.clear();
                self.chunks = None;
            }
            "RCPT" if code / 100 == 2 => {
                let path = path().unwrap_or_default().to_owned();
                if !self.recipients.contains(&path) {
                    self.recipients.push(path);
                }
            }
            "EHLO" | "HELO" | "RSET" if code / 100 == 2 => {
                (self.sender, self.chunks) = (None, None);
            }
            _ => {}
        }
    }

    /// Sends a message to whoever said 354, and judges what became of it.
    fn message(&mut self, octets: &mut Octets<'_>) {
        let mut message = octets.part();
        let message = message.rest();
        let mut wire = stuffed(message);
        let ended = message.is_empty() || message.ends_with(b"\r\n");
        wire.extend_from_slice(if ended { b".\r\n" } else { b"\r\n.\r\n" });
        let before = self.rig.mails.len();
        let codes = self.say(&wire);
        let &[code] = &codes[..] else {
            panic!("{:?}: {codes:?}", wire.escape_ascii().to_string());
        };
        let sent = &wire[..wire.len() - 3];
        match self.rig.mails.get(before) {
            Some(mail) => {
                assert_eq!(stuffed(&mail.octets), sent, "not as it was sent");
                let kept = matches!(mail.stored, Stored::Committed(_) | Stored::TakenOver(_));
                assert_eq!(code / 100 == 2, kept, "{code}: {:?}", mail.stored);
                self.judge_mail(before);
            }
            None => assert!(code >= 400 || self.rig.stopped, "{code} for what is nowhere"),
        }
        self.sender = None;
    }

    /// The end: told once to whoever wants to know.
    fn finish(mut self, interest: Interest) {
        self.rig.hang_up();
        assert!(self.rig.closed);
        for stage in [Stage::Before, Stage::After] {
            let told = |ask: &&std::sync::Arc<stagepost_smtp::Ask>| {
                ask.stage == stage && matches!(ask.question, Question::Disconnect { .. })
            };
            let told = self.rig.asked.iter().filter(told).count();
            assert_eq!(told, usize::from(interest.contains(Event::Disconnect, stage)));
        }
        self.rig.say(b"NOOP\r\n");
        self.rig.wait(Duration::from_secs(86_400));
        self.rig.shut_down();
        assert!(self.rig.output().is_empty(), "it goes on behind its end");
    }
}

fn unit(octets: &mut Octets<'_>) -> Unit {
    let number = octets.below(64);
    match number {
        0..52 => {
            let line = if number < 40 { octets.one_of(LINES) } else { LINES[number % 4] };
            Unit::Command(format!("{line}\r\n").into_bytes())
        }
        52..56 => {
            let length = octets.below(40);
            let mut line = one_line(octets.take(length));
            line.extend_from_slice(b"\r\n");
            Unit::Command(line)
        }
        56..59 => {
            let chunk = octets.below(50);
            let last = octets.one_of(&[" LAST", ""]);
            let mut command = format!("BDAT {chunk}{last}\r\n").into_bytes();
            let text = octets.take(chunk);
            command.extend_from_slice(text);
            command.resize(command.len() + chunk - text.len(), b'.');
            Unit::Command(command)
        }
        59 => Unit::Command([vec![octets.draw() | 1; 600], b"\r\n".to_vec()].concat()),
        60 | 61 => Unit::Wait(Duration::from_secs(2 * u64::from(octets.draw()))),
        62 => Unit::HangUp,
        _ => Unit::ShutDown,
    }
}

/// Octets without a line end in them, and no chunk: what would follow that is unknown.
fn one_line(octets: &[u8]) -> Vec<u8> {
    let mut line: Vec<u8> = Vec::new();
    for &octet in octets {
        if !(octet == b'\n' && line.last() == Some(&b'\r')) {
            line.push(octet);
        }
    }
    if line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT")) {
        line.clear();
    }
    line
}

/// The octets of a chunk and whether it is the last, of a command made of BDAT and its octets.
fn chunk(command: &[u8]) -> Option<(&[u8], bool)> {
    let line = command.strip_prefix(b"BDAT ")?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&line[end + 2..], line[..end].ends_with(b"LAST")))
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
