//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): three messages, read to the letter.
//! Knows neither who has which keys nor where random octets come from.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::base64;
use super::binding::ChannelBindings;
use super::keys::{OCTETS, ScramKeys, hmac};

/// The longest nonce of a client that is taken.
const NONCE_OCTETS_MAX: usize = 256;

/// What is against a client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramFault {
    /// It has not the form.
    Form,
    /// It asks for an extension or a kind of channel binding that there is not, or somebody between the two has
    /// made it believe that there is none.
    Binding,
    /// It is not who it says.
    Proof,
}

/// The client's first message, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    /// As the client says it.
    pub(crate) authorization: Box<str>,
    /// As the client says it.
    pub(crate) identity: Box<str>,
    /// What `c=` of the last message must be, decoded.
    bound: Box<[u8]>,
    bare: Box<str>,
    nonce: Box<str>,
}

/// The exchange after our first message.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    bound: Box<[u8]>,
    /// The client's first message without its header, a comma, and ours.
    messages: Box<str>,
    nonce: Box<str>,
    keys: ScramKeys,
}

impl ClientFirst {
    /// Reads the message. `bindings`: what the connection has; none: it has no TLS. `plus`: the mechanism is the one with channel
    /// binding; `offered`: that one was announced.
    pub(crate) fn parse(
        message: &[u8],
        bindings: Option<&ChannelBindings>,
        plus: bool,
        offered: bool,
    ) -> Result<Self, ScramFault> {
        let text = std::str::from_utf8(message).map_err(|_| ScramFault::Form)?;
        let mut parts = text.splitn(3, ',');
        let mut part = || parts.next().ok_or(ScramFault::Form);
        let (flag, authorization, bare) = (part()?, part()?, part()?);
        let header = text.len() - bare.len();
        let mut bound = text.as_bytes()[..header].to_vec();
        match (flag, plus) {
            ("n", false) => {}
            // It knows channel binding and believes that we do not: told so by somebody else (RFC 5802 section 6).
            ("y", false) if offered => return Err(ScramFault::Binding),
            ("y", false) => {}
            ("n" | "y", true) => return Err(ScramFault::Binding),
            _ => {
                let name = flag.strip_prefix("p=").ok_or(ScramFault::Form)?;
                let data = bindings.filter(|_| plus).and_then(|bindings| bindings.data(name));
                bound.extend_from_slice(data.ok_or(ScramFault::Binding)?);
            }
        }
        let authorization = match authorization.strip_prefix("a=") {
            Some(name) => name_of(name).filter(|name| !name.is_empty()).ok_or(ScramFault::Form)?,
            None if authorization.is_empty() => "".into(),
            None => return Err(ScramFault::Form),
        };
        let mut attributes = bare.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|text| text.strip_prefix(name));
        // `m=` comes first and must not be passed over; nothing has a meaning for it (RFC 5802 section 5.1).
        if bare.starts_with("m=") {
            return Err(ScramFault::Binding);
        }
        let identity = attribute("n=").and_then(name_of).filter(|name| !name.is_empty());
        let identity = identity.ok_or(ScramFault::Form)?;
        let nonce = attribute("r=").filter(|nonce| is_nonce(nonce)).ok_or(ScramFault::Form)?;
        if !attributes.all(is_extension) {
            return Err(ScramFault::Form);
        }
        Ok(Self {
            authorization,
            identity,
            bound: bound.into(),
            bare: bare.into(),
            nonce: nonce.into(),
        })
    }

    /// Our first message, with a nonce of our own that nobody can foresee.
    pub(crate) fn challenge(self, keys: ScramKeys, nonce: &str) -> (Challenge, String) {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = base64::encode(keys.salt());
        let ours = format!("r={nonce},s={salt},i={}", keys.iterations());
        let messages = format!("{},{ours}", self.bare).into();
        (Challenge { bound: self.bound, messages, nonce: nonce.into(), keys }, ours)
    }
}

impl Challenge {
    /// Checks the client's last message; ours, which shows it that we know its keys.
    pub(crate) fn check(&self, message: &[u8]) -> Result<String, ScramFault> {
        let text = std::str::from_utf8(message).map_err(|_| ScramFault::Form)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramFault::Form)?;
        let proof = base64::decode(proof.as_bytes()).ok_or(ScramFault::Form)?;
        let proof: [u8; OCTETS] = proof.try_into().map_err(|_| ScramFault::Form)?;
        let mut attributes = without_proof.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|text| text.strip_prefix(name));
        let bound = attribute("c=").and_then(|text| base64::decode(text.as_bytes()));
        let bound = bound.ok_or(ScramFault::Form)?;
        let nonce = attribute("r=").ok_or(ScramFault::Form)?;
        if !attributes.all(is_extension) {
            return Err(ScramFault::Form);
        }
        if !bool::from(bound.as_slice().ct_eq(&self.bound)) {
            return Err(ScramFault::Binding);
        }
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramFault::Proof);
        }
        // RFC 5802 section 3.
        let authenticated = format!("{},{without_proof}", self.messages);
        let signature = hmac(self.keys.stored_key(), authenticated.as_bytes());
        let mut client_key = Zeroizing::new([0; OCTETS]);
        for (octet, (proof, mask)) in client_key.iter_mut().zip(proof.iter().zip(signature)) {
            *octet = proof ^ mask;
        }
        let stored_key: [u8; OCTETS] = Sha256::digest(*client_key).into();
        if !bool::from(stored_key.ct_eq(self.keys.stored_key())) {
            return Err(ScramFault::Proof);
        }
        let ours = hmac(self.keys.server_key(), authenticated.as_bytes());
        Ok(format!("v={}", base64::encode(ours)))
    }
}

/// RFC 5802 section 5.1: a comma is `=2C` and an equals sign `=3D`.
fn name_of(text: &str) -> Option<Box<str>> {
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (letter, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        name.push(letter);
        name.push_str(rest);
    }
    (!name.contains('\0')).then(|| name.into())
}

/// Printable ASCII but a comma.
fn is_nonce(text: &str) -> bool {
    let sound = |octet: u8| octet.is_ascii_graphic() && octet != b',';
    (1..=NONCE_OCTETS_MAX).contains(&text.len()) && text.bytes().all(sound)
}

/// `letter=value`, of which we know none and may pass over all.
fn is_extension(text: &str) -> bool {
    let mut letters = text.bytes();
    let named = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
    named && letters.next() == Some(b'=') && letters.all(|octet| octet != 0)
}

#[cfg(test)]
mod tests;
