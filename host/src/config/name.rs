//! Names as configuration files write them: domains, domain patterns, plug-ins, mailboxes, digests.
//! Knows no field and no other name: what must be unique is checked where all of them are known.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use stagepost_queue::QueueName;
use stagepost_smtp::{Address, Mechanism, check_domain, domain_to_ascii};

use super::routing::{DomainPattern, Mailboxes};
use super::text::deserialize_text;

/// A domain name in lower case; no address literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainName(pub(super) String);

/// A plug-in's or a listener's name: small letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label(pub(super) String);

/// The name of a queue, without the `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameOfQueue(pub(super) QueueName);

/// A mail address with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailAddress(pub(super) Address);

/// A mechanism of AUTH, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MechanismName(pub(super) Mechanism);

/// A SHA-256 digest in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sha256(pub(super) [u8; 32]);

pub(super) fn parse_domain(text: &str) -> Result<String, String> {
    if text.starts_with('[') {
        return Err(format!(
            "{text:?} is an address literal\nwrite a domain name, such as \"example.org\""
        ));
    }
    let wrong = || {
        let remedy = "write letters, digits, hyphens and dots, such as \"example.org\"";
        format!("{text:?} is not a domain name\n{remedy}")
    };
    if text.is_ascii() {
        check_domain(text).map_err(|_| wrong())?;
        return Ok(text.to_ascii_lowercase());
    }
    domain_to_ascii(text).ok_or_else(wrong)
}

fn parse_label(text: &str) -> Result<Label, String> {
    let sound = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if (1..=63).contains(&text.len()) && text.bytes().all(sound) {
        Ok(Label(text.to_owned()))
    } else {
        Err(format!(
            "{text:?} is not a name\nwrite 1 to 63 small letters, digits, hyphens or underscores"
        ))
    }
}

fn parse_mechanism(text: &str) -> Result<MechanismName, String> {
    Mechanism::parse(text).map(MechanismName).ok_or_else(|| {
        let known = Mechanism::ALL.map(|known| format!("{:?}", known.name())).join(", ");
        format!("{text:?} is not a mechanism that there is\nwrite one of {known}")
    })
}

fn parse_pattern(text: &str) -> Result<DomainPattern, String> {
    let below = text.strip_prefix('*').unwrap_or(text).strip_prefix('.');
    if let Some(Ok(domain)) = below.map(parse_domain) {
        let remedy = format!("write \"@{domain}\" for {domain} and everything below it");
        return Err(format!("{text:?} is not a domain name\n{remedy}"));
    }
    match text.strip_prefix('@') {
        _ if text == "*" => Ok(DomainPattern::Default),
        Some(domain) => parse_domain(domain).map(DomainPattern::Subtree),
        None => parse_domain(text).map(DomainPattern::Exact),
    }
}

fn parse_sha256(text: &str) -> Result<Sha256, String> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let mut digest = [0; 32];
    match digits {
        Some(digits) if digits.len() == 64 => {
            for (octet, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
                *octet = pair[0] << 4 | pair[1];
            }
            Ok(Sha256(digest))
        }
        _ => Err(format!(
            "{text:?} is not a SHA-256 digest\nwrite the 64 hexadecimal digits that `sha256sum` prints"
        )),
    }
}

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let parse = |text: &str| parse_domain(text).map(DomainName);
        deserialize_text(from, "a domain name in double quotes, such as \"example.org\"", parse)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "a name in double quotes", parse_label)
    }
}

impl<'de> Deserialize<'de> for MechanismName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "a name in double quotes", parse_mechanism)
    }
}

impl<'de> Deserialize<'de> for DomainPattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "a domain in double quotes: \"example.org\", \"@example.org\" for it and everything below it, or \"*\"";
        deserialize_text(from, expecting, parse_pattern)
    }
}

impl<'de> Deserialize<'de> for NameOfQueue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "a name in double quotes, such as \"branch\"", |text| {
            let remedy = "write 1 to 63 letters, digits, hyphens or underscores, without the #";
            QueueName::new(text)
                .map(Self)
                .map_err(|_| format!("{text:?} is not a name of a queue\n{remedy}"))
        })
    }
}

impl<'de> Deserialize<'de> for MailAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "an address in double quotes, such as \"postmaster@example.org\"";
        deserialize_text(from, expecting, |text| match Address::parse(text) {
            Ok(address) if !address.domain().is_empty() => Ok(Self(address)),
            _ => Err(format!(
                "{text:?} is not an address\nwrite one such as \"postmaster@example.org\""
            )),
        })
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "64 hexadecimal digits in double quotes", parse_sha256)
    }
}

/// What stands between a mailbox's name and what its owner puts behind it; empty: nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Separators(pub(super) String);

fn parse_separators(text: &str) -> Result<Separators, String> {
    let sound = |c: char| "!#$%&'*+-/=?^_`{|}~".contains(c);
    if text.len() <= 4 && text.chars().all(sound) {
        return Ok(Separators(text.to_owned()));
    }
    Err(format!(
        "{text:?} does not separate\nwrite one such as \"+\", or up to four, such as \"+-\""
    ))
}

impl<'de> Deserialize<'de> for Separators {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(
            from,
            "one to four characters in double quotes, such as \"+\"",
            parse_separators,
        )
    }
}

impl<'de> Deserialize<'de> for Mailboxes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnyOrList;

        impl<'de> Visitor<'de> for AnyOrList {
            type Value = Mailboxes;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("\"any\", \"ldap\", or a list of names such as [\"alice\", \"bob\"]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Mailboxes, E> {
                match text {
                    "any" => Ok(Mailboxes::Any),
                    "ldap" => Ok(Mailboxes::Ldap),
                    _ => Err(E::custom(format!(
                        "{text:?} is neither \"any\" nor \"ldap\"\nwrite one of these, or a list of names such as [{text:?}]"
                    ))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mailboxes, A::Error> {
                let mut names = std::collections::BTreeSet::new();
                while let Some(Mailbox(name)) = list.next_element()? {
                    names.insert(name);
                }
                Ok(Mailboxes::Listed(names))
            }
        }

        from.deserialize_any(AnyOrList)
    }
}

/// One mailbox in a list: a local part without quotes, in lower case.
struct Mailbox(String);

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_text(from, "a mailbox name in double quotes", |text| {
            match Address::parse_international(&format!("{text}@local")) {
                Ok(address) if address.local() == text && !text.starts_with('"') => {
                    Ok(Self(text.to_ascii_lowercase()))
                }
                _ => Err(format!(
                    "{text:?} is not a mailbox name\nwrite only what stands before the @, such as \"alice\""
                )),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_a_domain_a_subtree_or_the_default() {
        let exact = |name: &str| DomainPattern::Exact(name.to_owned());
        let cases = [
            ("example.org", Some(exact("example.org"))),
            ("EXAMPLE.org", Some(exact("example.org"))),
            ("@Example.org", Some(DomainPattern::Subtree("example.org".into()))),
            ("*", Some(DomainPattern::Default)),
            ("", None),
            ("@", None),
            ("@@a", None),
            ("*.example.org", None),
            (".example.org", None),
            ("a@example.org", None),
            ("[192.0.2.1]", None),
            ("bücher.example", Some(exact("xn--bcher-kva.example"))),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_pattern(text).ok(), wanted, "{text:?}");
        }
    }

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let digits = "00ff".repeat(16);
        assert_eq!(parse_sha256(&digits).unwrap().0[..4], [0x00, 0xff, 0x00, 0xff]);
        assert_eq!(parse_sha256(&digits.to_uppercase()), parse_sha256(&digits));
        for wrong in ["", "00", &digits[1..], &format!("{digits}0"), &digits.replace('f', "g")] {
            assert!(parse_sha256(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn mailboxes_are_any_or_a_list_of_local_parts() {
        #[derive(Debug, serde::Deserialize)]
        struct Sample {
            mailboxes: Mailboxes,
        }
        let read = |value: &str| {
            toml::from_str::<Sample>(&format!("mailboxes = {value}")).map(|sample| sample.mailboxes)
        };
        let listed =
            |names: &[&str]| Mailboxes::Listed(names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(read("\"any\"").unwrap(), Mailboxes::Any);
        assert_eq!(read("\"ldap\"").unwrap(), Mailboxes::Ldap);
        assert_eq!(read("[]").unwrap(), listed(&[]));
        assert_eq!(read("[\"Bob\", \"alice.b\"]").unwrap(), listed(&["alice.b", "bob"]));
        for wrong in
            ["\"all\"", "[\"a@b\"]", "[\"a b\"]", "[\"\"]", "[1]", "true", "[\"../x/\\\"\"]"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn labels_are_plain() {
        for (text, wanted) in [
            ("a", true),
            ("a-b_c9", true),
            ("A", false),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("a.b", false),
        ] {
            assert_eq!(parse_label(text).is_ok(), wanted, "{text:?}");
        }
        assert!(parse_label(&"x".repeat(64)).is_err());
    }
}
