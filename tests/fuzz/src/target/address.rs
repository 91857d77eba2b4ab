//! Addresses: what is taken is kept as it came, and is what a plain reading of the grammar takes.

use stagepost_smtp::{Address, Event, Interest, Question, Stage, check_domain};

use crate::Target;
use crate::plugins::Answers;
use crate::rig::{Rig, settings};
use crate::seeded::Seed;

pub(crate) const TARGET: Target = Target { name: "address", run, shape: Some(shape) };

/// Something, an at sign, and something.
fn shape(seed: &mut Seed, words: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..=seed.below(3) {
        input.extend(seed.piece(words));
    }
    input.push(b'@');
    for _ in 0..=seed.below(3) {
        input.extend(seed.piece(words));
    }
    input
}

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let parsed = Address::parse(text);
    if text.is_ascii() {
        assert_eq!(parsed.is_ok(), is_mailbox(text), "{text:?}: {parsed:?}");
    }
    let printable = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    if let Ok(address) = &parsed {
        keeps_its_form(text, address);
    }
    // As a path it is the same: no bracket in it ends it early, and none is taken for part of it.
    if printable && text.len() < 400 && !text.starts_with('@') {
        assert_eq!(recipient(text), parsed.ok(), "{text:?} as a path");
    }
}

fn keeps_its_form(text: &str, address: &Address) {
    assert_eq!(address.as_str(), text);
    assert!(!text.chars().any(char::is_control), "{text:?}");
    if address.domain().is_empty() {
        assert!(text.eq_ignore_ascii_case("postmaster") && address.local() == text);
    } else {
        assert_eq!(format!("{}@{}", address.local(), address.domain()), text);
        assert_eq!(check_domain(address.domain()), Ok(()));
    }
    assert_eq!(Address::parse(&address.to_string()).as_ref(), Ok(address));
    assert!(address.is_same_as(address));
    let lower = format!("{}@{}", address.local(), address.domain_key());
    if let Ok(lower) = Address::parse(&lower) {
        assert!(address.is_same_as(&lower), "{text:?} in lower case");
        assert_eq!(lower.domain_key(), address.domain_key());
    }
    // What it is called has no quotes of its own left, and quoted again it is the same name.
    let called = address.local_unquoted();
    let quoted: String = called
        .chars()
        .flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] })
        .collect();
    let again = Address::parse(&format!("\"{quoted}\"@a"));
    if let Ok(again) = again {
        assert_eq!(again.local_unquoted(), called, "{text:?}");
    }
}

/// Whom RCPT takes, if anybody.
fn recipient(path: &str) -> Option<Address> {
    let interest = Interest::NONE.with(Event::Rcpt, Stage::Before);
    let mut rig = Rig::new(settings(true), interest, Answers::fine());
    rig.say(b"EHLO a\r\nMAIL FROM:<>\r\n");
    rig.say(format!("RCPT TO:<{path}>\r\n").as_bytes());
    rig.asked.iter().find_map(|ask| match &ask.question {
        Question::Rcpt { recipient, .. } => Some(recipient.clone()),
        _ => None,
    })
}

/// RFC 5321 section 4.1.2, Mailbox, read from the left, with the sizes of section 4.5.3.1; or Postmaster alone.
fn is_mailbox(text: &str) -> bool {
    let octets = text.as_bytes();
    let mut at = 0;
    if octets.first() == Some(&b'"') {
        at = 1;
        loop {
            match octets.get(at) {
                Some(b'"') => break,
                Some(b'\\') => match octets.get(at + 1) {
                    Some(32..=126) => at += 2,
                    _ => return false,
                },
                Some(32..=126) => at += 1,
                _ => return false,
            }
        }
        at += 1;
    } else {
        while octets.get(at).is_some_and(|octet| *octet != b'@') {
            at += 1;
        }
        let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let local = &text[..at];
        if local.split('.').any(|atom| atom.is_empty() || !atom.chars().all(is_atext)) {
            return false;
        }
    }
    if at == octets.len() {
        return text.eq_ignore_ascii_case("postmaster");
    }
    at <= Address::LOCAL_OCTETS_MAX && octets[at] == b'@' && is_domain(&text[at + 1..])
}

fn is_domain(domain: &str) -> bool {
    if domain.len() > 255 {
        return false;
    }
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let tag = literal.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("ipv6:"));
        return if tag {
            literal[5..].parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            literal.parse::<std::net::Ipv4Addr>().is_ok()
        };
    }
    domain.split('.').all(|label| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}
