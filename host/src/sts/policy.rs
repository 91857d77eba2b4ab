//! A policy of MTA-STS (RFC 8461 section 3.2), as text.
//! Knows no network and no clock.

use std::fmt;
use std::time::Duration;

/// The longest `max_age` (RFC 8461 section 3.2): about a year.
const MAX_AGE_MAX_S: u64 = 31_557_600;
/// What a server's name takes of memory beside its octets, at most.
const NAME_OCTETS: usize = 48;

/// What a domain says of its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StsPolicy {
    /// What is to be done about it.
    pub(crate) mode: StsMode,
    /// How long it may be kept.
    pub(crate) max_age: Duration,
    /// The names that its servers have; one may begin with `*.`. In small letters.
    pub(crate) mx: Vec<Box<str>>,
}

/// What is done about a server that is not as a policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StsMode {
    /// It gets nothing.
    Enforce,
    /// It is told of in reports.
    Testing,
    /// There is no policy any more.
    None,
}

impl StsMode {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// What is wrong with a policy. Always the domain's to put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyFault {
    #[error("it is not UTF-8")]
    Encoding,
    #[error("it does not say version: STSv1")]
    Version,
    #[error("its mode is not enforce, testing or none")]
    Mode,
    #[error("its max_age is not a number of seconds")]
    MaxAge,
    #[error("it names no server (mx)")]
    NoMx,
    #[error("it has a server (mx) that is no name")]
    Mx,
}

impl StsPolicy {
    /// Reads a policy (RFC 8461 section 3.2). What is unknown is passed over.
    pub(crate) fn parse(octets: &[u8]) -> Result<Self, PolicyFault> {
        let text = std::str::from_utf8(octets).map_err(|_| PolicyFault::Encoding)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim_matches([' ', '\t']);
            match name.trim_end_matches([' ', '\t']) {
                // Of what is there twice the first counts.
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" => mx.push(pattern(value).ok_or(PolicyFault::Mx)?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyFault::Version);
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            _ => return Err(PolicyFault::Mode),
        };
        let seconds = max_age.filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
        let seconds: u64 = seconds.and_then(|text| text.parse().ok()).ok_or(PolicyFault::MaxAge)?;
        if mx.is_empty() && mode != StsMode::None {
            return Err(PolicyFault::NoMx);
        }
        Ok(Self { mode, max_age: Duration::from_secs(seconds.min(MAX_AGE_MAX_S)), mx })
    }

    /// How much of memory it takes, at most.
    pub(super) fn octets(&self) -> usize {
        size_of::<Self>() + self.mx.iter().map(|name| name.len() + NAME_OCTETS).sum::<usize>()
    }

    /// Whether a server is one of the policy's (RFC 8461 section 4.1); its name is in small letters.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => **pattern == *host,
        })
    }
}

/// As a domain could have written it.
impl fmt::Display for StsPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "version: STSv1\nmode: {}", self.mode.name())?;
        self.mx.iter().try_for_each(|name| writeln!(out, "mx: {name}"))?;
        writeln!(out, "max_age: {}", self.max_age.as_secs())
    }
}

/// A name, or all names one label below one.
fn pattern(text: &str) -> Option<Box<str>> {
    let text = text.to_ascii_lowercase();
    let name = text.strip_prefix("*.").unwrap_or(&text);
    is_name(name).then(|| text.into())
}

/// Whether a name can be a server's: one that can be a file's, too.
pub(super) fn is_name(name: &str) -> bool {
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(sound);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_line_by_line() {
        use PolicyFault::{Encoding, MaxAge, Mode, Mx, NoMx, Version};
        let good = |mode, seconds, mx: &[&str]| {
            let mx = mx.iter().map(|name| (*name).into()).collect();
            Ok(StsPolicy { mode, max_age: Duration::from_secs(seconds), mx })
        };
        let cases: [(&[u8], Result<StsPolicy, PolicyFault>); 17] = [
            (
                b"version: STSv1\r\nmode: enforce\r\nmx: A.test\r\nmx: *.b.test\r\nmax_age: 604800\r\n",
                good(StsMode::Enforce, 604_800, &["a.test", "*.b.test"]),
            ),
            // LF alone, no blanks, no end of the last line, what is unknown, another order.
            (
                b"max_age:0\nmx:a.test\nx-y: z\nnonsense\nmode:testing\nversion:STSv1",
                good(StsMode::Testing, 0, &["a.test"]),
            ),
            (b"version: STSv1\nmode: none\nmax_age: 5\n", good(StsMode::None, 5, &[])),
            // The first counts; more than a year is a year.
            (
                b"version: STSv1\nmode: enforce\nmode: none\nmax_age: 99999999\nmx: a\nmax_age: 1",
                good(StsMode::Enforce, 31_557_600, &["a"]),
            ),
            (b"version: STSv1\nmode: enforce\nmax_age: 5\n", Err(NoMx)),
            (b"version: STSv2\nmode: none\nmax_age: 5\n", Err(Version)),
            (b"mode: none\nmax_age: 5\n", Err(Version)),
            (b"", Err(Version)),
            (b"version: STSv1\nmax_age: 5\n", Err(Mode)),
            (b"version: STSv1\nmode: Enforce\nmax_age: 5\n", Err(Mode)),
            (b"version: STSv1\nmode: none\n", Err(MaxAge)),
            (b"version: STSv1\nmode: none\nmax_age: -5\n", Err(MaxAge)),
            (b"version: STSv1\nmode: none\nmax_age: \n", Err(MaxAge)),
            (b"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 5\n", Err(Mx)),
            (b"version: STSv1\nmode: enforce\nmx: a*.b\nmax_age: 5\n", Err(Mx)),
            (b"version: STSv1\nmode: enforce\nmx: ../b\nmax_age: 5\n", Err(Mx)),
            (b"version: STSv1\n\xff", Err(Encoding)),
        ];
        for (text, wanted) in cases {
            assert_eq!(StsPolicy::parse(text), wanted, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_star_is_one_label() {
        let policy = StsPolicy {
            mode: StsMode::Enforce,
            max_age: Duration::ZERO,
            mx: vec!["a.test".into(), "*.b.test".into()],
        };
        for (host, wanted) in [
            ("a.test", true),
            ("x.a.test", false),
            ("b.test", false),
            ("x.b.test", true),
            ("y.x.b.test", false),
            ("*.b.test", true),
        ] {
            assert_eq!(policy.is_for(host), wanted, "{host}");
        }
    }

    #[test]
    fn a_policy_names_as_many_servers_as_it_can_hold() {
        let names: String = (0..6000).map(|number| format!("mx:{number}\n")).collect();
        let text = format!("version:STSv1\nmode:enforce\n{names}max_age:1");
        let policy = StsPolicy::parse(text.as_bytes()).unwrap();
        assert!(policy.mx.len() == 6000 && policy.is_for("5999") && !policy.is_for("6000"));
        assert!(policy.octets() > 6000 * NAME_OCTETS);
    }

    #[test]
    fn what_no_text_should_have_makes_no_policy() {
        for (text, wanted) in [
            ("version: STSv1\nmode: enforce\rmx: a\nmax_age: 1", PolicyFault::Mode),
            ("version: STSv1\0\nmode: none\nmax_age: 1", PolicyFault::Version),
            ("version: STSv1\nmode: enforce\nmx: a\0.test\nmax_age: 1", PolicyFault::Mx),
            ("version: STSv1\nmode: enforce\nmx: \u{1b}[31ma.test\nmax_age: 1", PolicyFault::Mx),
            ("version: STSv1\nmode: enforce\nmx: a.test.\nmax_age: 1", PolicyFault::Mx),
            ("version: STSv1\nmode: none\nmax_age: 99999999999999999999", PolicyFault::MaxAge),
            ("version: STSv1\nmode: none\nmax_age: 1e3", PolicyFault::MaxAge),
            ("\u{feff}version: STSv1\nmode: none\nmax_age: 1", PolicyFault::Version),
        ] {
            assert_eq!(StsPolicy::parse(text.as_bytes()), Err(wanted), "{text:?}");
        }
    }
}
