//! Kills the real server at random moments: every acknowledged message arrives, exactly as sent, and twice at most where a kill
//! came between its delivery and the settlement of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stagepost_tests::chance::Chance;
use stagepost_tests::client::Client;
use stagepost_tests::log::{Line, Log};
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::{Received, Sink};

const ROUNDS: u64 = 3;
const SESSIONS: u64 = 8;
const MESSAGES: u64 = 200;
/// Larger ones are kept in files of their own.
const BODY_OCTETS_MAX: u64 = 100 << 10;
/// How long after the chosen acknowledgement a kill may come.
const DELAY_US_MAX: u64 = 20_000;

/// The message of a number, from the round's seed: half of them are small, the others of any size.
fn message(seed: u64, number: u64) -> String {
    let mut chance = Chance::new(seed ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let octets = if chance.below(2) == 0 { 100 } else { chance.below(BODY_OCTETS_MAX) };
    let mut text = format!("Subject: message {number} of {seed:x}\r\n\r\n");
    while (text.len() as u64) < octets {
        let line: String = (0..70).map(|_| char::from(b'a' + chance.below(26) as u8)).collect();
        text += &line;
        text += "\r\n";
    }
    text
}

fn recipient(number: u64) -> &'static str {
    if number.is_multiple_of(2) { "b@example.test" } else { "b@relayed.test" }
}

/// Sends one message; whether it was acknowledged, or nothing when the server is gone.
fn send(client: &mut Client, recipient: &str, message: &str) -> Option<bool> {
    let mut code = None;
    let to = format!("RCPT TO:<{recipient}>\r\n");
    let whole = format!("{message}.\r\n");
    for octets in ["MAIL FROM:<a@client.test>\r\n", &to, "DATA\r\n", &whole] {
        client.try_send(octets.as_bytes()).ok()?;
        code = Some(client.try_reply().ok()?.code);
    }
    code.map(|code| code == 250)
}

/// Sends all messages over several sessions until done or the server is gone; tells each acknowledged number.
fn send_all(server: &Server, seed: u64) -> mpsc::Receiver<u64> {
    let (acknowledge, acknowledged) = mpsc::channel();
    for session in 0..SESSIONS {
        let (mut client, acknowledge) = (server.greeted(), acknowledge.clone());
        thread::spawn(move || {
            for number in (session..MESSAGES).step_by(SESSIONS as usize) {
                match send(&mut client, recipient(number), &message(seed, number)) {
                    // Nobody listens any more when the test has failed.
                    Some(true) => drop(acknowledge.send(number)),
                    Some(false) => panic!("message {number} was refused"),
                    None => return,
                }
            }
        });
    }
    acknowledged
}

/// Burns time: a kill is to come at a moment that no event marks.
fn delay(chance: &mut Chance) {
    let until = Instant::now() + Duration::from_micros(chance.below(DELAY_US_MAX));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Which message this is and whether it is whole. `as_sent` restores the line ends of the wire.
fn number_of(seed: u64, as_sent: &str) -> Result<u64, String> {
    let subject = as_sent.split("Subject: message ").nth(1);
    let number = subject.and_then(|rest| rest.split_once(' ')).map(|(number, _)| number);
    let number: u64 = number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("no message of ours: {as_sent:.200}"))?;
    if as_sent.ends_with(&message(seed, number)) {
        Ok(number)
    } else {
        Err(format!("message {number} is not as it was sent"))
    }
}

fn count(arrived: impl Iterator<Item = Result<u64, String>>) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for number in arrived {
        *counts.entry(number.unwrap_or_else(|reason| panic!("{reason}"))).or_insert(0) += 1;
    }
    counts
}

fn delivered_ids(log: &Log) -> BTreeSet<String> {
    let lines = log.matching(|line| line.message() == "delivered");
    lines.iter().map(|line| line.text("id")).collect()
}

/// Waits until everything that was queued when the server started is delivered.
fn wait_for_queue(server: &Server) {
    let opened = |line: &Line| line.message() == "the queue is open";
    let queued = server.log().wait_for("the queue", opened).text("messages");
    let queued: usize = queued.parse().expect("a count");
    let delivered = |line: &Line| line.message() == "delivered";
    server.log().wait_for_count("what was queued", queued, delivered);
    assert_eq!(delivered_ids(server.log()).len(), queued);
}

/// How often each message has arrived, in the mailbox and at the next hop.
fn arrived(seed: u64, site: &Site, sink: &Sink) -> BTreeMap<u64, u64> {
    // What a killed server has sent may still be read.
    sink.wait_until_left();
    let local = site.mail("b");
    let local = local.iter().map(|octets| String::from_utf8_lossy(octets).replace('\n', "\r\n"));
    let relayed: Vec<Received> = sink.messages();
    let relayed = relayed.iter().map(|one| String::from_utf8_lossy(&one.octets).into_owned());
    count(local.chain(relayed).map(|text| number_of(seed, &text)))
}

/// No message has arrived twice while one server ran: only a kill explains a second time.
fn expect_no_twins(before: &BTreeMap<u64, u64>, now: &BTreeMap<u64, u64>) {
    for (number, times) in now {
        let earlier = before.get(number).copied().unwrap_or(0);
        assert!(times - earlier <= 1, "message {number} came twice without a kill between");
    }
}

/// One round: what was acknowledged, and how often each message arrived.
fn round(seed: u64) -> (BTreeSet<u64>, BTreeMap<u64, u64>) {
    let mut chance = Chance::new(seed);
    let sink = Sink::open();
    let route =
        format!("[[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{}\"\n", sink.address());
    let retry = "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n";
    let site = Site::new(&format!("{retry}{route}"));

    let server = site.start();
    let acknowledged = send_all(&server, seed);
    let kill_after = 1 + chance.below(MESSAGES) as usize;
    let mut known: BTreeSet<u64> = acknowledged.iter().take(kill_after).collect();
    delay(&mut chance);
    server.kill();
    known.extend(acknowledged);
    let first = arrived(seed, &site, &sink);
    expect_no_twins(&BTreeMap::new(), &first);

    // Once more while it recovers.
    let server = site.start();
    delay(&mut chance);
    server.kill();
    let second = arrived(seed, &site, &sink);
    expect_no_twins(&first, &second);

    let server = site.start();
    wait_for_queue(&server);
    server.stop();
    let last = arrived(seed, &site, &sink);
    expect_no_twins(&second, &last);
    (known, last)
}

#[test]
fn every_acknowledged_message_survives_kill_9() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos());
    let first = std::env::var("STAGEPOST_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = first.unwrap_or(now as u64 | 1);
    for seed in (0..ROUNDS).map(|round| first.wrapping_add(2 * round)) {
        println!("seed {seed} (STAGEPOST_CRASH_SEED={seed} runs this round first)");
        let (acknowledged, arrived) = round(seed);
        let lost: Vec<_> =
            acknowledged.iter().filter(|number| !arrived.contains_key(number)).collect();
        let duplicates: u64 = arrived.values().map(|times| times - 1).sum();
        println!(
            "{} acknowledged, {} arrived, {duplicates} twice, each with a kill between",
            acknowledged.len(),
            arrived.len()
        );
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}

/// What the system is asked for between the final dot and the 250.
mod strace {
    use std::fs;
    use std::process::Command;
    use std::thread;

    use stagepost_tests::peer;
    use stagepost_tests::server::{Server, Site, program};
    use stagepost_tests::sink::Closed;

    const CALLS: &str =
        "trace=read,recvfrom,recvmsg,write,writev,sendto,sendmsg,openat,pwrite64,fsync,fdatasync";

    /// A write to the journal is its own sync, as the journal was opened.
    fn is_synchronous_journal(line: &str) -> bool {
        line.contains(" openat(") && line.contains(".segment\"") && line.contains("O_DSYNC")
    }

    fn is_sync_begun(line: &str) -> bool {
        let journal = line.contains(" pwrite64(") && line.contains(".segment>");
        journal || line.contains(" fdatasync(") || line.contains(" fsync(")
    }

    fn is_sync_done(line: &str) -> bool {
        let calls = ["pwrite64 resumed>", "fdatasync resumed>", "fsync resumed>"];
        let resumed = calls.iter().any(|call| line.contains(call));
        let result = line.trim_end().rsplit_once(" = ").map(|(_, result)| result.parse::<u64>());
        (is_sync_begun(line) || resumed) && matches!(result, Some(Ok(_)))
    }

    /// Runs a server under strace while one message is sent; the trace, line by line.
    fn traced(message: &str) -> Vec<String> {
        // Queued and not delivered: every sync is the queue's.
        let closed = Closed::reserve();
        let site = Site::new(&format!(
            "[[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{}\"\n",
            closed.address()
        ));
        let pipe = site.path().join("trace");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
        let reading = thread::spawn(move || fs::read_to_string(pipe));
        let mut command = Command::new(peer::need("strace"));
        command
            .args(["-D", "-f", "-y", "-s", "256", "-e", CALLS, "-o", "trace"])
            .arg(program())
            .args(["run", "--config", "stagepost.toml"])
            .current_dir(site.path());
        let server = Server::start(command);
        let reply = server.greeted().deliver("a@client.test", "b@relayed.test", message);
        assert_eq!(reply.code, 250, "{reply}");
        server.stop();
        let trace = reading.join().expect("no panic").expect("a trace");
        trace.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_250_follows_a_sync_that_began_after_the_final_dot() {
        let trace = traced("Subject: synced\r\n\r\nHello\r\n");
        // Alone, or read together with what came before it.
        let dot =
            trace.iter().position(|line| line.contains("recvfrom") && line.contains(".\\r\\n\""));
        let dot = dot.unwrap_or_else(|| panic!("no final dot in\n{}", trace.join("\n")));
        assert!(
            trace.iter().any(|line| is_synchronous_journal(line)),
            "the journal is written without a sync"
        );
        let rest = &trace[dot..];
        let sent =
            rest.iter().position(|line| line.contains("\"250 2.0.0 ")).expect("250 was sent");
        let between = &rest[..sent];
        let begun = between.iter().position(|line| is_sync_begun(line));
        let done = between.iter().rposition(|line| is_sync_done(line));
        assert!(
            matches!((begun, done), (Some(begun), Some(done)) if begun <= done),
            "no whole sync between dot and 250:\n{}",
            between.join("\n")
        );
    }
}
