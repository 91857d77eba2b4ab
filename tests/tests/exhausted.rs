//! The real server short of what the system gives: no descriptor left, a spool that can't be written to, a disk that fails. What was
//! acknowledged is kept, what can't be taken is refused for now, and service comes back by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stagepost_tests::client::{Client, Reply};
use stagepost_tests::log::Line;
use stagepost_tests::peer;
use stagepost_tests::server::{Server, Site, program};
use stagepost_tests::sink::{Closed, Sink};

/// A site whose mail waits for a server that is not there yet.
fn relaying(closed: &Closed) -> Site {
    let retry = "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n";
    let route = "[[route]]\ndomain = \"relayed.test\"\nnext_hop = ";
    Site::new(&format!("{retry}{route}\"{}\"\n", closed.address()))
}

fn message(name: &str, octets: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(98));
    format!("Subject: unique {name}\r\n\r\n{}", line.repeat(octets / 100))
}

/// Hands a message in; an answer for now is one too.
fn offer(client: &mut Client, name: &str, octets: usize) -> Reply {
    for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<b@relayed.test>", "DATA"] {
        let reply = client.ask(line);
        if !matches!(reply.code, 250 | 354) {
            client.say("RSET", 250);
            return reply;
        }
    }
    client.send(message(name, octets).as_bytes());
    client.ask(".")
}

/// The lowest number of a descriptor that a server has not.
fn lowest_free(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid());
    let taken = fs::read_dir(folder).expect("the server runs").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.to_str().and_then(|name| name.parse().ok()).expect("a number")
    });
    let taken: BTreeSet<usize> = taken.collect();
    (0..).find(|number| !taken.contains(number)).expect("there is one")
}

/// Has the system give a server no descriptor with this number or a greater one.
fn limit(server: &Server, descriptors: usize) {
    let mut command = Command::new(peer::need("prlimit"));
    command.arg(format!("--pid={}", server.pid())).arg(format!("--nofile={descriptors}:"));
    peer::run(&mut command);
}

#[test]
fn without_descriptors_mail_is_refused_for_now_and_nothing_is_lost() {
    let closed = Closed::reserve();
    let site = relaying(&closed);
    let server = site.start();
    let mut client = server.greeted();
    // Whatever is opened with the first message is open.
    assert_eq!(offer(&mut client, "first", 100).code, 250);
    let mut acknowledged = BTreeSet::from(["first".to_owned()]);
    let mut refused = 0;
    limit(&server, lowest_free(&server));
    // It is not accepted; the system keeps it waiting.
    let mut waiting = Client::connect(server.address());
    // Large ones need a file, and the journal needs further ones sooner or later.
    for number in 0..60 {
        let octets = if number % 3 == 0 { 100_000 } else { 50_000 };
        let name = format!("short-{number}");
        let reply = offer(&mut client, &name, octets);
        match reply.code {
            250 => drop(acknowledged.insert(name)),
            451 | 452 => refused += 1,
            _ => panic!("{reply}"),
        }
    }
    assert!(refused >= 20, "only {refused} were refused");
    limit(&server, 1000);
    waiting.expect(220);
    let mut client = waiting;
    client.say("EHLO client.test", 250);
    // The queue is opened anew when it is time.
    let back = (0..100_000).any(|number| {
        let name = format!("back-{number}");
        let taken = offer(&mut client, &name, 100_000).code == 250;
        if taken {
            acknowledged.insert(name);
        }
        taken
    });
    assert!(back, "{}", server.log());
    expect_arrived(&closed.open(), &acknowledged);
    server.stop();
}

/// Each of these messages comes to the next hop, and nothing else.
fn expect_arrived(sink: &Sink, acknowledged: &BTreeSet<String>) {
    let received = sink.wait_for(acknowledged.len());
    let subject = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).into_owned();
        let name = text.split("Subject: unique ").nth(1).and_then(|rest| rest.split("\r\n").next());
        name.expect("a message of ours").to_owned()
    };
    let arrived: Vec<String> = received.iter().map(|one| subject(&one.octets)).collect();
    assert_eq!(arrived.len(), acknowledged.len(), "once each, and nothing that was refused");
    assert_eq!(&arrived.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

/// Hands a message in until it is taken: the queue is opened anew when it is time.
fn until_taken(client: &mut Client, name: &str, octets: usize) {
    let taken = (0..100_000).any(|_| offer(client, name, octets).code == 250);
    assert!(taken, "{name} was never taken");
}

#[test]
fn while_the_disk_fails_mail_is_refused_for_now_and_no_sync_is_tried_again() {
    let closed = Closed::reserve();
    // Nothing is tried before it is told to be, so that only what is handed in is written.
    let site = Site::new(&format!(
        "[[route]]\ndomain = \"relayed.test\"\nhold = \"30d\"\n\
         [[route]]\ndomain = \"out.test\"\nnext_hop = \"{}\"\n",
        closed.address()
    ));
    let disk = site.compile("faults/broken_disk.c");
    let (broken, failed) = (site.path().join("broken"), site.path().join("failed"));
    let failures = || {
        let noted = fs::read_to_string(&failed).expect("something has failed");
        noted.lines().map(PathBuf::from).collect::<Vec<_>>()
    };
    let mut command = site.command(&["run", "--config", "stagepost.toml"]);
    command.env("LD_PRELOAD", &disk);
    let server = Server::start(command);
    let mut client = server.greeted();
    assert_eq!(offer(&mut client, "before", 100).code, 250);

    // A body whose sync failed is refused, and the queue is sound.
    fs::write(&broken, "").expect("a file");
    let reply = offer(&mut client, "large", 100_000);
    assert_eq!(reply.code, 451, "{reply}");
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|it| it == "segment");
    assert!(failures().iter().any(|path| path.to_string_lossy().contains("/spool/body")));
    assert!(!failures().iter().any(is_segment), "{:?}", failures());
    fs::remove_file(&broken).expect("it is there");
    fs::remove_file(&failed).expect("it is there");
    assert_eq!(offer(&mut client, "between", 100_000).code, 250);

    // A group whose write failed is refused, and so is all that follows, until the disk is sound.
    fs::write(&broken, "").expect("a file");
    let attempt = |line: &Line| line.message() == "the queue could not be reopened";
    let refused = (0..100_000).take_while(|number| {
        let reply = offer(&mut client, &format!("refused-{number}"), 100);
        assert_eq!(reply.code, 451, "{reply}");
        server.log().matching(attempt).len() < 2
    });
    assert!(refused.count() < 99_999, "it is not tried: {}", server.log());
    fs::remove_file(&broken).expect("it is there");
    until_taken(&mut client, "after", 100);
    let segments: Vec<_> = failures().into_iter().filter(is_segment).collect();
    let [given_up] = &segments[..] else { panic!("one was written to, once: {segments:?}") };
    assert!(!given_up.exists(), "nobody knows what is in it");

    let sink = closed.open();
    let order = ["queue", "requeue", "--destination", "@", "--route", "out.test"];
    let given = site.run(&[&order[..], &["--socket", "state/admin.sock"]].concat());
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
    let acknowledged = ["before", "between", "after"].map(str::to_owned);
    expect_arrived(&sink, &acknowledged.into());
    server.stop();
}

#[test]
fn a_spool_that_can_not_be_written_to_is_refused_at_the_start_and_left_as_it_is() {
    let closed = Closed::reserve();
    let site = relaying(&closed);
    let server = site.start();
    let mut client = server.greeted();
    for name in ["a", "b"] {
        assert_eq!(offer(&mut client, name, 200_000).code, 250);
    }
    drop(client);
    server.kill();
    // The same folder, on a mount of its own that is read-only.
    let mount = "mount --bind state/spool state/spool && mount -o remount,bind,ro state/spool && exec \"$0\" \"$@\"";
    let output = Command::new(peer::need("unshare"))
        .args(["--map-root-user", "--mount", "sh", "-c", mount])
        .arg(program())
        .args(["run", "--config", "stagepost.toml"])
        .current_dir(site.path())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("the queue in") && said.contains("Read-only file system"), "{said}");
    let server = site.start();
    let sink = closed.open();
    assert_eq!(sink.wait_for(2).len(), 2);
    server.stop();
}
