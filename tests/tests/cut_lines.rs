//! Lines of calls that are cut behind every octet: mail that comes is on disk once it was acknowledged, and mail that goes waits on
//! until it was. Knows the plug-in caller, and a server that says what it is told.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use stagepost_tests::script::{Script, Speaker};
use stagepost_tests::server::{Server, Site, plugin_section};

/// A server with the plug-in caller, and a queue for waiting.test.
fn calling() -> (Site, Server) {
    let site = Site::new("");
    let file = site.compile("plugins/caller.c");
    let route = "[[route]]\ndomain = \"waiting.test\"\nhold = \"30d\"\n";
    site.configure(&(route.to_owned() + &plugin_section("caller", &file, "")));
    let server = site.start();
    (site, server)
}

/// Has so many sessions opened, and the same done in each; how many came to a good end.
fn repeat(site: &Site, script: &Script, count: usize, what: &str) -> String {
    let json = format!("\"{} {count} {what}\"", script.address().port());
    let base = ["plugin", "call", "--socket", "state/admin.sock", "caller", "repeat", &json];
    let output = site.run(&base);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What one side of a line has of messages, by their subjects.
#[derive(Default)]
struct Mail {
    /// The next one's number.
    next: usize,
    /// Those that the other side has taken.
    acknowledged: Vec<usize>,
    /// Those whose end was said, how often.
    ended: BTreeMap<usize, usize>,
}

/// Gives the next message, until the line is cut.
fn give(speaker: &mut Speaker, mail: &mut Mail) -> io::Result<()> {
    let number = mail.next;
    speaker.try_hear()?;
    for (line, code) in [
        ("EHLO provider.test", "250 "),
        ("MAIL FROM:<a@client.test>", "250 "),
        ("RCPT TO:<b@example.test>", "250 "),
        ("DATA", "354 "),
    ] {
        speaker.try_say(line)?;
        while !speaker.try_hear()?.starts_with(code) {}
    }
    speaker.try_say(&format!("Subject: number {number}\n\nHello.\n..dot"))?;
    *mail.ended.entry(number).or_default() += 1;
    speaker.try_say(".").inspect_err(|_| {
        *mail.ended.entry(number).or_default() -= 1;
    })?;
    if speaker.try_hear()?.starts_with("250 ") {
        mail.acknowledged.push(number);
        mail.next += 1;
    }
    speaker.try_say("QUIT")?;
    speaker.try_hear().map(drop)
}

#[test]
fn what_was_acknowledged_is_on_disk_wherever_a_reversed_line_is_cut() {
    const CUTS: usize = 180;
    let (site, server) = calling();
    let mail = Arc::new(Mutex::new(Mail::default()));
    let given = mail.clone();
    let script = Script::play(CUTS, move |number, mut speaker| {
        speaker.greet(&["ATRN"]);
        speaker.answer("ATRN", "250 now reversing");
        // The last line is not cut.
        speaker.cut_behind(if number == CUTS - 1 { usize::MAX } else { number });
        let whole = give(&mut speaker, &mut given.lock().unwrap());
        assert!(whole.is_ok() || number < CUTS - 1, "{whole:?}");
    });
    let good: usize = repeat(&site, &script, CUTS, "//").parse().unwrap();
    script.end();
    let mail = mail.lock().unwrap();
    assert!(good > 1 && good < CUTS && mail.acknowledged.len() >= good, "{good}");
    let stored: usize = mail.ended.values().sum();
    server
        .log()
        .wait_for_count("all", mail.acknowledged.len(), |line| line.message() == "delivered");
    let subject = |mail: Vec<u8>| {
        let text = String::from_utf8_lossy(&mail).into_owned();
        assert!(text.ends_with("\n\nHello.\n.dot\n"), "{text}");
        let (_, rest) = text.split_once("Subject: number ").unwrap();
        rest.lines().next().unwrap().parse::<usize>().unwrap()
    };
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for number in site.mail("b").into_iter().map(subject) {
        *found.entry(number).or_default() += 1;
    }
    for number in &mail.acknowledged {
        let times = found.get(number).copied().unwrap_or(0);
        // Only where the acknowledgement was lost may one come twice (RFC 1047).
        assert!((1..=mail.ended[number]).contains(&times), "{number}: {times}");
    }
    assert!(found.values().sum::<usize>() <= stored);
    server.stop();
}

/// Takes messages, until the line is cut.
fn take(speaker: &mut Speaker, taken: &mut Vec<String>) -> io::Result<()> {
    speaker.try_say("220 script.test")?;
    let mut subject = String::new();
    loop {
        let line = speaker.try_hear()?;
        match line.get(..4).unwrap_or_default() {
            "EHLO" => speaker.try_say("250 script.test")?,
            "DATA" => {
                speaker.try_say("354 go on")?;
                loop {
                    let line = speaker.try_hear()?;
                    if let Some(found) = line.strip_prefix("Subject: ") {
                        subject = found.to_owned();
                    }
                    if line == "." {
                        break;
                    }
                }
                speaker.try_say("250 kept")?;
                taken.push(std::mem::take(&mut subject));
            }
            "QUIT" => return speaker.try_say("221 bye"),
            _ => speaker.try_say("250 ok")?,
        }
    }
}

#[test]
fn what_was_not_acknowledged_waits_on_wherever_a_pushing_line_is_cut() {
    const CUTS: usize = 190;
    const MESSAGES: usize = 4;
    let (site, server) = calling();
    let mut client = server.greeted();
    for number in 0..MESSAGES {
        let message = format!("Subject: {number}\r\n\r\nHello.\r\n");
        assert_eq!(client.deliver("a@client.test", "b@waiting.test", &message).code, 250);
    }
    let taken = Arc::new(Mutex::new(Vec::new()));
    let kept = taken.clone();
    let script = Script::play(CUTS, move |number, mut speaker| {
        speaker.cut_behind(if number == CUTS - 1 { usize::MAX } else { number });
        // The plug-in hangs up when it has pushed.
        let _ = take(&mut speaker, &mut kept.lock().unwrap());
    });
    repeat(&site, &script, CUTS, "push waiting.test");
    script.end();
    let mut taken = taken.lock().unwrap().clone();
    taken.sort();
    assert_eq!(taken, ["0", "1", "2", "3"]);
    let listed = site.run(&["queue", "list", "--json", "--socket", "state/admin.sock"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(0), "{listed}");
    server.stop();
}
