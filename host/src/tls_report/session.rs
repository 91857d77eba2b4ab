//! What one session with another server came to, in the words of reports (RFC 8460 section 4).
//! Knows no server and no clock.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What a session went by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyFound {
    /// Of which kind it is.
    pub(crate) kind: PolicyKind,
    /// It, line by line, or record by record.
    pub(crate) strings: Vec<String>,
    /// The servers that it names.
    pub(crate) mx: Vec<String>,
}

/// RFC 8460 section 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PolicyKind {
    /// Records of certificates in the DNS.
    #[serde(rename = "tlsa")]
    Tlsa,
    /// A policy of the domain.
    #[serde(rename = "sts")]
    Sts,
    /// Neither.
    #[serde(rename = "no-policy-found")]
    Nothing,
}

/// The result types of RFC 8460 section 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FailureKind {
    /// The server offers no TLS.
    StarttlsNotSupported,
    /// Its certificate is for another name.
    CertificateHostMismatch,
    /// Its certificate is out of date.
    CertificateExpired,
    /// Nobody who is believed vouches for its certificate.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// The operator here wants records, and none of those that there are can be used.
    TlsaInvalid,
    /// Nobody can tell which records the DNS has.
    DnssecInvalid,
    /// The operator here wants records, and there are none.
    DaneRequired,
    /// The policy can't be had.
    StsPolicyFetchError,
    /// The policy is wrong.
    StsPolicyInvalid,
    /// The certificate of the policy's server is.
    StsWebpkiInvalid,
}

/// A session that failed, or would have, were the policy not just tried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Why.
    pub(crate) kind: FailureKind,
    /// Our address, where there was a connection.
    pub(crate) from: Option<IpAddr>,
    /// The server's name, where it came to a server.
    pub(crate) host: Option<String>,
    /// The server's address.
    pub(crate) to: Option<IpAddr>,
}
