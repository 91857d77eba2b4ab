//! What commands may say beyond the base of the protocol.
//! Knows names alone.

use super::extensions::{Extension, Extensions};
use super::settings::Limits;
use crate::{Address, Claims};

/// The extensions that are on, what plug-ins claim, and how long paths may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar<'a> {
    pub(crate) extensions: Extensions,
    pub(crate) claims: &'a Claims,
    pub(crate) lengths: Lengths,
}

/// How many octets paths may have, with their angle brackets, and the local parts in them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) path_max: usize,
    pub(crate) local_max: usize,
}

impl Lengths {
    /// What clients are held to.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { path_max: limits.path_octets_max, local_max: limits.local_octets_max }
    }
}

impl<'a> Grammar<'a> {
    /// What this server understands, and what plug-ins claim.
    pub(crate) fn new(claims: &'a Claims) -> Self {
        let lengths = Lengths { path_max: usize::MAX, local_max: Address::LOCAL_OCTETS_MAX };
        Self { extensions: Extensions::WORKING, claims, lengths }
    }

    /// Whether an extension is on.
    pub(crate) fn has(self, extension: Extension) -> bool {
        self.extensions.contains(extension)
    }
}
