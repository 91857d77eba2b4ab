//! Some domains: one alone, or one with all below it; and in what they overlap.
//! Knows neither who may ask for them nor what waits.

use std::fmt;

/// The longest name, in octets (RFC 1035 section 2.3.4).
const NAME_OCTETS_MAX: usize = 253;

/// One domain, or one with all below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scope {
    name: Box<str>,
    below: bool,
}

/// Why a text is no scope. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no domain: write a name such as example.org, or @example.org for it and all below it"
)]
pub(crate) struct ScopeError(String);

impl Scope {
    /// Reads a domain, or with `@` before it a domain and all below it.
    pub(crate) fn read(text: &str) -> Result<Self, ScopeError> {
        let (below, name) = text.strip_prefix('@').map_or((false, text), |name| (true, name));
        if is_name(name) { Ok(Self::of(name, below)) } else { Err(ScopeError(text.to_owned())) }
    }

    /// The same of a name that is one.
    pub(crate) fn of(name: &str, below: bool) -> Self {
        Self { name: folded(name).into(), below }
    }

    /// What is in both.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        if other.covers(self) {
            Some(self.clone())
        } else {
            self.covers(other).then(|| other.clone())
        }
    }

    /// Whether all of another is in it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if !self.below {
            return *self == *other;
        }
        let rest = other.name.strip_suffix(&*self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_below(&self) -> bool {
        self.below
    }

    /// The name with its labels turned round and a dot behind each, so that what is below a name begins with it.
    pub(crate) fn key(&self) -> String {
        let mut key = String::with_capacity(self.name.len() + 1);
        for label in self.name.rsplit('.') {
            key.push_str(label);
            key.push('.');
        }
        key
    }

    /// The keys of the names above it, its own first.
    pub(crate) fn keys_above(&self) -> impl Iterator<Item = String> {
        let key = self.key();
        let ends: Vec<usize> = key.match_indices('.').map(|(at, _)| at + 1).rev().collect();
        ends.into_iter().map(move |end| key[..end].to_owned())
    }
}

/// As the queue service takes it.
impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", if self.below { "@" } else { "" }, self.name)
    }
}

/// A name as it is compared: small letters, without the last dot.
pub(crate) fn folded(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether a text is a domain name as mail has them.
pub(crate) fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        let fits = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(fits)
    };
    (1..=NAME_OCTETS_MAX).contains(&text.len()) && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::read(text).unwrap()
    }

    #[test]
    fn scopes_overlap_as_domains_do() {
        for (one, other, wanted) in [
            ("a.test", "a.test", Some("a.test")),
            ("A.test.", "a.TEST", Some("a.test")),
            ("a.test", "b.test", None),
            ("x.a.test", "a.test", None),
            ("x.a.test", "@a.test", Some("x.a.test")),
            ("a.test", "@a.test", Some("a.test")),
            ("ba.test", "@a.test", None),
            ("@x.a.test", "@a.test", Some("@x.a.test")),
            ("@a.test", "@a.test", Some("@a.test")),
            ("@x.a.test", "a.test", None),
            ("@test", "@a.test", Some("@a.test")),
        ] {
            let (one, other) = (scope(one), scope(other));
            let wanted = wanted.map(str::to_owned);
            assert_eq!(one.and(&other).map(|both| both.to_string()), wanted, "{one} {other}");
            assert_eq!(other.and(&one).map(|both| both.to_string()), wanted, "{other} {one}");
        }
    }

    #[test]
    fn keys_begin_with_those_of_the_names_above() {
        assert_eq!(scope("mail.a.test").key(), "test.a.mail.");
        let above: Vec<_> = scope("@a.test").keys_above().collect();
        assert_eq!(above, ["test.a.", "test."]);
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in ["", "@", ".", "a..b", ".a", "a b", "#q", "@@a", "[192.0.2.1]", "ä.test"] {
            assert!(Scope::read(text).is_err(), "{text}");
        }
        assert!(Scope::read(&["x"; 128].join(".")).is_err());
    }
}
