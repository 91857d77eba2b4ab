//! A directory kept in LDAP, as the server asks it.
//! Knows no protocol: whether a server is there is found out by who asks it.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer};

use super::endpoint::parse_next_hop;
use super::error::Place;
use super::filter::{DnTemplate, FilterTemplate, Slot};
use super::name::parse_domain;
use super::text::deserialize_text;

/// How a directory in LDAP is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ldap {
    /// Its servers, asked in this order; at least one.
    pub(crate) servers: Vec<LdapServer>,
    /// Whether TLS begins before anything else is said to those that begin in clear text.
    pub(crate) starttls: bool,
    /// The file of the certificates that theirs are checked by, and where it is named; none: the system's.
    pub(crate) tls_roots: Option<(PathBuf, Place)>,
    /// As whom, and the file of the password; none: as nobody.
    pub(crate) bind: Option<LdapBind>,
    /// The entry that all searches begin at.
    pub(crate) base: String,
    /// How long one search may take, with all that it needs.
    pub(crate) timeout: Duration,
    /// Connections at once.
    pub(crate) connections_max: u32,
    /// How long what was found is taken for true.
    pub(crate) kept: Duration,
    /// The same for what was not found.
    pub(crate) missing_kept: Duration,
    /// How many addresses are remembered.
    pub(crate) kept_max: u32,
    /// By what the entry of an address is found.
    pub(crate) user_filter: FilterTemplate,
    /// What is made of an address that several entries have.
    pub(crate) ambiguous: Ambiguous,
    /// What has the address of an entry's mailbox.
    pub(crate) mailbox_attribute: String,
    /// By what an alias is found, or a group that gets mail; none: there are none.
    pub(crate) alias_filter: Option<FilterTemplate>,
    /// What has the addresses that an alias stands for.
    pub(crate) alias_attributes: Vec<String>,
    /// What has the entries that a group stands for.
    pub(crate) member_attributes: Vec<String>,
    /// By what the groups of an entry are found.
    pub(crate) group_filter: FilterTemplate,
    /// What has the name of a group.
    pub(crate) group_name_attribute: String,
    /// How the entry of somebody who logs in is found.
    pub(crate) login: Login,
}

/// What is made of an address that several entries have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ambiguous {
    /// Its mail is refused: nobody can tell whose it is.
    #[default]
    Refuse,
    /// All of them get it.
    All,
}

/// How the entry of somebody who logs in is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// By a search; the attribute has the name that they are known by then.
    Found {
        /// By what.
        filter: FilterTemplate,
        /// Its name.
        attribute: String,
    },
    /// It is this one.
    Entry(DnTemplate),
}

impl Ldap {
    /// The default of `timeout`: a directory that is well answers in milliseconds, and clients wait for minutes.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
    /// The default of `connections_max`: each carries a thousand searches a second and more.
    pub(crate) const CONNECTIONS_MAX: u32 = 8;
    /// The default of `kept`: who leaves gets mail for a few minutes more.
    pub(crate) const KEPT: Duration = Duration::from_secs(300);
    /// The default of `missing_kept`: who comes is not refused for long.
    pub(crate) const MISSING_KEPT: Duration = Duration::from_secs(30);
    /// The default of `kept_max`: some ten megabytes.
    pub(crate) const KEPT_MAX: u32 = 100_000;
}

impl Ldap {
    /// Whether both say the same, wherever that stands in a file.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        let placeless = |ldap: &Self| Self { tls_roots: None, bind: None, ..ldap.clone() };
        let files = |ldap: &Self| {
            let roots = ldap.tls_roots.as_ref().map(|(path, _)| path.clone());
            let bind =
                ldap.bind.as_ref().map(|bind| (bind.dn.clone(), bind.password_file.0.clone()));
            (roots, bind)
        };
        placeless(self) == placeless(other) && files(self) == files(other)
    }
}

/// As whom the directory is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LdapBind {
    /// The distinguished name.
    pub(crate) dn: String,
    /// The file of the password, and where it is named.
    pub(crate) password_file: (PathBuf, Place),
}

/// A server, as an URL that the client library takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LdapServer(pub(crate) String);

impl LdapServer {
    /// Whether what is said to it can be read on the way unless TLS is begun.
    pub(crate) fn is_clear(&self) -> bool {
        self.0.starts_with("ldap://")
    }
}

fn parse_server(text: &str) -> Result<LdapServer, String> {
    let wrong = || {
        format!(
            "{text:?} is not a server of LDAP\nwrite \"ldaps://ldap.example.org\", \"ldap://ldap.example.org:389\", or \"ldapi:///run/slapd/ldapi\" for a socket of this machine"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let scheme = scheme.to_ascii_lowercase();
    match &*scheme {
        "ldap" | "ldaps" => {
            let named = parse_domain(rest).is_ok() || rest.parse::<std::net::Ipv4Addr>().is_ok();
            if named || parse_next_hop(rest).is_ok() {
                Ok(LdapServer(format!("{scheme}://{rest}")))
            } else {
                Err(wrong())
            }
        }
        "ldapi" if rest.starts_with('/') && rest.len() > 1 && !rest.contains(':') => {
            let path = utf8_percent_encode(rest, NON_ALPHANUMERIC);
            Ok(LdapServer(format!("ldapi://{path}")))
        }
        _ => Err(wrong()),
    }
}

/// The name of an attribute (RFC 4512 section 2.5: a descriptor, or numbers with dots between, and options).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute(pub(super) String);

fn parse_attribute(text: &str) -> Result<Attribute, String> {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || b"-.;".contains(&octet);
    if (1..=128).contains(&text.len()) && text.bytes().all(sound) {
        Ok(Attribute(text.to_owned()))
    } else {
        Err(format!("{text:?} is not the name of an attribute\nwrite one such as \"mail\""))
    }
}

/// A filter that finds the entry of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserFilter(pub(super) FilterTemplate);

fn parse_user_filter(text: &str) -> Result<UserFilter, String> {
    let allowed = [Slot::Address, Slot::Local, Slot::Domain];
    FilterTemplate::parse(text, &allowed[..2], &allowed).map(UserFilter)
}

/// A filter that finds the groups that an entry is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupFilter(pub(super) FilterTemplate);

fn parse_group_filter(text: &str) -> Result<GroupFilter, String> {
    FilterTemplate::parse(text, &[Slot::Dn], &[Slot::Dn]).map(GroupFilter)
}

/// What finds the entry of somebody who logs in: a filter, or its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LoginWay {
    Filter(FilterTemplate),
    Entry(DnTemplate),
}

fn parse_login(text: &str) -> Result<LoginWay, String> {
    if text.starts_with('(') {
        return FilterTemplate::parse(text, &[Slot::Name], &[Slot::Name]).map(LoginWay::Filter);
    }
    DnTemplate::parse(text).map(LoginWay::Entry)
}

/// The default of `login`.
pub(super) fn login() -> LoginWay {
    sound(parse_login("(&(objectClass=person)(uid={name}))"))
}

/// The default of `login_attribute`.
pub(super) fn login_attribute() -> Attribute {
    Attribute("uid".to_owned())
}

/// The default of `user_filter`: people's entries have this class everywhere.
pub(super) fn user_filter() -> UserFilter {
    sound(parse_user_filter("(&(objectClass=person)(mail={address}))"))
}

/// The default of `mailbox_attribute`.
pub(super) fn mailbox_attribute() -> Attribute {
    Attribute("mail".to_owned())
}

/// The default of `alias_attributes`: that of the class nisMailAlias.
pub(super) fn alias_attributes() -> Vec<Attribute> {
    vec![Attribute("rfc822MailMember".to_owned())]
}

/// The default of `member_attributes`: those of both usual kinds of groups.
pub(super) fn member_attributes() -> Vec<Attribute> {
    ["member", "uniqueMember"].map(|name| Attribute(name.to_owned())).into()
}

/// The default of `group_filter`: members of both usual kinds of groups.
pub(super) fn group_filter() -> GroupFilter {
    sound(parse_group_filter("(|(member={dn})(uniqueMember={dn}))"))
}

/// The default of `group_name_attribute`.
pub(super) fn group_name_attribute() -> Attribute {
    Attribute("cn".to_owned())
}

fn sound<T>(default: Result<T, String>) -> T {
    match default {
        Ok(default) => default,
        Err(error) => unreachable!("a default of ours: {error}"),
    }
}

/// Reads a type through the function that parses it.
macro_rules! deserialize {
    ($($type:ty: $parse:ident, $expecting:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                deserialize_text(from, $expecting, $parse)
            }
        }
    )*};
}

deserialize! {
    LdapServer: parse_server, "a server in double quotes, such as \"ldaps://ldap.example.org\"";
    Attribute: parse_attribute, "the name of an attribute in double quotes";
    UserFilter: parse_user_filter, "a filter in double quotes, such as \"(mail={address})\"";
    LoginWay: parse_login, "a filter in double quotes, such as \"(uid={name})\", or the name of an entry";
    GroupFilter: parse_group_filter, "a filter in double quotes, such as \"(member={dn})\"";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_url() {
        for (text, wanted) in [
            ("ldaps://ldap.example.org", Some("ldaps://ldap.example.org")),
            ("LDAP://127.0.0.1:3389", Some("ldap://127.0.0.1:3389")),
            ("ldap://[::1]:389", Some("ldap://[::1]:389")),
            ("ldapi:///run/slapd/ldapi", Some("ldapi://%2Frun%2Fslapd%2Fldapi")),
            ("ldap://ldap.example.org/dc=example", None),
            ("ldap://", None),
            ("ldap://a b", None),
            ("http://ldap.example.org", None),
            ("ldap.example.org", None),
            ("ldapi://", None),
        ] {
            let found = parse_server(text).ok().map(|server| server.0);
            assert_eq!(found.as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn defaults_are_sound() {
        let (users, groups) = (user_filter(), group_filter());
        assert_eq!(users.0.fill(|_| "*"), "(&(objectClass=person)(mail=\\2a))");
        assert_eq!(groups.0.fill(|_| "cn=a,b"), "(|(member=cn=a,b)(uniqueMember=cn=a,b))");
        assert!(parse_attribute("mail").is_ok() && parse_attribute("mail)(x=*").is_err());
    }
}
