//! What is kept of a user for SCRAM-SHA-256: enough to check a client, and not enough to be one (RFC 5802 section 3).
//! Knows the text form, no file.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::base64;
use super::prepare::prepare_password;

/// Octets of SHA-256.
pub(crate) const OCTETS: usize = 32;
/// How many rounds a text may ask for: more would keep clients busy for minutes.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A user's keys for SCRAM-SHA-256, wiped when they go and shown by no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    salt: Box<[u8]>,
    iterations: u32,
    stored_key: [u8; OCTETS],
    server_key: [u8; OCTETS],
}

/// A text is no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form SCRAM-SHA-256$ITERATIONS:SALT$STORED-KEY:SERVER-KEY")]
pub struct KeysError;

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; OCTETS] {
    // A key may have any length (RFC 2104 section 3).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length")
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl ScramKeys {
    /// The name that the text form begins with.
    pub const SCHEME: &str = "SCRAM-SHA-256";

    /// The keys of a password (RFC 5802 section 3). Takes as long as `iterations` are.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let password = prepare_password(password);
        let mut salted = Zeroizing::new([0; OCTETS]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut *salted);
        let client_key = Zeroizing::new(hmac(&*salted, b"Client Key"));
        let stored_key = Sha256::digest(*client_key).into();
        let server_key = hmac(&*salted, b"Server Key");
        Self { salt: salt.into(), iterations, stored_key, server_key }
    }

    /// Keys that no password has, for a name that no user has: a client can't tell them from others.
    pub fn decoy(salt: &[u8], iterations: u32, keys: [[u8; OCTETS]; 2]) -> Self {
        let [stored_key, server_key] = keys;
        Self { salt: salt.into(), iterations, stored_key, server_key }
    }

    /// Whether they are those of a password. Takes as long as [`ScramKeys::derive`].
    pub fn are_of(&self, password: &str) -> bool {
        let other = Self::derive(password, &self.salt, self.iterations);
        self.stored_key.ct_eq(&other.stored_key).into()
    }

    /// The rounds of the derivation.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The octets of the salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    pub(crate) fn stored_key(&self) -> &[u8; OCTETS] {
        &self.stored_key
    }

    pub(crate) fn server_key(&self) -> &[u8; OCTETS] {
        &self.server_key
    }

    /// The text form, which other servers use too. It is a secret: who has it can check passwords, and be the server.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}${}:{}${}:{}",
            Self::SCHEME,
            self.iterations,
            base64::encode(&self.salt),
            base64::encode(self.stored_key),
            base64::encode(self.server_key)
        ))
    }
}

impl FromStr for ScramKeys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let read = || {
            let rest = text.strip_prefix(Self::SCHEME)?.strip_prefix('$')?;
            let (cost, keys) = rest.split_once('$')?;
            let (iterations, salt) = cost.split_once(':')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            let digits = iterations.bytes().all(|octet| octet.is_ascii_digit());
            let iterations = digits.then(|| iterations.parse().ok())??;
            let salt = base64::decode(salt.as_bytes())?;
            let key = |text: &str| base64::decode(text.as_bytes())?.try_into().ok();
            let sound = (1..=ITERATIONS_MAX).contains(&iterations) && !salt.is_empty();
            sound.then_some(())?;
            Some(Self {
                salt: salt.into(),
                iterations,
                stored_key: key(stored_key)?,
                server_key: key(server_key)?,
            })
        };
        read().ok_or(KeysError)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Drop for ScramKeys {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_text_form() {
        let keys = ScramKeys::derive("pencil", b"salt", 3);
        let text = keys.to_text();
        assert_eq!(text.parse(), Ok(keys.clone()));
        assert!(keys.are_of("pencil") && !keys.are_of("pencils"));
        let parts: Vec<&str> = text.split(['$', ':']).collect();
        let [scheme, iterations, salt, stored, server] = parts[..] else { panic!("{text:?}") };
        let wrong = [
            "".to_owned(),
            format!("SCRAM-SHA-1${iterations}:{salt}${stored}:{server}"),
            format!("{scheme}$0:{salt}${stored}:{server}"),
            format!("{scheme}$+3:{salt}${stored}:{server}"),
            format!("{scheme}$99999999:{salt}${stored}:{server}"),
            format!("{scheme}$3:${stored}:{server}"),
            format!("{scheme}$3:{salt}${stored}"),
            format!("{scheme}$3:{salt}${salt}:{server}"),
            format!("{}:", &**text),
        ];
        for text in wrong {
            assert_eq!(text.parse::<ScramKeys>(), Err(KeysError), "{text}");
        }
        assert_eq!(format!("{keys:?}"), "ScramKeys { iterations: 3, .. }");
    }
}
