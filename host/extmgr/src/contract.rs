//! The fault contract of a plug-in at each event: how long a call may take, and what its fault means.
//! Knows what the operator chose; measures nothing and decides nothing.

use std::time::Duration;

use stagepost_smtp::{Event, Stage};

use crate::event::takes_hold;

/// What a fault in *before* means for the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// A temporary failure: 451.
    #[default]
    Defer,
    /// As if the plug-in had answered continue.
    Continue,
    /// As continue, and the message is kept on hold; only where there is a message to hold.
    Hold,
}

impl OnFault {
    /// The word for it in the configuration and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Defer => "defer",
            Self::Continue => "continue",
            Self::Hold => "hold",
        }
    }

    /// Whether it can be carried out at an event: a message can be held while a transaction is open, and behind the session.
    pub fn is_possible_at(self, event: Event) -> bool {
        self != Self::Hold || takes_hold(event, Stage::Before)
    }
}

/// The contract at one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultContract {
    /// How long one call of a handler may take; enforced where calls are made on the pool, and for pending calls.
    pub deadline: Duration,
    /// How long it may take at most when the plug-in puts the deadline of a pending call off.
    pub deadline_max: Duration,
    /// What a fault in *before* means.
    pub on_fault: OnFault,
}

/// The contracts of a plug-in, one for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultContracts([FaultContract; Event::ALL.len()]);

impl FaultContracts {
    /// The same contract everywhere.
    pub fn everywhere(contract: FaultContract) -> Self {
        Self([contract; Event::ALL.len()])
    }

    /// The contract at an event.
    pub fn at(&self, event: Event) -> FaultContract {
        self.0[event as usize]
    }

    /// The contract at an event, to be changed.
    pub fn at_mut(&mut self, event: Event) -> &mut FaultContract {
        &mut self.0[event as usize]
    }
}
