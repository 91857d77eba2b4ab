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

impl PolicyKind {
    /// As reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::Nothing => "no-policy-found",
        }
    }
}

impl FailureKind {
    /// As reports have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }
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

impl Failure {
    /// The server as people read it.
    pub(crate) fn server(&self) -> Option<String> {
        let host = self.host.as_ref()?;
        Some(self.to.map_or_else(|| host.clone(), |to| format!("{host}[{to}]")))
    }
}
