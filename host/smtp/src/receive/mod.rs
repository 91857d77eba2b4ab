//! The receiving side: a session that is told what happened and says what to do next.
//! Knows no socket, no clock, no plug-in and no store.

mod accept;
mod admit;
mod asking;
mod auth;
mod bdat;
mod check;
mod chunk;
mod command;
mod command_line;
mod data;
mod envelope_edit;
mod extension;
mod extensions;
mod grammar;
mod header;
mod hello;
mod input;
mod leave;
mod line;
mod message;
mod opening;
mod pace;
mod parameter;
mod path;
mod proceed;
mod rewrite;
mod ruling;
mod session;
mod settings;
mod starttls;
mod state;
mod trace;
mod transaction;
mod xclient;

pub use auth::{Verified, Verify};
pub(crate) use command::is_core_verb;
pub use command::is_for_session_alone;
pub use envelope_edit::EnvelopeError;
pub(crate) use extension::edit as edit_keywords;
pub use extensions::{Extension, Extensions};
pub use path::parameter;
pub use rewrite::{RewriteError, check_rewrite};
pub use session::{Expired, Session};
pub use settings::{Auth, Limits, Settings, StartTls, Timeouts};
pub use trace::{received, received_from_plugin};
