//! The extensions of the protocol that a session may offer, and the set of those that it does.
//! Knows their names, not what they do.

/// An extension that works only with the help of others: of whoever stores, delivers or decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Extension {
    /// CHUNKING (RFC 3030): BDAT.
    Chunking,
    /// BINARYMIME (RFC 3030): bodies of any octets, kept and delivered to the letter.
    BinaryMime,
}

impl Extension {
    /// Every one, in the order of the reply to EHLO.
    pub const ALL: [Self; 2] = [Self::Chunking, Self::BinaryMime];

    /// Its EHLO keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// A set of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions(u32);

impl Extensions {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Those that this server carries through to the last hop.
    pub const WORKING: Self = Self::NONE.with(Extension::Chunking);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | 1 << extension as u32)
    }

    /// Whether an extension is in the set.
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 >> extension as u32 & 1 == 1
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self::WORKING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        for extension in Extension::ALL {
            let set = Extensions::NONE.with(extension);
            let held = Extension::ALL.into_iter().filter(|&other| set.contains(other));
            assert_eq!(held.collect::<Vec<_>>(), [extension]);
        }
    }
}
