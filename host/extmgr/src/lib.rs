//! The extension manager: inspects plug-in files, loads them, and is the only place that calls them.
//! Knows the contract and the words of SMTP; knows no socket, no queue and no configuration file.
#![allow(unsafe_code, reason = "the contract is crossed here, and nowhere else in the host")]

mod admin_verb;
mod arguments;
mod base;
mod call;
mod chain;
mod configured;
mod context;
mod contract;
mod descriptor;
mod dispatch;
mod event;
mod fault;
mod figures;
mod file;
mod filter;
mod frame;
mod host;
mod inspect;
mod latency;
mod leave;
mod life;
mod limits;
mod load;
mod metric;
mod pending;
mod plugin;
mod pool;
mod registry;
mod section;
mod service;
mod sheet;
mod token;
mod trace;
mod turn;
mod waiting;
mod watchdog;
mod writing;

pub use admin_verb::{ADMIN_CALLS_MAX, AdminVerbError, AdminVerbState};
pub use contract::{FaultContract, FaultContracts, OnFault};
pub use descriptor::{Class, Descriptor, DescriptorError, Language};
pub use dispatch::{Asked, Dispatch};
pub use figures::{AnswerKind, FaultKind, PluginFigures, StageFigures};
pub use file::{FileError, PluginFile};
pub use inspect::{InspectError, Inspection, inspect};
pub use latency::LatencyFigures;
pub use leave::leave;
pub use life::{NewSection, ReloadError, Reloaded, STOP_MAX};
pub use limits::Limits;
pub use load::{ExtMgr, LoadError, Refusal};
pub use metric::{MetricFigures, MetricValue};
pub use plugin::{OnLoadError, PluginConfig, PluginState, Run};
pub use pool::calls_are_out;
pub use section::Section;
pub use trace::{Trace, TraceFilter, Traced, TracedCall};
