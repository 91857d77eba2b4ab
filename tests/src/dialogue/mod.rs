//! Dialogues: scripts of what is said on a connection, and players that hold a server to them.
//! The same scripts run on the bare session and on a server over TCP; a difference is a fault between the two.

mod bare;
mod parse;
mod pattern;
mod player;
mod script;
mod tcp;

pub use bare::{BareSession, Pieces};
pub use pattern::Pattern;
pub use player::{Mismatch, PlayError, Played, Player, play};
pub use script::{LogIn, Need, Numbered, Script, ScriptError, Step, StoredMessage};
pub use tcp::TcpServer;
