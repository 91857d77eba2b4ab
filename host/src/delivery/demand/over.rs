//! Which mail may go over a connection that is there already, and was not opened for it.
//! Knows the routes of mail; no message.

use std::fmt;

use stagepost_queue::Lease;

use super::{Demands, Unmet};
use crate::config::TlsPolicy;
use crate::router::Destination;
use crate::tls::Identity;

/// What such a connection has, and who says what it must have.
#[derive(Clone)]
pub(crate) struct OverLine {
    pub(super) demands: Demands,
    /// There is TLS.
    pub(super) secured: bool,
    pub(super) known: Known,
}

/// How it is known who is at the other end.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// By what was asked of the server when we dialled it.
    Dialled(Identity),
    /// It has come for its mail, and has logged in.
    LoggedIn,
}

impl Demands {
    /// What decides of mail that is to go over such a connection.
    pub(crate) fn over(&self, secured: bool, known: Known) -> OverLine {
        OverLine { demands: self.clone(), secured, known }
    }
}

impl fmt::Debug for OverLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "secured: {}, {:?}", self.secured, self.known)
    }
}

impl OverLine {
    /// Whether the server has shown who it is.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(&self.known, Known::Dialled(identity) if identity.is_known())
    }

    /// Whether there is TLS.
    pub(crate) fn is_secured(&self) -> bool {
        self.secured
    }

    /// Whether it is known who is there, one way or the other.
    pub(crate) fn is_known(&self) -> bool {
        self.is_verified() || matches!(self.known, Known::LoggedIn)
    }

    /// Whether the mail of a lease may go: whoever opened the connection, the operator's route of the mail has the last word.
    pub(crate) fn check(&self, lease: &Lease) -> Result<(), Unmet> {
        let router = &self.demands.router;
        match router.destination_by(lease.route.as_deref(), lease.destination.as_str()) {
            Some(Destination::Route(rule)) => self.suffices(rule.tls),
            Some(Destination::Local(_)) | None => Ok(()),
        }
    }

    fn suffices(&self, policy: TlsPolicy) -> Result<(), Unmet> {
        if policy >= TlsPolicy::Required && !self.secured {
            return Err(Unmet::ClearLine);
        }
        match (policy, &self.known) {
            (TlsPolicy::None | TlsPolicy::Opportunistic | TlsPolicy::Required, _)
            | (_, Known::LoggedIn)
            | (TlsPolicy::Verified, Known::Dialled(Identity::Named))
            | (TlsPolicy::Dane, Known::Dialled(Identity::Dane(_))) => Ok(()),
            (TlsPolicy::Verified | TlsPolicy::Dane, Known::Dialled(_)) => Err(Unmet::UnknownLine),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dns::Tlsa;
    use crate::router::Router;

    #[test]
    fn a_route_wants_no_less_because_a_line_is_there() {
        let text =
            "hostname = \"us.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:0\" }]\n";
        let router = Arc::new(Router::new(&crate::config::from_text(text).unwrap()));
        let demands = Demands::new(router, None, None);
        let record = Tlsa { usage: 3, selector: 1, matching: 1, data: [0; 32].into() };
        let dane = Identity::Dane(crate::tls::Dane::of(&[record], vec!["mx.test".into()]).unwrap());
        let (clear, unknown) = (Err(Unmet::ClearLine), Err(Unmet::UnknownLine));
        // With none, opportunistic, required, verified and dane.
        let cases = [
            (false, Known::Dialled(Identity::Anybody), [Ok(()), Ok(()), clear, clear, clear]),
            (true, Known::Dialled(Identity::Anybody), [Ok(()), Ok(()), Ok(()), unknown, unknown]),
            (true, Known::Dialled(Identity::Named), [Ok(()), Ok(()), Ok(()), Ok(()), unknown]),
            (true, Known::Dialled(dane), [Ok(()), Ok(()), Ok(()), unknown, Ok(())]),
            (false, Known::LoggedIn, [Ok(()), Ok(()), clear, clear, clear]),
            (true, Known::LoggedIn, [Ok(()); 5]),
        ];
        use TlsPolicy::{Dane, Opportunistic, Required, Verified};
        let policies = [TlsPolicy::None, Opportunistic, Required, Verified, Dane];
        for (secured, known, wanted) in cases {
            let over = demands.over(secured, known);
            let found = policies.map(|policy| over.suffices(policy));
            assert_eq!(found, wanted, "{secured} {:?}", over.known);
        }
    }
}
