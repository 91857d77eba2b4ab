//! Addresses as SMTP envelopes carry them: parsed once, kept in the form they were received in.
//! Knows no DNS and no directory.

use crate::domain::{check_domain, domain_to_ascii};
use crate::shown::is_obeyed;

/// A mailbox: local part and domain, exactly as received (quotes, literals and case kept).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    raw: Box<str>,
    /// Octets of the local part; a bare `Postmaster` has no `@` behind it.
    local_octets: usize,
}

/// The sender of a message (RFC 5321 section 4.1.2, Reverse-path).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a notification, to which nothing is ever sent back.
    Null,
    /// A mailbox.
    Address(Address),
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The local part is missing or malformed.
    #[error("the local part is malformed")]
    Local,
    /// The domain is missing or malformed.
    #[error("the domain is malformed")]
    Domain,
    /// The address literal is malformed.
    #[error("the address literal is malformed")]
    Literal,
    /// The local part has more than [`Address::LOCAL_OCTETS_MAX`] octets.
    #[error("the local part is longer than {} octets", Address::LOCAL_OCTETS_MAX)]
    LocalTooLong,
    /// The domain has more than 255 octets (RFC 5321 section 4.5.3.1.2).
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
}

impl Address {
    /// The longest local part that there is, in octets. What clients may send is for [`crate::Limits`] to say: RFC 5321 section
    /// 4.5.3.1.1 has 64.
    pub const LOCAL_OCTETS_MAX: usize = 255;

    /// Parses a mailbox, `local@domain`, or a bare `Postmaster` in any case (RFC 5321 section 4.1.1.3).
    ///
    /// # Errors
    /// What is malformed or too long. Control octets, spaces outside quotes and non-ASCII are malformed.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if !text.is_ascii() {
            let domain = text.rfind('@').is_some_and(|at| text[..at].is_ascii());
            return Err(if domain { AddressError::Domain } else { AddressError::Local });
        }
        Self::parse_international(text)
    }

    /// Parses a mailbox that may be of any script (RFC 6531 section 3.3): only where SMTPUTF8 carries it.
    ///
    /// # Errors
    /// As [`Self::parse`], without the last. Characters that control how text is shown are malformed.
    pub fn parse_international(text: &str) -> Result<Self, AddressError> {
        let local_octets = local_octets(text)?;
        if local_octets > Self::LOCAL_OCTETS_MAX {
            return Err(AddressError::LocalTooLong);
        }
        let bare = text.len() == local_octets;
        if bare && !text.eq_ignore_ascii_case("postmaster") {
            return Err(AddressError::Domain);
        }
        if !bare {
            let rest = text.get(local_octets..).and_then(|rest| rest.strip_prefix('@'));
            let domain = rest.ok_or(AddressError::Local)?;
            if domain.is_ascii() {
                check_domain(domain)?;
            } else if domain.len() > 255 {
                return Err(AddressError::DomainTooLong);
            } else if domain_to_ascii(domain).is_none() {
                return Err(AddressError::Domain);
            }
        }
        Ok(Self { raw: text.into(), local_octets })
    }

    /// The address as received.
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The local part as received, with its quotes.
    pub fn local(&self) -> &str {
        &self.raw[..self.local_octets]
    }

    /// The local part without quotes and backslashes: what the mailbox is called.
    pub fn local_unquoted(&self) -> String {
        let Some(inner) = self.local().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        else {
            return self.local().to_owned();
        };
        let mut plain = String::with_capacity(inner.len());
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            plain.push(if character == '\\' {
                characters.next().unwrap_or('\\')
            } else {
                character
            });
        }
        plain
    }

    /// The domain or address literal as received; empty for a bare Postmaster.
    pub fn domain(&self) -> &str {
        self.raw.get(self.local_octets + 1..).unwrap_or("")
    }

    /// The domain in lower case and ASCII: equal for equal destinations (RFC 5321 section 2.4, RFC 5890 section 2.3.2.4).
    pub fn domain_key(&self) -> String {
        match self.domain() {
            domain if domain.is_ascii() => domain.to_ascii_lowercase(),
            domain => domain_to_ascii(domain).unwrap_or_else(|| domain.to_owned()),
        }
    }

    /// Whether both name one mailbox: the case of the domain is no difference (RFC 5321 section 2.4), nor how it is written.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let (domain, known) = (self.domain(), other.domain());
        self.local() == other.local()
            && (domain.eq_ignore_ascii_case(known)
                || !(domain.is_ascii() && known.is_ascii())
                    && self.domain_key() == other.domain_key())
    }

    /// Whether it can be written in ASCII alone as it is.
    pub fn is_ascii(&self) -> bool {
        self.raw.is_ascii()
    }

    /// The same mailbox in ASCII, with its domain as the DNS has it (RFC 6531 section 3.2); none: its local part is not ASCII.
    pub fn to_ascii(&self) -> Option<Self> {
        if self.is_ascii() {
            return Some(self.clone());
        }
        let raw = format!("{}@{}", self.local(), self.domain_key()).into();
        Some(Self { raw, local_octets: self.local_octets }).filter(Self::is_ascii)
    }

    /// Whether this is the postmaster (RFC 5321 section 4.5.1), with or without a domain.
    pub fn is_postmaster(&self) -> bool {
        self.local_unquoted().eq_ignore_ascii_case("postmaster")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.raw)
    }
}

impl ReversePath {
    /// The address as received, "" for the null path.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Address(address) => address.as_str(),
        }
    }
}

impl ReversePath {
    /// The local part as received, "" for the null path.
    pub fn local(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Address(address) => address.local(),
        }
    }

    /// The same path in ASCII, as [`Address::to_ascii`] has it.
    pub fn to_ascii(&self) -> Option<Self> {
        match self {
            Self::Null => Some(Self::Null),
            Self::Address(address) => address.to_ascii().map(Self::Address),
        }
    }
}

impl std::fmt::Display for ReversePath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "<{}>", self.as_str())
    }
}

/// How many octets the local part has (RFC 5321 section 4.1.2, Local-part).
fn local_octets(text: &str) -> Result<usize, AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let octets = quoted_octets(quoted.as_bytes()).ok_or(AddressError::Local)?;
        // They end behind a quotation mark, so no character is cut.
        let sound = text[..octets].chars().all(|c| c.is_ascii() || is_text(c));
        return if sound { Ok(octets) } else { Err(AddressError::Local) };
    }
    let octets = text.bytes().position(|b| b == b'@').unwrap_or(text.len());
    // RFC 6531 section 3.3.
    let inside = |c: char| u8::try_from(c).is_ok_and(is_atext) || is_text(c);
    let atom = |atom: &str| !atom.is_empty() && atom.chars().all(inside);
    if text[..octets].split('.').all(atom) { Ok(octets) } else { Err(AddressError::Local) }
}

/// The octets up to and with the closing quote, given what follows the opening one.
fn quoted_octets(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            b'"' => return Some(at + 2),
            b'\\' if matches!(rest.get(at + 1)?, b' '..=b'~') => at += 2,
            b' '..=b'~' | 0x80.. if rest[at] != b'\\' => at += 1,
            _ => return None,
        }
    }
}

/// A character beyond ASCII that is text, and does not control how the text around it is shown.
fn is_text(c: char) -> bool {
    !c.is_ascii() && !is_obeyed(c)
}

/// RFC 5322 section 3.2.3.
pub(crate) fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_addresses_keep_their_form() {
        let cases = [
            ("a@b", "a", "b"),
            ("First.Last+tag@Example.TEST", "First.Last+tag", "Example.TEST"),
            (r#""a\"b@c"@b.com"#, r#""a\"b@c""#, "b.com"),
            (r#"" "@b.com"#, r#"" ""#, "b.com"),
            ("a@[127.0.0.1]", "a", "[127.0.0.1]"),
            ("a@[IPv6:::1]", "a", "[IPv6:::1]"),
            ("Postmaster", "Postmaster", ""),
            ("postMASTER@x.org", "postMASTER", "x.org"),
            ("a%b@c", "a%b", "c"),
            ("a!b@c", "a!b", "c"),
        ];
        for (text, local, domain) in cases {
            let address = Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (address.as_str(), address.local(), address.domain()),
                (text, local, domain)
            );
        }
        assert_eq!(Address::parse(r#""a\"b"@c"#).unwrap().local_unquoted(), "a\"b");
        assert_eq!(Address::parse("a@B.C").unwrap().domain_key(), "b.c");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        use AddressError::{Domain, DomainTooLong, Literal, Local, LocalTooLong};
        let long_local = format!("{}@b", "x".repeat(256));
        let long_domain = format!("a@{}", "x.".repeat(128) + "x");
        let long_label = format!("a@{}", "x".repeat(64));
        let cases: [(&str, AddressError); 22] = [
            ("", Local),
            ("@b", Local),
            ("a", Domain),
            ("a@", Domain),
            ("a@b@c", Domain),
            ("a@.b", Domain),
            ("a@b.", Domain),
            ("a@b..c", Domain),
            ("a@-b", Domain),
            ("a@b_c", Domain),
            (".a@b", Local),
            ("a.@b", Local),
            ("a..b@c", Local),
            ("a b@c", Local),
            ("\"a@b", Local),
            ("\"a\"b@c", Local),
            ("a\n@b", Local),
            ("a@[1.2.3]", Literal),
            ("a@[IPv6:zz]", Literal),
            (&long_local, LocalTooLong),
            (&long_domain, DomainTooLong),
            (&long_label, Domain),
        ];
        for (text, wanted) in cases {
            assert_eq!(Address::parse(text), Err(wanted), "{text}");
        }
        assert_eq!(Address::parse("ä@b"), Err(Local));
        assert_eq!(Address::parse("a@ä"), Err(Domain));
    }

    #[test]
    fn addresses_may_be_of_any_script() {
        let cases = [
            ("a@b.test", "a", "b.test"),
            ("jörg@b.test", "jörg", "b.test"),
            ("用户@例え.test", "用户", "xn--r8jz45g.test"),
            ("\"jö\\\" rg\"@Bücher.TEST", "\"jö\\\" rg\"", "xn--bcher-kva.test"),
            ("a@xn--bcher-kva.test", "a", "xn--bcher-kva.test"),
            ("a@straße.test", "a", "xn--strae-oqa.test"),
        ];
        for (text, local, key) in cases {
            let address =
                Address::parse_international(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((address.as_str(), address.local()), (text, local));
            assert_eq!(address.domain_key(), key, "{text}");
            assert_eq!(address.is_ascii(), Address::parse(text).is_ok(), "{text}");
        }
        let long = format!("{}@b", "é".repeat(128));
        let wrong = [
            // A control, a line separator, an override of the direction, a mark of byte order.
            "a\u{85}@b.test",
            "a\u{2028}@b.test",
            "a\u{202e}@b.test",
            "\"a\u{feff}\"@b.test",
            "\"a\\é\"@b.test",
            ".é@b.test",
            // Dots that are none, and letters that only stand for others.
            "a@b。test",
            "a@ｂ.test",
            "a@b\u{ad}é.test",
            "a@-é.test",
            "a@é..test",
            "a@[é]",
            "é",
            &long,
        ];
        for text in wrong {
            assert!(Address::parse_international(text).is_err(), "{text:?}");
        }
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| Address::parse_international(text).unwrap());
            one.is_same_as(&other)
        };
        assert!(same("a@Bücher.test", "a@xn--BCHER-kva.test") && same("é@b", "é@B"));
        assert!(!same("é@b", "É@b") && !same("é@b", "e\u{301}@b"));
    }
}
