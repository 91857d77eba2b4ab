//! Why a plug-in could not start, and the status that says so to the host.
//! Knows no plug-in.

use std::fmt::Display;

use stagepost_abi::{
    EM_ERR_LAYOUT, EM_ERR_TYPE, EM_FAULT, ERR_EM_NOTAUTHORIZED, ERR_MISC_INVALID_ARGS,
    ERR_NOT_FOUND, STATUS,
};

use crate::call::Refusal;
use crate::config::ConfigError;

/// Why a plug-in could not start. The host refuses it; what the error says stands in the log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The host has no such service; it is older than the plug-in.
    #[error("this host has no service {0}")]
    NoService(String),
    /// The host has the service, but an older one.
    #[error(
        "this host's service {id} has {found} octets, this plug-in needs {wanted}: the host is older"
    )]
    OldService {
        /// Id of the service.
        id: String,
        /// Octets of the table that the plug-in was built with.
        wanted: usize,
        /// Octets of the host's table.
        found: u32,
    },
    /// The base table is shorter than the contract's, or missing.
    #[error("this host's base table has {found} octets, this plug-in needs {wanted}")]
    OldBase {
        /// Octets that the plug-in was built with.
        wanted: usize,
        /// Octets of the host's; 0 when there is none.
        found: u32,
    },
    /// The host compared the layouts and refuses them; it has logged where they differ.
    #[error("the host refuses this plug-in's layouts: status {0:#06x}")]
    Layout(STATUS),
    /// A registration was refused.
    #[error("the host refuses a handler for event {event:#06x}: status {status:#06x}")]
    Registration {
        /// Number of the event.
        event: u16,
        /// What EMRegister returned.
        status: STATUS,
    },
    /// The host refused something that the plug-in wants to have from the start.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The filter was refused; the host has logged which item.
    #[error("the host refuses this plug-in's filter: status {0:#06x}")]
    Filter(STATUS),
    /// There is no recursion id left.
    #[error("the host has no recursion id for this plug-in: status {0:#06x}")]
    Recursion(STATUS),
    /// The operator's configuration is not acceptable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plug-in has a reason of its own.
    #[error("{0}")]
    Failed(String),
}

impl StartError {
    /// Makes an error of the plug-in's own.
    pub fn failed(reason: impl Display) -> Self {
        Self::Failed(reason.to_string())
    }

    pub(crate) fn status(&self) -> STATUS {
        match self {
            Self::NoService(_) | Self::OldService { .. } => ERR_NOT_FOUND,
            Self::OldBase { .. } => EM_ERR_LAYOUT,
            Self::Layout(status) | Self::Recursion(status) => *status,
            Self::Filter(status) if *status != 0 => *status,
            Self::Filter(_) => ERR_MISC_INVALID_ARGS,
            Self::Registration { status, .. } if *status != 0 => *status,
            Self::Registration { .. } => ERR_EM_NOTAUTHORIZED,
            Self::Config(ConfigError::Type { .. }) => EM_ERR_TYPE,
            Self::Config(_) => ERR_MISC_INVALID_ARGS,
            Self::Failed(_) | Self::Refused(_) => EM_FAULT,
        }
    }
}
