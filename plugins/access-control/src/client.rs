//! What is known of a client while its session lasts.
//! Knows no rule: what was decided is kept, so that it is decided once.

use crate::peer::HostName;
use crate::refusal::Refusal;

/// A client, in the slot of its session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) name: HostName,
    /// Why it may not connect, when that is told later than at connect.
    pub(crate) denied: Option<Refusal>,
    /// Whether it is subject to the relay check; none until it is decided.
    pub(crate) subject: Option<bool>,
    /// What the private and DNS lists came to; none until they were looked at.
    pub(crate) lists: Option<Lists>,
    /// Whether the grant that the session has is ours: one of another plug-in's is left alone.
    pub(crate) granted: bool,
}

/// What the lists came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    pub(crate) refusal: Option<Refusal>,
    /// A white list has the host: it is spared more than the other lists.
    pub(crate) white: bool,
    /// A header field for each message, and its value.
    pub(crate) tag: Option<(&'static str, String)>,
}
