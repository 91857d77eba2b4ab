//! The keys that DNSSEC begins with: those of the root, or those of a file.
//! Knows no look-up.

use std::sync::Arc;
use std::{fmt, fs};

use hickory_resolver::proto::dnssec::TrustAnchors;

use crate::config::{ConfigError, Dns as Settings};

const REMEDY: &str = "name a file of DNSKEY records that this user can read, such as \". IN DNSKEY 257 3 8 AwEAAa...\", or remove the line";

/// The trust anchors; none: nothing is validated.
///
/// # Errors
/// The file that the operator names can't be used.
pub(super) fn read(settings: &Settings) -> Result<Option<Arc<TrustAnchors>>, ConfigError> {
    if !settings.dnssec {
        return Ok(None);
    }
    let Some((path, place)) = &settings.trust_anchor else {
        return Ok(Some(Arc::new(TrustAnchors::default())));
    };
    let wrong =
        |problem: &dyn fmt::Display| place.fault(format!("{}: {problem}", path.display()), REMEDY);
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let anchors: TrustAnchors = text.parse().map_err(|error| wrong(&error))?;
    if anchors.is_empty() {
        return Err(wrong(&"it has no DNSKEY record"));
    }
    Ok(Some(Arc::new(anchors)))
}
