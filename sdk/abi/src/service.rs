//! Services: the tables that a plug-in asks for by id. Append only; `size` tells how far one goes.
//! One module each, as each has its own reason to grow.

mod admin;
mod config;
mod directory;
mod dns;
mod edits;
mod extension;
mod filter;
mod layout;
mod log;
mod message;
mod metrics;
mod outbound;
mod pending;
mod queue;
mod session;
mod state;
mod submit;
mod timers;

pub use admin::*;
pub use config::*;
pub use directory::*;
pub use dns::*;
pub use edits::*;
pub use extension::*;
pub use filter::*;
pub use layout::*;
pub use log::*;
pub use message::*;
pub use metrics::*;
pub use outbound::*;
pub use pending::*;
pub use queue::*;
pub use session::*;
pub use state::*;
pub use submit::*;
pub use timers::*;
