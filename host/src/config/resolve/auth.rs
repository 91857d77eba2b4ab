//! Logins from the file as written: who knows the users, by which mechanisms, and on which listeners.
//! Knows no disk: whether the users file is one is found out by who reads it.

use stagepost_smtp::Mechanism;

use super::Resolver;
use crate::config::choice::AuthMode;
use crate::config::error::ConfigError;
use crate::config::file;
use crate::config::settings::{Auth, FailureLimits};

/// Who may know users beside the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knowing {
    /// There are plug-ins, one of which may.
    pub(super) plugins: bool,
    /// There is a directory in LDAP.
    pub(super) ldap: bool,
}

impl Resolver<'_> {
    pub(super) fn auth(&self, written: file::Auth) -> Result<Auth, ConfigError> {
        let users_file = written
            .users_file
            .map(|path| (self.base.join(path.get_ref()), self.document.at(path.span())));
        let secrets_file = written
            .secrets_file
            .map(|path| (self.base.join(path.get_ref()), self.document.at(path.span())));
        let names = written.mechanisms.as_deref().unwrap_or_default();
        self.unique(names.iter().map(|name| (name, name.get_ref().0.name().to_owned())))?;
        let keyed = |mechanism: &Mechanism| mechanism.shows_password() || users_file.is_some();
        if let Some(name) = names.iter().find(|name| !keyed(&name.get_ref().0)) {
            let problem = format!("nobody has keys for {}", name.get_ref().0.name());
            let remedy = "add users_file = \"...\", which has them, or remove the mechanism";
            return Err(self.document.fault(name.span(), problem, remedy));
        }
        let mut mechanisms: Vec<Mechanism> = match &written.mechanisms {
            Some(names) => names.iter().map(|name| name.get_ref().0).collect(),
            None => Mechanism::ALL.into_iter().filter(keyed).collect(),
        };
        mechanisms.sort_unstable();
        Ok(Auth {
            users_file,
            secrets_file,
            mechanisms,
            checks_max: written.checks_max.get(),
            failures: FailureLimits {
                delay: written.failure_delay.duration(),
                per_address_max: written.failures_per_address_max.get(),
                per_user_max: written.failures_per_user_max.get(),
                memory: written.failure_memory.duration(),
            },
        })
    }

    /// What is written of logging in on a listener, and what its purpose says where nothing is.
    pub(super) fn listener_auth(
        &self,
        listen: &file::Listen,
        auth: &Auth,
        knowing: Knowing,
    ) -> Result<stagepost_smtp::Auth, ConfigError> {
        let mode =
            listen.auth.as_ref().map_or_else(|| listen.purpose.auth(), |mode| *mode.get_ref());
        let span = listen.auth.as_ref().map_or_else(|| listen.name.span(), |mode| mode.span());
        let ldap = *listen.auth_ldap.get_ref();
        self.listener_ldap(listen, auth, mode, knowing)?;
        let checks_passwords = auth.users_file.is_some() || ldap;
        if mode == AuthMode::None {
            return Ok(stagepost_smtp::Auth::default());
        }
        let secrets = listen.purpose.is_odmr() && auth.secrets_file.is_some();
        if !checks_passwords && !knowing.plugins && !secrets {
            let problem = "clients are to log in, and nobody knows any user";
            let remedy = "add [auth] with users_file = \"...\" (`stagepost user add` makes one), auth_ldap = true with [ldap], or write auth = \"none\"";
            return Err(self.document.fault(span, problem, remedy));
        }
        if listen.certificates.is_empty() && !listen.auth_allow_plaintext {
            let problem = "clients are to log in, and could not: in clear text nobody may";
            let remedy = "add certificates = [\"NAME\"], or auth_allow_plaintext = true where nobody can listen";
            return Err(self.document.fault(span, problem, remedy));
        }
        let mut mechanisms = auth.mechanisms.clone();
        // A client that chooses SCRAM would be refused whose keys are nowhere: of LDAP's users nobody has any.
        if ldap {
            mechanisms.retain(|mechanism| mechanism.shows_password());
        }
        mechanisms.extend(secrets.then_some(Mechanism::CramMd5));
        Ok(stagepost_smtp::Auth {
            mechanisms,
            checks_passwords,
            allow_plaintext: listen.auth_allow_plaintext,
            required: mode == AuthMode::Required,
            grants_relay: listen.auth_relay,
        })
    }

    /// Whether users of LDAP can log in where they are to.
    fn listener_ldap(
        &self,
        listen: &file::Listen,
        auth: &Auth,
        mode: AuthMode,
        knowing: Knowing,
    ) -> Result<(), ConfigError> {
        if !*listen.auth_ldap.get_ref() {
            return Ok(());
        }
        let wrong =
            |problem, remedy| Err(self.document.fault(listen.auth_ldap.span(), problem, remedy));
        if !knowing.ldap {
            let remedy = "add [ldap] with its servers, or remove the line";
            return wrong("there is no directory in LDAP", remedy);
        }
        if mode == AuthMode::None {
            let remedy = "add auth = \"offered\" or \"required\", or remove the line";
            return wrong("nobody logs in here", remedy);
        }
        if !auth.mechanisms.iter().any(|mechanism| mechanism.shows_password()) {
            let remedy = "add \"PLAIN\" to the mechanisms of [auth], or remove the line";
            return wrong("LDAP has to be shown the password, which no mechanism does", remedy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use stagepost_smtp::Mechanism::{Login, Plain, ScramSha256};

    use crate::config::{Settings, from_text};

    fn settings(fields: &str, further: &str) -> Result<Settings, String> {
        let text = format!(
            "hostname = \"a.test\"\n[[listen]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n{fields}\n\
             [[certificate]]\nname = \"c\"\nchain = \"c.crt\"\nkey = \"c.key\"\n{further}"
        );
        from_text(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_purpose_says_whether_clients_log_in() {
        const TLS: &str = "certificates = [\"c\"]\n";
        const USERS: &str = "[auth]\nusers_file = \"users\"\n";
        const SECRETS: &str = "[auth]\nsecrets_file = \"secrets\"\n";
        const LDAP: &str = "[ldap]\nservers = [\"ldaps://l.test\"]\nbase = \"dc=a\"\n";
        let plugin = "[[plugin]]\nname = \"p\"\npath = \"p\"\n";
        // The listener, the sections; how many mechanisms, whether required, in clear text, and for relaying.
        let cases = [
            (TLS.to_owned(), "", Ok((0, false, false, false))),
            (TLS.to_owned(), USERS, Ok((0, false, false, false))),
            (format!("{TLS}auth = \"offered\""), USERS, Ok((4, false, false, true))),
            (
                format!("{TLS}auth = \"required\"\nauth_relay = false"),
                USERS,
                Ok((4, true, false, false)),
            ),
            (format!("{TLS}purpose = \"submission\""), USERS, Ok((4, true, false, true))),
            (format!("{TLS}purpose = \"submissions\""), USERS, Ok((4, true, false, true))),
            (format!("{TLS}purpose = \"odmr\""), USERS, Ok((4, true, false, true))),
            // CRAM-MD5, and those that show a password to plug-ins; elsewhere it is nothing.
            (format!("{TLS}purpose = \"odmr\""), SECRETS, Ok((3, true, false, true))),
            (
                format!("{TLS}purpose = \"submission\""),
                SECRETS,
                Err("listen[0].name: clients are to log in, and nobody"),
            ),
            (format!("{TLS}purpose = \"odmr\"\nauth = \"none\""), "", Ok((0, false, false, false))),
            (format!("{TLS}purpose = \"submission\""), plugin, Ok((2, true, false, true))),
            (
                "auth = \"offered\"\nauth_allow_plaintext = true".to_owned(),
                USERS,
                Ok((4, false, true, true)),
            ),
            (
                format!("{TLS}purpose = \"submission\""),
                "",
                Err("listen[0].name: clients are to log in"),
            ),
            (
                format!("{TLS}auth = \"offered\""),
                "",
                Err("listen[0].auth: clients are to log in, and nobody"),
            ),
            (
                format!("{TLS}purpose = \"submission\"\nauth_ldap = true"),
                LDAP,
                Ok((2, true, false, true)),
            ),
            (
                format!("{TLS}purpose = \"submission\"\nauth_ldap = true"),
                "[auth]\nusers_file = \"u\"\nmechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]\n[ldap]\nservers = [\"ldaps://l.test\"]\nbase = \"dc=a\"\n",
                Ok((1, true, false, true)),
            ),
            (
                format!("{TLS}purpose = \"submission\"\nauth_ldap = true"),
                USERS,
                Err("listen[0].auth_ldap: there is no directory"),
            ),
            (format!("{TLS}auth_ldap = true"), LDAP, Err("listen[0].auth_ldap: nobody logs in")),
            (
                format!("{TLS}purpose = \"submission\"\nauth_ldap = true"),
                "[auth]\nusers_file = \"u\"\nmechanisms = [\"SCRAM-SHA-256\"]\n[ldap]\nservers = [\"ldaps://l.test\"]\nbase = \"dc=a\"\n",
                Err("listen[0].auth_ldap: LDAP has to be shown"),
            ),
            (
                "auth = \"offered\"".to_owned(),
                USERS,
                Err("listen[0].auth: clients are to log in, and could not"),
            ),
        ];
        for (fields, further, wanted) in cases {
            match (settings(&fields, further), wanted) {
                (Ok(found), Ok(wanted)) => {
                    let auth = &found.listeners[0].auth;
                    let found = (
                        auth.mechanisms.len(),
                        auth.required,
                        auth.allow_plaintext,
                        auth.grants_relay,
                    );
                    assert_eq!(found, wanted, "{fields} {further}");
                }
                (Err(error), Err(wanted)) => assert!(error.contains(wanted), "{fields}: {error}"),
                (found, wanted) => panic!("{fields} {further}: {found:?}, wanted {wanted:?}"),
            }
        }
    }

    #[test]
    fn mechanisms_are_those_that_somebody_has_keys_for() {
        let mechanisms = |auth: &str| {
            settings("", &format!("[auth]\n{auth}\n")).map(|settings| settings.auth.mechanisms)
        };
        assert_eq!(mechanisms(""), Ok(vec![Plain, Login]));
        assert_eq!(mechanisms("mechanisms = [\"login\"]"), Ok(vec![Login]));
        let written = "users_file = \"u\"\nmechanisms = [\"PLAIN\", \"scram-sha-256\"]";
        assert_eq!(mechanisms(written), Ok(vec![ScramSha256, Plain]));
        for (auth, wanted) in [
            ("mechanisms = [\"SCRAM-SHA-256\"]", "auth.mechanisms[0]: nobody has keys"),
            ("mechanisms = [\"PLAIN\", \"plain\"]", "\"PLAIN\" is already used"),
            ("mechanisms = [\"CRAM-MD5\"]", "is not a mechanism that there is"),
            ("failure_delay = \"11s\"", "auth.failure_delay"),
        ] {
            let error = mechanisms(auth).unwrap_err();
            assert!(error.contains(wanted), "{auth}: {error}");
        }
    }
}
