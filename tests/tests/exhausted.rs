//! The real server short of what the system gives: no descriptor left, a spool that can't be written to. What was
//! acknowledged is kept, what can't be taken is refused for now, and service comes back by itself.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use stagepost_tests::client::{Client, Reply};
use stagepost_tests::peer;
use stagepost_tests::server::{Server, Site, program};
use stagepost_tests::sink::Closed;

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
    let sink = closed.open();
    let received = sink.wait_for(acknowledged.len());
    let subject = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).into_owned();
        let name = text.split("Subject: unique ").nth(1).and_then(|rest| rest.split("\r\n").next());
        name.expect("a message of ours").to_owned()
    };
    let arrived: Vec<String> = received.iter().map(|one| subject(&one.octets)).collect();
    assert_eq!(arrived.len(), acknowledged.len(), "once each, and nothing that was refused");
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), acknowledged);
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
