//! The octets behind DATA: one end, dots taken out, nothing unlawful kept, however they arrive.

use stagepost_smtp::{Event, Interest, Stage};

use crate::Target;
use crate::octets::Octets;
use crate::plugins::Answers;
use crate::replies::codes;
use crate::rig::{Rig, settings};

pub(crate) const TARGET: Target = Target { name: "data", run, shape: None };

fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let mut interest = Interest::NONE;
    let flags = octets.draw();
    for (bit, event) in [(1, Event::Headers), (2, Event::Body), (4, Event::MessageAccept)] {
        if flags & bit != 0 {
            interest = interest.with(event, Stage::Before);
        }
    }
    let input = octets.rest();
    let hear = |cuts: &mut dyn Iterator<Item = usize>| {
        let mut rig = Rig::new(settings(true), interest, Answers::fine());
        rig.say(b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
        assert_eq!(codes(&rig.output()), [220, 250, 250, 250, 354]);
        rig.say_in_pieces(input, cuts);
        // Which of several reasons to refuse it comes first, that depends on how it arrives.
        let codes = codes(&rig.output());
        let classes: Vec<u16> = codes.iter().map(|code| code / 100).collect();
        (classes, std::mem::take(&mut rig.mails), rig.closed)
    };
    let whole = hear(&mut std::iter::empty());
    assert_eq!(hear(&mut (1..input.len())), whole, "octet by octet");
    assert_eq!(hear(&mut (1..input.len()).step_by(5)), whole, "in fives");
    let (heard, mails, _) = whole;
    let Some((message, behind)) = plainly(input) else {
        assert!(heard.is_empty() && mails.is_empty(), "it has not ended: {heard:?}");
        return;
    };
    let first = *heard.first().expect("a reply to the dot");
    let refused = is_unlawful(&input[..input.len() - behind]) || is_beyond_limits(&message);
    assert_eq!(first == 2, !refused, "{first}");
    // What follows may be another message.
    let mail = mails.first().filter(|mail| !refused || mail.octets == message);
    match mail {
        Some(mail) if !refused => assert_eq!(mail.octets, message),
        None if refused => {}
        other => panic!("{first} and {other:?}"),
    }
}

/// The message without its stuffed dots, and how many octets follow its end: the first CRLF.CRLF, where that of DATA
/// counts.
fn plainly(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let whole = [b"\r\n", input].concat();
    let end = whole.windows(5).position(|window| window == b"\r\n.\r\n")?;
    let text = &whole[..end + 2];
    let mut message = Vec::new();
    for (at, &octet) in text.iter().enumerate().skip(2) {
        if !(octet == b'.' && text[..at].ends_with(b"\r\n")) {
            message.push(octet);
        }
    }
    Some((message, whole.len() - end - 5))
}

/// Whether it holds a NUL, or a CR or LF that is no line end.
fn is_unlawful(octets: &[u8]) -> bool {
    octets.iter().enumerate().any(|(at, &octet)| match octet {
        b'\r' => octets.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || octets[at - 1] != b'\r',
        _ => octet == 0,
    })
}

/// Whether it is more than the settings of the rig let pass.
fn is_beyond_limits(message: &[u8]) -> bool {
    let lines = || message.split_inclusive(|&octet| octet == b'\n');
    let mut header = 0;
    let mut hops = 0;
    for line in lines() {
        let folded = header > 0 && matches!(line[0], b' ' | b'\t');
        let name = line.split(|&octet| octet == b':').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() < line.len()
            && name.trim_ascii_end().iter().all(|octet| matches!(octet, b'!'..=b'~'));
        if line == b"\r\n" || !(folded || is_name) {
            break;
        }
        header += line.len();
        hops += usize::from(name.trim_ascii_end().eq_ignore_ascii_case(b"Received"));
    }
    lines().any(|line| line.len() > 1000) || header > 4096 || hops > 100 || message.len() > 100_000
}
