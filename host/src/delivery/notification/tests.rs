//! Whole notifications, as they come out of a queue.
//! Knows the notifier by its public method and a durable queue by its trait.

use std::time::Duration;

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{Destination, Lease, LeaseRequest, StoredMessage};
use tempfile::TempDir;

use super::*;
use crate::delivery::Lanes;
use crate::delivery::octets::MessageOctets;
use crate::delivery::octets::sample::message;
use crate::router::Router;

struct Scene {
    store: Arc<LocalStore>,
    notifier: Notifier,
    lanes: Arc<Lanes>,
    _folder: TempDir,
}

impl Scene {
    fn new(postmaster: Option<&str>) -> Self {
        Self::with(postmaster, "")
    }

    /// With aliases.
    fn with(postmaster: Option<&str>, aliases: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("aliases");
        std::fs::write(&file, aliases).unwrap();
        let options =
            LocalOptions { path: folder.path().join("spool"), free_space_min: 0, faults: None };
        let store = Arc::new(LocalStore::open(options).unwrap());
        let text = "hostname = \"mx.us.test\"\naliases_file = \"ALIASES\"\n[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n\
            [[local_domain]]\nname = \"us.test\"\nmailboxes = \"any\"\n\
            [[route]]\ndomain = \"b.test\"\nnext_hop = \"mx\"\n";
        let text = text.replace("ALIASES", file.to_str().unwrap());
        let settings = crate::config::from_text(&text).unwrap();
        let router = Arc::new(Router::new(&settings));
        let directory = Directory::load(&settings, router.clone()).unwrap();
        let postmaster = postmaster.map(|address| Address::parse(address).unwrap());
        let notifier = Notifier::new(store.clone(), directory, "mx.us.test", postmaster);
        let lanes = Arc::new(Lanes::new(router, 1, || {}));
        Self { store, notifier, lanes, _folder: folder }
    }

    /// Notifies, with nobody who is asked.
    async fn notify(&self, message: &StoredMessage, told: &[Told]) -> Result<Noticed, NotifyError> {
        let lease = Lease {
            id: message.id,
            destination: Destination::new("x.test").unwrap(),
            recipients: vec![0],
            attempts: 0,
            due: message.received_at,
            received_at: message.received_at,
            token: 1,
            give_up: None,
            route: None,
        };
        let mut thread = MessageThread::begin(None, message, &lease, SystemTime::now());
        self.notifier.notify(message, told, &mut thread).await
    }

    /// Envelope and octets of what was queued.
    async fn queued(&self) -> Option<(StoredMessage, String)> {
        let request = LeaseRequest {
            now: SystemTime::now() + Duration::from_secs(1),
            max: 1,
            lanes: self.lanes.clone(),
            duration: Duration::from_secs(60),
        };
        let (lease, _) = self.store.lease(request).await.unwrap().leased.pop()?;
        let message = self.store.read(lease.id).await.unwrap();
        let mut octets = MessageOctets::new(&message);
        let mut text = Vec::new();
        loop {
            let piece = octets.next().await.unwrap();
            text.extend(piece.octets.concat());
            if piece.last {
                break;
            }
        }
        drop(octets);
        Some((message, String::from_utf8(text).unwrap()))
    }
}

fn failed(recipient: u32) -> Told {
    let finding = Finding::new((5, 1, 1), "550 5.1.1 no such user to RCPT");
    Told {
        recipient,
        action: Action::Failed,
        finding: finding.about("mx.x.test[192.0.2.1]:25").replied("550 5.1.1 no such user"),
        until: None,
    }
}

/// The text with what differs each time replaced: dates, and the notification's own id.
fn normal(text: &str, id: &str) -> String {
    let text = text.replace(id, "ID");
    let line = |line: &str| match line.split_once(": ") {
        Some((name, _)) if name.ends_with("Date") || name == "Will-Retry-Until" => {
            format!("{name}: DATE\n")
        }
        _ => format!("{line}\n"),
    };
    text.replace("\r\n", "\n").lines().map(line).collect()
}

#[tokio::test]
async fn a_failure_comes_back_with_the_message_octet_for_octet() {
    let scene = Scene::new(None);
    let mut message =
        message(&["u@x.test", "v@x.test"], "A: b\r\n", &[b"\r\n.dot\r\n", b"end\r\n"]);
    message.envelope.parameters = "RET=FULL ENVID=QQ+2B1".into();
    message.envelope.recipients[1].parameters = "ORCPT=rfc822;w+2Bx@y.test".into();
    let noticed = scene.notify(&message, &[failed(1)]).await.unwrap();
    let Noticed::Sender(id) = noticed else { panic!("{noticed:?}") };
    let (queued, text) = scene.queued().await.unwrap();
    assert_eq!((queued.id, &queued.envelope.sender), (id, &ReversePath::Null));
    assert_eq!(queued.envelope.recipients[0].address.as_str(), "a@b.test");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "CRLF alone ends lines");
    let original = message.id.to_string();
    let wanted = format!(
        "\
From: Mail Delivery System <MAILER-DAEMON@mx.us.test>
To: a@b.test
Subject: Undelivered mail returned to sender
Date: DATE
Message-ID: <ID@mx.us.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
 boundary=\"ID/mx.us.test\"

This is a multi-part message in MIME format.

--ID/mx.us.test
Content-Type: text/plain; charset=us-ascii

This is the mail system at mx.us.test.

Your message could not be delivered to:

  <v@x.test> (you wrote to <w+x@y.test>)
    mx.x.test[192.0.2.1]:25 said: 550 5.1.1 no such user

--ID/mx.us.test
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.us.test
Original-Envelope-Id: QQ+1
Arrival-Date: DATE
X-Stagepost-Queue-Id: {original}

Original-Recipient: rfc822; w+x@y.test
Final-Recipient: rfc822; v@x.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.x.test
Diagnostic-Code: smtp; 550 5.1.1 no such user
Last-Attempt-Date: DATE

--ID/mx.us.test
Content-Type: message/rfc822

A: b

.dot
end

--ID/mx.us.test--
"
    );
    assert_eq!(normal(&text, &id.to_string()), wanted);
}

#[tokio::test]
async fn how_much_comes_back_depends_on_what_happened_and_what_was_asked_for() {
    let delayed = |_| Told {
        action: Action::Delayed,
        finding: Finding::new((4, 4, 1), "nobody there"),
        until: Some(SystemTime::now()),
        ..failed(0)
    };
    let delivered = |_| Told { action: Action::Delivered, ..failed(0) };
    let large: Vec<u8> = b"0123456789abcdef0123456789abcd\r\n".repeat(4096);
    type Tell = dyn Fn(u32) -> Told;
    type Case<'c> = (&'c str, &'c [u8], &'c Tell, &'c str, &'c [&'c str]);
    let cases: [Case<'_>; 6] = [
        ("", b"\r\nx\r\n", &failed, "message/rfc822", &["\r\n\r\nA: b\r\n\r\nx\r\n\r\n--"]),
        ("RET=HDRS", b"\r\nx\r\n", &failed, "text/rfc822-headers", &["\r\n\r\nA: b\r\n\r\n--"]),
        ("", &large, &failed, "text/rfc822-headers", &["\r\n\r\nA: b\r\n\r\n--"]),
        (
            "RET=FULL",
            b"\r\nx\r\n",
            &delayed,
            "text/rfc822-headers",
            &[
                "Subject: Delayed mail",
                "Action: delayed\r\nStatus: 4.4.1\r\n",
                "Will-Retry-Until: ",
            ],
        ),
        (
            "",
            b"\r\nx\r\n",
            &delivered,
            "text/rfc822-headers",
            &["Subject: Mail was delivered", "Action: delivered"],
        ),
        ("", b"\r\nx", &failed, "message/rfc822", &["A: b\r\n\r\nx\r\n--"]),
    ];
    for (parameters, body, tell, kind, wanted) in cases {
        let scene = Scene::new(None);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[body]);
        message.envelope.parameters = parameters.into();
        scene.notify(&message, &[tell(0)]).await.unwrap();
        let (_, text) = scene.queued().await.unwrap();
        for wanted in [&[&*format!("Content-Type: {kind}\r\n")], wanted].concat() {
            assert!(text.contains(wanted), "{wanted:?} in {text}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_of_the_time_is_told_again() {
    let late = Told {
        action: Action::Delayed,
        finding: Finding::new((4, 4, 7), "451 later"),
        until: None,
        ..failed(0)
    };
    for (parameters, fields, passed_on) in [
        ("HOLDFOR=60 BY=90;N", "Deliver-By-Date: DATE\nFuture-Release-Request: for;60\n", ""),
        (
            "holduntil=2026-11-23t06:05:34.5z MT-PRIORITY=-3 RET=FULL",
            "Future-Release-Request: until;2026-11-23t06:05:34.5z\n",
            "MT-PRIORITY=-3",
        ),
    ] {
        let scene = Scene::new(None);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\nx\r\n"]);
        message.envelope.parameters = parameters.into();
        scene.notify(&message, std::slice::from_ref(&late)).await.unwrap();
        let (queued, text) = scene.queued().await.unwrap();
        assert_eq!(&*queued.envelope.parameters, passed_on, "{parameters}");
        let text = normal(&text, &queued.id.to_string());
        assert!(text.contains(&format!("Arrival-Date: DATE\n{fields}X-Stage")), "{text}");
        for wanted in [
            "Subject: Delayed mail\n",
            "\nYour message has taken longer than you have asked for, on its way to:\n\n  <u@x.test>\n    4.4.7 ",
            "Action: delayed\nStatus: 4.4.7\n",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(
            !text.contains("still being tried") && !text.contains("Will-Retry-Until"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_required_tls_is_told_of_as_it_was_to_go() {
    let scene = Scene::new(None);
    let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\nsecret\r\n"]);
    message.envelope.parameters = "REQUIRETLS RET=FULL MT-PRIORITY=2".into();
    scene.notify(&message, &[failed(0)]).await.unwrap();
    let (queued, text) = scene.queued().await.unwrap();
    assert_eq!(&*queued.envelope.parameters, "MT-PRIORITY=2 REQUIRETLS");
    assert!(text.contains("Content-Type: text/rfc822-headers\r\n"), "{text}");
    assert!(text.contains("A: b") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn of_a_binary_message_the_header_block_comes_back() {
    let scene = Scene::new(None);
    let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n\0\n\r"]);
    message.envelope.body = BodyKind::BinaryMime;
    scene.notify(&message, &[failed(0)]).await.unwrap();
    let (_, text) = scene.queued().await.unwrap();
    assert!(text.contains("text/rfc822-headers") && !text.contains('\0'), "{text}");
}

#[tokio::test]
async fn a_message_without_sender_is_told_of_to_the_postmaster_or_nobody() {
    let null = |to: &str| {
        let mut message = message(&[to], "A: b\r\n", &[b"\r\n"]);
        message.envelope.sender = ReversePath::Null;
        message
    };
    let scene = Scene::new(None);
    let noticed = scene.notify(&null("u@x.test"), &[failed(0)]).await.unwrap();
    assert_eq!(noticed, Noticed::Nobody);
    assert!(scene.queued().await.is_none());

    let scene = Scene::new(Some("pm@us.test"));
    // No delay and no success is worth a word to them, and mail to them that fails goes round no more.
    let delayed = Told { action: Action::Delayed, ..failed(0) };
    for (message, told) in [(null("u@x.test"), delayed), (null("pm@US.test"), failed(0))] {
        let noticed = scene.notify(&message, &[told]).await.unwrap();
        assert_eq!(noticed, Noticed::Nobody);
    }
    let noticed = scene.notify(&null("u@x.test"), &[failed(0)]).await.unwrap();
    assert!(matches!(noticed, Noticed::Postmaster(_)), "{noticed:?}");
    let (queued, _) = scene.queued().await.unwrap();
    assert_eq!(queued.envelope.recipients[0].address.as_str(), "pm@us.test");

    // A sender whom no route leads to is like none.
    let mut lost = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    lost.envelope.sender = ReversePath::Address(Address::parse("a@nowhere.test").unwrap());
    let noticed = scene.notify(&lost, &[failed(0)]).await.unwrap();
    assert!(matches!(noticed, Noticed::Postmaster(_)), "{noticed:?}");
}

/// What the postmaster's mail comes to by an alias is the postmaster's, or each failure would be told of by a message that fails.
#[tokio::test]
async fn a_postmaster_behind_an_alias_is_not_told_that_they_can_not_be_told() {
    let scene = Scene::with(Some("pm@us.test"), "pm: admin@b.test, Second@b.test\n");
    let mut lost = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    lost.envelope.sender = ReversePath::Null;
    let noticed = scene.notify(&lost, &[failed(0)]).await.unwrap();
    assert!(matches!(noticed, Noticed::Postmaster(_)), "{noticed:?}");
    let (told, _) = scene.queued().await.unwrap();
    let addresses: Vec<_> =
        told.envelope.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(addresses, ["admin@b.test", "Second@b.test"]);
    for recipient in [0, 1] {
        let noticed = scene.notify(&told, &[failed(recipient)]).await.unwrap();
        assert_eq!(noticed, Noticed::Nobody);
    }
}

/// Some say 8-bit octets without declaring them, and some declare what they have none of.
#[tokio::test]
async fn what_the_octets_of_a_returned_message_are_is_said_as_it_is() {
    let cases: [(BodyKind, &[u8], bool); 3] = [
        (BodyKind::SevenBit, b"\r\n\xc3\xa4\r\n", true),
        (BodyKind::EightBitMime, b"\r\na\r\n", false),
        (BodyKind::EightBitMime, b"\r\n\xc3\xa4\r\n", true),
    ];
    for (declared, body, eight_bit) in cases {
        let scene = Scene::new(None);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[body]);
        message.envelope.body = declared;
        scene.notify(&message, &[failed(0)]).await.unwrap();
        let (queued, text) = scene.queued().await.unwrap();
        assert_eq!(queued.envelope.body == BodyKind::EightBitMime, eight_bit, "{text}");
        let said = text.matches("Content-Transfer-Encoding: 8bit\r\n").count();
        assert_eq!(said, if eight_bit { 2 } else { 0 }, "{text}");
    }
}

#[tokio::test]
async fn a_message_with_a_header_block_in_utf_8_comes_back_as_what_it_is() {
    for (parameters, kind) in [
        ("SMTPUTF8", "message/global"),
        ("SMTPUTF8 RET=HDRS", "message/global-headers"),
        // In some other character set, as before there was SMTPUTF8.
        ("", "message/rfc822"),
    ] {
        let scene = Scene::new(None);
        let mut message = message(&["u@x.test"], "Subject: gr\u{fc}n\r\n", &[b"\r\n"]);
        message.envelope.parameters = parameters.into();
        scene.notify(&message, &[failed(0)]).await.unwrap();
        let (_, text) = scene.queued().await.unwrap();
        let part = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSub");
        assert!(text.contains(&part), "{text}");
        assert!(text.contains("Content-Type: message/delivery-status\r\n"), "{text}");
    }
}

/// Programs that know fields of ASCII alone are not to be without them for the sake of nothing.
#[tokio::test]
async fn fields_are_of_another_script_where_an_address_is() {
    for (sender, recipient, orcpt, kind) in [
        ("j\u{fc}rgen@b.test", "u@x.test", "", "message/delivery-status"),
        ("a@b.test", "\u{fc}@x.test", "", "message/global-delivery-status"),
        ("a@b.test", "u@x.test", "ORCPT=utf-8;\u{fc}@y.test", "message/global-delivery-status"),
    ] {
        let scene = Scene::new(None);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        let address = |text| Address::parse_international(text).unwrap();
        message.envelope.sender = ReversePath::Address(address(sender));
        message.envelope.recipients[0] =
            Recipient { address: address(recipient), parameters: orcpt.into() };
        scene.notify(&message, &[failed(0)]).await.unwrap();
        let (_, text) = scene.queued().await.unwrap();
        assert!(text.contains(&format!("Content-Type: {kind}\r\n")), "{text}");
        let original = "Original-Recipient: utf-8; \u{fc}@y.test\r\n";
        assert_eq!(text.contains(original), !orcpt.is_empty(), "{text}");
        assert_eq!(
            text.contains("Final-Recipient: utf-8; \u{fc}@x.test\r\n"),
            recipient.len() == 9
        );
    }
}

#[tokio::test]
async fn of_a_talkative_server_so_much_is_told() {
    let scene = Scene::new(None);
    let reply = format!("550 {}", "no ".repeat(1300));
    let finding = Finding::new((5, 0, 0), &reply).about("mx.x.test").replied(&reply);
    scene
        .notify(&message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]), &[Told { finding, ..failed(0) }])
        .await
        .unwrap();
    let (_, text) = scene.queued().await.unwrap();
    assert_eq!(text.matches("no").count() / 340, 2, "{text}");
    assert!(text.len() < 4000, "{text}");
}

#[tokio::test]
async fn a_sender_reads_why_their_message_was_tried_no_more() {
    let scene = Scene::new(None);
    let finding = Finding::new((5, 4, 7), "expired: 4.2.0 450 4.2.0 later to RCPT");
    let finding = finding.about("mx.x.test[192.0.2.1]:25").replied("450 4.2.0 later");
    let closed = Finding::new((5, 4, 7), "expired: 4.4.2 connection closed at DATA");
    let told = [
        Told { finding, ..failed(0) },
        failed(1),
        Told { finding: closed.about("mx.x.test"), ..failed(2) },
    ];
    let message = message(&["u@x.test", "v@x.test", "w@x.test"], "A: b\r\n", &[b"\r\n"]);
    scene.notify(&message, &told).await.unwrap();
    let (_, text) = scene.queued().await.unwrap();
    let wanted = "\
Your message could not be delivered to:

  <v@x.test>
    mx.x.test[192.0.2.1]:25 said: 550 5.1.1 no such user

Your message could not be delivered in time. It was tried again and again, to:

  <u@x.test>
    mx.x.test[192.0.2.1]:25 said: 450 4.2.0 later
  <w@x.test>
    5.4.7 mx.x.test: expired: 4.4.2 connection closed at DATA
";
    assert!(text.replace("\r\n", "\n").contains(wanted), "{text}");
}

/// The fields for programs are ASCII; people read what an operator has written, and nobody is steered by it.
#[tokio::test]
async fn what_an_operator_says_is_told_in_their_own_language() {
    let scene = Scene::new(None);
    let finding = Finding::new((5, 7, 0), "gel\u{f6}scht\u{202e}\r\nX: y");
    let told = Told { finding, ..failed(0) };
    scene.notify(&message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]), &[told]).await.unwrap();
    let (queued, text) = scene.queued().await.unwrap();
    assert_eq!(queued.envelope.body, BodyKind::EightBitMime);
    let words = "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    for wanted in [words, "\r\n    5.7.0 gel\u{f6}scht???X: y\r\n", "; gel?scht???X: y\r\n"] {
        assert!(text.contains(wanted), "{wanted:?} in {text}");
    }
    assert!(text.contains("Content-Type: message/delivery-status\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_message_that_can_not_be_read_is_told_of_later() {
    use crate::delivery::octets::sample::broken_message;
    let scene = Scene::new(None);
    let message = broken_message(&["u@x.test"], "A: b\r\n", &[b"\r\n"], 0);
    assert!(scene.notify(&message, &[failed(0)]).await.is_err());
    assert!(scene.queued().await.is_none());
}
