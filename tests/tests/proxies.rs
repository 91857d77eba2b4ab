//! Proxies in front of the real server: what they tell of their clients by the PROXY protocol and by XCLIENT, who may, and what
//! plug-ins, log and trace line know then.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::wire::Trust;

const MESSAGE: &str = "From: a@client.test\r\nSubject: by proxy\r\n\r\nHello.\r\n";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.25 4000 25\r\n";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A server whose listener has these fields, with a plug-in that tells by VRFY what it knows of the session.
fn server(site: &Site, fields: &str) -> Server {
    let plugin = site.compile("plugins/introducer.c");
    site.configure_listener(fields, &plugin_section("introducer", &plugin, ""));
    site.start()
}

/// A connection on which a header was sent and the greeting read.
fn through(server: &Server, header: &[u8]) -> Client {
    let mut client = Client::connect(server.address());
    client.send(header);
    client.expect(220);
    client.say("EHLO client.test", 250);
    client
}

/// What the plug-in knows: remote, local and proxy address with their ports, and the client's name.
fn known(client: &mut Client) -> String {
    client.say("VRFY me", 250).lines.join(" ").replace("2.1.5 ", "")
}

fn tcp6() -> Vec<u8> {
    let client = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    // A field that nobody knows at the end.
    let further = [0xe5, 0, 2, 1, 2];
    [V2_SIGNATURE, &[0x21, 0x21, 0, 41], &client, &client, &[0x0f, 0xa0, 0, 25], &further].concat()
}

#[test]
fn a_listed_proxy_tells_who_its_client_is() {
    let site = Site::new("");
    let server = server(&site, "proxy_from = [\"127.0.0.0/8\"]\n");
    let cases: [(&[u8], &str); 4] = [
        (V1, "192.0.2.1 4000 192.0.2.25 25 127.0.0.1 PORT - 0"),
        (&tcp6(), "2001:db8::1 4000 2001:db8::1 25 127.0.0.1 PORT - 0"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1 PORT 127.0.0.1 PORT - 0 - 0"),
        (&[V2_SIGNATURE, &[0x20, 0, 0, 0]].concat(), "127.0.0.1 PORT 127.0.0.1 PORT - 0 - 0"),
    ];
    for (header, wanted) in cases {
        let mut client = through(&server, header);
        let known = known(&mut client);
        let known: Vec<_> = known
            .split(' ')
            .map(|word| match word.parse() {
                Ok(25 | 4000 | 0) | Err(_) => word,
                Ok(1..=u16::MAX) => "PORT",
            })
            .collect();
        assert_eq!(known.join(" "), wanted);
    }
    // Octet by octet, with the first command right behind it.
    let mut client = Client::connect(server.address());
    for octet in V1.iter().chain(b"EHLO client.test\r\n") {
        client.send(&[*octet]);
    }
    client.expect(220);
    client.expect(250);
    assert!(known(&mut client).starts_with("192.0.2.1 4000 "));
    // The log and the trace line.
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    let line = server.log().wait_for("the message", |line| line.message() == "message queued");
    assert_eq!([line.text("client"), line.text("proxy")], ["192.0.2.1", "127.0.0.1"]);
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = String::from_utf8_lossy(&site.mail("b")[0]).into_owned();
    assert!(mail.contains("Received: from client.test ([192.0.2.1])"), "{mail}");
    server.stop();
}

#[test]
fn nobody_else_can_say_so() {
    let site = Site::new("");
    let server = server(&site, "proxy_from = [\"192.0.2.0/24\"]\nproxy_timeout = \"1s\"\n");
    let mut client = Client::connect(server.address());
    client.expect(220);
    client.say("PROXY TCP4 192.0.2.1 192.0.2.25 4000 25", 500);
    assert!(known(&mut client).starts_with("127.0.0.1 "));
    server.stop();
}

/// A stranger that reached the port of the proxies must not be taken for a client of theirs.
#[test]
fn a_listed_proxy_must_say_something() {
    let site = Site::new("");
    let server = server(&site, "proxy_from = [\"127.0.0.1\"]\nproxy_timeout = \"1s\"\n");
    let wrong = |said: &[u8], why: &str| {
        let mut client = Client::connect(server.address());
        client.send(said);
        client.expect_close();
        let line = |line: &stagepost_tests::log::Line| {
            line.message() == format!("no header of a proxy: {why}")
        };
        let line = server.log().wait_for(why, line);
        assert_eq!([line.text("listener"), line.text("proxy")], ["mx", "127.0.0.1"]);
    };
    wrong(b"EHLO client.test\r\n", "it does not begin with a header of the PROXY protocol");
    // One line a second: each of these takes longer.
    wrong(b"", "it took too long");
    wrong(b"PROXY TCP4 192.0.2.1", "it took too long");
    server.stop();
}

#[test]
fn clients_behind_a_proxy_are_counted_each_for_themselves() {
    let site = Site::new("");
    site.configure_listener(
        "proxy_from = [\"127.0.0.1\"]\n",
        "[limits]\nsessions_per_address_max = 2\nsessions_per_network_max = 6\n",
    );
    let server = site.start();
    let header = |last: u8| format!("PROXY TCP4 192.0.2.{last} 192.0.2.25 4000 25\r\n");
    let _held: Vec<_> =
        [1, 1, 2, 2, 3].map(|last| through(&server, header(last).as_bytes())).into();
    let refused = |header: &[u8], words: &str, limit: &str| {
        let mut late = Client::connect(server.address());
        late.send(header);
        let reply = late.expect(421);
        assert!(reply.lines[0].contains(words), "{reply}");
        late.expect_close();
        let counted = site.run(&["metrics", "--config", "stagepost.toml"]);
        let line = format!("stagepost_sessions_refused_total{{limit=\"{limit}\"}} 1\n");
        assert!(String::from_utf8_lossy(&counted.stdout).contains(&line), "{counted:?}");
    };
    refused(header(1).as_bytes(), "from your address", "address");
    let _sixth = through(&server, header(3).as_bytes());
    refused(header(4).as_bytes(), "from your network", "network");
    // Another network has places of its own.
    through(&server, b"PROXY TCP4 198.51.100.1 192.0.2.25 4000 25\r\n");
    server.stop();
}

#[test]
fn the_header_comes_before_tls() {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    site.configure_tls(
        "purpose = \"submissions\"\nauth = \"none\"\nproxy_from = [\"127.0.0.1\"]\n",
        &plugin_section("introducer", &site.compile("plugins/introducer.c"), ""),
    );
    let server = site.start();
    let mut client = Client::connect(server.address());
    client.send(V1);
    let mut client = client.secure(&trust, "mx.example.test").unwrap();
    client.expect(220);
    client.say("EHLO client.test", 250);
    assert!(known(&mut client).starts_with("192.0.2.1 4000 "));
    server.stop();
}

#[test]
fn a_listed_client_tells_of_another_by_xclient() {
    let site = Site::new("");
    let server = server(&site, "xclient_from = [\"127.0.0.1\"]\n");
    let mut client = server.greeted();
    client.say("XCLIENT ADDR=192.0.2.1 PORT=4000 NAME=host.client.test", 220);
    client.say("EHLO client.test", 250);
    let told = known(&mut client);
    assert!(told.starts_with("192.0.2.1 4000 127.0.0.1 "), "{told}");
    assert!(told.contains(" 127.0.0.1 ") && told.ends_with(" host.client.test 0"), "{told}");
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    let line = server.log().wait_for("the message", |line| line.message() == "message queued");
    assert_eq!([line.text("client"), line.text("proxy")], ["192.0.2.1", "127.0.0.1"]);
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = String::from_utf8_lossy(&site.mail("b")[0]).into_owned();
    assert!(mail.contains("Received: from client.test (host.client.test [192.0.2.1])"), "{mail}");
    server.stop();
}

/// Whoever has logged in with the proxy has logged in, and may relay where those who do may.
#[test]
fn a_listed_client_tells_who_has_logged_in() {
    let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"discard\"\n";
    let site = Site::new("");
    site.add_user("user", "pencil");
    let users = "[auth]\nusers_file = \"users\"\n";
    let fields = "purpose = \"submission\"\nrequire_tls = false\nauth_allow_plaintext = true\n\
         xclient_from = [\"127.0.0.2\"]\n";
    site.configure_listener(fields, &format!("{users}{route}"));
    let server = site.start();
    let mut stranger = server.greeted();
    stranger.say("XCLIENT LOGIN=alice@example.test", 502);
    stranger.say("MAIL FROM:<a@client.test>", 530);
    let mut proxy = Client::connect_from([127, 0, 0, 2].into(), server.address());
    proxy.expect(220);
    proxy.say("EHLO proxy.test", 250);
    proxy.say("XCLIENT ADDR=192.0.2.1 LOGIN=alice@example.test", 220);
    proxy.say("EHLO client.test", 250);
    let reply = proxy.deliver("a@client.test", "b@foreign.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    server.stop();
}

/// Who is behind a proxy does not get what the proxy itself may.
#[test]
fn xclient_is_for_the_client_that_is_listed_not_for_its_proxy() {
    let site = Site::new("");
    let listed = "proxy_from = [\"127.0.0.1\"]\nxclient_from = [\"127.0.0.1\", \"192.0.2.7\"]\n";
    let server = server(&site, listed);
    let may = |header: &[u8]| {
        let mut client = through(&server, header);
        let announced = client.say("EHLO client.test", 250).lines.join(" ").contains("XCLIENT");
        let code = client.ask("XCLIENT ADDR=10.0.0.1").code;
        assert_eq!(announced, code == 220, "{code}");
        announced
    };
    assert!(!may(V1));
    assert!(may(b"PROXY TCP4 192.0.2.7 192.0.2.25 4000 25\r\n"));
    assert!(may(b"PROXY UNKNOWN\r\n"));
    server.stop();
}
