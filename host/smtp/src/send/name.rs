//! The name that we give in EHLO.
//! Knows no configuration; that it is the host's true name is for the operator to see to.

use std::sync::Arc;

use crate::{AddressError, check_domain};

/// A domain or address literal to introduce ourselves with (RFC 5321 section 4.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnName(Arc<str>);

impl OwnName {
    /// Checks a name.
    ///
    /// # Errors
    /// It is neither a domain nor an address literal.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        check_domain(text)?;
        Ok(Self(text.into()))
    }

    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
