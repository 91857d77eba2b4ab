//! Orders: what is done to mail that waits, and which mail is meant.
//! Knows no engine; who gives the orders, others know.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use stagepost_smtp::ReversePath;

use crate::{Destination, Destinations, QueueId, QueueName};

/// Which mail is meant. All of it is found through an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This message.
    Message(QueueId),
    /// What goes there.
    Destinations(Destinations),
    /// What this sender has sent; the case of the address is no difference.
    Sender(ReversePath),
    /// What all senders of this domain and of the domains below it have sent.
    SendersBelow(Destination),
}

/// What is done to each delivery that is meant.
#[derive(Clone, Debug)]
pub enum Move {
    /// Make it due, if it is later; held recipients stay held.
    Flush {
        /// When it is due.
        now: SystemTime,
    },
    /// Keep it undelivered until it is released. Of all that goes somewhere that is what is not on hold yet.
    Hold {
        /// Why, for the operator.
        reason: Arc<str>,
    },
    /// End every hold on it, and make it due.
    Release {
        /// When it is due.
        now: SystemTime,
    },
    /// Remove it; nobody is told. A message without deliveries left goes with its octets.
    Remove,
    /// Give it up: who leases it is to tell its sender that it is not delivered, and why. Held recipients too.
    GiveUp {
        /// Why, for the sender.
        reason: Arc<str>,
        /// When it is due.
        now: SystemTime,
    },
    /// Have it go by another route, and make it due; held recipients stay held. It is no longer to be given up.
    Requeue {
        /// The route, as the router calls it; none: that of its destination.
        route: Option<Arc<str>>,
        /// Which queue it is in from now on.
        queues: Arc<dyn Queues>,
        /// When it is due.
        now: SystemTime,
    },
}

/// Says which queue mail is in.
pub trait Queues: fmt::Debug + Send + Sync {
    /// The queue of mail for a destination, if it is in one that has a name.
    fn queue_of(&self, destination: &Destination) -> Option<QueueName>;
}

/// How far an order was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Deliveries that were changed.
    pub count: u64,
    /// Where to go on; none when all is done.
    pub after: Option<Mark>,
}

/// A place to go on from: the engine's business. As text it is letters and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which index is read.
    pub(crate) index: u8,
    /// The last key that was read; empty: none yet.
    pub(crate) key: Vec<u8>,
}

/// The text is no mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no place to go on from")]
pub struct MarkError;

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:02x}", self.index)?;
        self.key.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let digit = |octet: u8| char::from(octet).to_digit(16).ok_or(MarkError);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let octet = |[high, low]: &[u8; 2]| Ok((digit(*high)? << 4 | digit(*low)?) as u8);
        let octets: Vec<u8> = pairs.iter().map(octet).collect::<Result<_, MarkError>>()?;
        match octets.split_first() {
            Some((index, key)) if rest.is_empty() => Ok(Self { index: *index, key: key.to_vec() }),
            _ => Err(MarkError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_through_text() {
        for mark in
            [Mark { index: 0, key: Vec::new() }, Mark { index: 1, key: vec![0, 255, 16, b'a'] }]
        {
            assert_eq!(mark.to_string().parse(), Ok(mark));
        }
        for text in ["", "0", "0g", "012", "\u{e4}\u{e4}"] {
            assert_eq!(text.parse::<Mark>(), Err(MarkError), "{text}");
        }
    }
}
