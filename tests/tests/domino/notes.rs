//! Messages as notes, and the functions that add-ins call beside.

use stagepost_tests::add_in::Making;
use stagepost_tests::server::Server;

use crate::rig::{Rig, wait_for, wait_for_all};

const HEADER: &str = "From: Ann <a@client.test>\r\nTo: b@example.test,\r\n \"C, D\" <c@example.test>\r\nX-Twice: one\r\nX-Gone: x\r\nX-Twice: two\r\nDate: Sat, 1 Jan 2000 13:00:00 +0100\r\n";

fn deliver(server: &Server, subject: &str, user: &str) {
    let message = format!("{HEADER}Subject: {subject}\r\n\r\nfirst line\r\nlast line\r\n");
    let reply =
        server.greeted().deliver("a@client.test", &format!("{user}@example.test"), &message);
    assert_eq!(reply.code, 250, "{reply}");
}

fn notes() -> (Rig, Server) {
    let rig = Rig::new();
    rig.make("notes.c", "notes", Making::default());
    let server = rig.start(&["notes"]);
    (rig, server)
}

/// The one message of a user, once so many messages were delivered.
fn delivered(rig: &Rig, server: &Server, count: usize, user: &str) -> String {
    server.log().wait_for_count(user, count, |line| line.message() == "delivered");
    let mail = rig.site.mail(user);
    assert_eq!(mail.len(), 1, "{user}");
    // A Maildir has its own line ends.
    String::from_utf8(mail[0].clone()).unwrap().replace('\r', "")
}

#[test]
fn a_note_has_the_message_and_its_envelope() {
    let (_rig, server) = notes();
    deliver(&server, "numbers", "b");
    let lines = [
        "item From 19 [Ann <a@client.test>]",
        "item SMTPOriginator 13 [a@client.test]",
        "item Form 4 [Memo]",
        "item NotThere 0 []",
        "recipient 0 of 1 [b@example.test]",
        "to [b@example.test|\"C, D\" <c@example.test>]",
        "id=0 mime=1 present=1 absent=0",
        "block X-Twice type=500 typed=500 [one]",
        "block X-Twice type=500 typed=500 [two]",
        "stream of 11 lines, the last [last line]",
        "posted 1",
        "number 2.5 long=2 none=7",
        "closing the message: Invalid argument",
        "item Subject 11 [of the copy]",
        "storing the copy: Not permitted",
        "the copy is closed: 0",
    ];
    wait_for_all(&server, "notes", &lines);
    server.stop();
}

#[test]
fn what_an_add_in_changes_in_a_note_is_changed_in_the_message() {
    let (rig, server) = notes();
    deliver(&server, "header", "h");
    let mail = delivered(&rig, &server, 1, "h");
    let fields: Vec<&str> = mail.split("\n\n").next().unwrap().lines().collect();
    let at = |field: &str| fields.iter().position(|line| *line == field);
    assert!(at("Subject: another").is_some() && at("Subject: header").is_none(), "{mail}");
    assert!(at("X-Checked: by an add-in").is_some() && at("X-Gone: x").is_none(), "{mail}");
    assert!(
        at("X-Twice: one") < at("X-Twice: two") && at("X-Twice: two") < at("X-Twice: three"),
        "{mail}"
    );
    assert!(mail.ends_with("\n\nfirst line\nlast line\n"), "{mail}");

    deliver(&server, "body", "o");
    let mail = delivered(&rig, &server, 2, "o");
    assert!(mail.ends_with("\n\nPut before by an add-in.\nfirst line\nlast line\n"), "{mail}");

    deliver(&server, "envelope", "e");
    delivered(&rig, &server, 4, "added");
    let mail = delivered(&rig, &server, 4, "e");
    assert!(mail.contains("other@client.test"), "{mail}");

    deliver(&server, "hold", "w");
    let output = rig.site.run(&["queue", "list", "--socket", "state/admin.sock"]);
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(list.contains("RoutingState is HOLD"), "{list}");
    server.stop();
}

/// A line that is no field ends the header for the host, and so for the note.
#[test]
fn a_header_that_ends_early_is_changed_all_the_same() {
    let (rig, server) = notes();
    let message = "Subject: header\r\nX-Gone : x\r\nno field\r\nX-Gone: y\r\n\r\ntext\r\n";
    let reply = server.greeted().deliver("a@client.test", "h@example.test", message);
    assert_eq!(reply.code, 250, "{reply}");
    let mail = delivered(&rig, &server, 1, "h");
    let fields = "\nSubject: another\nX-Checked: by an add-in\nX-Twice: three\n";
    assert!(mail.contains(fields) && !mail.contains("X-Gone : x"), "{mail}");
    assert!(mail.ends_with("\n\nno field\nX-Gone: y\n\ntext\n"), "{mail}");
    server.stop();
}

/// An envelope that is none, and what is said of it.
#[test]
fn a_change_that_can_not_be_made_is_told_by_its_item_and_defers_the_message() {
    let (_rig, server) = notes();
    let message = format!("{HEADER}Subject: sender\r\n\r\ntext\r\n");
    let reply = server.greeted().deliver("a@client.test", "s@example.test", &message);
    assert_eq!(reply.code, 451, "{reply}");
    wait_for(&server, "SMTPOriginator was left as \"CN=Ann Other/O=X\": the host refuses sender");
    server.stop();
}

#[test]
fn lists_are_read_from_the_server_s_document() {
    let rig = Rig::new();
    rig.make("lists.c", "lists", Making::default());
    let documents = "server_name = \"CN=mail/O=Example\"\naddins = [\"lists\"]\n\
        [plugin.config.server_configuration.\"*\"]\nSMTPRlyCheck = \"1\"\nSMTPRlyExcpts = [\"[192.0.2.*]\", \"friend.test\"]\n";
    rig.configure("", "", documents);
    let server = rig.site.start();
    wait_for(&server, "listening");
    let lines = [
        "mail.box: File does not exist",
        "document for CN=mail/O=Example: 0: No such entry",
        "document for *: 1",
        "check [1] read=1",
        "exceptions [[192.0.2.*];friend.test]",
        "freed",
        "path names.nsf",
        "set 2 [tw]",
        "memory 5000 [123456789]",
        "means [File does not exist]",
        "translated [plain]",
        "plain and 5",
    ];
    wait_for_all(&server, "lists", &lines);
    // Whatever stands in the place of arguments that are not there, it is a line, and the server lives.
    server.log().wait_for("a line", |line| {
        line.message().starts_with("lists: host 100")
            && line.message().contains(".example%n%5 of [")
    });
    server.stop();
}
