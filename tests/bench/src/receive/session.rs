//! The least of an SMTP session: the first letter of each verb, and where a message ends. Knows no
//! socket. Checks nothing.

use memchr::memchr;

use super::end_of_data::EndOfData;

pub(crate) const GREETING: &[u8] = b"220 bench.invalid ESMTP\r\n";
pub(crate) const ACCEPTED: &[u8] = b"250 accepted\r\n";

/// What stopped the reading of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// All of it is taken.
    Drained,
    /// A message is complete; its reply is up to the caller.
    Message,
    /// QUIT; its reply is added.
    Quit,
}

#[derive(Debug)]
pub(crate) struct Session {
    phase: Phase,
    /// The message as it came, stuffed, with its final dot; empty unless `keep`.
    pub(crate) message: Vec<u8>,
    keep: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The first octet of the line, if it has come.
    Command(Option<u8>),
    Data(EndOfData),
}

impl Session {
    pub(crate) fn new(keep: bool) -> Self {
        Self { phase: Phase::Command(None), message: Vec::new(), keep }
    }

    /// Takes octets from `input` and adds the replies that are due.
    pub(crate) fn handle_input(&mut self, input: &mut &[u8], replies: &mut Vec<u8>) -> Stop {
        while !input.is_empty() {
            match &mut self.phase {
                Phase::Command(first) => {
                    let verb = *first.get_or_insert(input[0]);
                    let Some(end) = memchr(b'\n', input) else {
                        break;
                    };
                    *input = &input[end + 1..];
                    self.phase = Phase::Command(None);
                    match verb.to_ascii_uppercase() {
                        b'D' => {
                            self.phase = Phase::Data(EndOfData::new());
                            replies.extend_from_slice(b"354 go on\r\n");
                        }
                        b'E' => {
                            replies.extend_from_slice(b"250-bench.invalid\r\n250 PIPELINING\r\n")
                        }
                        b'Q' => {
                            replies.extend_from_slice(b"221 bye\r\n");
                            return Stop::Quit;
                        }
                        _ => replies.extend_from_slice(b"250 ok\r\n"),
                    }
                }
                Phase::Data(detector) => {
                    let end = detector.find(input);
                    let (message, rest) = input.split_at(end.unwrap_or(input.len()));
                    if self.keep {
                        self.message.extend_from_slice(message);
                    }
                    *input = rest;
                    if end.is_some() {
                        self.phase = Phase::Command(None);
                        return Stop::Message;
                    }
                }
            }
        }
        *input = &[];
        Stop::Drained
    }
}

#[cfg(test)]
mod tests {
    use super::{ACCEPTED, Session, Stop};

    /// The replies, the messages, and whether QUIT ended it.
    fn converse(pieces: &[&[u8]]) -> (String, Vec<String>, bool) {
        let mut session = Session::new(true);
        let (mut replies, mut messages) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut input = *piece;
            loop {
                match session.handle_input(&mut input, &mut replies) {
                    Stop::Drained => break,
                    Stop::Message => {
                        let message = std::mem::take(&mut session.message);
                        messages.push(String::from_utf8(message).expect("ASCII"));
                        replies.extend_from_slice(ACCEPTED);
                    }
                    Stop::Quit => return (codes(&replies), messages, true),
                }
            }
        }
        (codes(&replies), messages, false)
    }

    fn codes(replies: &[u8]) -> String {
        let replies = String::from_utf8_lossy(replies);
        replies.lines().map(|line| &line[..3]).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn dialogues_at_every_split() {
        let cases: [(&str, &str, &[&str], bool); 7] = [
            ("EHLO a\r\nMAIL FROM:<>\r\n", "250 250 250", &[], false),
            ("ehlo a\r\nquit\r\n", "250 250 221", &[], true),
            ("NOOP\r\nQUIT\r\nNOOP\r\n", "250 221", &[], true),
            ("DATA\r\n.\r\n", "354 250", &[".\r\n"], false),
            ("DATA\r\nMAIL\r\n..\r\n.\r\nQUIT\r\n", "354 250 221", &["MAIL\r\n..\r\n.\r\n"], true),
            (
                "DATA\r\na\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b>\r\nDATA\r\nc\r\n.\r\n",
                "354 250 250 250 354 250",
                &["a\r\n.\r\n", "c\r\n.\r\n"],
                false,
            ),
            ("MAI", "", &[], false),
        ];
        for (input, replies, messages, quit) in cases {
            let messages: Vec<String> = messages.iter().map(|m| (*m).to_owned()).collect();
            let expected = (replies.to_owned(), messages, quit);
            let octets = input.as_bytes();
            for split in 0..=octets.len() {
                let (head, tail) = octets.split_at(split);
                assert_eq!(converse(&[head, tail]), expected, "{input:?} at {split}");
            }
            let single: Vec<&[u8]> = octets.chunks(1).collect();
            assert_eq!(converse(&single), expected, "{input:?} octet by octet");
        }
    }
}
