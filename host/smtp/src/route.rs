//! Where mail for a recipient would go, as far as accepting it depends on that.
//! Knows no host name of a destination: the router keeps those.

/// The answer to [`crate::Action::Route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A mailbox of ours.
    Local,
    /// A local domain without such a mailbox: 550 5.1.1.
    UnknownUser,
    /// A domain that we relay for, whoever asks.
    Relay,
    /// A foreign domain that we could reach: needs a grant, else 550 5.7.1.
    Foreign,
    /// A foreign domain that we could not reach even with a grant: 550 5.7.1 without one, 550 5.4.4 with one.
    Unreachable,
    /// It can't be told now: 451 4.4.3.
    Unavailable,
    /// A local domain where several have the address: 550 5.1.4.
    Ambiguous,
}
