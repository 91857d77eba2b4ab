//! How long a sending session waits for each thing (RFC 5321 section 4.5.3.2).
//! Knows no clock: the session adds these to the time it is given.

use std::time::Duration;

use super::outcome::Step;

/// The longest waits of a sending session. The defaults are the least that RFC 5321 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendingTimeouts {
    /// For the greeting, counted from the connection (section 4.5.3.2.1). Default 5 minutes.
    pub greeting: Duration,
    /// For the reply to EHLO, HELO, STARTTLS, AUTH, MAIL and RSET, and for the TLS handshake (section 4.5.3.2.2). Default 5 minutes.
    pub command: Duration,
    /// For the reply to each RCPT (section 4.5.3.2.3). Default 5 minutes.
    pub recipient: Duration,
    /// For the reply to DATA (section 4.5.3.2.4). Default 2 minutes.
    pub data: Duration,
    /// For each block of the message to be written, and the reply to one that is sent by BDAT (section 4.5.3.2.5). Default 3 minutes.
    pub block: Duration,
    /// For the reply to the final dot (section 4.5.3.2.6). Default 10 minutes.
    pub dot: Duration,
    /// For the reply to a command that is no part of a message, such as ATRN, before which a server may look through its queue.
    /// Default 10 minutes.
    pub errand: Duration,
    /// For the reply to QUIT, on which nothing depends. Default 10 seconds.
    pub quit: Duration,
}

impl Default for SendingTimeouts {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            recipient: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
            errand: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

impl SendingTimeouts {
    /// How long the reply to this step may take.
    pub(super) fn of(&self, step: Step) -> Duration {
        match step {
            Step::Greeting => self.greeting,
            Step::Ehlo | Step::Lhlo | Step::Helo | Step::StartTls | Step::Auth => self.command,
            Step::Reset | Step::Mail => self.command,
            Step::Recipient => self.recipient,
            Step::Data => self.data,
            Step::Content | Step::Chunk => self.block,
            Step::Dot => self.dot,
            Step::Command => self.errand,
            Step::Quit => self.quit,
        }
    }
}
