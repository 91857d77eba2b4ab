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
    /// PRDR (draft-hall-prdr): a reply for each recipient behind the message. It is offered where plug-ins may give them.
    Prdr,
    /// SMTPUTF8 (RFC 6531): addresses and header fields of any script.
    SmtpUtf8,
    /// DSN (RFC 3461): senders are told what they ask to be told.
    Dsn,
    /// REQUIRETLS (RFC 8689): never on in clear text, nor to who does not promise the same. It is offered where TLS is on.
    RequireTls,
    /// MT-PRIORITY (RFC 6710): urgent mail first. It is offered where clients must log in.
    MtPriority,
    /// DELIVERBY (RFC 2852): in time or not at all. It goes with DSN, and is offered where clients must log in.
    DeliverBy,
    /// FUTURERELEASE (RFC 4865): not before its time. It is offered where clients must log in.
    FutureRelease,
}

impl Extension {
    /// Every one, in the order of the reply to EHLO.
    pub const ALL: [Self; 9] = [
        Self::Chunking,
        Self::BinaryMime,
        Self::Prdr,
        Self::SmtpUtf8,
        Self::Dsn,
        Self::RequireTls,
        Self::MtPriority,
        Self::DeliverBy,
        Self::FutureRelease,
    ];

    /// Its EHLO keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
            Self::Prdr => "PRDR",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Dsn => "DSN",
            Self::RequireTls => "REQUIRETLS",
            Self::MtPriority => "MT-PRIORITY",
            Self::DeliverBy => "DELIVERBY",
            Self::FutureRelease => "FUTURERELEASE",
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
    pub const WORKING: Self = Self::NONE
        .with(Extension::Chunking)
        .with(Extension::Dsn)
        .with(Extension::RequireTls)
        .with(Extension::Prdr)
        .with(Extension::SmtpUtf8)
        .with(Extension::MtPriority)
        .with(Extension::DeliverBy)
        .with(Extension::FutureRelease);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | 1 << extension as u32)
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Self {
        Self(self.0 & !(1 << extension as u32))
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
            assert_eq!(set.without(extension), Extensions::NONE);
            assert_eq!(Extensions::NONE.without(extension), Extensions::NONE);
        }
    }
}
