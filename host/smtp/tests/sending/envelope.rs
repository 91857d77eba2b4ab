//! Command lines: whatever addresses and wishes are made of, each is one line, and says what it was to say.

use proptest::collection::vec;
use proptest::prelude::*;
use stagepost_smtp::{
    Address, Addressee, BodyKind, OwnName, Recipient, RecipientWish, ReversePath, SenderWish,
};

use crate::message::transaction;
use crate::next_hop::{Kind, send};

/// Text that is nearly an address, or would be more than one.
fn nearly() -> impl Strategy<Value = String> {
    let words = [
        "a",
        "u@there.test",
        "\"q q\"",
        "@",
        ".",
        "<",
        ">",
        "\\",
        "\"",
        " ",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "\t",
        "é",
        "\u{85}",
        "\u{2028}",
        "\r\nRCPT TO:<evil@x.test>",
        "[IPv6:::1]",
        "%",
        "!",
        "+0D+0A",
        "=",
        ";",
        "rfc822;",
    ];
    vec(proptest::sample::select(words.to_vec()), 0..6).prop_map(|words| words.concat())
}

/// What is taken for an address of such text, as it is and in quotes; a sound one where none is.
fn address() -> impl Strategy<Value = Address> {
    let sound = proptest::sample::select(vec!["u@there.test", "\"a>b\\\" c\"@x.test", "é@b.test"]);
    (sound, nearly()).prop_map(|(sound, text)| {
        let forms = [text.clone(), format!("\"{text}\"@x.test"), format!("{text}@x.test")];
        let taken = forms.iter().find_map(|form| Address::parse_international(form).ok());
        taken.unwrap_or_else(|| Address::parse_international(sound).expect("an address"))
    })
}

/// Parameters as a queue may hold them.
fn parameters(keyword: &'static str) -> impl Strategy<Value = String> {
    nearly().prop_map(move |text| format!("{keyword}={text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn every_command_is_one_line(
        sender in proptest::option::of(address()),
        recipients in vec((address(), parameters("ORCPT")), 1..4),
        envid in parameters("ENVID"),
        kind in prop::sample::select(&Kind::ALL[..]),
    ) {
        let mut one = transaction(5, BodyKind::SevenBit);
        one.utf8 = true;
        one.wish = SenderWish::of(&envid);
        one.sender = sender.map_or(ReversePath::Null, ReversePath::Address);
        one.recipients = recipients
            .into_iter()
            .map(|(address, orcpt)| {
                let known = Recipient { address: address.clone(), parameters: orcpt.into() };
                Addressee { address, wish: RecipientWish::of(&known) }
            })
            .collect();
        let sent = send(kind, &[(one.clone(), &[b"a\r\n".as_slice()])]);
        prop_assert_eq!(&sent.messages, &[b"a\r\n"]);
        let data = kind != Kind::Chunking;
        let wanted = 2 + one.recipients.len() + usize::from(data) + 1;
        prop_assert_eq!(sent.commands.len(), wanted, "{:?}", sent.commands);
        for line in &sent.commands {
            prop_assert!(!line.contains(|c: char| c.is_control()), "{:?}", line);
        }
        let mail = format!("MAIL FROM:{}", one.sender);
        prop_assert!(sent.commands[1].starts_with(&mail), "{:?}", sent.commands[1]);
        for (line, known) in sent.commands[2..].iter().zip(&one.recipients) {
            let wanted = format!("RCPT TO:<{}>", known.address);
            let rest = line.strip_prefix(&wanted);
            prop_assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
        }
    }

    #[test]
    fn no_name_of_ours_is_more_than_one_word(text in nearly()) {
        if let Ok(name) = OwnName::parse(&text) {
            prop_assert!(name.as_str().bytes().all(|octet| octet.is_ascii_graphic()));
        }
    }
}
