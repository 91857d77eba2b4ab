//! One sending session: no pipelining, every reply awaited. Decides what is said next; who opens
//! sessions and how many is the swarm's user's business.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::reply::{Reply, ReplyReader};
use crate::script::Script;
use crate::socket;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Send this many messages, then QUIT.
    Messages(u64),
    /// Say EHLO and nothing more.
    Idle,
}

/// What a user of the swarm hears of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// EHLO is answered.
    Ready,
    /// The 250 after the dot came. The durations count from MAIL and from the dot.
    Accepted { opened: Instant, answered: Instant, transaction: Duration, body: Duration },
    /// A reply of the wrong class, or a connection that broke.
    Refused(String),
    /// QUIT is sent or the connection is gone: another session may be opened. Once per session;
    /// `ready` tells whether EHLO had been answered.
    Vacant { failed: bool, ready: bool },
    /// QUIT is answered.
    Closed,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Remove,
}

/// The reply that is awaited, named after what was sent for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Hello,
    Idle,
    Mail,
    Recipient,
    Data,
    Body,
    Quit,
}

#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    stage: Stage,
    /// Octets sent of what belongs to the stage.
    sent: usize,
    reader: ReplyReader,
    plan: Plan,
    opened: Instant,
    mail_sent: Instant,
    body_sent: Instant,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, plan: Plan, opened: Instant) -> Self {
        Self {
            socket,
            stage: Stage::Greeting,
            sent: 0,
            reader: ReplyReader::default(),
            plan,
            opened,
            mail_sent: opened,
            body_sent: opened,
        }
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    pub(crate) fn is_ready(&self) -> bool {
        !matches!(self.stage, Stage::Greeting | Stage::Hello)
    }

    pub(crate) fn is_quitting(&self) -> bool {
        self.stage == Stage::Quit
    }

    /// Tells whether the send buffer was too full for all that was to be sent.
    pub(crate) fn has_unsent(&self, script: &Script) -> bool {
        self.sent < self.piece(script).len()
    }

    /// Sends what is left.
    pub(crate) fn flush(&mut self, script: &Script) -> io::Result<()> {
        if !self.has_unsent(script) {
            return Ok(());
        }
        self.sent += socket::write(&self.socket, &self.piece(script)[self.sent..])?;
        if self.stage == Stage::Body && !self.has_unsent(script) {
            self.body_sent = Instant::now();
        }
        Ok(())
    }

    /// Takes what was read. An error is the peer's, as text for the count.
    pub(crate) fn handle_input(
        &mut self,
        mut input: &[u8],
        script: &Script,
        retiring: bool,
        notices: &mut Vec<Notice>,
    ) -> Result<Fate, String> {
        while let Some(reply) = self.reader.next(&mut input)? {
            if self.has_unsent(script) {
                return Err(format!(
                    "a reply before {:?} was all sent: {}",
                    self.stage,
                    reply.into_text()
                ));
            }
            let fate = self.handle_reply(reply, script, retiring, notices);
            let fate = fate.map_err(|error| format!("cannot send after a reply: {error}"))?;
            if fate == Fate::Remove {
                return Ok(fate);
            }
        }
        Ok(Fate::Keep)
    }

    /// Ends the session after its present state.
    pub(crate) fn quit(&mut self, script: &Script, notices: &mut Vec<Notice>) -> io::Result<()> {
        notices.push(Notice::Vacant { failed: false, ready: true });
        self.send(Stage::Quit, script)
    }

    fn handle_reply(
        &mut self,
        reply: Reply,
        script: &Script,
        retiring: bool,
        notices: &mut Vec<Notice>,
    ) -> io::Result<Fate> {
        if self.stage == Stage::Quit {
            notices.push(Notice::Closed);
            return Ok(Fate::Remove);
        }
        let wanted = if self.stage == Stage::Data { 3 } else { 2 };
        if reply.class() != wanted || self.stage == Stage::Idle {
            return Ok(self.handle_refusal(reply, script, notices));
        }
        match self.stage {
            Stage::Greeting => self.send(Stage::Hello, script)?,
            Stage::Hello => {
                notices.push(Notice::Ready);
                self.proceed(script, Instant::now(), retiring, notices)?;
            }
            Stage::Mail => self.send(Stage::Recipient, script)?,
            Stage::Recipient => self.send(Stage::Data, script)?,
            Stage::Data => self.send(Stage::Body, script)?,
            Stage::Body => {
                let now = Instant::now();
                notices.push(Notice::Accepted {
                    opened: self.opened,
                    answered: now,
                    transaction: now - self.mail_sent,
                    body: now - self.body_sent,
                });
                if let Plan::Messages(left) = &mut self.plan {
                    *left -= 1;
                }
                self.proceed(script, now, retiring, notices)?;
            }
            Stage::Idle | Stage::Quit => {}
        }
        Ok(Fate::Keep)
    }

    /// Between two messages.
    fn proceed(
        &mut self,
        script: &Script,
        now: Instant,
        retiring: bool,
        notices: &mut Vec<Notice>,
    ) -> io::Result<()> {
        match self.plan {
            _ if retiring => self.quit(script, notices),
            Plan::Messages(0) => self.quit(script, notices),
            Plan::Messages(_) => {
                self.mail_sent = now;
                self.send(Stage::Mail, script)
            }
            Plan::Idle => self.send(Stage::Idle, script),
        }
    }

    fn handle_refusal(&mut self, reply: Reply, script: &Script, notices: &mut Vec<Notice>) -> Fate {
        let closing = reply.code() == 421;
        notices.push(Notice::Refused(format!("{:?}: {}", self.stage, reply.into_text())));
        // After a 421 the peer closes, and would answer QUIT with a reset.
        if closing {
            return Fate::Remove;
        }
        notices.push(Notice::Vacant { failed: true, ready: self.is_ready() });
        match self.send(Stage::Quit, script) {
            Ok(()) => Fate::Keep,
            Err(_) => Fate::Remove,
        }
    }

    fn send(&mut self, stage: Stage, script: &Script) -> io::Result<()> {
        self.stage = stage;
        self.sent = 0;
        self.flush(script)
    }

    fn piece<'a>(&self, script: &'a Script) -> &'a [u8] {
        match self.stage {
            Stage::Greeting | Stage::Idle => b"",
            Stage::Hello => &script.hello,
            Stage::Mail => &script.mail,
            Stage::Recipient => &script.recipient,
            Stage::Data => b"DATA\r\n",
            Stage::Body => &script.body,
            Stage::Quit => b"QUIT\r\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::{Client, Fate, Instant, Notice, Plan, Script, socket};

    /// Feeds the replies and returns what was noticed and what was sent, by first words.
    fn converse(plan: Plan, replies: &[&str]) -> (String, String) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (near, far) = pair.expect("a pair of sockets");
        let script = Script {
            mail: b"MAIL FROM:<a>\r\n".to_vec(),
            recipient: b"RCPT TO:<b>\r\n".to_vec(),
            body: b"body\r\n.\r\n".to_vec(),
            ..Script::greeting_only("c")
        };
        let mut client = Client::new(near, plan, Instant::now());
        let mut heard = Vec::new();
        for reply in replies {
            let mut notices = Vec::new();
            let input = format!("{reply}\r\n");
            let fate = client.handle_input(input.as_bytes(), &script, false, &mut notices);
            heard.extend(notices.iter().map(name));
            match fate {
                Ok(Fate::Keep) => {}
                Ok(Fate::Remove) => heard.push("removed"),
                Err(_) => heard.push("broken"),
            }
        }
        let mut sent = [0; 1000];
        let count = socket::read(&far, &mut sent).expect("readable").unwrap_or(0);
        let sent = String::from_utf8_lossy(&sent[..count]);
        let words = sent.lines().filter_map(|line| line.split(' ').next());
        (heard.join(" "), words.collect::<Vec<_>>().join(" "))
    }

    fn name(notice: &Notice) -> &'static str {
        match notice {
            Notice::Ready => "ready",
            Notice::Accepted { .. } => "accepted",
            Notice::Refused(_) => "refused",
            Notice::Vacant { failed: false, .. } => "vacant",
            Notice::Vacant { failed: true, ready: true } => "failed",
            Notice::Vacant { failed: true, ready: false } => "never-ready",
            Notice::Closed => "closed",
        }
    }

    #[test]
    fn dialogues() {
        let one = Plan::Messages(1);
        let cases: [(Plan, &[&str], &str, &str); 13] = [
            (
                one,
                &["220 a", "250-b\r\n250 c", "250 d", "251 e", "354 f", "250 g", "221 h"],
                "ready accepted vacant closed removed",
                "EHLO MAIL RCPT DATA body . QUIT",
            ),
            (
                Plan::Messages(2),
                &["220 a", "250 b", "250 c", "250 d", "354 e", "250 f", "250 g"],
                "ready accepted",
                "EHLO MAIL RCPT DATA body . MAIL RCPT",
            ),
            (
                Plan::Messages(0),
                &["220 a", "250 b", "221 c"],
                "ready vacant closed removed",
                "EHLO QUIT",
            ),
            (Plan::Idle, &["220 a", "250 b"], "ready", "EHLO"),
            (Plan::Idle, &["220 a", "250 b", "421 c"], "ready refused removed", "EHLO"),
            (Plan::Idle, &["220 a", "250 b", "250 c"], "ready refused failed", "EHLO QUIT"),
            (one, &["554 a", "221 b"], "refused never-ready closed removed", "QUIT"),
            (one, &["220 a", "502 b"], "refused never-ready", "EHLO QUIT"),
            (one, &["220 a", "250 b", "421 c"], "ready refused removed", "EHLO MAIL"),
            (
                one,
                &["220 a", "250 b", "250 c", "550 d"],
                "ready refused failed",
                "EHLO MAIL RCPT QUIT",
            ),
            (
                one,
                &["220 a", "250 b", "250 c", "250 d", "250 not 354"],
                "ready refused failed",
                "EHLO MAIL RCPT DATA QUIT",
            ),
            (
                one,
                &["220 a", "250 b", "250 c", "250 d", "354 e", "452 f"],
                "ready refused failed",
                "EHLO MAIL RCPT DATA body . QUIT",
            ),
            (one, &["hello"], "broken", ""),
        ];
        for (plan, replies, heard, sent) in cases {
            let expected = (heard.to_owned(), sent.to_owned());
            assert_eq!(converse(plan, replies), expected, "{plan:?} {replies:?}");
        }
    }
}
