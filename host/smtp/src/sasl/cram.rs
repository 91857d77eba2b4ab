//! CRAM-MD5 (RFC 2195): a challenge, and its digest keyed by a secret that both sides keep as it is.
//! Weak, and what those who fetch and give mail by ATRN know: nothing else of ours uses it. Knows no user.

use hmac::{Hmac, Mac};
use md5::Md5;

use crate::Secret;

/// What a client has said to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CramProof {
    /// The challenge.
    pub challenge: Box<str>,
    /// The client's digest of it, 16 octets.
    pub digest: [u8; 16],
}

impl CramProof {
    /// Whether the digest is that by this secret. Takes as long either way.
    pub fn fits(&self, secret: &Secret) -> bool {
        let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret.expose()) else { return false };
        mac.update(self.challenge.as_bytes());
        mac.verify_slice(&self.digest).is_ok()
    }
}

/// What a client says to a challenge: its name, and the digest in small hexadecimal digits.
pub(crate) fn answer(name: &str, secret: &Secret, challenge: &str) -> String {
    // Keys of any length do.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret.expose()) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(challenge.as_bytes());
    let digest = mac.finalize().into_bytes();
    digest.iter().fold(format!("{name} "), |said, octet| format!("{said}{octet:02x}"))
}

/// Reads a name, a space, and the digest in small hexadecimal digits.
pub(crate) fn parse(words: &[u8]) -> Option<(&str, [u8; 16])> {
    let (name, digits) = std::str::from_utf8(words).ok()?.rsplit_once(' ')?;
    let sound = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = sound.then(|| u128::from_str_radix(digits, 16).ok())??;
    Some((name, number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2195 section 2.
    #[test]
    fn the_example_holds() {
        let said = b"tim b913a602c7eda7a495b4e6e7334d3890";
        let (name, digest) = parse(said).unwrap();
        assert_eq!(name, "tim");
        let challenge = "<1896.697170952@postoffice.reston.mci.net>".into();
        let proof = CramProof { challenge, digest };
        let fits = |secret: &[u8]| proof.fits(&Secret::new(secret.to_vec()));
        assert!(fits(b"tanstaaftanstaaf") && !fits(b"tanstaaftanstaag") && !fits(b""));
    }

    #[test]
    fn what_is_no_proof_is_none() {
        let digest = "b913a602c7eda7a495b4e6e7334d3890";
        for words in [
            "",
            "tim",
            digest,
            "tim x",
            &format!("tim {digest}0"),
            &format!("tim +{}", &digest[1..]),
        ] {
            assert_eq!(parse(words.as_bytes()), None, "{words}");
        }
        assert_eq!(parse(format!("a b {digest}").as_bytes()).unwrap().0, "a b");
        assert_eq!(parse(b"\xff b913a602c7eda7a495b4e6e7334d3890"), None);
    }
}
