//! Logins by a directory in LDAP: the entry of a name is found, and its password is tried by logging in as it.
//! Knows no session, and keeps no password.

use std::sync::Arc;
use std::time::Instant;

use ldap3::Scope;
use stagepost_smtp::Secret;

use super::client::{LdapFault, Query};
use super::{Ldap, Lookups};
use crate::config::{Login, Slot};
use crate::throttle::Line;

/// The longest name, in octets.
const NAME_OCTETS_MAX: usize = 255;

/// What a name and a password came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LdapLogin {
    /// They are those of this user.
    Accepted(Box<str>),
    /// The user has another password, or none, or may not log in.
    Refused,
    /// The directory knows no such user.
    Unknown,
    /// Nobody can say now.
    Trouble,
}

impl Ldap {
    /// Tries a name and a password. Inside a tokio runtime; goes on when nobody waits.
    pub(in crate::directory) async fn log_in(&self, name: &str, password: Secret) -> LdapLogin {
        let (lookups, name) = (self.lookups.clone(), name.to_owned());
        // In a task of its own: what the library can't read of an answer must not end the session.
        let tried = tokio::spawn(async move { lookups.log_in(&name, &password).await });
        tried.await.unwrap_or(LdapLogin::Trouble)
    }
}

impl Lookups {
    async fn log_in(self: Arc<Self>, name: &str, password: &Secret) -> LdapLogin {
        // A directory takes names for the same that differ in white space: they would be counted apart here.
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > NAME_OCTETS_MAX || name.contains(odd) {
            return LdapLogin::Unknown;
        }
        let Ok(password) = std::str::from_utf8(password.expose()) else {
            return LdapLogin::Refused;
        };
        // RFC 4513 section 5.1.2: without a password a server accepts anybody, as nobody.
        if password.is_empty() {
            return LdapLogin::Refused;
        }
        match self.try_log_in(name, password).await {
            Ok(login) => login,
            Err(fault) => {
                if let Some(Line { left_out }) = self.lines.line(Instant::now()) {
                    tracing::error!(left_out, "trouble with LDAP at a login: {fault}");
                }
                LdapLogin::Trouble
            }
        }
    }

    async fn try_log_in(&self, name: &str, password: &str) -> Result<LdapLogin, LdapFault> {
        let (dn, identity) = match &self.settings.login {
            Login::Entry(template) => (template.fill(|_| name), name.to_lowercase()),
            Login::Found { filter, attribute } => {
                let filter = filter.fill(|slot| match slot {
                    Slot::Name => name,
                    Slot::Address | Slot::Local | Slot::Domain | Slot::Dn => "",
                });
                let (base, scope) = (&*self.settings.base, Scope::Subtree);
                let attributes = &[&**attribute];
                let query = Query { base, scope, filter: &filter, attributes, entries_max: 1 };
                let (entries, more) = self.client.search(query).await?;
                let Some(entry) = entries.first() else { return Ok(LdapLogin::Unknown) };
                if more {
                    tracing::warn!(name, "login refused: several entries of LDAP have this name");
                    return Ok(LdapLogin::Refused);
                }
                let values = entry.values(attribute);
                let written = values.iter().find(|value| value.eq_ignore_ascii_case(name));
                let identity = written.or_else(|| values.first()).map_or(name, |value| *value);
                (entry.dn.clone(), identity.to_lowercase())
            }
        };
        // The entry without a name is nobody's (RFC 4513 section 5.1.1).
        if dn.trim().is_empty() {
            return Ok(LdapLogin::Refused);
        }
        Ok(match self.client.is_password(&dn, password).await? {
            true => LdapLogin::Accepted(identity.into()),
            false => LdapLogin::Refused,
        })
    }
}
