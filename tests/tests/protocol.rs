//! What plug-ins do to the protocol itself, on the real server: verbs, keywords, parameters, and lines made into others.

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site, plugin_section};

/// The lines of a reply, without its code.
fn lines(client: &mut Client, command: &str, code: u16) -> Vec<String> {
    let reply = client.ask(command);
    assert_eq!(reply.code, code, "{reply}");
    reply.lines
}

fn delivered(server: &Server, site: &Site, user: &str) -> String {
    server.log().wait_for(user, |line| {
        line.message() == "delivered" && line.text("recipient").contains(user)
    });
    let mail = site.mail(user);
    String::from_utf8(mail[0].clone()).expect("ASCII")
}

#[test]
fn what_a_plug_in_claims_is_announced_taken_and_answered() {
    let site = Site::new("");
    let greeter = site.compile("plugins/greeter.c");
    site.configure(&plugin_section("greeter", &greeter, ""));
    let server = site.start();
    let mut client = server.connect();
    let keywords = lines(&mut client, "EHLO client.example.test", 250);
    assert_eq!(keywords.last().map(String::as_str), Some("X-XHELLO world moon"));
    assert!(keywords.iter().any(|line| line.starts_with("SIZE ")), "{keywords:?}");
    assert_eq!(lines(&mut client, "xhello  World ", 250), ["2.0.0 Hello,  World"]);
    client.say("MAIL FROM:<a@client.test> SIZE=10 xtag=a+3Db BODY=8BITMIME", 250);
    client.say("RCPT TO:<b@example.test> XTAG=1", 555);
    // What follows XDO is the command.
    client.say("XDO RCPT TO:<b@example.test> XNOTE=x;y", 250);
    client.say("XDO DATA", 451);
    client.say("DATA", 354);
    client.send(b"Subject: noted\r\n\r\nHello.\r\n");
    client.say(".", 250);
    let message = delivered(&server, &site, "b");
    assert!(message.contains("X-Tag: a+3Db\nX-Note: x;y\n"), "{message}");

    let keywords = lines(&mut client, "EHLO plain.test", 250);
    assert!(!keywords.iter().any(|line| line.starts_with("SIZE")), "{keywords:?}");
    assert_eq!(keywords.last().map(String::as_str), Some("X-PLAIN"));
    client.say("MAIL FROM:<a@client.test> SIZE=10", 555);
    client.say("XHELLO", 250);
    client.say("QUIT", 221);
    let faults = server.log().matching(|line| line.message().contains("plug-in fault"));
    let [fault] = &faults[..] else { panic!("{}", server.log()) };
    assert_eq!(
        fault.message(),
        "plug-in fault: bad edit: DATA frames what follows it: its line stays as it is, and no other becomes one"
    );
    assert_eq!((fault.text("plugin"), fault.text("event")), ("greeter".into(), "command".into()));
    server.stop();
}

#[test]
fn two_claimants_and_claims_of_the_servers_own_are_refused_at_start() {
    let site = Site::new("");
    let define = |name: &str, verb: &str| [format!("NAME=\"{name}\""), format!("VERB=\"{verb}\"")];
    let compile = |name: &str, verb: &str| {
        let defines = define(name, verb);
        let file = site.compile_with("plugins/greeter.c", &[&defines[0], &defines[1]]);
        plugin_section(name, &file, "")
    };
    let first = compile("first", "XHELLO");
    let second = compile("second", "XHELLO");
    site.configure(&(first.clone() + &second));
    let line = site.refusal();
    let wanted = "plug-in second refused: claims: wanted for itself verb XHELLO, found it claimed by plug-in first";
    assert!(line.contains(wanted), "{line}");
    // Skipped, it claims nothing, and what the first one has works.
    site.configure(&(first + &second.replace("\n\n", "\non_load_error = \"skip\"\n\n")));
    let server = site.start();
    server.greeted().say("XHELLO", 250);
    server.stop();
    site.configure(&compile("third", "EXPN"));
    let line = site.refusal();
    let wanted = "plug-in third refused: claims: wanted for itself verb EXPN, found it claimed by the server itself";
    assert!(line.contains(wanted), "{line}");
}
