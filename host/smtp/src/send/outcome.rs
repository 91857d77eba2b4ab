//! How a transaction ended for each of its recipients, and why.
//! Knows no schedule: whether a deferred recipient is tried again is for others to decide.

use super::reply::ReplyFault;
use super::stuff::ContentFault;
use crate::{Class, Enhanced, LoginFault, Reply};

/// What a reply answers, or what was under way when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection itself: the server speaks first.
    Greeting,
    /// The EHLO command.
    Ehlo,
    /// The LHLO command of LMTP.
    Lhlo,
    /// The HELO command, for a server that knows no EHLO.
    Helo,
    /// The STARTTLS command, and the handshake behind it.
    StartTls,
    /// The AUTH command, and what is said behind it.
    Auth,
    /// The RSET command, which clears what an earlier transaction left.
    Reset,
    /// The MAIL command.
    Mail,
    /// A RCPT command.
    Recipient,
    /// The DATA command.
    Data,
    /// A BDAT command with a part of the message that is not its last.
    Chunk,
    /// The message's octets behind DATA, which have no reply of their own.
    Content,
    /// The lone dot behind the message, or the BDAT command with its last part.
    Dot,
    /// A command that is no part of a message.
    Command,
    /// The QUIT command.
    Quit,
}

/// How it ended for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took the responsibility, with this reply to the final dot.
    Delivered(Reply),
    /// It is refused for good.
    Failed(Cause),
    /// Not now.
    Deferred(Cause),
}

/// Why a recipient was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The next hop said so.
    #[error("{} to {step}", .reply.in_line())]
    Replied {
        /// What it answered.
        step: Step,
        /// Its answer.
        reply: Reply,
    },
    /// The next hop was too slow. At [`Step::Dot`] it may have taken the message all the same: a further try may
    /// deliver it twice.
    #[error("timed out waiting for {0}{doubt}", doubt = self.doubt())]
    Timeout(Step),
    /// The next hop hung up. For [`Step::Dot`] see [`Cause::Timeout`].
    #[error("connection closed at {0}{doubt}", doubt = self.doubt())]
    Closed(Step),
    /// The next hop sent something that is no reply.
    #[error("no SMTP reply to {step}: {fault}{doubt}", doubt = self.doubt())]
    Malformed {
        /// What was to be answered.
        step: Step,
        /// What is wrong with it.
        fault: ReplyFault,
    },
    /// The next hop sent a reply before there was anything to answer, so none of its replies can be trusted.
    #[error("a reply that nothing asked for: {}", .0.in_line())]
    Unasked(Reply),
    /// TLS is required and not offered.
    #[error("TLS is required, and the server does not offer it")]
    NoTls,
    /// The TLS handshake came to nothing.
    #[error("the TLS handshake failed: {0}")]
    Handshake(Box<str>),
    /// We are to log in, and the server offers no mechanism that may be used with it.
    #[error("the server offers no way to log in that may be used with it")]
    NoMechanism,
    /// Logging in came to nothing, though the server did not refuse it.
    #[error("logging in failed: {0}")]
    Login(#[from] LoginFault),
    /// The message has 8-bit octets and the next hop takes none (RFC 6152 section 3).
    #[error("the message has 8-bit octets and the next hop does not offer 8BITMIME")]
    EightBit,
    /// The message has octets that are no lines of text, and the next hop takes none (RFC 3030 section 3).
    #[error("the message is binary and the next hop does not offer BINARYMIME")]
    Binary,
    /// Addresses or header fields of the message are UTF-8, and the next hop takes none (RFC 6531 section 3.2).
    #[error(
        "the message has addresses or header fields in UTF-8 and the next hop does not offer SMTPUTF8"
    )]
    Utf8,
    /// The message is larger than the next hop's limit (RFC 1870 section 6.1).
    #[error("the message has {size_octets} octets, the next hop takes at most {max}")]
    TooLarge {
        /// The size of the message.
        size_octets: u64,
        /// The limit that the next hop named.
        max: u64,
    },
    /// The message is to come in time or not at all, and the time is over (RFC 2852 section 4.1.3).
    #[error("the time is over that the sender of the message has set")]
    Late,
    /// The message is to come in time or not at all, and the next hop does not promise that (RFC 2852 section 4.1.4.1).
    #[error("the message must come in time, and the next hop does not offer DELIVERBY for that")]
    DeliverBy,
    /// The message requires TLS on all of its way, and the next hop does not promise that (RFC 8689 section 4.2.1).
    #[error("the message requires TLS on all of its way, and the server does not offer REQUIRETLS")]
    RequireTls,
    /// The stored message can't be sent: our own fault.
    #[error(transparent)]
    Content(#[from] ContentFault),
    /// The stored message could not be read: our own fault.
    #[error("the stored message could not be read")]
    BodyUnavailable,
}

impl Outcome {
    /// The enhanced code (RFC 3463) that tells this outcome to the sender: of class 2 when it is delivered, 5 when it
    /// failed, 4 when it is deferred, whatever class the next hop's own code has.
    pub fn status(&self) -> Enhanced {
        let (class, about) = match self {
            Self::Delivered(reply) => (2, reply.enhanced()),
            Self::Failed(cause) => (5, cause.about()),
            Self::Deferred(cause) => (4, cause.about()),
        };
        let general = Enhanced::new(class, 0, 0);
        Enhanced { class, ..about.unwrap_or(general) }
    }

    /// Whether the next hop has said that there are more recipients than it takes in one transaction, and this is one of those. Without an
    /// enhanced code it may have meant something else.
    pub fn is_one_too_many(&self) -> bool {
        match self {
            Self::Deferred(Cause::Replied { step: Step::Recipient, reply }) => {
                reply.code() == 452 && is_about_number(reply) || is_too_many_recipients(reply)
            }
            _ => false,
        }
    }

    /// Judges the reply to a step that decides about recipients. `None`: the reply lets the transaction go on.
    pub(super) fn of(step: Step, reply: Reply) -> Option<Self> {
        let replied = |reply| Cause::Replied { step, reply };
        match (step, reply.class()) {
            (Step::Dot, Class::Positive) => Some(Self::Delivered(reply)),
            (Step::Mail | Step::Recipient | Step::Chunk, Class::Positive) => None,
            (Step::Data, Class::Intermediate) => None,
            (Step::Recipient, Class::Permanent) if is_too_many_recipients(&reply) => {
                Some(Self::Deferred(replied(reply)))
            }
            (_, Class::Permanent) => Some(Self::Failed(replied(reply))),
            _ => Some(Self::Deferred(replied(reply))),
        }
    }
}

/// RFC 5321 section 4.5.3.1.10: a 552 that means "too many recipients" is a 452 in truth. Without an enhanced code
/// a 552 may mean that; trying again does no harm when it meant something else.
fn is_too_many_recipients(reply: &Reply) -> bool {
    reply.code() == 552 && is_about_number(reply)
}

/// Whether a reply is about too many recipients (RFC 3463 section 3.6), or may be.
fn is_about_number(reply: &Reply) -> bool {
    let about_number = |enhanced: Enhanced| (enhanced.subject, enhanced.detail) == (5, 3);
    reply.enhanced().is_none_or(about_number)
}

impl Cause {
    /// Whether the next hop may have the message all the same: it has the end of it, and what it said of that did not arrive. When
    /// it is tried again, it may come twice; when it is not, it may never (RFC 5321 section 6.1).
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Timeout(step) | Self::Closed(step) | Self::Malformed { step, .. } => {
                *step == Step::Dot
            }
            _ => false,
        }
    }

    fn doubt(&self) -> &'static str {
        if self.is_in_doubt() { "; it may have arrived all the same" } else { "" }
    }

    /// Subject and detail of the enhanced code; the next hop's own where it gave one.
    fn about(&self) -> Option<Enhanced> {
        match self {
            Self::Replied { reply, .. } => reply.enhanced(),
            Self::Timeout(_) | Self::Closed(_) => Some(Enhanced::new(4, 4, 2)),
            Self::Malformed { .. } | Self::Unasked(_) => Some(Enhanced::new(4, 5, 0)),
            Self::NoTls => Some(Enhanced::new(4, 7, 4)),
            Self::Handshake(_) => Some(Enhanced::new(4, 7, 5)),
            Self::NoMechanism => Some(Enhanced::new(4, 7, 4)),
            Self::Login(_) => Some(Enhanced::new(4, 7, 0)),
            Self::EightBit | Self::Binary => Some(Enhanced::new(5, 6, 3)),
            Self::Utf8 => Some(Enhanced::new(5, 6, 7)),
            Self::Late => Some(Enhanced::new(4, 4, 7)),
            Self::DeliverBy => Some(Enhanced::new(5, 3, 3)),
            Self::RequireTls => Some(Enhanced::new(5, 7, 30)),
            Self::TooLarge { .. } => Some(Enhanced::new(5, 3, 4)),
            Self::Content(_) => Some(Enhanced::new(5, 6, 0)),
            Self::BodyUnavailable => Some(Enhanced::new(4, 3, 0)),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Greeting => "the connection",
            Self::Ehlo => "EHLO",
            Self::Lhlo => "LHLO",
            Self::Helo => "HELO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Chunk => "BDAT",
            Self::Content => "the message",
            Self::Dot => "the end of the message",
            Self::Command => "the command",
            Self::Quit => "QUIT",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged_by_step_and_class() {
        let kind = |step: Step, code: u16, enhanced: &str| {
            let reply = Reply::checked(code, Enhanced::parse(enhanced), "words").unwrap();
            match Outcome::of(step, reply) {
                None => "go on",
                Some(Outcome::Delivered(_)) => "delivered",
                Some(Outcome::Failed(_)) => "failed",
                Some(Outcome::Deferred(_)) => "deferred",
            }
        };
        let cases = [
            (Step::Mail, 250, "", "go on"),
            (Step::Mail, 354, "", "deferred"),
            (Step::Mail, 451, "", "deferred"),
            (Step::Mail, 552, "", "failed"),
            (Step::Recipient, 250, "", "go on"),
            (Step::Recipient, 251, "", "go on"),
            (Step::Recipient, 252, "", "go on"),
            (Step::Recipient, 450, "", "deferred"),
            (Step::Recipient, 550, "", "failed"),
            (Step::Recipient, 552, "", "deferred"),
            (Step::Recipient, 552, "5.5.3", "deferred"),
            (Step::Recipient, 552, "5.2.2", "failed"),
            (Step::Data, 354, "", "go on"),
            (Step::Data, 250, "", "deferred"),
            (Step::Data, 554, "", "failed"),
            (Step::Dot, 250, "", "delivered"),
            (Step::Dot, 354, "", "deferred"),
            (Step::Chunk, 250, "", "go on"),
            (Step::Chunk, 354, "", "deferred"),
            (Step::Chunk, 452, "", "deferred"),
            (Step::Chunk, 552, "", "failed"),
            (Step::Dot, 452, "", "deferred"),
            (Step::Dot, 554, "", "failed"),
            // RFC 5321 section 4.2.1: what is not known counts by its first digit.
            (Step::Mail, 299, "", "go on"),
            (Step::Recipient, 499, "", "deferred"),
            (Step::Recipient, 599, "", "failed"),
            (Step::Data, 399, "", "go on"),
            (Step::Dot, 299, "", "delivered"),
            (Step::Dot, 471, "", "deferred"),
        ];
        for (step, code, enhanced, wanted) in cases {
            assert_eq!(kind(step, code, enhanced), wanted, "{step} {code} {enhanced}");
        }
    }

    #[test]
    fn recipients_are_too_many_by_their_replies() {
        let is_one = |step, code, enhanced| {
            let reply = Reply::checked(code, Enhanced::parse(enhanced), "words").unwrap();
            Outcome::of(step, reply).is_some_and(|outcome| outcome.is_one_too_many())
        };
        for (code, enhanced) in [(452, ""), (452, "4.5.3"), (552, ""), (552, "5.5.3")] {
            assert!(is_one(Step::Recipient, code, enhanced), "{code} {enhanced}");
            assert!(!is_one(Step::Dot, code, enhanced), "{code} {enhanced}");
        }
        for (code, enhanced) in
            [(250, ""), (451, ""), (452, "4.2.2"), (452, "4.3.1"), (552, "5.2.2"), (550, "5.5.3")]
        {
            assert!(!is_one(Step::Recipient, code, enhanced), "{code} {enhanced}");
        }
    }

    #[test]
    fn outcomes_are_one_line_with_a_status_of_their_class() {
        let reply =
            |code, enhanced, text| Reply::checked(code, Enhanced::parse(enhanced), text).unwrap();
        let replied = |reply| Cause::Replied { step: Step::Recipient, reply };
        let large = Cause::TooLarge { size_octets: 9, max: 5 };
        let cases = [
            (Outcome::Delivered(reply(250, "2.6.0", "ok")), "2.6.0", ""),
            (Outcome::Delivered(reply(250, "", "ok")), "2.0.0", ""),
            (
                Outcome::Failed(replied(reply(550, "5.1.1", "no\nuser"))),
                "5.1.1",
                "550 5.1.1 no user to RCPT",
            ),
            (Outcome::Deferred(replied(reply(552, "5.5.3", "x"))), "4.5.3", "552 5.5.3 x to RCPT"),
            (Outcome::Deferred(replied(reply(554, "", "x"))), "4.0.0", "554 x to RCPT"),
            (
                Outcome::Deferred(Cause::Closed(Step::Dot)),
                "4.4.2",
                "connection closed at the end of the message; it may have arrived all the same",
            ),
            (
                Outcome::Failed(large),
                "5.3.4",
                "the message has 9 octets, the next hop takes at most 5",
            ),
        ];
        for (outcome, status, text) in cases {
            assert_eq!(outcome.status().to_string(), status, "{outcome:?}");
            if let Outcome::Failed(cause) | Outcome::Deferred(cause) = outcome {
                assert_eq!(cause.to_string(), text);
            }
        }
    }
}
