//! A directory kept in LDAP, as written in `[ldap]`.
//! Knows no rule that spans two fields.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::DAY_S;
use crate::config::duration::Period;
use crate::config::ldap::{self, Attribute, GroupFilter, LdapServer, LoginWay, UserFilter};
use crate::config::number::Count;

/// `[ldap]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Ldap {
    pub(in crate::config) servers: Spanned<Vec<LdapServer>>,
    #[serde(default = "yes")]
    pub(in crate::config) starttls: bool,
    pub(in crate::config) tls_roots: Option<Spanned<PathBuf>>,
    pub(in crate::config) bind_dn: Option<Spanned<String>>,
    pub(in crate::config) password_file: Option<Spanned<PathBuf>>,
    pub(in crate::config) base: String,
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: Period<1, 30>,
    #[serde(default = "connections_max")]
    pub(in crate::config) connections_max: Count<1, 100>,
    #[serde(default = "kept")]
    pub(in crate::config) kept: Period<1, DAY_S>,
    #[serde(default = "missing_kept")]
    pub(in crate::config) missing_kept: Period<1, DAY_S>,
    #[serde(default = "kept_max")]
    pub(in crate::config) kept_max: Count<100, 10_000_000>,
    #[serde(default = "ldap::user_filter")]
    pub(in crate::config) user_filter: UserFilter,
    #[serde(default)]
    pub(in crate::config) ambiguous: ldap::Ambiguous,
    #[serde(default = "ldap::mailbox_attribute")]
    pub(in crate::config) mailbox_attribute: Attribute,
    pub(in crate::config) alias_filter: Option<UserFilter>,
    #[serde(default = "ldap::alias_attributes")]
    pub(in crate::config) alias_attributes: Vec<Attribute>,
    #[serde(default = "ldap::member_attributes")]
    pub(in crate::config) member_attributes: Vec<Attribute>,
    #[serde(default = "ldap::group_filter")]
    pub(in crate::config) group_filter: GroupFilter,
    #[serde(default = "ldap::group_name_attribute")]
    pub(in crate::config) group_name_attribute: Attribute,
    #[serde(default = "ldap::login")]
    pub(in crate::config) login: LoginWay,
    pub(in crate::config) login_attribute: Option<Spanned<Attribute>>,
}

fn yes() -> bool {
    true
}

fn timeout() -> Period<1, 30> {
    Period::new(ldap::Ldap::TIMEOUT)
}

fn connections_max() -> Count<1, 100> {
    Count::new(ldap::Ldap::CONNECTIONS_MAX)
}

fn kept() -> Period<1, DAY_S> {
    Period::new(ldap::Ldap::KEPT)
}

fn missing_kept() -> Period<1, DAY_S> {
    Period::new(ldap::Ldap::MISSING_KEPT)
}

fn kept_max() -> Count<100, 10_000_000> {
    Count::new(ldap::Ldap::KEPT_MAX)
}
