//! Base64 as RFC 4954 section 4 wants it: one alphabet, padding where it belongs, nothing left over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::Secret;

/// Octets in Base64.
pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    STANDARD.encode(octets)
}

/// The octets of a text; none: it is not canonical Base64.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The same of a text that holds a secret.
pub(crate) fn decode_secret(text: &[u8]) -> Option<Secret> {
    // What was decoded before an error is wiped too.
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len()));
    STANDARD.decode_vec(text, &mut octets).ok()?;
    Some(Secret::new(std::mem::take(&mut *octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_is_decoded() {
        let cases: [(&[u8], Option<&[u8]>); 11] = [
            (b"", Some(b"")),
            (b"YQ==", Some(b"a")),
            (b"YWI=", Some(b"ab")),
            (b"YWJj", Some(b"abc")),
            (b"YQ", None),
            (b"YQ=", None),
            (b"YR==", None),
            (b"YWJ\r", None),
            (b"YW Jj", None),
            (b"YWJj=", None),
            (b"__--", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(decode(text).as_deref(), wanted, "{text:?}");
            let secret = decode_secret(text);
            assert_eq!(secret.as_ref().map(Secret::expose), wanted, "{text:?}");
        }
    }
}
