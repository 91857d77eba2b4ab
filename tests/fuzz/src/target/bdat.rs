//! Messages by BDAT: as many octets as were announced, kept as they are or refused, and never taken for commands.

use stagepost_smtp::{Event, Interest, Stage};

use crate::Target;
use crate::octets::Octets;
use crate::plugins::Answers;
use crate::replies::codes;
use crate::rig::{Rig, settings};

pub(crate) const TARGET: Target = Target { name: "bdat", run, shape: None };

fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let flags = octets.draw();
    let mut interest = Interest::NONE;
    for (bit, event) in [(1, Event::Headers), (2, Event::Body), (4, Event::MessageAccept)] {
        if flags & bit != 0 {
            interest = interest.with(event, Stage::Before);
        }
    }
    let binary = flags & 8 != 0;
    let body = if binary { "BINARYMIME" } else { "8BITMIME" };
    let (mut wire, mut message, mut sizes) = (Vec::new(), Vec::new(), 0);
    let mut chunks = octets.part();
    loop {
        let chunk = octets.take(chunks.draw().into());
        let last = chunks.is_empty();
        let chunk = if last { [chunk, octets.rest()].concat() } else { chunk.to_vec() };
        let end = if last { " LAST" } else { "" };
        wire.extend(format!("BDAT {}{end}\r\n", chunk.len()).into_bytes());
        wire.extend_from_slice(&chunk);
        message.extend(chunk);
        sizes += 1;
        if last {
            break;
        }
    }
    wire.extend_from_slice(b"NOOP\r\n");
    let hear = |cuts: &mut dyn Iterator<Item = usize>| {
        let mut rig = Rig::new(settings(true), interest, Answers::fine());
        rig.say(format!("EHLO a\r\nMAIL FROM:<a@b> BODY={body}\r\n").as_bytes());
        rig.say(b"RCPT TO:<u@here.test>\r\n");
        assert_eq!(codes(&rig.output()), [220, 250, 250, 250]);
        rig.say_in_pieces(&wire, cuts);
        // Which of several reasons to refuse it comes first, that depends on how it arrives.
        let codes = codes(&rig.output());
        let classes: Vec<u16> = codes.iter().map(|code| code / 100).collect();
        (classes, std::mem::take(&mut rig.mails), rig.closed)
    };
    let whole = hear(&mut std::iter::empty());
    assert_eq!(hear(&mut (1..wire.len())), whole, "octet by octet");
    assert_eq!(hear(&mut (1..wire.len()).step_by(5)), whole, "in fives");
    let (classes, mails, closed) = whole;
    assert!(!closed);
    assert_eq!(classes.len(), sizes + 1, "one reply for each chunk, and one for NOOP");
    assert_eq!(classes[sizes], 2, "the octets were taken for commands");
    let taken = classes[sizes - 1] == 2;
    assert_eq!(taken, mails.len() == 1);
    // Behind a refusal nothing is taken any more.
    let first = classes.iter().position(|class| *class != 2).unwrap_or(sizes);
    assert!(taken || classes[first..sizes].iter().all(|class| *class == 5), "{classes:?}");
    if taken {
        assert_eq!(mails[0].octets, message);
        assert_eq!(first, sizes);
        assert!(binary || !is_unlawful(&message), "{}", message.escape_ascii());
    } else {
        let beyond = message.len() > 4000
            || message.split(|&octet| octet == b'\n').any(|line| line.len() > 999);
        let hops =
            message.to_ascii_lowercase().windows(8).filter(|word| word == b"received").count();
        assert!(is_unlawful(&message) || beyond || hops > 100, "{}", message.escape_ascii());
    }
}

/// Whether it holds a NUL, or a CR or LF that is no line end.
fn is_unlawful(octets: &[u8]) -> bool {
    octets.iter().enumerate().any(|(at, &octet)| match octet {
        b'\r' => octets.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || octets[at - 1] != b'\r',
        _ => octet == 0,
    })
}
