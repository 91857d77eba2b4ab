//! The trace header that a message gets when it is accepted (RFC 5321 section 4.4).
//! A pure function: facts, names and the date come from the caller.

use crate::{Facts, Peer, Priority};

/// Lines are folded to stay within this many octets where they can (RFC 5322 section 2.1.1).
const LINE_OCTETS: usize = 78;

/// The `Received:` field with its last CRLF.
///
/// `hostname` is our name, `id` the message's queue id, `date` an RFC 5322 date-time. `recipient` is given only
/// when the message has one: the others are not to be told of each other (RFC 5321 section 7.2). `utf8`: its sender has said
/// that it may be of any script. `priority`: the level that it has given.
/// Octets that no header may hold become `?`.
pub fn received(
    facts: &Facts,
    hostname: &str,
    id: &str,
    date: &str,
    recipient: Option<&str>,
    priority: Option<Priority>,
    utf8: bool,
) -> Vec<u8> {
    let (name, protocol) = match &facts.helo {
        Some(helo) if helo.extended => (&*helo.name, protocol(facts, utf8)),
        Some(helo) => (&*helo.name, "SMTP"),
        None => ("unknown", "SMTP"),
    };
    let mut words = vec![
        format!("from {} ({})", one_word(name), tcp_info(&facts.peer)),
        format!("by {hostname} with {protocol} id {id}"),
    ];
    if let Some(recipient) = recipient {
        words.push(format!("for <{recipient}>"));
    }
    if let Some(tls) = &facts.tls {
        // RFC 8314 section 4.3.
        words.push(format!("tls {}", tls.cipher));
    }
    // RFC 6710 section 4.1.
    words.extend(priority.map(|level| format!("PRIORITY {level}")));
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(date.to_owned());
    fold(&words, utf8)
}

/// The protocol after EHLO, with TLS, however it came about, and with a login (RFC 3848; RFC 6531 section 4.3).
fn protocol(facts: &Facts, utf8: bool) -> &'static str {
    match (utf8, facts.tls.is_some(), facts.authenticated.is_some()) {
        (false, true, true) => "ESMTPSA",
        (false, true, false) => "ESMTPS",
        (false, false, true) => "ESMTPA",
        (false, false, false) => "ESMTP",
        (true, true, true) => "UTF8SMTPSA",
        (true, true, false) => "UTF8SMTPS",
        (true, false, true) => "UTF8SMTPA",
        (true, false, false) => "UTF8SMTP",
    }
}

/// The `Received:` field of a message that a plug-in has made, with its last CRLF. Nobody has sent it, so it says by whom
/// alone; the rest is as in [`received`].
pub fn received_from_plugin(
    plugin: &str,
    hostname: &str,
    id: &str,
    date: &str,
    recipient: Option<&str>,
    utf8: bool,
) -> Vec<u8> {
    let mut words = vec![format!("by {hostname} (plug-in {plugin}) id {id}")];
    words.extend(recipient.map(|recipient| format!("for <{recipient}>")));
    if let Some(last) = words.last_mut() {
        last.push(';');
    }
    words.push(date.to_owned());
    fold(&words, utf8)
}

/// A name as a trace field may hold it: what a lenient proxy has let its client say could begin a comment that hides the rest,
/// or end the field's words.
fn one_word(name: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    name.chars().map(|c| if inside(c) { c } else { '?' }).collect()
}

/// RFC 5321 sections 4.4 and 4.1.3: the name, where it is known, and the address.
fn tcp_info(peer: &Peer) -> String {
    let tag = if peer.remote.is_ipv6() { "IPv6:" } else { "" };
    let (name, space) = peer.name.as_deref().map_or(("", ""), |name| (name, " "));
    format!("{name}{space}[{tag}{}]", peer.remote_text)
}

/// Joins words by a space where the line has room, by CRLF and a tab where not.
fn fold(words: &[String], utf8: bool) -> Vec<u8> {
    let mut field = b"Received:".to_vec();
    let mut line_octets = field.len();
    for (at, word) in words.iter().enumerate() {
        if at > 0 && line_octets + 1 + word.len() > LINE_OCTETS {
            field.extend_from_slice(b"\r\n\t");
            // A tab counts as the columns it takes.
            line_octets = 8;
        } else {
            field.push(b' ');
            line_octets += 1;
        }
        for character in word.chars() {
            let text = utf8 && !character.is_ascii() && !character.is_control();
            let safe = matches!(character, ' '..='~') || text;
            let octets = &mut [0; 4];
            field.extend(if safe { character } else { '?' }.encode_utf8(octets).as_bytes());
        }
        line_octets += word.len();
    }
    field.extend_from_slice(b"\r\n");
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Helo;
    use std::sync::Arc;

    const DATE: &str = "Sun, 22 Nov 2026 20:40:07 +0000";

    fn facts(remote: &str, helo: Option<(&str, bool)>) -> Facts {
        let local = "127.0.0.1:25".parse().unwrap();
        let peer = Peer::new(remote.parse().unwrap(), local, "mx");
        let mut facts = Facts::new(1, Arc::new(peer));
        facts.helo = helo.map(|(name, extended)| Helo { name: name.into(), extended });
        facts
    }

    fn field(facts: &Facts, recipient: Option<&str>) -> String {
        let field = received(facts, "mx.example.test", "01J", DATE, recipient, None, false);
        String::from_utf8(field).unwrap()
    }

    #[test]
    fn a_name_is_one_word_whatever_a_proxy_has_let_pass() {
        for (name, shown) in [
            ("a_b-c.test", "a_b-c.test"),
            ("[IPv6:::1]", "[IPv6:::1]"),
            ("x(y", "x?y"),
            ("a;Sun,", "a?Sun?"),
            ("<\"\\>", "????"),
        ] {
            let facts = facts("192.0.2.1:4000", Some((name, true)));
            assert!(
                field(&facts, None).starts_with(&format!("Received: from {shown} (")),
                "{name}"
            );
        }
    }

    #[test]
    fn the_field_says_from_by_with_id_for_and_when() {
        let cases = [
            (
                facts("192.0.2.1:9", Some(("a.test", true))),
                Some("u@b.test"),
                "Received: from a.test ([192.0.2.1]) by mx.example.test with ESMTP id 01J\r\n\
                 \tfor <u@b.test>; Sun, 22 Nov 2026 20:40:07 +0000\r\n",
            ),
            (
                facts("[2001:db8::1]:9", Some(("[IPv6:2001:db8::1]", false))),
                None,
                "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\
                 \tby mx.example.test with SMTP id 01J; Sun, 22 Nov 2026 20:40:07 +0000\r\n",
            ),
            (
                facts("192.0.2.1:9", None),
                None,
                "Received: from unknown ([192.0.2.1]) by mx.example.test with SMTP id 01J;\r\n\
                 \tSun, 22 Nov 2026 20:40:07 +0000\r\n",
            ),
        ];
        for (facts, recipient, wanted) in cases {
            assert_eq!(field(&facts, recipient), wanted);
        }
        let mut named = facts("192.0.2.1:9", Some(("a.test", true)));
        Arc::make_mut(&mut named.peer).name = Some("host.b.test".into());
        let text = field(&named, None);
        assert!(text.contains(" from a.test (host.b.test [192.0.2.1])\r\n"), "{text}");
    }

    #[test]
    fn tls_shows_in_the_protocol_and_in_its_own_clause() {
        let tls = crate::Tls {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            server_name: None,
            client: None,
            bindings: crate::ChannelBindings::default(),
        };
        let protected = |extended| {
            let mut facts = facts("192.0.2.1:9", Some(("a.test", extended)));
            facts.tls = Some(Arc::new(tls.clone()));
            field(&facts, Some("u@b.test"))
        };
        let wanted = "Received: from a.test ([192.0.2.1]) by mx.example.test with ESMTPS id 01J\r\n\
             \tfor <u@b.test> tls TLS_AES_256_GCM_SHA384;\r\n\tSun, 22 Nov 2026 20:40:07 +0000\r\n";
        assert_eq!(protected(true), wanted);
        let logged_in = |tls| {
            let mut facts = facts("192.0.2.1:9", Some(("a.test", true)));
            facts.tls = tls;
            facts.authenticated = Some(Arc::new(crate::Authenticated {
                identity: "user".into(),
                mechanism: Some(crate::Mechanism::Plain),
            }));
            field(&facts, None)
        };
        assert!(logged_in(None).contains(" with ESMTPA id "));
        assert!(logged_in(Some(Arc::new(tls.clone()))).contains(" with ESMTPSA id "));
        // There is no word for HELO over TLS.
        assert!(protected(false).contains(" with SMTP id "));
    }

    #[test]
    fn a_level_is_told() {
        let facts = facts("192.0.2.1:9", Some(("a.test", true)));
        for level in ["-3", "0", "9"] {
            let priority = Priority::parse(level);
            let field = received(&facts, "mx.test", "01J", DATE, Some("u@b.test"), priority, false);
            let field = String::from_utf8(field).unwrap();
            assert!(
                field.contains(&format!("\tfor <u@b.test> PRIORITY {level}; Sun, ")),
                "{field}"
            );
        }
    }

    #[test]
    fn mail_of_any_script_says_so() {
        let mut facts = facts("192.0.2.1:9", Some(("a.test", true)));
        let field = |facts: &Facts, utf8| {
            let field = received(facts, "mx.test", "01J", DATE, Some("jörg@b.test"), None, utf8);
            String::from_utf8(field).unwrap()
        };
        assert!(field(&facts, true).contains(" with UTF8SMTP id 01J\r\n\tfor <jörg@b.test>;"));
        assert!(field(&facts, false).contains(" with ESMTP id 01J\r\n\tfor <j?rg@b.test>;"));
        facts.authenticated = Some(Arc::new(crate::Authenticated {
            identity: "user".into(),
            mechanism: Some(crate::Mechanism::Plain),
        }));
        assert!(field(&facts, true).contains(" with UTF8SMTPA id "));
        facts.helo = None;
        assert!(field(&facts, true).contains(" with SMTP id "));
    }

    #[test]
    fn nothing_given_can_end_the_field() {
        let hostile = facts("192.0.2.1:9", Some(("a\r\nX: y\0\u{e9}", true)));
        let text = field(&hostile, Some("u\r\n\r\n@b"));
        let lines: Vec<_> = text.trim_end().split("\r\n").collect();
        assert!(lines[1..].iter().all(|line| line.starts_with('\t')), "{text}");
        assert!(!text.contains('\0') && text.is_ascii());
    }

    #[test]
    fn long_names_are_folded_between_clauses() {
        let name = "x".repeat(200);
        let text = field(&facts("192.0.2.1:9", Some((&name, true))), Some("u@b.test"));
        let long = text.split("\r\n").filter(|line| line.len() > LINE_OCTETS);
        assert_eq!(long.count(), 1, "{text}");
    }
}
