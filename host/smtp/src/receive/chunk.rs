//! The octets that follow a command line: consumed, whatever the answer to it (RFC 3030 section 2).
//! Knows how many they are, not what they are.

use super::line::Framing;
use super::pace::Pace;
use super::session::Session;
use super::state::{Answer, Next, Step};

impl Session {
    /// Answers a line, once the octets that belong to it are gone (RFC 3030 section 2).
    pub(super) fn answer_framed(&mut self, framing: Framing, answer: Answer) {
        match (framing, &answer.next) {
            (Framing::Chunk(octets), Next::Command) => {
                self.since = self.now;
                self.pace = Pace::new(self.now);
                self.step = Step::Swallowing { octets, answer };
            }
            _ => self.conclude_command(answer),
        }
    }

    /// Drops the octets of a chunk.
    pub(super) fn swallow(&mut self) -> bool {
        let Step::Swallowing { octets, .. } = &mut self.step else {
            return false;
        };
        let here = self.input.unread().len();
        let taken = usize::try_from(*octets).map_or(here, |octets| octets.min(here));
        self.input.consume(taken);
        *octets -= taken as u64;
        if *octets > 0 {
            return false;
        }
        if let Step::Swallowing { answer, .. } = std::mem::replace(&mut self.step, Step::Ready) {
            self.conclude_command(answer);
        }
        true
    }
}
