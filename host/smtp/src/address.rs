//! Addresses as SMTP envelopes carry them: parsed once, kept in the form they were received in.
//! Knows no DNS and no directory.

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
    /// The local part has more than 64 octets (RFC 5321 section 4.5.3.1.1).
    #[error("the local part is longer than 64 octets")]
    LocalTooLong,
    /// The domain has more than 255 octets (RFC 5321 section 4.5.3.1.2).
    #[error("the domain is longer than 255 octets")]
    DomainTooLong,
}

impl Address {
    /// Parses a mailbox, `local@domain`, or a bare `Postmaster` in any case (RFC 5321 section 4.1.1.3).
    ///
    /// # Errors
    /// What is malformed or too long. Control octets, spaces outside quotes and non-ASCII are malformed.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let local_octets = local_octets(text)?;
        if local_octets > 64 {
            return Err(AddressError::LocalTooLong);
        }
        let bare = text.len() == local_octets;
        if bare && !text.eq_ignore_ascii_case("postmaster") {
            return Err(AddressError::Domain);
        }
        if !bare {
            let rest = text.get(local_octets..).and_then(|rest| rest.strip_prefix('@'));
            check_domain(rest.ok_or(AddressError::Local)?)?;
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

    /// The domain in lower case: equal for equal destinations (RFC 5321 section 2.4).
    pub fn domain_key(&self) -> String {
        self.domain().to_ascii_lowercase()
    }

    /// Whether both name one mailbox: the case of the domain is no difference (RFC 5321 section 2.4).
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.local() == other.local() && self.domain().eq_ignore_ascii_case(other.domain())
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

impl std::fmt::Display for ReversePath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "<{}>", self.as_str())
    }
}

/// Whether a name is a domain of letters, digits and hyphens (RFC 5321 section 4.1.2, Domain),
/// or an address literal.
///
/// # Errors
/// What is malformed or too long.
pub fn check_domain(text: &str) -> Result<(), AddressError> {
    if text.len() > 255 {
        return Err(AddressError::DomainTooLong);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return check_literal(rest.strip_suffix(']').ok_or(AddressError::Literal)?);
    }
    let sound = |label: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && bytes.iter().all(|&b| inside(b))
            && edge(bytes.first())
            && edge(bytes.last())
    };
    if text.split('.').all(sound) { Ok(()) } else { Err(AddressError::Domain) }
}

/// RFC 5321 section 4.1.3. General address literals are not known to anybody, so they are refused.
fn check_literal(inner: &str) -> Result<(), AddressError> {
    let ipv6 = inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).map(|_| &inner[5..]);
    let sound = match ipv6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    if sound { Ok(()) } else { Err(AddressError::Literal) }
}

/// How many octets the local part has (RFC 5321 section 4.1.2, Local-part).
fn local_octets(text: &str) -> Result<usize, AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted_octets(quoted.as_bytes()).ok_or(AddressError::Local);
    }
    let octets = text.bytes().position(|b| b == b'@').unwrap_or(text.len());
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
    if text[..octets].split('.').all(atom) { Ok(octets) } else { Err(AddressError::Local) }
}

/// The octets up to and with the closing quote, given what follows the opening one.
fn quoted_octets(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *rest.get(at)? {
            b'"' => return Some(at + 2),
            b'\\' if matches!(rest.get(at + 1)?, b' '..=b'~') => at += 2,
            b' '..=b'~' if rest[at] != b'\\' => at += 1,
            _ => return None,
        }
    }
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
        let long_local = format!("{}@b", "x".repeat(65));
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
}
