//! The real server on a disk that is full: 452, nothing half-written delivered, and service again when there is room.

use stagepost_tests::server::Site;

#[test]
fn too_little_free_space_is_answered_452_and_nothing_is_kept() {
    let site = Site::new("[queue]\nfree_space_min = \"1000000GB\"\n");
    let server = site.start();
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    let reply = match client.ask("DATA") {
        reply if reply.code == 354 => {
            client.send(b"Subject: no room\r\n\r\nHello.\r\n");
            client.ask(".")
        }
        reply => reply,
    };
    assert_eq!(reply.code, 452, "{reply}");
    assert!(reply.lines[0].starts_with("4.3.1 "), "{reply}");
    // The session goes on.
    client.say("RSET", 250);
    server.stop();

    site.configure("");
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "c@example.test", "Subject: x\r\n\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    assert!(site.mail("b").is_empty());
    server.stop();
}

/// On a small file system of its own.
mod tmpfs {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use stagepost_tests::peer;
    use stagepost_tests::server::{Server, Site, plugin_section, program};
    use stagepost_tests::sink::Closed;

    /// Starts the server with its state on a file system of this size, which goes away with it.
    fn start(site: &Site, size: &str) -> Server {
        start_with(site, "state", size, "true")
    }

    /// The same of any folder, with something done there before.
    fn start_with(site: &Site, folder: &str, size: &str, before: &str) -> Server {
        fs::create_dir_all(site.path().join(folder)).expect("a folder");
        let mount = format!(
            "mount -t tmpfs -o size={size},mode=700 none {folder} && {before} && exec \"$0\" \"$@\""
        );
        let mut command = Command::new(peer::need("unshare"));
        command
            .args(["--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(program())
            .args(["run", "--config", "stagepost.toml"])
            .current_dir(site.path());
        Server::start(command)
    }

    #[test]
    fn what_was_acknowledged_before_the_disk_was_full_arrives_and_nothing_else() {
        const LINES: usize = 10_000;
        let closed = Closed::reserve();
        let queue = "[queue]\nfree_space_min = \"0B\"\nretry_first = \"1s\"\nretry_max = \"1s\"\n";
        let route =
            format!("[[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{}\"\n", closed.address());
        let site = Site::new(&format!("{queue}{route}"));
        let server = start(&site, "160m");
        let body = format!("{}\r\n", "x".repeat(98)).repeat(LINES);
        let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
        let mut client = server.greeted();
        for number in 0..400 {
            let message = format!("Subject: unique {number}\r\n\r\n{body}");
            let reply = client.deliver("a@client.test", "b@relayed.test", &message);
            match reply.code {
                250 => acknowledged.push(message),
                452 => {
                    assert!(reply.lines[0].starts_with("4.3.1 "), "{reply}");
                    refused.push(number);
                }
                _ => panic!("{reply}"),
            }
            if refused.len() >= 3 {
                break;
            }
        }
        assert!(refused.len() >= 3, "the disk did not fill up");
        assert!(acknowledged.len() >= 10, "only {} were accepted", acknowledged.len());
        client.say("NOOP", 250);

        let sink = closed.open();
        let received = sink.wait_for(acknowledged.len());
        for message in &acknowledged {
            let there =
                |one: &stagepost_tests::sink::Received| one.octets.ends_with(message.as_bytes());
            assert!(received.iter().any(there), "an acknowledged message did not arrive whole");
        }
        assert_eq!(sink.messages().len(), acknowledged.len(), "nothing refused may arrive");
        // There is room again.
        let mut client = server.greeted();
        let reply = client.deliver("a@client.test", "b@relayed.test", "Subject: after\r\n\r\n");
        assert_eq!(reply.code, 250, "{reply}");
        sink.wait_for(acknowledged.len() + 1);
        server.stop();
    }

    /// Of the mailboxes: the message waits, nothing of it is left there, and it comes whole when there is room.
    #[test]
    fn a_mailbox_on_a_full_disk_gets_its_mail_when_there_is_room() {
        let queue = "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n";
        let domain =
            "[[local_domain]]\nname = \"boxes.test\"\nmailboxes = \"any\"\nmaildir = \"boxes\"\n";
        let site = Site::new(&format!("{queue}{domain}"));
        let fill = "head -c 900k /dev/zero > boxes/fill";
        let server = start_with(&site, "boxes", "1m", fill);
        // As the server sees it.
        let root = format!("/proc/{}/root", server.pid());
        let boxes = Path::new(&root)
            .join(site.path().strip_prefix("/").expect("a whole path"))
            .join("boxes");
        let left = |part: &str| {
            let entries = fs::read_dir(boxes.join("b").join(part)).expect("a folder");
            entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
        };
        let message =
            format!("Subject: x\r\n\r\n{}", format!("{}\r\n", "y".repeat(98)).repeat(3000));
        let reply = server.greeted().deliver("a@client.test", "b@boxes.test", &message);
        assert_eq!(reply.code, 250, "{reply}");
        let deferred = server.log().wait_for_count("two attempts", 2, |line| {
            line.message() == "deferred" && line.text("recipient") == "b@boxes.test"
        });
        let why = "4.3.1 the mailbox can't be written: No space left on device (os error 28)";
        assert_eq!(deferred[0].text("reply"), why);
        assert!(left("new").is_empty());
        fs::remove_file(boxes.join("fill")).expect("it is there");
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        assert!(left("tmp").is_empty());
        let new = left("new");
        assert_eq!(new.len(), 1, "{new:?}");
        let text = fs::read_to_string(&new[0]).expect("it can be read");
        assert!(text.replace('\n', "\r\n").ends_with(&message));
        server.stop();
    }

    /// What a plug-in writes into a body has room or is a fault of its call, whatever the plug-in says: a message that was to
    /// be another never comes as it was unless the operator wants it so.
    #[test]
    fn a_body_for_which_there_is_no_room_is_a_fault_of_the_call() {
        const MESSAGE: &str = "Subject: to be replaced\r\n\r\nAs it came.\r\n";
        let site = Site::new("");
        let file = site.compile("faults/lost_body.c");
        let fault = "plug-in fault: lost edit: text for the body could not be kept: ";
        let cases = [
            ("", "", 451, fault),
            ("continue", "", 250, fault),
            ("", "refuse = true", 550, "text for the body could not be kept: "),
        ];
        for (on_fault, setting, code, told) in cases {
            let mut further = format!("[plugin.config]\n{setting}\n");
            if !on_fault.is_empty() {
                further += &format!("[plugin.stage.message-accept]\non_fault = \"{on_fault}\"\n");
            }
            let limits =
                "[queue]\nfree_space_min = \"0B\"\n[limits]\nmessage_octets_max = \"1GB\"\n";
            site.configure(&format!("{limits}{}", plugin_section("lost-body", &file, &further)));
            let server = start(&site, "100m");
            let mut client = server.greeted();
            let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
            assert_eq!(reply.code, code, "{on_fault} {setting}: {reply}");
            if code == 250 {
                server.log().wait_for("the delivery", |line| line.message() == "delivered");
                let mail = site.mail("b");
                let [mail] = &mail[..] else { panic!("{mail:?}") };
                let unchanged = MESSAGE.replace("\r\n", "\n");
                assert!(mail.ends_with(unchanged.as_bytes()), "nothing of the call counts");
            }
            // What was written is gone from the disk again, and the session goes on.
            client.say("NOOP", 250);
            let log = server.stop();
            let lines = log.matching(|line| line.message().contains("could not be kept"));
            let [line] = &lines[..] else { panic!("{log}") };
            assert!(line.message().starts_with(told), "{log}");
            assert!(line.message().contains("No space left"), "{log}");
            assert_eq!(line.text("plugin"), "lost-body");
        }
    }
}
