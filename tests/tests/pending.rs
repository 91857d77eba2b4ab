//! Calls that are answered later, on the real server: by a thread of a plug-in's own, too late, twice, or not at all.

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site, plugin_section};

const MESSAGE: &str = "Subject: in good time\r\n\r\nHello.\r\n";

/// A server with the clerk, where it runs as its section says.
fn clerk(further: &str) -> (Site, Server) {
    let site = Site::new("");
    let library = site.compile("plugins/clerk.c");
    site.configure(&plugin_section("clerk", &library, further));
    let server = site.start();
    (site, server)
}

fn at_rcpt(server: &Server) -> Client {
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test>", 250);
    client
}

#[test]
fn a_thread_of_the_plug_in_answers() {
    for run in ["inline", "pool"] {
        let (site, server) = clerk(&format!("run = \"{run}\""));
        let mut client = at_rcpt(&server);
        for refused in ["nobody", "polled"] {
            let reply = client.say(&format!("RCPT TO:<{refused}@example.test>"), 550);
            assert_eq!(reply.lines, ["5.1.1 The clerk knows nobody of that name"]);
        }
        client.say("RCPT TO:<twice@example.test>", 250);
        server
            .log()
            .wait_for("the second answer", |line| line.message() == "told that it has answered");
        client.say("QUIT", 221);
        client.expect_close();
        let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        let log = server.stop();
        assert!(log.matching(|line| line.message().starts_with("plug-in fault")).is_empty());
        assert_eq!(site.mail("b").len(), 1);
    }
}

#[test]
fn a_late_answer_is_told_and_the_end_of_the_session_is_owed() {
    let (_site, server) = clerk("deadline_ms = 200");
    let mut client = at_rcpt(&server);
    let reply = client.say("RCPT TO:<slow@example.test>", 451);
    assert!(reply.lines[0].starts_with("4.3.0 "), "{reply}");
    client.say("QUIT", 221);
    client.expect_close();
    let log = server.log();
    let wanted = "plug-in fault: overrun: the token of a pending call was not completed within 200 ms (deadline_ms)";
    let fault = log.wait_for("the fault", |line| line.message() == wanted);
    assert_eq!([fault.text("plugin"), fault.text("event")], ["clerk", "rcpt"]);
    log.wait_for("the answer", |line| line.message() == "told that it is too late");
    log.wait_for("the disconnect", |line| line.message() == "told of the end");
    server.stop();
}

#[test]
fn a_client_that_hangs_up_ends_the_wait() {
    let (_site, server) = clerk("");
    let mut client = at_rcpt(&server);
    client.send(b"RCPT TO:<slow@example.test>\r\n");
    client.abort();
    let log = server.log();
    log.wait_for("the answer", |line| line.message() == "told that it is too late");
    log.wait_for("the disconnect", |line| line.message() == "told of the end");
    let log = server.stop();
    assert!(log.matching(|line| line.message().starts_with("plug-in fault")).is_empty(), "{log}");
}

#[test]
fn a_token_that_is_leaked_is_a_fault_with_a_name() {
    let cases = [
        (
            "kept",
            "overrun: the token of a pending call was not completed within 200 ms (deadline_ms)",
        ),
        (
            "returned",
            "leaked token: handler took one and returned status 0x02d5 instead of EM_PENDING",
        ),
        ("none", "bad verdict: handler returned EM_PENDING and took no token"),
    ];
    for (mode, words) in cases {
        let site = Site::new("");
        let library = site.compile("faults/leaked_token.c");
        let further = format!("deadline_ms = 200\n[plugin.config]\nmode = \"{mode}\"");
        site.configure(&plugin_section("leaked-token", &library, &further));
        let server = site.start();
        let mut client = server.greeted();
        client.say("MAIL FROM:<a@client.test>", 451);
        client.say("NOOP", 250);
        let wanted = format!("plug-in fault: {words}");
        server.log().wait_for(mode, |line| line.message() == wanted);
        client.say("QUIT", 221);
        // What is leaked is never given back, and keeps the server from nothing.
        server.stop();
    }
}
