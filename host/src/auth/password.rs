//! Passwords as they are kept: argon2id in a PHC string, and the keys for SCRAM.
//! Knows no user.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use stagepost_smtp::{ScramKeys, prepare_password};
use zeroize::Zeroizing;

use super::memory::Memory;

/// The rounds of fresh keys for SCRAM: what RFC 7677 section 4 asks of a server, and a moment for a client.
pub(super) const SCRAM_ITERATIONS: u32 = 15_000;
/// Octets of a fresh salt.
const SALT_OCTETS: usize = 16;
/// The most memory that checking one password may take, in KiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;
/// The longest password.
const PASSWORD_OCTETS_MAX: usize = 1024;

/// The system has no random octets.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random octets: {0}")]
pub(crate) struct NoRandom(getrandom::Error);

/// A password that can't be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// It is empty.
    #[error("an empty password")]
    Empty,
    /// It is longer than any is.
    #[error("a password of more than {PASSWORD_OCTETS_MAX} octets")]
    TooLong,
    /// It has a NUL, which PLAIN can't send.
    #[error("a password with a NUL")]
    Nul,
}

/// Octets that nobody can foresee.
pub(super) fn random<const OCTETS: usize>() -> Result<[u8; OCTETS], NoRandom> {
    let mut octets = [0; OCTETS];
    getrandom::fill(&mut octets).map_err(NoRandom)?;
    Ok(octets)
}

/// Whether a text can be a password.
pub(crate) fn check(password: &str) -> Result<(), PasswordError> {
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=PASSWORD_OCTETS_MAX if password.contains('\0') => Err(PasswordError::Nul),
        1..=PASSWORD_OCTETS_MAX => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// A password as it is kept, anew each time. Takes a moment on purpose.
pub(crate) fn hash(password: &str) -> Result<(String, ScramKeys), NoRandom> {
    let prepared = Zeroizing::new(prepare_password(password).into_owned());
    let salt: [u8; SALT_OCTETS] = random()?;
    // With its own parameters and a salt of this size nothing can go wrong.
    let Ok(hashed) = Argon2::default().hash_password_with_salt(prepared.as_bytes(), &salt) else {
        return Err(NoRandom(getrandom::Error::UNEXPECTED));
    };
    let salt: [u8; SALT_OCTETS] = random()?;
    Ok((hashed.to_string(), ScramKeys::derive(&prepared, &salt, SCRAM_ITERATIONS)))
}

/// Whether a text is a PHC string that can be checked here at a price that can be paid.
pub(super) fn is_hash(text: &str) -> bool {
    let Ok(hashed) = PasswordHash::new(text) else { return false };
    let known = matches!(hashed.algorithm.as_str(), "argon2id" | "argon2i" | "argon2d");
    let whole = hashed.salt.is_some() && hashed.hash.is_some();
    let cost = Params::try_from(&hashed).map(|params| params.m_cost());
    known && whole && cost.is_ok_and(|memory| memory <= MEMORY_KIB_MAX)
}

/// Whether this is the password of a PHC string. Blocks for a moment.
pub(super) fn verify(password: &[u8], hashed: &str, memory: &Memory) -> bool {
    PasswordHash::new(hashed).is_ok_and(|hashed| {
        let found = output(password, &hashed, memory);
        // Takes as long for any two.
        found.is_some_and(|found| Some(found) == hashed.hash)
    })
}

/// What a password comes to with the parameters of a hash; none where these can't be.
fn output(password: &[u8], hashed: &PasswordHash, memory: &Memory) -> Option<Output> {
    let algorithm = Algorithm::try_from(hashed.algorithm.as_str()).ok()?;
    let version = match hashed.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    let params = Params::try_from(hashed).ok()?;
    let (salt, blocks) = (hashed.salt.as_ref()?, params.block_count());
    let mut octets = [0; Output::MAX_LENGTH];
    let octets = octets.get_mut(..hashed.hash.as_ref()?.len())?;
    let hasher = Argon2::new(algorithm, version, params);
    let hash = |memory: &mut [Block]| {
        hasher.hash_password_into_with_memory(password, salt.as_ref(), octets, memory)
    };
    memory.lend(blocks, hash).ok()?;
    Output::new(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_by_what_is_kept_of_it() {
        let (hashed, keys) = hash("p\u{aa}ncil").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$") && is_hash(&hashed), "{hashed}");
        let memory = Memory::default();
        assert!(verify(b"pancil", &hashed, &memory) && !verify(b"pencil", &hashed, &memory));
        assert!(keys.are_of("pancil") && keys.iterations() == SCRAM_ITERATIONS);
        assert_ne!(hash("pancil").unwrap().0, hashed);
    }

    #[test]
    fn only_what_can_be_checked_is_taken() {
        let hashed = hash("x").unwrap().0;
        let wrong = [
            "".to_owned(),
            "x".to_owned(),
            "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy".to_owned(),
            hashed.rsplit_once('$').unwrap().0.to_owned(),
            hashed.replace("m=19456", "m=1048577"),
        ];
        for text in wrong {
            assert!(!is_hash(&text), "{text}");
            assert!(!verify(b"x", &text, &Memory::default()), "{text}");
        }
        for (password, wanted) in [
            ("", Err(PasswordError::Empty)),
            ("a\0b", Err(PasswordError::Nul)),
            (&"x".repeat(1025), Err(PasswordError::TooLong)),
            ("x y", Ok(())),
        ] {
            assert_eq!(check(password), wanted);
        }
    }
}
