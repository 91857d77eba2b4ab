//! A sending session, and what it does to a next hop that says anything at all: held to what always holds.
//! Knows no target.

use std::time::{Duration, Instant};

use stagepost_smtp::{
    Address, Addressee, BodyKind, Outcome, OwnName, RecipientWish, ReversePath, SenderWish,
    SendingAction, SendingSession, SendingSettings, Transaction,
};

/// A sending session and what came of it.
pub(crate) struct Hop {
    session: SendingSession,
    now: Instant,
    /// The octets of the message, and how many of them are given at once.
    message: Vec<u8>,
    piece: usize,
    /// So many octets of the message were asked for.
    given: usize,
    /// A message is being written, and what of it was.
    content: Option<Vec<u8>>,
    /// The message can't be read beyond so many octets.
    pub(crate) breaks_at: Option<usize>,
    /// The outcomes of every transaction, oldest first.
    pub(crate) results: Vec<Vec<Outcome>>,
    /// Every command line that was sent.
    pub(crate) lines: Vec<String>,
    /// All that was heard.
    heard: Vec<u8>,
    /// How much had been heard when the last dot was sent.
    heard_at_dot: Option<usize>,
    /// The recipients of the open transaction.
    open: Option<usize>,
    /// The session wants the connection closed.
    pub(crate) closed: bool,
}

impl Hop {
    /// A session that waits for its greeting. `message`: what each of its transactions sends.
    pub(crate) fn new(message: &[u8], piece: usize) -> Self {
        let now = start();
        let name = OwnName::parse("mx.here.test").expect("a name");
        let mut hop = Self {
            session: SendingSession::new(now, SendingSettings::new(name)),
            now,
            message: message.to_vec(),
            piece: piece.max(1),
            given: 0,
            content: None,
            breaks_at: None,
            results: Vec::new(),
            lines: Vec::new(),
            heard: Vec::new(),
            heard_at_dot: None,
            open: None,
            closed: false,
        };
        hop.turn();
        hop
    }

    /// A session that has sent its message and waits for the reply to it.
    pub(crate) fn at_dot() -> Self {
        let mut hop = Self::new(b"Subject: a\r\n\r\n.\r\n", 100);
        hop.start(1, false);
        for reply in ["220 a", "250 a", "250 ok", "250 ok", "354 go"] {
            hop.hear(format!("{reply}\r\n").as_bytes());
        }
        assert!(hop.heard_at_dot.is_some());
        hop
    }

    /// Starts a transaction, if one can be started.
    pub(crate) fn start(&mut self, recipients: usize, eight_bit: bool) {
        let address = |number: usize| format!("u{number}@there.test");
        let addressee = |number: usize| Addressee {
            address: Address::parse(&address(number)).expect("an address"),
            wish: RecipientWish::default(),
        };
        let transaction = Transaction {
            sender: ReversePath::Null,
            wish: SenderWish::default(),
            recipients: (0..recipients).map(addressee).collect(),
            size_octets: self.message.len() as u64,
            body: if eight_bit { BodyKind::EightBitMime } else { BodyKind::SevenBit },
            utf8: false,
        };
        let ready = self.session.is_ready();
        let started = self.session.start(self.now, transaction).is_ok();
        assert_eq!(started, ready);
        if started {
            assert_eq!(self.open, None, "two transactions at once");
            self.open = Some(recipients);
            self.given = 0;
            // What was said of the message before says nothing of how this one goes.
            self.lines.clear();
        }
        self.turn();
    }

    /// The next hop says something.
    pub(crate) fn hear(&mut self, octets: &[u8]) {
        self.heard.extend_from_slice(octets);
        self.session.handle_input(self.now, octets);
        self.turn();
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
        self.turn();
    }

    /// The next hop closes the connection.
    pub(crate) fn hang_up(&mut self) {
        self.session.handle_closed();
        self.turn();
        assert!(self.closed, "it goes on with a closed connection");
    }

    /// No more transactions.
    pub(crate) fn quit(&mut self) {
        self.session.quit(self.now);
        self.turn();
    }

    /// The end: whatever was begun has come to something.
    pub(crate) fn finish(mut self) {
        if !self.closed {
            assert!(
                self.open.is_none() || self.session.poll_timeout().is_some(),
                "it waits for ever"
            );
            self.hang_up();
        }
        assert_eq!(self.open, None, "a transaction without a result");
        assert!(self.session.is_over());
        self.session.handle_input(self.now, b"250 ok\r\n");
        self.session.handle_timeout(self.now + Duration::from_secs(86_400));
        self.session.handle_closed();
        assert!(self.session.poll_action().is_none(), "it goes on behind its end");
    }

    fn turn(&mut self) {
        for _ in 0..100_000 {
            let Some(action) = self.session.poll_action() else { return };
            assert!(!self.closed, "{action:?} after Close");
            match action {
                SendingAction::Send(octets) => self.write(&octets),
                SendingAction::Body => self.give(),
                SendingAction::Result(outcomes) => self.judge(outcomes),
                SendingAction::StartTls => panic!("TLS was not asked for"),
                SendingAction::Settled(ended) => panic!("nobody asked for {ended:?}"),
                SendingAction::SendSecret(_) | SendingAction::Derive(_) => {
                    panic!("nobody is to log in")
                }
                SendingAction::Close => self.closed = true,
            }
        }
        panic!("it never ends");
    }

    fn give(&mut self) {
        self.content.get_or_insert_default();
        if self.breaks_at.is_some_and(|at| self.given >= at) {
            self.content = None;
            return self.session.handle_body_unavailable();
        }
        let end = (self.given + self.piece).min(self.message.len());
        let piece = self.message[self.given..end].to_vec();
        self.given = end;
        self.session.handle_body(self.now, &[&piece], end == self.message.len());
        if !is_lawful(&self.message[..end]) {
            self.content = None;
        }
    }

    fn write(&mut self, octets: &[u8]) {
        if self.content.is_none() {
            return self.write_commands(octets);
        }
        match self.lines.last().map(String::as_str) {
            Some("DATA") => self.write_lines(octets),
            _ => self.write_chunk(octets),
        }
    }

    /// Behind DATA.
    fn write_lines(&mut self, octets: &[u8]) {
        let Some(content) = &mut self.content else { return };
        content.extend_from_slice(octets);
        if self.given < self.message.len() {
            return;
        }
        let content = self.content.take().unwrap_or_default();
        let end = if content == b".\r\n" { 0 } else { content.len() - 3 };
        let (text, dot) = content.split_at(end);
        assert_eq!(dot, b".\r\n");
        let mut plain = Vec::new();
        for line in text.split_inclusive(|&octet| octet == b'\n') {
            assert!(line.ends_with(b"\r\n") && line != b".\r\n", "{line:?}");
            plain.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        self.judge_content(&plain);
    }

    /// By BDAT: perhaps commands, then one chunk.
    fn write_chunk(&mut self, octets: &[u8]) {
        let at = octets.windows(5).position(|word| word == b"BDAT ").expect("a chunk");
        if at > 0 {
            self.write_commands(&octets[..at]);
        }
        let end = octets[at..].iter().position(|&octet| octet == b'\n').expect("a line") + at + 1;
        let line = std::str::from_utf8(&octets[at..end]).expect("text").trim_end();
        let mut words = line.split(' ').skip(1);
        let count: usize = words.next().and_then(|word| word.parse().ok()).expect("a count");
        assert_eq!(octets.len() - end, count, "{line}");
        self.lines.push(line.to_owned());
        let content = self.content.get_or_insert_default();
        content.extend_from_slice(&octets[end..]);
        if words.next() == Some("LAST") {
            let content = self.content.take().unwrap_or_default();
            self.judge_content(&content);
        }
    }

    fn judge_content(&mut self, plain: &[u8]) {
        let whole = self.message.is_empty() || self.message.ends_with(b"\r\n");
        let end: &[u8] = if whole { b"" } else { b"\r\n" };
        assert_eq!(plain, [&self.message, end].concat(), "not what was to be sent");
        self.heard_at_dot = Some(self.heard.len());
    }

    fn write_commands(&mut self, octets: &[u8]) {
        let text = std::str::from_utf8(octets).expect("commands are text");
        let text = text.strip_suffix("\r\n").expect("a whole line");
        let lines: Vec<&str> = text.split("\r\n").collect();
        let grouped = self.heard.to_ascii_uppercase();
        let grouped = grouped.windows(10).any(|word| word == b"PIPELINING");
        assert!(lines.len() == 1 || grouped, "a group that nobody offered to take: {lines:?}");
        for line in lines {
            let verb = line.split(' ').next().unwrap_or_default();
            let known =
                matches!(verb, "EHLO" | "HELO" | "MAIL" | "RCPT" | "DATA" | "RSET" | "QUIT");
            // Behind a DATA that was taken though no recipient was.
            assert!(known || line == ".", "{line:?}");
            assert!(line.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{line:?}");
            self.lines.push(line.to_owned());
        }
    }

    fn judge(&mut self, outcomes: Vec<Outcome>) {
        assert_eq!(Some(outcomes.len()), self.open, "one outcome for each recipient");
        self.open = None;
        self.content = None;
        let since = self.heard_at_dot.take();
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Delivered(_))) {
            let since = since.expect("delivered without a dot");
            let lines = self.heard[since..].split(|&octet| octet == b'\n');
            assert!(lines.into_iter().any(|line| line.starts_with(b"2")), "delivered unheard");
        }
        self.results.push(outcomes);
    }
}

/// Whether every CR and LF is half of a line end, the last one perhaps not complete yet.
fn is_lawful(octets: &[u8]) -> bool {
    octets.iter().enumerate().all(|(at, &octet)| match octet {
        b'\r' => octets.get(at + 1).is_none_or(|&next| next == b'\n'),
        b'\n' => at > 0 && octets[at - 1] == b'\r',
        _ => true,
    })
}

fn start() -> Instant {
    Instant::now()
}
