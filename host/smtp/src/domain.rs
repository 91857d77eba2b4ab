//! Names of domains: their form, and how one of another script is written in ASCII.
//! Knows no DNS: whether there is such a domain is for others to find out.

use crate::AddressError;

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

/// The ASCII form of a domain that may be of any script (RFC 5890 section 2.3.2.1), in lower case; none: it is no domain. A
/// capital passes for its small letter. Other characters that are written one way and looked up another make no name: they
/// would be read as a domain that it is not.
pub fn domain_to_ascii(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    check_domain(&ascii).ok()?;
    let (unicode, sound) = idna::domain_to_unicode(&ascii);
    sound.ok()?;
    let labels = || domain.split('.').zip(unicode.split('.'));
    let same = |(given, known): (&str, &str)| given.is_ascii() || given.to_lowercase() == known;
    let count = |text: &str| text.split('.').count();
    (count(domain) == count(&unicode) && labels().all(same)).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_any_script_have_one_form() {
        let cases = [
            ("Example.TEST", Some("example.test")),
            ("bücher.Example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("faß.example", Some("xn--fa-hia.example")),
            ("παράδειγμα.test", Some("xn--hxajbheg2az3al.test")),
            ("דוגמה.test", Some("xn--6dbbec0c.test")),
            ("", None),
            ("é.", None),
            ("é..test", None),
            ("é_x.test", None),
            ("é.xn--a.test", None),
            ("é．test", None),
            ("ｅxample.é", None),
            ("a\u{200b}é.test", None),
            ("é test", None),
        ];
        for (domain, wanted) in cases {
            assert_eq!(domain_to_ascii(domain).as_deref(), wanted, "{domain}");
        }
        assert_eq!(domain_to_ascii(&"é".repeat(60)), None);
    }
}
