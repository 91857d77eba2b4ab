//! The sending session and its words: our side of a conversation with a next hop.
//! Knows no socket, no clock and no queue; believes nothing that a next hop says beyond its replies.

mod content;
mod login;
mod name;
mod offers;
mod outcome;
mod reply;
mod session;
mod settings;
mod stuff;
mod timeouts;
mod transaction;

pub use login::SendingLogin;
pub use name::OwnName;
pub use outcome::{Cause, Outcome, Step};
pub use reply::ReplyFault;
pub use session::{SendingAction, SendingSession};
pub use settings::{Protocol, SendingSettings, SendingTls};
pub use stuff::ContentFault;
pub use timeouts::SendingTimeouts;
pub use transaction::{Addressee, Transaction};
