//! Messages that plug-ins make, on the real server: from C and from Rust, refused ones, and ones that go round in a loop.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};

const MESSAGE: &str = "Subject: the first\r\n\r\nHello.\r\n";

#[test]
fn a_message_about_each_message_is_delivered() {
    let site = Site::new("");
    site.configure(&plugin_section("notifier-rust", &build_rust("notifier-rust"), ""));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for_count("both", 2, |line| line.message() == "delivered");
    let sent = server.log().wait_for("its id", |line| line.message().starts_with("sent "));
    assert!(sent.message().ends_with(", true"), "{}", sent.as_str());
    let mail = site.mail("told");
    let [told] = &mail[..] else { panic!("{} messages", mail.len()) };
    let told = String::from_utf8_lossy(told);
    // One hop for the message that it is about has not been counted: it came from a client.
    let (trace, rest) = told.split_once("Subject: told\n").expect("the message");
    assert_eq!(trace.matches("Received: ").count(), 1, "{trace}");
    assert!(trace.contains("Received: by mx.example.test (plug-in notifier-rust) id "), "{trace}");
    assert!(trace.contains("Return-Path: <>"), "{trace}");
    assert!(rest.starts_with("\n.a line that begins with a dot\nxxx"), "{rest}");
    assert_eq!(rest.matches('x').count(), 90_000);
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
    server.stop();
}

#[test]
fn what_a_client_could_not_send_a_plug_in_can_not_either() {
    let site = Site::new("");
    let config = "[plugin.config]\nmode = 2";
    site.configure(&plugin_section("looper", &site.compile("plugins/looper.c"), config));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    let refused = server.log().wait_for("why", |line| line.message().contains("is refused"));
    assert!(refused.text("reply").contains("Bare <LF>"), "{}", refused.as_str());
    server.log().wait_for("the status", |line| line.message() == "was refused");
    server.stop();
}

/// What the plug-ins have said of a submission, each time.
fn said(server: &Server, start: &str) -> usize {
    server.log().matching(|line| line.message().starts_with(start)).len()
}

fn delivered(server: &Server, messages: usize) {
    server.log().wait_for_count("each", messages, |line| line.message() == "delivered");
}

/// A message with so many hops behind it, to a user here.
fn deliver(server: &Server, hops: usize) {
    let message = "Received: x\r\n".repeat(hops) + MESSAGE;
    let reply = server.greeted().deliver("a@client.test", "b@example.test", &message);
    assert_eq!(reply.code, 250, "{reply}");
}

#[test]
fn who_sees_messages_of_plug_ins_does_not_see_what_it_led_to() {
    let site = Site::new("");
    let looper = |name: &str, mode: u32| {
        let file = site.compile_with("plugins/looper.c", &[&format!("NAME=\"{name}\"")]);
        plugin_section(name, &file, &format!("[plugin.config]\nmode = {mode}"))
    };
    // Alone it sends one for the client's message, and none for its own.
    site.configure(&looper("one", 3));
    let server = site.start();
    deliver(&server, 0);
    delivered(&server, 2);
    assert_eq!(said(&server, "went round"), 1);
    server.stop();
    // Of two each answers the other, and neither what it has led to by way of the other.
    site.configure(&(looper("one", 3) + &looper("two", 3)));
    let server = site.start();
    deliver(&server, 0);
    delivered(&server, 5);
    assert_eq!(said(&server, "went round"), 4);
    server.stop();
    // In Rust likewise, and beside C.
    site.configure(
        &(plugin_section("notifier-rust", &build_rust("notifier-rust"), "") + &looper("one", 3)),
    );
    let server = site.start();
    deliver(&server, 0);
    delivered(&server, 5);
    assert_eq!((said(&server, "went round"), said(&server, "sent ")), (2, 2));
    let mails = [site.mail("b"), site.mail("told")].concat();
    let marked =
        mails.iter().filter(|mail| String::from_utf8_lossy(mail).contains("X-Seen: in Rust"));
    assert_eq!(marked.count(), 1, "the one that looper made for the client's message");
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
    server.stop();
}

#[test]
fn what_no_recursion_id_ends_is_ended_by_hops() {
    let site = Site::new("");
    let looper = site.compile("plugins/looper.c");
    site.configure(&plugin_section("looper", &looper, "[plugin.config]\nmode = 4"));
    let server = site.start();
    deliver(&server, 97);
    // With 97, 98, 99 and 100 hops each leads to a further one, and the last one to one that is refused.
    delivered(&server, 5);
    assert_eq!((said(&server, "went round"), said(&server, "was refused")), (4, 1));
    server.stop();
}

/// Hands each connection on to another place, as a server would that sends all mail back.
fn hand_on(listener: TcpListener, to: SocketAddr) {
    thread::spawn(move || {
        for from in listener.incoming().map_while(Result::ok) {
            let Ok(to) = TcpStream::connect(to) else { return };
            for (mut source, mut target) in [
                (from.try_clone().unwrap(), to.try_clone().unwrap()),
                (to.try_clone().unwrap(), from.try_clone().unwrap()),
            ] {
                thread::spawn(move || {
                    let _ = io::copy(&mut source, &mut target);
                    let _ = target.shutdown(Shutdown::Write);
                });
            }
        }
    });
}

/// Who is behind the next hop sends everything back, so each message that the plug-in makes comes again, and has one made again.
#[test]
fn a_message_that_leads_to_itself_comes_to_an_end() {
    let site = Site::new("");
    let looper = site.compile("plugins/looper.c");
    let there = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let route = format!(
        "[[route]]\ndomain = \"loop.test\"\nnext_hop = \"{}\"\n",
        there.local_addr().unwrap()
    );
    site.configure(&format!(
        "{route}{}",
        plugin_section("looper", &looper, "[plugin.config]\nmode = 1")
    ));
    let server = site.start();
    hand_on(there, server.address());
    let mut client = server.greeted();
    let message = "Received: x\r\n".repeat(97) + MESSAGE;
    let reply = client.deliver("a@client.test", "b@loop.test", &message);
    assert_eq!(reply.code, 250, "{reply}");
    // With 97, 98, 99 and 100 hops a message comes in, and each leads to a second one: 16 in the end, which nobody takes.
    // What becomes of the reports about it is another matter.
    let ended = |line: &stagepost_tests::log::Line| {
        line.message() == "undeliverable" && line.text("recipient").contains("b@loop.test")
    };
    server.log().wait_for_count("the end of each", 16, ended);
    assert_eq!(
        server.log().matching(|line| line.message() == "went round").len(),
        15,
        "{}",
        server.log()
    );
    server.kill();
}
