//! Certificates that the DNS vouches for (DANE: RFC 6698 and 7671, as RFC 7672 has it for SMTP).
//! Knows no DNS: whether records can be believed is found out before.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256, Sha512};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::der::Decode;

use super::certificate::{is_for, names_of_server};
use crate::dns::Tlsa;

/// So many certificates of a chain are looked at, beside the server's own.
const CHAIN_MAX: usize = 10;
/// So many records of one server are made use of.
const RECORDS_MAX: usize = 32;

/// The usable records of one server. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dane(Arc<Inner>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Inner {
    associations: Vec<Association>,
    names: Vec<Box<str>>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Association {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Usage {
    /// DANE-TA(2): a certificate above the server's.
    Anchor,
    /// DANE-EE(3): the server's own.
    EndEntity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Selector {
    Certificate,
    Key,
}

/// In the order of their strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Matching {
    Full,
    Sha256,
    Sha512,
}

/// Why a certificate is not one that the DNS vouches for. Always the peer's to put right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DaneFault {
    /// No record is about it.
    #[error("no TLSA record of the server matches its certificates")]
    NoMatch,
    /// The way from a certificate that a record is about to the server's does not hold.
    #[error("the server's certificate does not lead to the one that its TLSA records name: {0}")]
    Path(webpki::Error),
    /// It is for somebody else.
    #[error("the server's certificate is for none of its names")]
    Name,
    /// It is none.
    #[error("the server's certificate can't be read")]
    Unreadable,
}

impl Dane {
    /// What can be used of some records, if anything can.
    ///
    /// `names`: what a certificate may be for that an authority has made, the name that the records stand below first
    /// (RFC 7672 section 3.2.2).
    pub(crate) fn of(records: &[Tlsa], names: Vec<Box<str>>) -> Option<Self> {
        // What is beyond that is not believed: many that can't be used are no reason to do without.
        let all: Vec<_> = records.iter().filter_map(Association::of).take(RECORDS_MAX).collect();
        // RFC 7671 section 9: of several digests the strongest counts, so that a weak one does no harm.
        let outdone = |one: &Association| {
            let stronger = |other: &Association| {
                (other.usage, other.selector) == (one.usage, one.selector)
                    && other.matching > one.matching
            };
            one.matching != Matching::Full && all.iter().any(stronger)
        };
        let associations: Vec<_> = all.iter().filter(|one| !outdone(one)).cloned().collect();
        let usable = !associations.is_empty() && !names.is_empty();
        usable.then(|| Self(Arc::new(Inner { associations, names })))
    }

    /// The name that the records stand below: what a server is asked for (RFC 7672 section 8.1).
    pub(super) fn name(&self) -> &str {
        &self.0.names[0]
    }

    /// Checks what a server has shown.
    pub(super) fn check(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), DaneFault> {
        let certificate = EndEntityCert::try_from(own).map_err(|_| DaneFault::Unreadable)?;
        let key = certificate.subject_public_key_info();
        let of = |usage| self.0.associations.iter().filter(move |one| one.usage == usage);
        // RFC 7672 section 3.1.1: neither its names nor its dates count then.
        if of(Usage::EndEntity).any(|one| one.matches(own, &key)) {
            return Ok(());
        }
        let above = &above[..above.len().min(CHAIN_MAX)];
        let anchors: Vec<TrustAnchor<'_>> = above
            .iter()
            .filter(|one| is_any(of(Usage::Anchor), one))
            .chain(
                of(Usage::Anchor).filter_map(Association::certificate).collect::<Vec<_>>().iter(),
            )
            .filter_map(|one| anchor_from_trusted_cert(one).ok().map(|anchor| anchor.to_owned()))
            .collect();
        if anchors.is_empty() {
            return Err(DaneFault::NoMatch);
        }
        certificate
            .verify_for_usage(
                algorithms.all,
                &anchors,
                above,
                now,
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map_err(DaneFault::Path)?;
        let parsed = x509_cert::Certificate::from_der(own).map_err(|_| DaneFault::Unreadable)?;
        let shown = names_of_server(&parsed);
        let wanted = |name: &str| self.0.names.iter().any(|wanted| is_for(name, wanted));
        if shown.iter().any(|name| wanted(name)) { Ok(()) } else { Err(DaneFault::Name) }
    }
}

/// Whether one of these records is about a certificate.
fn is_any<'a>(
    mut associations: impl Iterator<Item = &'a Association>,
    certificate: &CertificateDer<'_>,
) -> bool {
    // It is read as one that belongs to a server, whatever it says of itself: only its key is wanted.
    let Ok(parsed) = EndEntityCert::try_from(certificate) else { return false };
    let key = parsed.subject_public_key_info();
    associations.any(|one| one.matches(certificate, &key))
}

impl Association {
    /// None: RFC 7672 section 3.1 has no use for it, or it is malformed.
    fn of(record: &Tlsa) -> Option<Self> {
        let usage = match record.usage {
            2 => Usage::Anchor,
            3 => Usage::EndEntity,
            // RFC 7672 section 3.1.3: no authority that everybody believes is at hand, so 0 and 1 say nothing.
            _ => return None,
        };
        let selector = match record.selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let (matching, octets) = match record.matching {
            0 => (Matching::Full, None),
            1 => (Matching::Sha256, Some(32)),
            2 => (Matching::Sha512, Some(64)),
            _ => return None,
        };
        let sound = octets.map_or(!record.data.is_empty(), |octets| record.data.len() == octets);
        sound.then(|| Self { usage, selector, matching, data: record.data.clone() })
    }

    fn matches(&self, certificate: &[u8], key: &[u8]) -> bool {
        let selected = match self.selector {
            Selector::Certificate => certificate,
            Selector::Key => key,
        };
        match self.matching {
            Matching::Full => *self.data == *selected,
            Matching::Sha256 => *self.data == *Sha256::digest(selected),
            Matching::Sha512 => *self.data == *Sha512::digest(selected),
        }
    }

    /// The certificate that the record has in it: servers need not show it then (RFC 7671 section 5.2.1).
    fn certificate(&self) -> Option<CertificateDer<'_>> {
        let whole = (self.selector, self.matching) == (Selector::Certificate, Matching::Full);
        whole.then(|| CertificateDer::from(&*self.data))
    }
}

#[cfg(test)]
mod tests;
