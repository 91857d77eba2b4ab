//! Deliveries into real folders.
//! Knows the Maildirs by their public methods and by what they leave on disk.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::delivery::octets::sample::{broken_message, message};

const DELIVERED: &str = "delivered 2.0.0 kept in the mailbox";

/// The outcomes in words.
async fn deliver(maildirs: &Maildirs, message: &StoredMessage, to: &[u32]) -> Vec<String> {
    let outcomes = maildirs.deliver(message, to).await;
    outcomes.iter().map(RecipientOutcome::to_string).collect()
}

fn maildirs(folder: &TempDir) -> Maildirs {
    Maildirs::new(folder.path().join("mail/x.test"), "host.test")
}

/// The names in a folder; none when it is not there.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The only file in a mailbox's new, with nothing left in tmp.
fn only_message(mailbox: &Path) -> Vec<u8> {
    assert_eq!(names(&mailbox.join("tmp")), BTreeSet::new());
    let new = names(&mailbox.join("new"));
    assert_eq!(new.len(), 1, "{new:?}");
    fs::read(mailbox.join("new").join(new.first().unwrap())).unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_its_fields_and_local_line_ends() {
    let folder = TempDir::new().unwrap();
    let to = ["First@x.test", r#""../up"@x.test"#, "other@x.test"];
    let message = message(&to, "Subject: a\r\n", &[b"\r\n.dot\r", b"\n\xff\0\r\n\r"]);
    let maildirs = maildirs(&folder);
    assert_eq!(deliver(&maildirs, &message, &[1, 0]).await, [DELIVERED, DELIVERED]);
    let domain = folder.path().join("mail/x.test");
    let text = |to: &str| {
        let head = format!("Return-Path: <a@b.test>\nDelivered-To: {to}\nSubject: a\n\n");
        [head.as_bytes(), b".dot\n\xff\0\n\r"].concat()
    };
    assert_eq!(only_message(&domain.join("first")), text(to[0]));
    assert_eq!(only_message(&domain.join("%2e.%2fup")), text(to[1]));
    assert_eq!(names(&domain).len(), 2);
    // Private, whatever the umask.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let mailbox = domain.join("first");
    let file = mailbox.join("new").join(names(&mailbox.join("new")).first().unwrap());
    assert_eq!(mode(&file), 0o600);
    for part in ["", "tmp", "new", "cur"] {
        assert_eq!(mode(&mailbox.join(part)), 0o700, "{part}");
    }
    assert_eq!(mode(&domain), 0o700);
}

/// A message that comes back to a mailbox would come back for ever.
#[tokio::test]
async fn a_mailbox_takes_a_message_once_each_time_it_is_sent() {
    let folder = TempDir::new().unwrap();
    let to = ["Again@x.test", "new@x.test"];
    let header = "Delivered-To: again@X.TEST\r\nReceived: from a\r\nDelivered-To: other@x.test\r\n";
    let message = message(&to, header, &[b"\r\n"]);
    let looped = "failed 5.4.6 it has been in this mailbox before, and goes round in a loop";
    assert_eq!(deliver(&maildirs(&folder), &message, &[0, 1]).await, [looped, DELIVERED]);
    assert_eq!(names(&folder.path().join("mail/x.test")), BTreeSet::from(["new".to_owned()]));
    let text = only_message(&folder.path().join("mail/x.test/new"));
    assert!(text.starts_with(
        b"Return-Path: <a@b.test>\nDelivered-To: new@x.test\nDelivered-To: again@X.TEST\n"
    ));
}

#[tokio::test]
async fn a_large_message_arrives_whole() {
    let folder = TempDir::new().unwrap();
    // Line ends fall on every place of a piece.
    let line = [b'y'; 97];
    let lines: Vec<u8> = (0..40_000).flat_map(|_| [&line[..], b"\r\n"].concat()).collect();
    let pieces: Vec<&[u8]> = lines.chunks(10_007).collect();
    let message =
        message(&["u@x.test"], "A: b\r\n", &[&[&b"\r\n"[..]], pieces.as_slice()].concat());
    assert_eq!(deliver(&maildirs(&folder), &message, &[0]).await, [DELIVERED]);
    let text = only_message(&folder.path().join("mail/x.test/u"));
    let head = b"Return-Path: <a@b.test>\nDelivered-To: u@x.test\nA: b\n\n";
    let body = [&line[..], b"\n"].concat().repeat(40_000);
    assert!(text == [&head[..], &body].concat(), "{} octets", text.len());
}

#[tokio::test]
async fn a_message_that_breaks_off_is_not_delivered() {
    let folder = TempDir::new().unwrap();
    let large = vec![b'x'; 200_000];
    for body in [&[&b"small"[..]][..], &[&large, &large]] {
        let message = broken_message(&["u@x.test"], "", body, 0);
        let outcomes = deliver(&maildirs(&folder), &message, &[0]).await;
        let text = "4.3.0 the queued message could not be read: the queue is not available: the disk is gone";
        assert_eq!(outcomes, [format!("deferred {text}")]);
        let mailbox = folder.path().join("mail/x.test/u");
        assert_eq!(names(&mailbox.join("tmp")), BTreeSet::new());
        assert_eq!(names(&mailbox.join("new")), BTreeSet::new());
    }
}

#[tokio::test]
async fn a_failed_rename_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let mailbox = folder.path().join("mail/x.test/u");
    fs::create_dir_all(mailbox.join("tmp")).unwrap();
    fs::write(mailbox.join("new"), "no folder").unwrap();
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let outcomes = deliver(&maildirs(&folder), &message, &[0]).await;
    let text = "4.2.0 the mailbox can't be written: Not a directory (os error 20)";
    assert_eq!(outcomes, [format!("deferred {text}")]);
    assert_eq!(names(&mailbox.join("tmp")), BTreeSet::new());
    assert_eq!(fs::read(mailbox.join("new")).unwrap(), b"no folder");
}

#[tokio::test]
async fn a_mailbox_that_was_removed_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let maildirs = maildirs(&folder);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for gone in ["mail", "mail/x.test/u/new", "mail/x.test/u/tmp"] {
        assert_eq!(deliver(&maildirs, &message, &[0]).await, [DELIVERED]);
        fs::remove_dir_all(folder.path().join(gone)).unwrap();
        assert_eq!(deliver(&maildirs, &message, &[0]).await, [DELIVERED], "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deliveries_at_once_have_names_of_their_own() {
    let folder = TempDir::new().unwrap();
    // Two values for one domain, as after a reload of the configuration.
    let instances = [maildirs(&folder), maildirs(&folder)];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let maildirs = instances[number % 2].clone();
        tasks.spawn(async move {
            let message = message(&["u@x.test"], &format!("N: {number}\r\n"), &[]);
            deliver(&maildirs, &message, &[0]).await
        });
    }
    while let Some(outcomes) = tasks.join_next().await {
        assert_eq!(outcomes.unwrap(), [DELIVERED]);
    }
    let new = folder.path().join("mail/x.test/u/new");
    let texts: BTreeSet<Vec<u8>> =
        names(&new).iter().map(|name| fs::read(new.join(name)).unwrap()).collect();
    assert_eq!(texts.len(), 1000);
    assert!(
        names(&new).iter().all(|name| name.ends_with(".host.test") && !name.contains([':', '/']))
    );
}

/// Operators move mailboxes to other disks; a link to nothing, or to none, is theirs to put right.
#[tokio::test]
async fn a_mailbox_may_be_elsewhere_by_a_link() {
    let folder = TempDir::new().unwrap();
    let domain = folder.path().join("mail/x.test");
    fs::create_dir_all(&domain).unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (name, target) in
        [("u", "disk"), ("gone", "nowhere"), ("file", "file"), ("self", "mail/x.test/self")]
    {
        symlink(folder.path().join(target), domain.join(name)).unwrap();
    }
    let to = ["u@x.test", "gone@x.test", "file@x.test", "self@x.test"];
    let message = message(&to, "A: b\r\n", &[b"\r\n"]);
    let outcomes = deliver(&maildirs(&folder), &message, &[0, 1, 2, 3]).await;
    assert_eq!(outcomes[0], DELIVERED);
    let wrong = "deferred 4.2.0 the mailbox can't be written: ";
    assert!(outcomes[1..].iter().all(|outcome| outcome.starts_with(wrong)), "{outcomes:?}");
    only_message(&folder.path().join("disk"));
    assert!(!folder.path().join("nowhere").exists());
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"");
}

#[test]
fn a_host_name_fits_into_a_file_name() {
    let maildirs = Maildirs::new("mail".into(), "a/b:c");
    assert_eq!(maildirs.shared.host_name, "a\\057b\\072c");
}

#[test]
fn faults_of_the_file_system_have_a_status() {
    let cases = [
        (Errno::NOSPC, "4.3.1"),
        (Errno::DQUOT, "4.2.2"),
        (Errno::ACCESS, "4.2.0"),
        (Errno::IO, "4.2.0"),
    ];
    for (errno, status) in cases {
        let outcome = defer(&MaildirError::Mailbox(errno.into()), &"mail/u");
        let text = outcome.to_string();
        assert!(text.starts_with(&format!("deferred {status} ")), "{text}");
        assert!(!text.contains("mail/u"), "{text}");
    }
}
