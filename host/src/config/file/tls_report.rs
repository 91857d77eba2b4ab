//! `[tls_report]`: who reports to other domains how TLS fares with their servers.
//! Knows no rule that spans two fields.

use serde::Deserialize;
use toml::Spanned;

use crate::config::name::MailAddress;

/// `[tls_report]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TlsReport {
    pub(in crate::config) organization: Spanned<String>,
    pub(in crate::config) contact: MailAddress,
}
