//! The extension manager: inspects plug-in files, loads them, and is the only place that calls them.
//! Knows the contract and the words of SMTP; knows no socket, no queue and no configuration file.
#![allow(unsafe_code, reason = "the contract is crossed here, and nowhere else in the host")]

mod admin_verb;
mod arguments;
mod base;
mod behind;
mod call;
mod chain;
mod claim;
mod configured;
mod context;
mod contract;
mod descriptor;
mod dispatch;
mod dns;
mod entry;
mod event;
mod fault;
mod figures;
mod file;
mod filter;
mod frame;
mod host;
mod hosted;
mod inspect;
mod latency;
mod leave;
mod life;
mod limits;
mod load;
mod lookup;
mod mail;
mod metric;
mod outbound;
mod pending;
mod plugin;
mod pool;
mod registry;
mod release;
mod request;
mod section;
mod service;
mod sheet;
mod slots;
mod state_call;
mod stretch;
mod submission;
mod tally;
mod threads;
mod token;
mod trace;
mod turn;
mod waiting;
mod watchdog;
mod writing;

pub use admin_verb::{ADMIN_CALLS_MAX, AdminVerbError, AdminVerbState, VERB_JSON_OCTETS_MAX};
pub use claim::{ClaimFault, Claimant};
pub use contract::{FaultContract, FaultContracts, OnFault};
pub use descriptor::{Class, Descriptor, DescriptorError, Language};
pub use dispatch::{Asked, Dispatch};
pub use dns::{DnsAnswer, DnsQuestion, DnsRecord, LookingUp, RecordType, Resolver};
pub use figures::{AnswerKind, FaultKind, PluginFigures, StageFigures};
pub use file::{FileError, PluginFile};
pub use hosted::{DirectoryPart, Fetching, Hosted, Said, StateError, StateStore, UserDirectory};
pub use inspect::{InspectError, Inspection, inspect};
pub use latency::LatencyFigures;
pub use leave::leave;
pub use life::{NewSection, ReloadError, Reloaded, STOP_MAX};
pub use limits::Limits;
pub use load::{ExtMgr, LoadError, Refusal};
pub use mail::{Coming, Mail, MailError, MailFor, Submission, Submitter, Waiting, Work};
pub use metric::{MetricFigures, MetricValue};
pub use outbound::{
    Doing, Outbound, OutboundError, OutboundProgress, OutboundReversal, OutboundSession,
    OutboundState, OutboundTarget, OutboundText, OutboundTls,
};
pub use plugin::{OnLoadError, PluginConfig, PluginState, Run};
pub use pool::calls_return_within;
pub use section::Section;
pub use state_call::STATE_CALLS_MAX;
pub use trace::{Trace, TraceFilter, Traced, TracedCall};
