//! What the operator says of a plug-in, and what the host tells of a loaded one.
//! Knows neither file nor code of it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{AdminVerbState, Class, FaultContracts, Section};

/// One configured plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginConfig {
    /// Its name; must be the name in its descriptor.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Where its handlers run; none: as its class says.
    pub run: Option<Run>,
    /// Lower ones are asked first; equal ones in the order of the configuration.
    pub priority: i32,
    /// How long its calls may take and what its faults mean.
    pub contracts: FaultContracts,
    /// What to do when it can't be loaded.
    pub on_load_error: OnLoadError,
    /// How many of its calls may run on the pool at once.
    pub threads_max: usize,
    /// How many of its calls may be pending at once.
    pub pending_max: usize,
    /// How many octets its keys and values in the state store may come to.
    pub state_octets_max: u64,
    /// The SHA-256 that its file must have.
    pub sha256: Option<[u8; 32]>,
    /// Its own section.
    pub section: Section,
}

/// Where handlers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// On the session's own thread; only for plug-ins that promise not to block.
    Inline,
    /// On a thread kept for calls that may block.
    Pool,
}

/// What a plug-in that can't be loaded means for the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoadError {
    /// The server does not start.
    #[default]
    Abort,
    /// The server starts without it and says so.
    Skip,
}

/// A loaded plug-in, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginState {
    /// Its name.
    pub name: Arc<str>,
    /// Its version, as its descriptor says.
    pub version: String,
    /// Its class.
    pub class: Class,
    /// Where its handlers run.
    pub run: Run,
    /// How many registrations it has.
    pub registrations: usize,
    /// What it does for an operator who asks.
    pub admin_verbs: Vec<AdminVerbState>,
    /// How many calls were made of it since the start.
    pub calls: u64,
    /// How many faults it has had since the start.
    pub faults: u64,
}

impl Run {
    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Pool => "pool",
        }
    }
}
