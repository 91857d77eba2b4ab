//! `[dns]`: who is asked for names, and what is made of the answers.
//! Knows no rule that spans two fields.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::config::duration::Period;
use crate::config::endpoint::DnsServer;
use crate::config::settings;

/// `[dns]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Dns {
    pub(in crate::config) servers: Vec<DnsServer>,
    pub(in crate::config) timeout: Period<1, 60>,
    pub(in crate::config) dnssec: bool,
    pub(in crate::config) trust_anchor: Option<Spanned<PathBuf>>,
}

impl Default for Dns {
    fn default() -> Self {
        let dns = settings::Dns::default();
        Self {
            servers: dns.servers.into_iter().map(DnsServer).collect(),
            timeout: Period::new(dns.timeout),
            dnssec: dns.dnssec,
            trust_anchor: None,
        }
    }
}
