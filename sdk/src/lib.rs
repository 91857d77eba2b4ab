//! The safe Rust side of the plug-in contract: a trait with typed events, and a macro that exports what implements it.
//! Knows nothing of the host but the contract, `stagepost_abi`; every unsafe line that a plug-in needs is in here.
//!
//! A plug-in is a package with `crate-type = ["cdylib"]`:
//!
//! ```
//! use stagepost_sdk::{Answer, Edits, Host, Level, Outcome, Plugin, Rcpt, StartError, export_plugin};
//!
//! struct NoPostmaster {
//!     host: Host,
//!     text: &'static str,
//! }
//!
//! impl Plugin for NoPostmaster {
//!     fn start(host: Host) -> Result<Self, StartError> {
//!         let text = host.config().text("text")?.unwrap_or("nobody here");
//!         host.log(Level::Info, "ready");
//!         Ok(Self { host, text })
//!     }
//!
//!     fn before_rcpt(&self, event: &Rcpt<'_>, edits: &mut Edits<'_>) -> Outcome {
//!         if event.recipient.starts_with("postmaster@") {
//!             event.session.log(Level::Info, format_args!("refused {}", event.recipient));
//!             return Ok(Answer::reject(550, "5.1.1", self.text));
//!         }
//!         edits.attribute("seen_by_no_postmaster", "1")?;
//!         Ok(Answer::Continue)
//!     }
//! }
//!
//! export_plugin! {
//!     type = NoPostmaster,
//!     name = "no-postmaster",
//!     version = env!("CARGO_PKG_VERSION"),
//!     class = inline,
//!     stages = [before_rcpt],
//!     edits = [verdict, attribute],
//! }
//! # fn main() {}
//! ```
//!
//! `host.log`, `host.config` and the session's getters need no declaration. Handlers return `Result`: `?` makes a
//! [`Fault`] of any error, and a panic is caught and taken for one.
#![allow(unsafe_code, reason = "the contract is crossed here, so that plug-ins need not")]

pub mod stage;

mod admin;
mod answer;
mod async_plugin;
mod boundary;
mod call;
mod config;
mod descriptor;
mod directory;
mod dns;
mod edits;
mod entry;
mod event;
mod export;
mod extension;
mod filter;
mod guard;
mod handler;
mod host;
mod message;
mod metric;
mod outbound;
mod pending;
mod plugin;
mod queue;
mod request;
mod result;
#[cfg(feature = "serde")]
mod section;
mod service;
mod session;
mod slot;
mod start;
mod state;
mod submit;
mod task;
mod text;
mod timer;
mod together;

pub use answer::{Answer, Fault, Outcome, Verdict};
pub use async_plugin::AsyncPlugin;
pub use call::{Reason, Refusal};
pub use config::{Config, ConfigError, Place};
pub use descriptor::{class, edit};
pub use directory::{Directory, DirectoryPart, Fetch, Route};
pub use dns::{Dns, DnsError, DnsWait, LookUp, Mx};
pub use edits::{AfterEdits, BodyWriter, Edits};
pub use event::{
    Atrn, Auth, AuthResult, Awaited, BodyChunk, Bounce, Chunk, Command, Connect, Data, Delivery,
    Disconnect, DisconnectReason, Ehlo, Enqueue, Etrn, EtrnKind, Expiry, Headers, Mail,
    MessageAccept, Password, Quit, Rcpt, Reply, Routing, Rset, StartTls, Timeout, Verb, Vrfy,
    VrfyVerb,
};
pub use filter::Filter;
pub use host::{Host, Level};
pub use message::{Body, Message};
pub use metric::{Counter, Gauge, Histogram};
pub use outbound::{
    OutboundError, OutboundProgress, OutboundSession, OutboundState, OutboundTls, Reversal,
    ServerReply, Target,
};
pub use pending::Pending;
pub use plugin::Plugin;
pub use queue::{Count, Queue};
pub use result::{Outgoing, RecipientResult, Results};
pub use session::Session;
pub use stage::Stages;
pub use start::StartError;
pub use state::State;
pub use submit::Submission;
pub use timer::Timer;
pub use together::{before, together};

/// For `export_plugin!` only.
#[doc(hidden)]
pub use descriptor::descriptor;
#[doc(hidden)]
pub use entry::{Exported, Handler, enter};
#[doc(hidden)]
pub use stagepost_abi as abi;
#[doc(hidden)]
pub use task::handle_async;
