//! Messages in chunks of chance: a reply for each, and stored is what was sent or nothing.

use proptest::collection::vec;
use proptest::prelude::*;
use stagepost_smtp::{Event, Stored};

use crate::property::{chance, interest};
use crate::rig::{Rig, settings_with_all};

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let odd = proptest::sample::select(&b"\r\n.a: \0\xff"[..]);
    prop_oneof![
        4 => Just(b"A: b\r\n".to_vec()),
        2 => Just(b"A:".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        4 => Just(b".\r\nQUIT\r\n".to_vec()),
        1 => Just(Vec::new()),
        1 => Just([b'x'; 40_000].to_vec()),
        2 => vec(odd, 0..6),
    ]
}

fn is_text(octets: &[u8]) -> bool {
    !String::from_utf8_lossy(octets).replace("\r\n", "").contains(['\r', '\n', '\0'])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn chunks_are_answered_one_by_one_and_stored_together(
        chunks in vec(chunk(), 1..6),
        binary in any::<bool>(),
        bits in any::<u64>(),
        numbers in vec(prop_oneof![5 => Just(255u8), 1 => any::<u8>()], 0..40),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut rig = Rig::new(settings_with_all(), interest(bits), chance(Vec::new()));
        let body = if binary { "BINARYMIME" } else { "8BITMIME" };
        rig.say(format!("EHLO a.test\r\nMAIL FROM:<> BODY={body}\r\nRCPT TO:<u@here.test>\r\n"));
        prop_assert!(rig.replies().contains("250 2.1.5 "));
        rig.answers = chance(numbers);
        let mut octets = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let last = if index + 1 == chunks.len() { " LAST" } else { "" };
            octets.extend(format!("BDAT {}{last}\r\n", chunk.len()).into_bytes());
            octets.extend(chunk);
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(octets.len());
        let mut from = 0;
        for to in cuts {
            rig.say(&octets[from..to]);
            from = to;
        }
        let replies = rig.replies();
        // Words that plug-ins give may have many lines.
        let codes: Vec<_> = replies.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| &line[..3]).collect();
        prop_assert!(codes.len() == chunks.len() || rig.closed && codes.len() <= chunks.len(), "{}", replies);
        let sent = chunks.concat();
        let all_taken = codes.len() == chunks.len() && codes.iter().all(|code| *code == "250");
        if let Some(mail) = rig.mails.first() {
            prop_assert!(!rig.answers.message_stopped, "stored against a verdict");
            prop_assert_eq!([&*mail.header, &*mail.body].concat(), sent.clone());
            let text = if binary { &mail.header } else { &sent };
            prop_assert!(is_text(text));
            prop_assert_eq!(all_taken, matches!(mail.stored, Stored::Committed(_)), "{}", replies);
        } else if all_taken {
            prop_assert!(bits != 0, "acknowledged and not stored");
        }
        // Behind a refusal nothing is taken of this message any more.
        let refused = codes.iter().position(|code| *code != "250");
        let behind = refused.map_or(&[][..], |at| &codes[at..]);
        prop_assert!(!behind.contains(&"250"), "{}", replies);
        if !rig.closed {
            rig.answers = chance(Vec::new());
            rig.say("MAIL FROM:<>\r\n");
            prop_assert!(rig.replies().contains("250 2.1.0 "), "out of step");
        }
        rig.hang_up();
        prop_assert!(rig.closed);
        let told = rig.asked.iter().filter(|(_, event)| *event == Event::MessageAccept).count();
        prop_assert!(told <= 2);
    }
}
