//! End-of-data confusion: whatever stands around the end of a message, what is stored is what was sent, or nothing is; and no
//! octet of a message is ever a command.

use std::cell::RefCell;
use std::rc::Rc;

use stagepost_smtp::{Ask, Event, Interest, Question, Stage, Verdict};

use crate::rig::{Rig, settings_with_all};

/// What a client sends as one message, and what a server must make of it.
struct Case {
    /// Behind the 354, or behind the BDAT.
    sent: Vec<u8>,
    /// The message; none: it is to be refused.
    stored: Option<Vec<u8>>,
    /// The lines that are commands.
    commands: Vec<Vec<u8>>,
}

/// All strings of so many octets over the alphabet of confusion.
fn strings(length: u32) -> impl Iterator<Item = Vec<u8>> {
    const ALPHABET: [u8; 4] = *b"\r\n.x";
    (0..4usize.pow(length))
        .map(move |number| (0..length).map(|place| ALPHABET[number >> (2 * place) & 3]).collect())
}

fn is_text(octets: &[u8]) -> bool {
    !String::from_utf8_lossy(octets).replace("\r\n", "").contains(['\r', '\n'])
}

/// Written plainly: the first CRLF.CRLF ends, where the line of DATA counts; dots at the start of lines go.
fn with_data(string: &[u8]) -> Case {
    let sent = [string, b"\r\n.\r\nNOOP\r\n"].concat();
    let whole = [b"\r\n", &*sent].concat();
    let end = whole.windows(5).position(|window| window == b"\r\n.\r\n").expect("an end");
    let message = &whole[2..end + 2];
    let mut stored = Vec::new();
    for (at, &octet) in message.iter().enumerate() {
        if octet != b'.' || !(at == 0 || message[..at].ends_with(b"\r\n")) {
            stored.push(octet);
        }
    }
    let rest = String::from_utf8_lossy(&whole[end + 5..]).into_owned();
    let lines = rest.split_terminator("\r\n").map(|line| line.as_bytes().to_vec());
    Case {
        stored: is_text(message).then_some(stored),
        // A line with a bare CR or LF is no command.
        commands: lines.filter(|line| is_text(line)).collect(),
        sent,
    }
}

/// The lines of what is no message: each is a command, but for those with a bare CR or LF.
fn between_commands(string: &[u8]) -> Case {
    let sent = [b"NOOP", string, b"VRFY x\r\nNOOP\r\n"].concat();
    let lines = String::from_utf8_lossy(&sent).into_owned();
    let lines = lines.split_terminator("\r\n").map(|line| line.as_bytes().to_vec());
    let commands = lines.filter(|line| is_text(line)).collect();
    Case { sent, stored: None, commands }
}

/// In chunks nothing ends a message but their number.
fn with_bdat(string: &[u8]) -> Case {
    let sent = [string, b"NOOP\r\n"].concat();
    let stored = is_text(string).then(|| string.to_vec());
    Case { sent, stored, commands: vec![b"NOOP".to_vec()] }
}

/// The same in two chunks: where one ends is no end of anything.
fn with_two_chunks(string: &[u8], cut: usize) -> (String, Case) {
    let (head, tail) = string.split_at(cut);
    let last = format!("BDAT {} LAST", tail.len());
    let sent = [head, last.as_bytes(), b"\r\n", tail, b"NOOP\r\n"].concat();
    let stored = is_text(string).then(|| string.to_vec());
    let commands = vec![last.into_bytes(), b"NOOP".to_vec()];
    (format!("BDAT {cut}\r\n+"), Case { sent, stored, commands })
}

/// Sends a message with its octets cut so, and looks at what became of it.
fn check(opening: &str, case: &Case, cuts: &[usize]) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let lines = Rc::clone(&seen);
    let interest = Interest::NONE.with(Event::Command, Stage::Before);
    let mut rig = Rig::new(settings_with_all(), interest, move |ask: &Ask| {
        if let Question::Command { line } = &ask.question {
            lines.borrow_mut().push(line.to_vec());
        }
        Verdict::default()
    });
    rig.say("EHLO a.test\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\n");
    // The reply to DATA comes before the message; a chunk follows its line at once.
    if let Some(line) = opening.strip_suffix('+') {
        seen.borrow_mut().clear();
        let cuts: Vec<_> = cuts.iter().map(|cut| cut + line.len()).collect();
        let octets = [line.as_bytes(), &case.sent].concat();
        say_cut(&mut rig, &octets, &cuts);
        let bdat = seen.borrow_mut().remove(0);
        assert_eq!([&*bdat, b"\r\n"].concat(), line.as_bytes());
    } else {
        rig.say(opening);
        seen.borrow_mut().clear();
        say_cut(&mut rig, &case.sent, cuts);
    }
    let shown = || format!("{:?} cut at {cuts:?}", String::from_utf8_lossy(&case.sent));
    let stored = rig.mails.iter().map(|mail| [&*mail.header, &*mail.body].concat()).next();
    assert_eq!(stored, case.stored, "{}", shown());
    assert_eq!(*seen.borrow(), case.commands, "{}", shown());
}

fn say_cut<A: crate::rig::Answers>(rig: &mut Rig<A>, octets: &[u8], cuts: &[usize]) {
    let mut from = 0;
    for &to in cuts.iter().chain([&octets.len()]) {
        rig.say(&octets[from..to]);
        from = to;
    }
}

/// Whole, octet by octet, and in two pieces cut anywhere.
fn check_cut_anywhere(opening: &str, case: &Case) {
    let length = case.sent.len();
    check(opening, case, &[]);
    check(opening, case, &(1..length).collect::<Vec<_>>());
    for cut in 1..length {
        check(opening, case, &[cut]);
    }
}

#[test]
fn no_spelling_of_an_end_smuggles_anything_through_data() {
    for string in (0..=5).flat_map(strings) {
        check_cut_anywhere("DATA\r\n", &with_data(&string));
    }
}

/// One octet further, where every cut would take minutes.
#[test]
fn no_longer_spelling_of_an_end_smuggles_anything_through_data() {
    for string in strings(6) {
        let case = with_data(&string);
        check("DATA\r\n", &case, &[]);
        check("DATA\r\n", &case, &(1..case.sent.len()).collect::<Vec<_>>());
    }
}

#[test]
fn no_spelling_makes_two_commands_of_one() {
    for string in (0..=4).flat_map(strings) {
        check_cut_anywhere("NOOP\r\n", &between_commands(&string));
    }
}

#[test]
fn no_end_of_a_chunk_is_one_of_a_line() {
    for string in (0..=4).flat_map(strings) {
        for cut in 0..=string.len() {
            let (opening, case) = with_two_chunks(&string, cut);
            check(&opening, &case, &[]);
            check(&opening, &case, &(1..case.sent.len()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn no_spelling_of_an_end_smuggles_anything_through_bdat() {
    for string in (0..=4).flat_map(strings) {
        let opening = format!("BDAT {} LAST\r\n+", string.len());
        check_cut_anywhere(&opening, &with_bdat(&string));
    }
}

#[test]
fn a_command_that_follows_a_bare_line_end_is_never_one() {
    let ends = [
        "\n", "\r", "\n\r", "\r\r", "\r\r\n\r", "\n\n", "\r\n.\r", "\r\n.\n", "\n.\r\n", "\n.\n",
        "\r.\r",
    ];
    for end in ends {
        let string =
            format!("x{end}MAIL FROM:<evil@here.test>{end}RCPT TO:<u@here.test>{end}DATA{end}y");
        let case = with_data(string.as_bytes());
        assert_eq!(case.commands, [b"NOOP"]);
        check_cut_anywhere("DATA\r\n", &case);
        let opening = format!("BDAT {} LAST\r\n+", string.len());
        check_cut_anywhere(&opening, &with_bdat(string.as_bytes()));
    }
}

#[test]
fn a_line_with_a_bare_cr_or_lf_is_one_refused_line() {
    for bare in ["\n", "\r", "\n\r", "\r\r", "\n\n"] {
        for line in
            ["NOOP", "MAIL FROM:<a@b.test>", "RCPT TO:<u@here.test>", "VRFY x", "", "EHLO a"]
        {
            let sent = format!("{line}{bare}RSET\r\nNOOP\r\n");
            for cut in 0..sent.len() {
                let mut rig = Rig::new(settings_with_all(), Interest::NONE, crate::rig::Fine);
                rig.say("EHLO a.test\r\nMAIL FROM:<>\r\n");
                rig.output.clear();
                say_cut(&mut rig, sent.as_bytes(), &[cut]);
                let replies = rig.replies();
                let codes: Vec<_> = replies.lines().map(|line| &line[..3]).collect();
                assert_eq!(codes, ["500", "250"], "{sent:?} cut at {cut}");
            }
        }
    }
}
