//! End-of-data confusion over real connections: spellings of an end that is none, a second message behind each, written in one piece and
//! cut. What passes the server goes on to a next hop that takes a bare LF for a line end, as some do.

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::Sink;

/// What would be a second message, if what stands before it were an end.
const SMUGGLED: &str =
    "MAIL FROM:<evil@client.test>\r\nRCPT TO:<b@there.test>\r\nDATA\r\nSubject: evil\r\n\r\nx";
const END: &[u8] = b"\r\n.\r\n";

/// All strings of 1 to 4 octets that line ends and dots are made of.
fn spellings() -> Vec<Vec<u8>> {
    const ALPHABET: [u8; 3] = *b"\r\n.";
    let strings = |length: u32| {
        let digit = move |number: usize, place| ALPHABET[number / 3usize.pow(place) % 3];
        (0..3usize.pow(length))
            .map(move |number| (0..length).map(|place| digit(number, place)).collect())
    };
    (1..=4).flat_map(strings).collect()
}

/// A message that a client sends: where its true end is, and what a server is to store of it.
struct Case {
    /// Everything behind the 354.
    sent: Vec<u8>,
    /// Where the spelling begins and ends in it.
    spelling: (usize, usize),
    /// None: it is to be refused.
    stored: Option<Vec<u8>>,
}

/// A message with a spelling inside, told apart by its number; none where the spelling is a true end.
fn case(number: usize, before: &str, spelling: &[u8]) -> Option<Case> {
    let head = format!("Subject: case {number}\r\n\r\n{before}");
    let text = [head.as_bytes(), spelling, SMUGGLED.as_bytes(), b"\r\n"].concat();
    let cut = (head.len(), head.len() + spelling.len());
    let ends = text.windows(5).any(|window| window == END);
    (!ends).then(|| Case {
        sent: [&text[..], b".\r\n"].concat(),
        spelling: cut,
        stored: is_text(&text).then(|| unstuffed(&text)),
    })
}

fn is_text(octets: &[u8]) -> bool {
    !String::from_utf8_lossy(octets).replace("\r\n", "").contains(['\r', '\n'])
}

/// Without the dots of transparency, written plainly.
fn unstuffed(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let lines = text.split_inclusive("\r\n");
    lines.map(|line| line.strip_prefix('.').unwrap_or(line)).collect::<String>().into_bytes()
}

/// A server whose mail for there.test goes to a sink.
fn relaying(sink: &Sink) -> (Site, Server) {
    let route = format!("[[route]]\ndomain = \"there.test\"\nnext_hop = \"{}\"\n", sink.address());
    let site = Site::new(&route);
    let server = site.start();
    (site, server)
}

fn transaction(server: &Server) -> Client {
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@there.test>", 250);
    client
}

/// One reply for all of it, and nothing of it was a command.
fn expect_one(mut client: Client, case: &Case) {
    let reply = client.reply();
    let shown = case.sent[case.spelling.0..case.spelling.1].escape_ascii();
    assert_eq!(reply.code == 250, case.stored.is_some(), "{shown}: {reply}");
    assert!(reply.code == 250 || reply.code / 100 == 5, "{shown}: {reply}");
    assert_eq!(client.ask("NOOP").code, 250, "{shown}");
    client.say("QUIT", 221);
    client.expect_close();
}

/// Waits for what was to be stored, and takes care that nothing else came.
fn expect_at(sink: &Sink, server: Server, mut wanted: Vec<Vec<u8>>) {
    sink.wait_for(wanted.len());
    server.stop();
    let from_subject = |octets: Vec<u8>| {
        let start = octets.windows(8).position(|word| word == b"Subject:").unwrap_or(0);
        octets[start..].to_vec()
    };
    let messages = sink.messages();
    assert!(messages.iter().all(|message| message.sender == "a@client.test"));
    let mut found: Vec<_> =
        messages.into_iter().map(|message| from_subject(message.octets)).collect();
    found.sort();
    wanted.sort();
    let shown =
        |all: &[Vec<u8>]| all.iter().map(|one| one.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(shown(&found), shown(&wanted));
}

#[test]
fn nothing_is_smuggled_behind_data() {
    let sink = Sink::open();
    let (_site, server) = relaying(&sink);
    let (mut number, mut true_ends, mut stored) = (0, 0, Vec::new());
    for spelling in spellings() {
        for before in ["first", "first\r\n"] {
            let Some(case) = case(number, before, &spelling) else {
                true_ends += 1;
                continue;
            };
            let (start, end) = case.spelling;
            let ways = [
                vec![0, case.sent.len()],
                vec![0, start + 1, end, case.sent.len()],
                (0..=case.sent.len()).collect(),
            ];
            for cuts in ways {
                let mut client = transaction(&server);
                client.say("DATA", 354);
                for piece in cuts.windows(2) {
                    client.send(&case.sent[piece[0]..piece[1]]);
                }
                expect_one(client, &case);
                stored.extend(case.stored.clone());
            }
            number += 1;
        }
    }
    // Behind a line end: the end itself, and with one octet more.
    assert_eq!((number, true_ends), (236, 4));
    expect_at(&sink, server, stored);
}

#[test]
fn nothing_is_smuggled_in_a_chunk() {
    let sink = Sink::open();
    let (_site, server) = relaying(&sink);
    let mut stored = Vec::new();
    for (number, spelling) in spellings().into_iter().enumerate() {
        // A true end is none here.
        let head = format!("Subject: case {number}\r\n\r\nfirst");
        let text = [head.as_bytes(), &spelling, SMUGGLED.as_bytes(), b"\r\n.\r\n"].concat();
        let cut = (head.len(), head.len() + spelling.len());
        let kept = is_text(&text).then(|| text.clone());
        let line = format!("BDAT {} LAST\r\n", text.len());
        let case = Case { sent: text, spelling: cut, stored: kept };
        let mut client = transaction(&server);
        client.send(&[line.as_bytes(), &case.sent].concat());
        expect_one(client, &case);
        // And in two, cut in the middle of it.
        let (head, tail) = case.sent.split_at(cut.0 + 1);
        let mut client = transaction(&server);
        client.send(&[format!("BDAT {}\r\n", head.len()).as_bytes(), head].concat());
        client.reply();
        client.send(&[format!("BDAT {} LAST\r\n", tail.len()).as_bytes(), tail].concat());
        expect_one(client, &case);
        stored.extend(case.stored.iter().cloned().chain(case.stored.clone()));
    }
    assert_eq!(stored.len(), 2 * 11);
    expect_at(&sink, server, stored);
}

/// Else nobody could tell that the others look at all: here the end is one, and the rest is a second message.
#[test]
fn a_true_end_is_one_however_it_is_cut() {
    let sink = Sink::open();
    let (_site, server) = relaying(&sink);
    let sent = [b"Subject: first\r\n\r\nx\r\n.\r\n", SMUGGLED.as_bytes(), END].concat();
    for cut in 20..26 {
        let mut client = transaction(&server);
        client.say("DATA", 354);
        client.send(&sent[..cut]);
        client.send(&sent[cut..]);
        for code in [250, 250, 250, 354, 250] {
            client.expect(code);
        }
    }
    let senders = sink.wait_for(12).into_iter().map(|message| message.sender);
    assert_eq!(senders.filter(|sender| sender == "evil@client.test").count(), 6);
    server.stop();
}

#[test]
fn nothing_is_smuggled_into_tls() {
    let site = Site::new("");
    site.certify("mx.example.test");
    site.configure_tls("", "");
    let server = site.start();
    for behind in spellings().into_iter().filter(|spelling| spelling.len() < 3).chain([
        SMUGGLED.as_bytes().to_vec(),
        b"\x16\x03\x01".to_vec(),
        b"EHLO evil.test\r\n".to_vec(),
    ]) {
        let mut client = server.greeted();
        client.send(&[b"NOOP\r\nSTARTTLS\r\n", &*behind].concat());
        client.expect(250);
        client.expect(421);
        client.expect_close();
    }
    server.stop();
}
