//! What is wrong with a file in PEM, in words for who has put it there.
//! Knows no certificate and no key; shows nothing that stands between two marks.

use rustls::pki_types::pem::Error;

/// The most octets of a line that are shown.
const SHOWN_OCTETS: usize = 64;

/// What the library has against it.
pub(super) fn fault(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { end_marker } => {
            format!("the line -----END {}----- is missing", shown(end_marker))
        }
        Error::IllegalSectionStart { line } => {
            format!("{} begins nothing that PEM has", shown(line))
        }
        Error::Base64Decode(_) => "something between two marks is not Base64".to_owned(),
        other => other.to_string(),
    }
}

/// What is wrong with a private key that was not found, or not understood.
pub(super) fn fault_of_key(octets: &[u8], error: &Error) -> String {
    let holds = |words: &[u8]| octets.windows(words.len()).any(|here| here == words);
    match error {
        _ if holds(b"ENCRYPTED") => "its private key is encrypted".to_owned(),
        Error::NoItemsFound if holds(b"-----BEGIN CERTIFICATE-----") => {
            "a certificate is in it, and no private key".to_owned()
        }
        Error::NoItemsFound => "no private key is in it".to_owned(),
        other => fault(other),
    }
}

/// The same of certificates that were not found.
pub(super) fn fault_of_chain(octets: &[u8]) -> String {
    let end = b"PRIVATE KEY-----";
    match octets.windows(end.len()).any(|here| here == end) {
        true => "a private key is in it, and no certificate".to_owned(),
        false => "no certificate is in it".to_owned(),
    }
}

/// A mark as it stands there.
fn shown(line: &[u8]) -> String {
    let line = line.trim_ascii();
    let line = &line[..line.len().min(SHOWN_OCTETS)];
    line.escape_ascii().to_string()
}
