//! What is published of the functions that add-ins call, and the bridge keeps to.

use stagepost_tests::add_in::Making;
use stagepost_tests::server::Server;

use crate::rig::{Rig, wait_for_all};

const HEADER: &str = "From: a@client.test\r\nTo: b@example.test, c@example.test\r\n";

fn published() -> (Rig, Server) {
    let rig = Rig::new();
    rig.make("published.c", "published", Making::default());
    let documents = ["*", "CN=a/O=X", "CN=b/O=X"].map(|server| {
        format!("[plugin.config.server_configuration.\"{server}\"]\nMark = \"{server}\"\n")
    });
    rig.configure("", "", &format!("addins = [\"published\"]\n{}", documents.concat()));
    let server = rig.site.start();
    (rig, server)
}

/// What a user got, without carriage returns: a Maildir has its own line ends.
fn delivered(rig: &Rig, server: &Server, subject: &str) -> String {
    let message = format!("{HEADER}Subject: {subject}\r\n\r\nfirst\r\nlast\r\n");
    let reply =
        server.greeted().deliver("a@client.test", &format!("{subject}@example.test"), &message);
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    String::from_utf8_lossy(&rig.site.mail(subject)[0]).replace('\r', "")
}

#[test]
fn views_are_read_on_from_the_last_entry_and_memory_grows_while_it_is_locked() {
    let (_rig, server) = published();
    for at_once in [1, 2, 65535] {
        for (number, name) in ["*", "CN=a/O=X", "CN=b/O=X"].iter().enumerate() {
            let line = format!("by {at_once}: document {number} is {name}");
            wait_for_all(&server, "published", &[&line]);
        }
        wait_for_all(&server, "published", &[&format!("by {at_once}: 3 documents")]);
    }
    let lines = [
        "summaries of a view: 1",
        "grown while it is locked: 0",
        "it has [abc]",
        "upper [MX.EXAMPLE]",
        "lower [mx.example]",
        "translated [Mx]",
    ];
    wait_for_all(&server, "published", &lines);
    server.stop();
}

#[test]
fn items_and_streams_are_left_as_is_published() {
    let (rig, server) = published();
    let mail = delivered(&rig, &server, "body");
    assert!(mail.ends_with("\n\nanother body\n"), "{mail}");
    let lines = [
        "to [b@example.test; c@example.test]",
        // Form, SMTPOriginator, Recipients, $NoteHasNativeMIME, Body, From, SendTo, Subject.
        "8 items, of which 5 are texts; then 1, type 0",
        "an item that is not there: 1",
        "nor can it be deleted: 1",
        "no stream: 1, 1",
        "behind the end []",
        "itemized: 0",
    ];
    wait_for_all(&server, "published", &lines);
    server.stop();
}

#[test]
fn long_texts_are_folded_and_nothing_in_a_text_is_another_field() {
    let (rig, server) = published();
    let mail = delivered(&rig, &server, "long");
    let (header, body) = mail.split_once("\n\n").unwrap();
    assert_eq!(body, "first\nlast\n");
    assert!(header.lines().all(|line| line.len() <= 998), "{header}");
    let field = |name: &str| {
        let start = format!("\n{name}: ");
        let value = header.split_once(&start).unwrap_or_else(|| panic!("{name}: {header}")).1;
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        lines.take_while(|line| line.starts_with(' ')).fold(first, |value, line| value + line)
    };
    let wanted: String = (0..4999_u32)
        .map(|at| if at % 50 == 49 { ' ' } else { char::from(b'a' + (at % 26) as u8) })
        .collect();
    assert_eq!(field("X-Long"), wanted);
    // There is no place for a fold but one of our own.
    assert_eq!(field("X-Whole").replace(' ', ""), "b".repeat(4999));
    let words = |name: &str| field(name).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words("X-List"), "one, two X-Forged: yes");
    assert_eq!(words("Subject"), "Gr\u{fffd}n X-Forged: yes body");
    assert!(!header.lines().any(|line| line.starts_with("X-Forged")), "{header}");
    server.stop();
}
