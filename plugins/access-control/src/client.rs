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
    pub(crate) subject: Option<Decided<bool>>,
    /// Whether another plug-in has said, before that was decided, that this is no relay.
    pub(crate) cleared: bool,
    /// What the private and DNS lists came to; none until they were looked at.
    pub(crate) lists: Option<Decided<Lists>>,
    /// Whether the grant that the session has is ours: one of another plug-in's is left alone.
    pub(crate) granted: bool,
    /// Whether that was decided under TLS.
    pub(crate) secured: bool,
}

impl Client {
    /// What is still known now that TLS is on, or off: with STARTTLS a session forgets what was granted.
    pub(crate) fn under(self, secured: bool) -> Self {
        if self.secured == secured {
            return self;
        }
        Self { subject: None, granted: false, secured, ..self }
    }
}

/// What was decided, and the number of the rules by which it was: others may decide otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Decided<D> {
    pub(crate) rules: u64,
    pub(crate) decision: D,
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
