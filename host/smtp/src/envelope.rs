//! The envelope of one message: who it is from, who it is for, and the parameters as received.
//! Knows nothing of the message's content.

use crate::{Address, ReversePath};

/// Sender and recipients of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The MAIL command's path.
    pub sender: ReversePath,
    /// The MAIL command's parameters as received, without the path ("" when there were none).
    pub parameters: Box<str>,
    /// What the sender declared of the octets.
    pub body: BodyKind,
    /// The accepted recipients in the order of their RCPT commands.
    pub recipients: Vec<Recipient>,
}

impl Envelope {
    /// Where a recipient stands.
    pub(crate) fn place_of(&self, address: &Address) -> Option<usize> {
        self.recipients.iter().position(|known| known.address.is_same_as(address))
    }
}

/// Parameters of MAIL as a plug-in replaced them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailParameters {
    /// As given, without the path.
    pub text: Box<str>,
    /// What they say of the octets.
    pub body: BodyKind,
}

/// One accepted recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The RCPT command's path.
    pub address: Address,
    /// The RCPT command's parameters as received ("" when there were none).
    pub parameters: Box<str>,
}

/// The BODY parameter (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// `BODY=7BIT`, or none given.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBitMime,
    /// `BODY=BINARYMIME` (RFC 3030): any octets, of which no line end may be touched.
    BinaryMime,
}

impl BodyKind {
    /// What the octets of a client that declared this are when somebody else declares `other` in its place: whether they are
    /// lines is the client's to say.
    #[must_use]
    pub(crate) fn redeclared(self, other: Self) -> Self {
        match (self, other) {
            (Self::BinaryMime, _) => Self::BinaryMime,
            (_, Self::BinaryMime) => Self::EightBitMime,
            (_, other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BodyKind::{self, BinaryMime, EightBitMime, SevenBit};

    #[test]
    fn whether_a_body_is_lines_is_the_clients_to_say() {
        let cases = [
            (SevenBit, EightBitMime, EightBitMime),
            (EightBitMime, SevenBit, SevenBit),
            (SevenBit, BinaryMime, EightBitMime),
            (EightBitMime, BinaryMime, EightBitMime),
            (BinaryMime, SevenBit, BinaryMime),
            (BinaryMime, EightBitMime, BinaryMime),
            (BinaryMime, BinaryMime, BinaryMime),
        ];
        for (declared, other, wanted) in cases {
            assert_eq!(BodyKind::redeclared(declared, other), wanted, "{declared:?} {other:?}");
        }
    }
}
