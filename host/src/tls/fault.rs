//! What is wrong with the certificates of another server, of the kinds that can be told apart.
//! Knows the library's errors; no connection.

use rustls::{CertificateError, Error, OtherError};

use super::dane::DaneFault;

/// Of which kind. Always the peer's to put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateFault {
    /// It is for somebody else.
    #[error("the server's certificate is for another name")]
    Name,
    /// It is too late, or too early.
    #[error("the server's certificate is out of date")]
    Date,
    /// Nobody who is believed vouches for it.
    #[error("nobody who is believed vouches for the server's certificate")]
    Trust,
    /// The DNS vouches for another one.
    #[error("the DNS vouches for another certificate")]
    Dane,
}

impl CertificateFault {
    /// None: something else is wrong.
    pub(super) fn of(error: &Error) -> Option<Self> {
        use CertificateError::{
            Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext, Other,
        };
        let Error::InvalidCertificate(error) = error else { return None };
        Some(match error {
            NotValidForName | NotValidForNameContext { .. } => Self::Name,
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => Self::Date,
            Other(OtherError(fault)) if fault.is::<DaneFault>() => Self::Dane,
            _ => Self::Trust,
        })
    }
}
