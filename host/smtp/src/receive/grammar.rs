//! What commands may say beyond the base of the protocol.
//! Knows names alone.

use super::extensions::{Extension, Extensions};
use crate::Claims;

/// The extensions that are on, and what plug-ins claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar<'a> {
    pub(crate) extensions: Extensions,
    pub(crate) claims: &'a Claims,
}

impl<'a> Grammar<'a> {
    /// What this server understands, and what plug-ins claim.
    pub(crate) fn new(claims: &'a Claims) -> Self {
        Self { extensions: Extensions::WORKING, claims }
    }

    /// Whether an extension is on.
    pub(crate) fn has(self, extension: Extension) -> bool {
        self.extensions.contains(extension)
    }
}
