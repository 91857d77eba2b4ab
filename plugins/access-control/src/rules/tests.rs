//! Sections that make rules, and those that make none.

use serde_json::{Value, json};

use super::*;
use crate::peer::{HostName, Peer};
use crate::relay::By;

/// A section, every key of which stands on a line of its own.
struct Fake;

impl Places for Fake {
    fn place_near(&self, key: &str) -> Option<Place> {
        Some(Place { file: "t.toml".into(), line: key.len() as u32 + 1, column: 1 })
    }
}

fn tried(section: Value) -> Result<Made, RulesError> {
    make(&serde_json::from_value(section).unwrap(), &Fake)
}

pub(crate) fn made(section: Value) -> Made {
    tried(section).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn an_empty_section_relays_for_nobody() {
    let Made { rules, warnings } = made(json!({}));
    assert_eq!(warnings, []);
    let peer = Peer { address: "192.0.2.1".parse().unwrap(), name: &HostName::Missing };
    let decided = rules.relay.decide(peer, "any.org");
    assert!(!decided.granted);
    let By::Entry(hit) = decided.by else { panic!("{decided:?}") };
    assert_eq!(hit.to_string(), r#"relay.deny_destinations "*" (the default)"#);
    assert!(rules.connection.allow.is_empty() && rules.connection.deny.is_empty());
    assert_eq!(rules.relay.trust, Trust::Confirmed);
    assert_eq!(
        (rules.private_white.action, rules.private_black.action),
        (Action::Silent, Action::Log)
    );
    assert!(rules.dns_black.zones.is_empty() && rules.limits.messages_per_client == 0);
}

#[test]
fn entries_are_written_in_both_ways_and_keep_their_places() {
    let Made { rules, warnings } = made(json!({
        "names": { "raw_suffix": true },
        "groups": { "partners": ["a.b", "[192.0.2.7]"] },
        "connection": { "allow": "partners, c.d", "deny": ["x.y", "192.0.2.9"] },
        "relay": { "allow_destinations": ["@only.org"] },
        "dns_black": {
            "zones": ["one.test", { "name": "Two.test.", "answers": ["127.0.0.2-9"], "weight": 3 }],
            "threshold": 3,
            "action": "reject",
            "text": "%s is listed by %s",
        },
    }));
    let allow = &rules.connection.allow;
    assert!(allow.find_host("xa.b").is_some(), "letters");
    let hit = allow.find_address("192.0.2.7".parse().unwrap()).unwrap();
    assert_eq!(hit.to_string(), r#"connection.allow "[192.0.2.7]" of "partners" (t.toml:19:1)"#);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].place.line, "connection.deny[1]".len() as u32 + 1);
    let zones: Vec<_> =
        rules.dns_black.zones.iter().map(|z| (&*z.name, z.weight, z.timeout_ms)).collect();
    assert_eq!(zones, [("one.test", 1, TIMEOUT_MS), ("two.test", 3, TIMEOUT_MS)]);
    assert_eq!(rules.dns_black.threshold, 3);
}

#[test]
fn what_makes_no_rules_is_told_with_its_place() {
    for (section, wanted) in [
        (json!({ "connection": { "deny": ["[1.2.3]"] } }), "t.toml:19:1: \"1.2.3\" is no address"),
        (json!({ "sender": { "allow_file": "/no/such" } }), "t.toml:18:1: /no/such: "),
        (json!({ "groups": { "a.b": [] } }), "\"a.b\" can't name a group"),
        (
            json!({ "private_white": { "action": "reject" } }),
            "t.toml:21:1: `private_white.action` can't be",
        ),
        (
            json!({ "private_black": { "action": "silent" } }),
            "t.toml:21:1: `private_black.action` can't be",
        ),
        (
            json!({ "dns_black": { "text": "{zone}" } }),
            "t.toml:15:1: `dns_black.text` has no place {zone}",
        ),
        (
            json!({ "dns_black": { "threshold": 0 } }),
            "t.toml:20:1: `dns_black.threshold` must be 1",
        ),
        (
            json!({ "dns_white": { "zones": ["nodot"] } }),
            "t.toml:19:1: `dns_white.zones[0]` \"nodot\" is no",
        ),
        (
            json!({ "dns_white": { "zones": [{ "name": "a.b", "timeout_ms": 0 }] } }),
            "timeout_ms of 1 to",
        ),
        (
            json!({ "dns_white": { "zones": [{ "name": "a.b", "answers": ["x"] }] } }),
            "wrong answer",
        ),
        (
            json!({ "relay": { "internal_domains": ["corp", "*"] } }),
            "t.toml:26:1: `relay.internal_domains[1]` \"*\" is no domain",
        ),
        (json!({ "relay": { "internal_domains": [".corp.example"] } }), "is no domain"),
        (json!({ "relay": { "internal_domains": ["[10.0.0.0/8]"] } }), "is no domain"),
        (json!({ "relay": { "internal_domains": [""] } }), "is no domain"),
        (
            json!({ "dns_white": { "zones": vec!["a.b"; 30] }, "dns_black": { "zones": vec!["a.b"; 3] } }),
            "t.toml:16:1: `dns_black.zones` and those of dns_white are more than 32",
        ),
        (json!({ "groups": { "Staff": "a.b", "staff": "c.d" } }), "\"staff\" is there already"),
        (json!({ "limits": { "window_s": 0 } }), "t.toml:16:1: `limits.window_s` must be"),
    ] {
        let text = section.to_string();
        match tried(section) {
            Err(error) => assert!(error.to_string().contains(wanted), "{text}: {error}"),
            Ok(_) => panic!("{text}"),
        }
    }
}
