//! One user as a line of the users file: a name, the hash of the password, and the keys for SCRAM.
//! Knows no other line and no disk.

use std::fmt;

use stagepost_smtp::{ScramKeys, prepare_name};

use super::password;

/// In the place of what a user has not.
const NOTHING: &str = "-";

/// A user, as far as logging in goes. `Debug` shows the name alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserRecord {
    /// The name as it is kept.
    pub(crate) name: Box<str>,
    /// The PHC string of the password; without it PLAIN and LOGIN are refused.
    pub(super) hashed: Option<Box<str>>,
    /// Without them SCRAM is refused.
    pub(super) keys: Option<ScramKeys>,
}

impl UserRecord {
    /// A user with a password.
    pub(crate) fn new(name: &str, password: &str) -> Result<Self, password::NoRandom> {
        let (hashed, keys) = password::hash(password)?;
        Ok(Self { name: name.into(), hashed: Some(hashed.into()), keys: Some(keys) })
    }

    /// Reads a line: the fields stand between white space. What is wrong is told without the secrets.
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        let mut fields = line.split_ascii_whitespace();
        let (name, hashed, keys) = (fields.next(), fields.next(), fields.next());
        let (Some(name), Some(hashed), Some(keys), None) = (name, hashed, keys, fields.next())
        else {
            return Err("wanted a name, an argon2 hash and SCRAM keys, with spaces between");
        };
        if prepare_name(name).is_none_or(|prepared| *prepared != *name) {
            return Err("wanted a name of at most 255 octets in its prepared form (RFC 4013)");
        }
        let hashed = match hashed {
            NOTHING => None,
            text if password::is_hash(text) => Some(text.into()),
            _ => return Err("wanted an argon2 hash in PHC form that needs at most 1 GB, or -"),
        };
        let keys = match keys {
            NOTHING => None,
            text => Some(text.parse().map_err(
                |_| "wanted SCRAM-SHA-256$ITERATIONS:SALT$STORED-KEY:SERVER-KEY in Base64, or -",
            )?),
        };
        Ok(Self { name: name.into(), hashed, keys })
    }

    /// The line, without its end.
    pub(super) fn to_line(&self) -> zeroize::Zeroizing<String> {
        let keys = self.keys.as_ref().map(ScramKeys::to_text);
        let keys = keys.as_ref().map_or(NOTHING, |text| text);
        let hashed = self.hashed.as_deref().unwrap_or(NOTHING);
        zeroize::Zeroizing::new(format!("{} {hashed} {keys}", self.name))
    }

    /// How names are compared: the case of their letters makes no difference.
    pub(super) fn key(name: &str) -> String {
        name.to_lowercase()
    }
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UserRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_line() {
        let user = UserRecord::new("alice@x", "pencil").unwrap();
        let line = user.to_line();
        assert_eq!(UserRecord::parse(&line), Ok(user.clone()));
        assert_eq!(format!("{user:?}"), "UserRecord { name: \"alice@x\", .. }");
        let [name, hashed, keys] = line.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        let nobody = UserRecord::parse("bob - -").unwrap();
        assert_eq!((nobody.hashed, nobody.keys), (None, None));
        for wrong in [
            "",
            "bob",
            "bob -",
            "bob - - -",
            &format!("{name} {keys} {hashed}"),
            &format!("{name} {hashed} {hashed}"),
            "\u{2168} - -",
        ] {
            assert!(UserRecord::parse(wrong).is_err(), "{wrong}");
        }
    }
}
