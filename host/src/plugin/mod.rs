//! What the program adds for plug-ins: their state, their mail, why one is refused, and the sources of a new one.
//! Calls no plug-in: the extension manager does.

pub(crate) mod mail;
pub(crate) mod new;
pub(crate) mod refusal;
pub(crate) mod state;
pub(crate) mod submission;
