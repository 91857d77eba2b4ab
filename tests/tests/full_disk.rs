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
    use std::process::Command;

    use stagepost_tests::peer;
    use stagepost_tests::server::{Server, Site, program};
    use stagepost_tests::sink::Closed;

    /// Starts the server with its state on a file system of this size, which goes away with it.
    fn start(site: &Site, size: &str) -> Server {
        fs::create_dir_all(site.path().join("state")).expect("a folder");
        let mount =
            format!("mount -t tmpfs -o size={size},mode=700 none state && exec \"$0\" \"$@\"");
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
}
