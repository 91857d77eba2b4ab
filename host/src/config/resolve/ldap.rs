//! A directory in LDAP from the file as written: servers, and as whom they are asked.
//! Knows no disk and no server: whether they are there is found out by who asks them.

use toml::Spanned;

use super::Resolver;
use crate::config::error::ConfigError;
use crate::config::file;
use crate::config::ldap::{Ldap, LdapBind, Login, LoginWay, login_attribute};

impl Resolver<'_> {
    pub(super) fn ldap(&self, written: file::Ldap) -> Result<Ldap, ConfigError> {
        let path = |path: &Spanned<_>| {
            (self.base.join::<&std::path::PathBuf>(path.get_ref()), self.document.at(path.span()))
        };
        if written.servers.get_ref().is_empty() {
            let remedy = "write one at least, such as [\"ldaps://ldap.example.org\"]";
            return Err(self.document.fault(written.servers.span(), "nobody is asked", remedy));
        }
        let bind = match (&written.bind_dn, &written.password_file) {
            (None, None) => None,
            (Some(dn), None) => {
                let remedy = "add password_file = \"...\", or remove bind_dn to ask as nobody";
                return Err(self.document.fault(dn.span(), "its password is nowhere", remedy));
            }
            (None, Some(file)) => {
                let remedy = "add bind_dn = \"...\", or remove the line to ask as nobody";
                return Err(self.document.fault(file.span(), "it is nobody's password", remedy));
            }
            // RFC 4513 section 5.1.2: without a name it would be no login.
            (Some(dn), Some(_)) if dn.get_ref().trim().is_empty() => {
                let remedy = "write the distinguished name of an entry, or remove both lines to ask as nobody";
                return Err(self.document.fault(dn.span(), "it names nobody", remedy));
            }
            (Some(dn), Some(file)) => {
                Some(LdapBind { dn: dn.get_ref().clone(), password_file: path(file) })
            }
        };
        let login = self.ldap_login(&written)?;
        Ok(Ldap {
            login,
            starttls: written.starttls,
            tls_roots: written.tls_roots.as_ref().map(path),
            bind,
            servers: written.servers.into_inner(),
            base: written.base,
            timeout: written.timeout.duration(),
            connections_max: written.connections_max.get(),
            kept: written.kept.duration(),
            missing_kept: written.missing_kept.duration(),
            kept_max: written.kept_max.get(),
            user_filter: written.user_filter.0,
            ambiguous: written.ambiguous,
            mailbox_attribute: written.mailbox_attribute.0,
            alias_filter: written.alias_filter.map(|filter| filter.0),
            alias_attributes: written.alias_attributes.into_iter().map(|name| name.0).collect(),
            member_attributes: written.member_attributes.into_iter().map(|name| name.0).collect(),
            group_filter: written.group_filter.0,
            group_name_attribute: written.group_name_attribute.0,
        })
    }

    /// By a search, or by the name of the entry.
    fn ldap_login(&self, written: &file::Ldap) -> Result<Login, ConfigError> {
        let attribute = written.login_attribute.as_ref();
        match (&written.login, attribute) {
            (LoginWay::Filter(filter), _) => {
                let filter = filter.clone();
                let name = attribute.map_or_else(login_attribute, |name| name.get_ref().clone());
                Ok(Login::Found { filter, attribute: name.0 })
            }
            (LoginWay::Entry(dn), None) => Ok(Login::Entry(dn.clone())),
            (LoginWay::Entry(_), Some(attribute)) => {
                let problem = "nothing is read of the entry, whose name login has already";
                Err(self.document.fault(attribute.span(), problem, "remove the line"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::from_text;

    #[test]
    fn who_asks_is_named_with_a_password() {
        for (fields, wanted) in [
            ("servers = [\"ldaps://l.test\"]", None),
            ("servers = []", Some("ldap.servers: nobody is asked")),
            ("servers = [\"l.test\"]", Some("ldap.servers[0]: \"l.test\" is not a server")),
            (
                "servers = [\"ldap://l.test\"]\nbind_dn = \"cn=a\"",
                Some("ldap.bind_dn: its password"),
            ),
            (
                "servers = [\"ldap://l.test\"]\npassword_file = \"p\"",
                Some("ldap.password_file: it is nobody's"),
            ),
            (
                "servers = [\"ldap://l.test\"]\nbind_dn = \" \"\npassword_file = \"p\"",
                Some("ldap.bind_dn: it names nobody"),
            ),
            (
                "servers = [\"ldap://l.test\"]\nlogin = \"uid={name},dc=a\"\nlogin_attribute = \"uid\"",
                Some("ldap.login_attribute: nothing is read"),
            ),
            (
                "servers = [\"ldap://l.test\"]\nuser_filter = \"(mail=*)\"",
                Some("ldap.user_filter: \"(mail=*)\" finds the same"),
            ),
        ] {
            let text = format!(
                "hostname = \"a.test\"\nlisten = [{{ name = \"l\", address = \"127.0.0.1:0\" }}]\n\
                 [ldap]\nbase = \"dc=a\"\n{fields}\n"
            );
            match (from_text(&text), wanted) {
                (Ok(settings), None) => assert!(settings.ldap.unwrap().starttls),
                (Err(error), Some(wanted)) => {
                    let error = error.to_string();
                    assert!(error.contains(wanted), "{fields}: {error}");
                }
                (found, _) => panic!("{fields}: {found:?}"),
            }
        }
    }
}
