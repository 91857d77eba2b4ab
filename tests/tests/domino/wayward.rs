//! Add-ins that do what they should not, and what becomes of them, of others and of the server.

use stagepost_tests::add_in::Making;
use stagepost_tests::client::Client;
use stagepost_tests::server::Server;

use crate::rig::{Rig, count, greeted, said, wait_for, wait_for_all};

/// A server with the wayward one, and with the probe behind it.
fn wayward() -> (Rig, Server) {
    let rig = Rig::new();
    rig.make("wayward.c", "wayward", Making::default());
    rig.make("probe.c", "probe", Making::default());
    let proxies = "proxy_from = [\"127.0.0.1\"]\n";
    rig.configure_listener(proxies, "", "", "addins = [\"wayward\", \"probe\"]\n");
    let server = rig.site.start();
    (rig, server)
}

/// A client that has a name, greeted.
fn named(server: &Server) -> Client {
    let mut client = Client::connect(server.address());
    client.send(b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25\r\n");
    client.expect(220);
    client
}

#[test]
fn wrong_registrations_are_refused_each_with_its_status() {
    let (_rig, server) = wayward();
    let lines = [
        "no event: status 2d1, written 0",
        "an event beyond: status 2d1, written 0",
        "no stage: status 2d2, written 0",
        "an unknown stage: status 2d2, written 0",
        "no handler: status 495, written 0",
        "nothing is off: 404 404",
    ];
    wait_for_all(&server, "wayward", &lines);
    server.stop();
}

#[test]
fn arguments_are_each_handler_s_own_and_names_last_as_long_as_the_session() {
    let (_rig, server) = wayward();
    let mut client = named(&server);
    client.say("EHLO client.test", 250);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("QUIT", 221);
    let kept = "the end of 1: beyond it 0, kept [192] and [mx.client.test!]";
    wait_for_all(&server, "wayward", &["torn to [192] and [mx.client.test!]", kept]);
    wait_for(&server, "disconnect after");
    // What the first has torn up, the second has whole; and so has the first itself, at its other handler.
    assert_eq!(count(&server, "ip=192.0.2.1 host=[mx.client.test]"), 2, "{:?}", said(&server));
    let whole = |line: &&String| {
        line.starts_with("probe: command after") && line.contains(" [MAIL FROM:<a@client.test>] ")
    };
    assert_eq!(said(&server).iter().filter(whole).count(), 1);
    assert_eq!(count(&server, "wayward: verb [MAIL]"), 2);
    server.stop();
}

#[test]
fn handlers_that_are_taken_away_are_called_no_more_not_even_in_the_same_event() {
    let (rig, server) = wayward();
    named(&server).say("QUIT", 221);
    assert_eq!(count(&server, "the second is called"), 1);
    rig.set("wayward_off=1\n");
    named(&server).say("QUIT", 221);
    let lines = ["the second is off: 0", "off again: 404", "the first is off: 0"];
    wait_for_all(&server, "wayward", &lines);
    wait_for(&server, "too late: status 2d4, written 0");
    named(&server).say("QUIT", 221);
    assert_eq!(count(&server, "the second is called"), 1);
    assert_eq!(count(&server, "torn to"), 2);
    // Its other handlers stay.
    server.log().wait_for_count("the ends", 3, |line| line.message().contains("the end of 1"));
    server.stop();
}

#[test]
fn what_needs_much_of_the_stack_has_as_much_as_a_program_has() {
    let (rig, server) = wayward();
    rig.set("wayward_deep=1\n");
    named(&server);
    wait_for(&server, "wayward: used the stack: 1");
    server.stop();
}

#[test]
fn nothing_where_something_is_wanted_does_no_harm() {
    let rig = Rig::new();
    rig.make("nothing.c", "nothing", Making::default());
    let server = rig.start(&["nothing"]);
    wait_for_all(&server, "nothing", &["still here", "strings of nothing [] []"]);
    let reply = greeted(&server).deliver("a@client.test", "b@example.test", "Gone: x\r\n\r\ny\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for_count("both stages", 2, |line| {
        line.message() == "nothing: still here after a message"
    });
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = String::from_utf8_lossy(&rig.site.mail("b")[0]).into_owned();
    // All that it did was to take one field away.
    assert!(!mail.contains("Gone:") && mail.replace('\r', "").ends_with("\n\ny\n"), "{mail}");
    server.stop();
}
