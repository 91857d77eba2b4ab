//! What stands in the square brackets of an entry: an address, a network, a range, or octets with wildcards and ranges.
//! Knows no list; says of an address whether it fits, and as which ranges of addresses it can be looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Some addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Every IPv4 address from the first to the last.
    V4(u32, u32),
    /// Every IPv6 address from the first to the last.
    V6(u128, u128),
    /// IPv4 addresses of which every octet is in its range, where that is not one range of addresses.
    Octets([(u8, u8); 4]),
}

/// Why brackets hold no pattern. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("{0:?} is no address")]
    Address(String),
    #[error("{0:?} is no octet: write 0 to 255, a range such as 1-10, or *")]
    Octet(String),
    #[error("{0:?} has a wildcard inside a range: write the number, or * for the whole octet")]
    WildcardInRange(String),
    #[error("{0:?} ends before it begins")]
    Backwards(String),
    #[error("{0:?} is no plain address, with which alone a prefix length goes")]
    MixedMask(String),
    #[error("{0:?} is no prefix length: write 0 to {1}")]
    PrefixLength(String, u8),
}

/// A peer's address as lists see it: an IPv4 address mapped into IPv6 is that IPv4 address.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

impl Pattern {
    /// Whether an address, canonical, fits.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(first, last), IpAddr::V4(address)) => {
                (*first..=*last).contains(&address.to_bits())
            }
            (Self::V6(first, last), IpAddr::V6(address)) => {
                (*first..=*last).contains(&address.to_bits())
            }
            (Self::Octets(octets), IpAddr::V4(address)) => octets
                .iter()
                .zip(address.octets())
                .all(|((low, high), octet)| (*low..=*high).contains(&octet)),
            _ => false,
        }
    }

    /// Whether it is a network whose address has bits set behind its prefix, as `192.0.2.1/24`: right, and perhaps not meant.
    pub(crate) fn has_host_bits(text: &str) -> bool {
        let Some((address, length)) = text.split_once('/') else { return false };
        let (Ok(address), Ok(Self::V4(first, _))) = (plain(address), Self::from_str(text)) else {
            return matches!(
                (plain(address), Self::from_str(text), length),
                (Ok(IpAddr::V6(address)), Ok(Self::V6(first, _)), _) if address.to_bits() != first
            );
        };
        matches!(address, IpAddr::V4(address) if address.to_bits() != first)
    }

    fn range(first: IpAddr, last: IpAddr, text: &str) -> Result<Self, PatternError> {
        let (first, last) = (canonical(first), canonical(last));
        let pattern = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Self::V4(first.to_bits(), last.to_bits()),
            (IpAddr::V6(first), IpAddr::V6(last)) => Self::V6(first.to_bits(), last.to_bits()),
            _ => return Err(PatternError::Address(text.to_owned())),
        };
        if first > last { Err(PatternError::Backwards(text.to_owned())) } else { Ok(pattern) }
    }

    fn network(address: &str, length: &str) -> Result<Self, PatternError> {
        if address.contains(['*', '-']) {
            return Err(PatternError::MixedMask(address.to_owned()));
        }
        let prefix = |longest: u8| {
            let digits = !length.is_empty() && length.bytes().all(|octet| octet.is_ascii_digit());
            let parsed = digits.then(|| length.parse().ok()).flatten();
            parsed
                .filter(|bits: &u8| *bits <= longest)
                .ok_or_else(|| PatternError::PrefixLength(length.to_owned(), longest))
        };
        match plain(address)? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shr(prefix(32)?.into()).unwrap_or(0);
                Ok(Self::V4(address.to_bits() & !mask, address.to_bits() | mask))
            }
            IpAddr::V6(address) => {
                let bits = prefix(128)?;
                let mask = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
                let (first, last) = (address.to_bits() & !mask, address.to_bits() | mask);
                // A network of mapped addresses is the IPv4 network that it maps.
                if bits >= 96 && Ipv6Addr::from_bits(first).to_ipv4_mapped().is_some() {
                    return Ok(Self::V4(first as u32, last as u32));
                }
                Ok(Self::V6(first, last))
            }
        }
    }

    fn octets(text: &str) -> Result<Self, PatternError> {
        let mut octets = [(0, 0); 4];
        let mut parts = text.split('.');
        for octet in &mut octets {
            *octet = parts
                .next()
                .ok_or_else(|| PatternError::Address(text.to_owned()))
                .and_then(octet_range)?;
        }
        if parts.next().is_some() {
            return Err(PatternError::Address(text.to_owned()));
        }
        // It is one range of addresses when only whole octets follow the first that is not a single one.
        let varied = octets.iter().position(|(low, high)| low != high).unwrap_or(3);
        if octets.iter().skip(varied + 1).all(|range| *range == (0, 255)) {
            let address = |ends: [u8; 4]| Ipv4Addr::from(ends).to_bits();
            let (first, last) = (octets.map(|(low, _)| low), octets.map(|(_, high)| high));
            return Ok(Self::V4(address(first), address(last)));
        }
        Ok(Self::Octets(octets))
    }
}

fn octet_range(text: &str) -> Result<(u8, u8), PatternError> {
    if text == "*" {
        return Ok((0, 255));
    }
    let number = |digits: &str| {
        // A leading zero may be meant as octal elsewhere: refused, as the address parser does.
        let sound = matches!(digits.len(), 1..=3)
            && digits.bytes().all(|octet| octet.is_ascii_digit())
            && (digits.len() == 1 || !digits.starts_with('0'));
        sound.then(|| digits.parse().ok()).flatten()
    };
    let Some((low, high)) = text.split_once('-') else {
        let octet = number(text).ok_or_else(|| PatternError::Octet(text.to_owned()))?;
        return Ok((octet, octet));
    };
    if text.contains('*') {
        return Err(PatternError::WildcardInRange(text.to_owned()));
    }
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low <= high => Ok((low, high)),
        (Some(_), Some(_)) => Err(PatternError::Backwards(text.to_owned())),
        _ => Err(PatternError::Octet(text.to_owned())),
    }
}

fn plain(text: &str) -> Result<IpAddr, PatternError> {
    let text = text.trim();
    let address = match text.get(..5) {
        // As address literals are written in mail (RFC 5321 section 4.1.3).
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => {
            text[5..].parse::<Ipv6Addr>().map(IpAddr::V6)
        }
        _ => text.parse::<IpAddr>(),
    };
    address.map_err(|_| PatternError::Address(text.to_owned()))
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// Reads what stands between the brackets.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if let Some((address, length)) = text.split_once('/') {
            return Self::network(address, length.trim());
        }
        // A range of whole addresses has a whole address on both sides; `1.2.3.1-3` has not.
        if let Some((first, last)) = text.split_once('-')
            && let (Ok(first), Ok(last)) = (plain(first), plain(last))
        {
            return Self::range(first, last, text);
        }
        if text.contains(':') {
            let address = plain(text)?;
            return Self::range(address, address, text);
        }
        Self::octets(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, address: &str) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.contains(canonical(address.parse().unwrap()))
    }

    #[test]
    fn patterns_fit_what_they_say() {
        let cases = [
            (
                "192.168.10.17",
                &["192.168.10.17", "::ffff:192.168.10.17"][..],
                &["192.168.10.18"][..],
            ),
            ("192.168.1.*", &["192.168.1.0", "192.168.1.255"], &["192.168.2.0", "192.168.0.255"]),
            ("192.168.*.*", &["192.168.0.0", "192.168.255.255"], &["192.169.0.0"]),
            ("127.*.0.1", &["127.0.0.1", "127.255.0.1"], &["127.0.0.2", "127.0.1.1", "128.0.0.1"]),
            ("*.*.*.*", &["0.0.0.0", "255.255.255.255"], &["::1"]),
            ("1.2.3.1-3", &["1.2.3.1", "1.2.3.3"], &["1.2.3.0", "1.2.3.4"]),
            (
                "192.168.1-10.*",
                &["192.168.1.0", "192.168.10.255"],
                &["192.168.0.255", "192.168.11.0"],
            ),
            ("10.1-2.3.*", &["10.1.3.9", "10.2.3.0"], &["10.1.4.0", "10.3.3.0"]),
            ("192.168.1.0/24", &["192.168.1.0", "192.168.1.255"], &["192.168.2.0"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::1"]),
            ("10.0.0.1/32", &["10.0.0.1"], &["10.0.0.2"]),
            (
                "10.0.0.9 - 10.0.1.1",
                &["10.0.0.9", "10.0.0.255", "10.0.1.1"],
                &["10.0.0.8", "10.0.1.2"],
            ),
            ("2001:db8::1", &["2001:db8::1", "2001:0db8:0::1"], &["2001:db8::2", "0.0.0.1"]),
            ("IPv6:2001:db8::1", &["2001:db8::1"], &["2001:db8::2"]),
            ("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db9::"]),
            ("::/0", &["::", "ffff::"], &["1.2.3.4"]),
            ("::1-::9", &["::1", "::9"], &["::a"]),
            ("::ffff:10.0.0.0/104", &["10.0.0.1", "::ffff:10.9.9.9"], &["11.0.0.0"]),
            ("::ffff:10.0.0.7", &["10.0.0.7"], &["10.0.0.8"]),
        ];
        for (pattern, inside, outside) in cases {
            for address in inside {
                assert!(fits(pattern, address), "{pattern} {address}");
            }
            for address in outside {
                assert!(!fits(pattern, address), "{pattern} {address}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        use PatternError::{Address, Backwards, MixedMask, Octet, PrefixLength, WildcardInRange};
        let text = str::to_owned;
        let cases = [
            ("123.123.12-*.123", WildcardInRange(text("12-*"))),
            ("192.168.*.0/24", MixedMask(text("192.168.*.0"))),
            ("192.168.1-10.0/8", MixedMask(text("192.168.1-10.0"))),
            ("192.168.1", Address(text("192.168.1"))),
            ("1.2.3.4.5", Address(text("1.2.3.4.5"))),
            ("1.2.3.256", Octet(text("256"))),
            ("1.2.3.04", Octet(text("04"))),
            ("1.2.3.", Octet(text(""))),
            ("1.2.3.9-3", Backwards(text("9-3"))),
            ("1.2.3.4 - 1.2.3.3", Backwards(text("1.2.3.4 - 1.2.3.3"))),
            ("1.2.3.4/33", PrefixLength(text("33"), 32)),
            ("1.2.3.4/", PrefixLength(text(""), 32)),
            ("1.2.3.4/+8", PrefixLength(text("+8"), 32)),
            ("2001:db8::/129", PrefixLength(text("129"), 128)),
            ("2001:db8::g", Address(text("2001:db8::g"))),
            ("1.2.3.4-::5", Address(text("1.2.3.4-::5"))),
            ("", Octet(text(""))),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(pattern.parse::<Pattern>(), Err(wanted), "{pattern}");
        }
    }

    #[test]
    fn set_bits_behind_a_prefix_are_told() {
        for (text, wanted) in [
            ("192.0.2.1/24", true),
            ("192.0.2.0/24", false),
            ("2001:db8::1/32", true),
            ("2001:db8::/32", false),
            ("192.0.2.1", false),
            ("x/24", false),
        ] {
            assert_eq!(Pattern::has_host_bits(text), wanted, "{text}");
        }
    }
}
