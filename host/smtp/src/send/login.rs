//! Logging in to a server: by which of its mechanisms, and what is said of that (RFC 4954).
//! Knows no state of the session; the words of each mechanism are in `sasl`.

use crate::sasl::client::ClientExchange;
use crate::{Credentials, Mechanism, Secret};

/// As whom to log in to a server, and how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingLogin {
    /// As whom.
    pub credentials: Credentials,
    /// Under TLS the server may see the password (PLAIN, LOGIN): it has shown who it is.
    pub shown: bool,
    /// CRAM-MD5 may be used where there is nothing better: whoever reads it can try passwords against it.
    pub cram: bool,
    /// New for each connection: printable ASCII without a comma, that nobody can foresee.
    pub nonce: Box<str>,
}

/// A set of mechanisms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mechanisms(u8);

impl Mechanisms {
    /// Adds the one of a name, if it is known.
    pub(super) fn add(&mut self, name: &str) {
        if let Some(mechanism) = Mechanism::parse_with_secrets(name) {
            self.0 |= 1 << mechanism as u8;
        }
    }

    fn contains(self, mechanism: Mechanism) -> bool {
        self.0 >> mechanism as u8 & 1 == 1
    }
}

impl SendingLogin {
    /// The strongest mechanism that may be used with a server that offers these.
    fn mechanism(&self, offered: Mechanisms, secured: bool) -> Option<Mechanism> {
        let may = |mechanism: &Mechanism| match mechanism {
            // We bind to no channel.
            Mechanism::ScramSha256Plus => false,
            Mechanism::CramMd5 => self.cram,
            other => !other.shows_password() || (self.shown && secured),
        };
        Mechanism::WITH_SECRETS.into_iter().filter(may).find(|&known| offered.contains(known))
    }

    /// Begins to log in: the exchange, and the command. None: no mechanism that is offered may be used.
    pub(super) fn begin(
        &self,
        offered: Mechanisms,
        secured: bool,
    ) -> Option<(ClientExchange, Secret)> {
        let mechanism = self.mechanism(offered, secured)?;
        let (exchange, first) =
            ClientExchange::new(mechanism, self.credentials.clone(), &self.nonce);
        let mut command = format!("AUTH {}", mechanism.name()).into_bytes();
        // In one allocation, so that no copy stays behind.
        let first = first.as_ref().map_or(&[][..], Secret::expose);
        command.reserve_exact(first.len() + 3);
        if !first.is_empty() {
            command.push(b' ');
            command.extend_from_slice(first);
        }
        command.extend_from_slice(b"\r\n");
        Some((exchange, Secret::new(command)))
    }
}

/// A line with these words.
pub(super) fn line(words: &Secret) -> Secret {
    Secret::new([words.expose(), b"\r\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_mechanism_that_may_be_used_is_used() {
        let credentials = Credentials::new("user", Secret::new(b"pencil".to_vec())).unwrap();
        let chosen = |names: &str, shown, secured, cram| {
            let mut offered = Mechanisms::default();
            names.split(' ').for_each(|name| offered.add(name));
            let nonce = "x".into();
            let login = SendingLogin { credentials: credentials.clone(), shown, cram, nonce };
            let (_, command) = login.begin(offered, secured)?;
            Some(String::from_utf8(command.expose().to_vec()).unwrap())
        };
        let scram = "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9eA==\r\n";
        let plain = "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n";
        let login = "AUTH LOGIN\r\n";
        let all = "LOGIN plain XOAUTH2 SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        for (offered, shown, secured, wanted) in [
            (all, true, true, Some(scram)),
            (all, false, false, Some(scram)),
            ("LOGIN PLAIN", true, true, Some(plain)),
            ("LOGIN", true, true, Some(login)),
            ("LOGIN PLAIN", true, false, None),
            ("LOGIN PLAIN", false, true, None),
            ("SCRAM-SHA-256-PLUS SCRAM-SHA-1", true, true, None),
            ("CRAM-MD5", true, true, None),
            ("", true, true, None),
        ] {
            let chosen = chosen(offered, shown, secured, false);
            assert_eq!(chosen.as_deref(), wanted, "{offered} {shown} {secured}");
        }
        for (offered, secured, wanted) in [
            ("CRAM-MD5", false, "AUTH CRAM-MD5\r\n"),
            ("CRAM-MD5 PLAIN", false, "AUTH CRAM-MD5\r\n"),
            ("CRAM-MD5 PLAIN", true, plain),
            ("CRAM-MD5 SCRAM-SHA-256", false, scram),
        ] {
            assert_eq!(chosen(offered, true, secured, true).as_deref(), Some(wanted), "{offered}");
        }
    }
}
