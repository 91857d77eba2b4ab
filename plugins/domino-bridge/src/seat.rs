//! A session as add-ins know it: its number, and which of them are in a call for it.
//! Knows no event; an add-in that is late is called no more for the session until it is back, and then for what it is owed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::arguments::Buffer;
use crate::bridge::Bridge;
use crate::visit;

/// What an add-in does for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Free,
    /// In a call that somebody waits for.
    Out,
    /// In a call that nobody waits for any more.
    Late,
    /// The same, and the session is over.
    Owed,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Seat {
    /// SessionID: unique in the process.
    pub(crate) id: u32,
    standings: Mutex<Vec<Standing>>,
    /// What was lent for as long as the session lasts.
    lent: Mutex<Vec<Buffer>>,
}

impl Seat {
    pub(crate) fn new(id: u32, add_ins: usize) -> Self {
        Self { id, standings: Mutex::new(vec![Standing::Free; add_ins]), lent: Mutex::default() }
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves an add-in from one standing to another; whether it was in that.
    fn moved(&self, add_in: usize, from: Standing, to: Standing) -> bool {
        match self.standings().get_mut(add_in) {
            Some(standing) if *standing == from => {
                *standing = to;
                true
            }
            _ => false,
        }
    }

    /// A call begins. False: the add-in is in one.
    pub(crate) fn begin(&self, add_in: usize) -> bool {
        self.moved(add_in, Standing::Free, Standing::Out)
    }

    /// Nobody waits for the call of an add-in any more.
    pub(crate) fn late(&self, add_in: usize) {
        self.moved(add_in, Standing::Out, Standing::Late);
    }

    /// Leaves buffers where they are until the session is over and every add-in back.
    pub(crate) fn keep(&self, buffers: Vec<Buffer>) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).extend(buffers);
    }

    /// The session is over. True: the add-in is to be told when it is back, not now.
    pub(crate) fn owe(&self, add_in: usize) -> bool {
        self.moved(add_in, Standing::Late, Standing::Owed)
    }

    /// An add-in is back: on its thread. What it is owed is done there.
    pub(crate) fn finished(&self, bridge: &Bridge, add_in: usize) {
        let owed = {
            let mut standings = self.standings();
            let standing = standings.get_mut(add_in);
            standing.map(std::mem::take) == Some(Standing::Owed)
        };
        if owed {
            visit::disconnect_now(bridge, self.id, add_in);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_add_in_is_in_one_call_at_once() {
        let seat = Seat::new(7, 2);
        assert!(seat.begin(0) && !seat.begin(0) && seat.begin(1));
        assert!(!seat.owe(0), "somebody waits for it");
        seat.late(0);
        assert!(!seat.begin(0) && seat.owe(0) && !seat.owe(0));
        assert!(!seat.begin(2), "there is no such add-in");
    }
}
