//! The octets of messages: exhaustively over what ends lines and messages, and by chance over the rest.

use proptest::collection::vec;
use proptest::prelude::*;
use stagepost_smtp::{
    Address, Addressee, BodyKind, Outcome, RecipientWish, ReversePath, SenderWish, Transaction,
};

use crate::next_hop::{Kind, Sent, send};

pub(crate) fn transaction(octets: usize, body: BodyKind) -> Transaction {
    let addressee = |text: &str| Addressee {
        address: Address::parse(text).expect("an address"),
        wish: RecipientWish::default(),
    };
    Transaction {
        sender: ReversePath::Null,
        wish: SenderWish::default(),
        recipients: vec![addressee("u@there.test"), addressee("v@there.test")],
        size_octets: octets as u64,
        body,
        utf8: false,
    }
}

/// Whether every CR and LF is half of a line end.
fn is_text(octets: &[u8]) -> bool {
    octets.iter().enumerate().all(|(at, &octet)| match octet {
        b'\r' => octets.get(at + 1) == Some(&b'\n'),
        b'\n' => at > 0 && octets[at - 1] == b'\r',
        _ => true,
    })
}

fn send_one(kind: Kind, pieces: &[&[u8]]) -> Sent {
    let octets = pieces.concat().len();
    send(kind, &[(transaction(octets, BodyKind::EightBitMime), pieces)])
}

/// One message as it was stored, or none; and on the wire nothing that one server takes for a line end and another does not.
fn check(kind: Kind, message: &[u8], pieces: &[&[u8]]) {
    let sent = send_one(kind, pieces);
    let shown = || format!("{} to {kind:?} in {} pieces", message.escape_ascii(), pieces.len());
    assert!(is_text(&sent.text), "{}: {}", shown(), sent.text.escape_ascii());
    let delivered = |outcome: &Outcome| matches!(outcome, Outcome::Delivered(_));
    let outcomes = sent.outcomes.concat();
    assert_eq!(outcomes.len(), 2);
    if is_text(message) {
        let whole = message.is_empty() || message.ends_with(b"\r\n");
        let end: &[u8] = if whole { b"" } else { b"\r\n" };
        assert_eq!(sent.messages, [[message, end].concat()], "{}", shown());
        assert!(outcomes.iter().all(delivered), "{}: {outcomes:?}", shown());
    } else {
        assert!(sent.messages.is_empty(), "{}: {:?}", shown(), sent.messages);
        assert!(!outcomes.iter().any(delivered), "{}: {outcomes:?}", shown());
    }
}

/// Whole, octet by octet, and in two pieces cut anywhere.
fn check_cut_anywhere(kind: Kind, message: &[u8]) {
    check(kind, message, &[message]);
    check(kind, message, &message.chunks(1).collect::<Vec<_>>());
    for cut in 1..message.len() {
        check(kind, message, &[&message[..cut], &message[cut..]]);
    }
}

#[test]
fn no_octets_are_sent_that_end_a_message_but_its_end() {
    const ALPHABET: [u8; 4] = *b"\r\n.x";
    let mut messages = 0;
    for length in 0..=6u32 {
        for number in 0..4usize.pow(length) {
            let digit = |place| ALPHABET[number >> (2 * place) & 3];
            let message: Vec<u8> = (0..length).map(digit).collect();
            for kind in Kind::ALL {
                // Of the longest those that are text, and whole: what is none is refused at its first fault.
                if length < 6 || is_text(&message) {
                    check_cut_anywhere(kind, &message);
                }
            }
            messages += 1;
        }
    }
    assert_eq!(messages, (4usize.pow(7) - 1) / 3);
}

/// Chunks say how long they are, so that any octets may be in them, and none is a command.
#[test]
fn binary_messages_are_counted() {
    for message in [&b".\r\nQUIT\r\n"[..], b"\n.\n", b"\r", b"\0\r\n.\r\nMAIL FROM:<a@b.test>\r\n"]
    {
        for cut in 0..message.len() {
            let pieces = [&message[..cut], &message[cut..]];
            let one = (transaction(message.len(), BodyKind::BinaryMime), &pieces[..]);
            let sent = send(Kind::Chunking, &[one.clone(), one]);
            assert_eq!(sent.messages, [message, message]);
            let verbs: Vec<_> = sent.commands.iter().map(|line| &line[..4]).collect();
            let wanted = ["EHLO", "MAIL", "RCPT", "RCPT", "MAIL", "RCPT", "RCPT", "QUIT"];
            assert_eq!(verbs, wanted);
        }
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let odd = proptest::sample::select(&b"\r\n.x\0\xff "[..]);
    prop_oneof![
        6 => Just(b"\r\n".to_vec()),
        4 => Just(b".\r\n".to_vec()),
        2 => Just(b"MAIL FROM:<evil@x.test>\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        2 => Just(vec![b'.'; 5000]),
        1 => vec(odd, 0..4),
        1 => Just(Vec::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_message_of_any_pieces_arrives_as_it_is_or_not_at_all(
        pieces in vec(piece(), 1..12),
        kind in prop::sample::select(&Kind::ALL[..]),
    ) {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        check(kind, &pieces.concat(), &pieces);
    }
}
