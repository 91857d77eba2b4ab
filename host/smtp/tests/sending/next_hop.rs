//! A next hop that says yes to everything and reads to the letter: only CRLF ends a line, only a lone dot a message.
//! Knows no test; what it can't read fails the test.

use std::time::Instant;

use stagepost_smtp::{
    Outcome, OwnName, Protocol, SendingAction, SendingSession, SendingSettings, Transaction,
};

/// What a next hop speaks and offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing but the base.
    Plain,
    /// Groups of commands.
    Grouping,
    /// Messages in chunks, with their envelope.
    Chunking,
    /// LMTP.
    Lmtp,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Grouping, Self::Chunking, Self::Lmtp];

    fn hello(self) -> &'static str {
        match self {
            Self::Plain => "250-hop\r\n250-SMTPUTF8\r\n250-DSN\r\n250 8BITMIME\r\n",
            Self::Grouping | Self::Lmtp => {
                "250-hop\r\n250-SMTPUTF8\r\n250-DSN\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
            }
            Self::Chunking => {
                "250-hop\r\n250-SMTPUTF8\r\n250-DSN\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 PIPELINING\r\n"
            }
        }
    }
}

/// What came of a connection.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Command lines, without those of chunks.
    pub(crate) commands: Vec<String>,
    /// Messages that came to their end, without the dots of transparency.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Everything that was sent but the octets of chunks.
    pub(crate) text: Vec<u8>,
    pub(crate) outcomes: Vec<Vec<Outcome>>,
}

/// What the next octets are.
enum Reading {
    Commands,
    /// Lines of a message.
    Lines(Vec<u8>),
    /// Octets of a chunk that are still to come, and whether it is the last.
    Chunk(usize, bool),
}

struct Hop {
    kind: Kind,
    unread: Vec<u8>,
    reading: Reading,
    /// What came of a message in chunks.
    chunks: Vec<u8>,
    recipients: usize,
    sent: Sent,
}

/// Sends messages, each in these pieces, over one connection.
pub(crate) fn send(kind: Kind, messages: &[(Transaction, &[&[u8]])]) -> Sent {
    #[expect(clippy::disallowed_methods, reason = "a test must start at some time")]
    let now = Instant::now();
    let mut settings = SendingSettings::new(OwnName::parse("us.test").expect("a name"));
    if kind == Kind::Lmtp {
        settings.protocol = Protocol::Lmtp;
    }
    let mut session = SendingSession::new(now, settings);
    let mut hop = Hop {
        kind,
        unread: Vec::new(),
        reading: Reading::Commands,
        chunks: Vec::new(),
        recipients: 0,
        sent: Sent::default(),
    };
    session.handle_input(now, b"220 hop\r\n");
    for (transaction, pieces) in messages {
        if session.start(now, transaction.clone()).is_err() {
            break;
        }
        let results = hop.sent.outcomes.len();
        let mut pieces = pieces.iter();
        while hop.sent.outcomes.len() == results {
            match session.poll_action().expect("it goes on") {
                SendingAction::Send(octets) => {
                    let replies = hop.take(&octets);
                    session.handle_input(now, replies.as_bytes());
                }
                SendingAction::Body => {
                    let piece = pieces.next().copied().unwrap_or_default();
                    session.handle_body(now, &[piece], pieces.len() == 0);
                }
                SendingAction::Result(outcomes) => hop.sent.outcomes.push(outcomes),
                other => panic!("{other:?}"),
            }
        }
    }
    session.quit(now);
    while let Some(action) = session.poll_action() {
        match action {
            SendingAction::Send(octets) => {
                let replies = hop.take(&octets);
                session.handle_input(now, replies.as_bytes());
            }
            SendingAction::Close => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(session.is_over());
    // What never became a line was sent all the same.
    let Hop { unread, mut sent, .. } = hop;
    sent.text.extend(unread);
    sent
}

impl Hop {
    /// Reads all there is; the replies.
    fn take(&mut self, octets: &[u8]) -> String {
        self.unread.extend_from_slice(octets);
        let mut replies = String::new();
        loop {
            if let Reading::Chunk(left, last) = self.reading {
                let count = left.min(self.unread.len());
                self.chunks.extend(self.unread.drain(..count));
                self.reading = Reading::Chunk(left - count, last);
                if count < left {
                    return replies;
                }
                self.reading = Reading::Commands;
                if last {
                    self.sent.messages.push(std::mem::take(&mut self.chunks));
                }
                replies.push_str("250 taken\r\n");
            }
            let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") else {
                return replies;
            };
            let line: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.sent.text.extend_from_slice(&line);
            replies.push_str(&self.line(&line[..end]));
        }
    }

    fn line(&mut self, line: &[u8]) -> String {
        if let Reading::Lines(message) = &mut self.reading {
            if line != b"." {
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
                message.extend_from_slice(b"\r\n");
                return String::new();
            }
            self.sent.messages.push(std::mem::take(message));
            self.reading = Reading::Commands;
            let replies = if self.kind == Kind::Lmtp { self.recipients } else { 1 };
            return "250 taken\r\n".repeat(replies);
        }
        let line = String::from_utf8(line.to_vec()).expect("commands are text");
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let reply = match verb {
            "EHLO" | "LHLO" => self.kind.hello(),
            "MAIL" => {
                self.recipients = 0;
                "250 ok\r\n"
            }
            "RCPT" => {
                self.recipients += 1;
                "250 ok\r\n"
            }
            "DATA" => {
                self.reading = Reading::Lines(Vec::new());
                "354 go\r\n"
            }
            "BDAT" => {
                let (count, last) = rest.split_once(' ').map_or((rest, false), |(c, _)| (c, true));
                self.reading = Reading::Chunk(count.parse().expect("a count"), last);
                return String::new();
            }
            "RSET" => "250 ok\r\n",
            "QUIT" => "221 bye\r\n",
            other => panic!("{other:?} is no command"),
        };
        self.sent.commands.push(line);
        reply.to_owned()
    }
}
