//! Where mail goes on the real server: servers by name, servers by the DNS, a server of mailboxes, nowhere.

use stagepost_tests::name_server::{A, MX, NameServer};
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::{Closed, Sink};

const MESSAGE: &str = "Subject: routed\r\n\r\nHello.\r\n";

fn route(domain: &str, next_hop: &str) -> String {
    format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = {next_hop}\n")
}

/// Hands a message for `b` of a domain in.
fn deliver(server: &Server, domain: &str) {
    let reply = server.greeted().deliver("a@client.test", &format!("b@{domain}"), MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
}

#[test]
fn servers_are_found_by_the_dns() {
    let sink = Sink::open();
    // 127.0.0.2 is this machine, too, and nobody listens there on that port.
    let dns = NameServer::start(vec![
        ("mx.test", MX, b"\0\x0a\x04down\x04test\0"),
        ("mx.test", MX, b"\0\x14\x02up\x04test\0"),
        ("down.test", A, &[127, 0, 0, 2]),
        ("up.test", A, &[127, 0, 0, 1]),
        ("implicit.test", A, &[127, 0, 0, 1]),
        ("null.test", MX, b"\0\0\0"),
        ("own.test", MX, b"\0\0\x02mx\x07example\x04test\0"),
    ]);
    let port = sink.address().port();
    let further = dns.section() + &format!("[delivery]\nmx_port = {port}\n");
    let routes = route("@test", "\"mx\"") + &route("alias.example", "\"mx:mx.test\"");
    let site = Site::new(&(further + &routes));
    let server = site.start();
    for (number, domain) in ["mx.test", "implicit.test", "alias.example"].into_iter().enumerate() {
        deliver(&server, domain);
        let received = sink.wait_for(number + 1);
        assert_eq!(received[number].recipients, [format!("b@{domain}")]);
    }
    for (domain, why) in [
        ("null.test", "5.1.10 the domain takes no mail (null MX)"),
        ("nobody.test", "5.1.2 the domain does not exist"),
        ("own.test", "5.4.6 the MX of the domain leads back to this server"),
    ] {
        deliver(&server, domain);
        let line = server.log().wait_for(domain, |line| {
            line.message() == "undeliverable" && line.text("destination") == domain
        });
        assert_eq!(line.text("reply"), why);
    }
    deliver(&server, "trouble.test");
    let deferred = server.log().wait_for("trouble", |line| line.message() == "deferred");
    let why = "4.4.3 the DNS can't tell now where mail for the domain goes";
    assert_eq!(deferred.text("reply"), why);
    server.stop();
}

/// By names that are not ours, over the address that a listener has: it would come again until it has been here a hundred times.
#[test]
fn mail_is_not_given_to_this_server_itself() {
    // An address of its own, so that its port is nobody else's.
    let [.., a, b, c] = std::process::id().to_be_bytes();
    let own: &'static [u8; 4] = Box::leak(Box::new([127, a.max(1), b, c.max(2)]));
    let at = std::net::Ipv4Addr::from(*own);
    let dns = NameServer::start(vec![
        ("loop.test", MX, b"\0\x0a\x05alias\x04test\0"),
        ("alias.test", A, own),
        ("implicit.test", A, own),
    ]);
    let listener = format!("[[listen]]\nname = \"own\"\naddress = \"{at}:2525\"\n");
    let further = format!("{listener}{}[delivery]\nmx_port = 2525\n", dns.section());
    let site = Site::new(&(further + &route("@test", "\"mx\"")));
    let server = site.start();
    for domain in ["loop.test", "implicit.test"] {
        deliver(&server, domain);
        let line = server.log().wait_for(domain, |line| {
            line.message() == "undeliverable" && line.text("destination") == domain
        });
        assert_eq!(line.text("reply"), "5.4.6 the MX of the domain leads back to this server");
    }
    assert_eq!(server.log().matching(|line| line.message() == "message queued").len(), 2);
    server.stop();
}

#[test]
fn the_next_server_is_tried_when_one_is_down() {
    let (closed, sink) = (Closed::reserve(), Sink::open());
    let hosts = format!("[\"{}\", \"{}\"]", closed.address(), sink.address());
    let site = Site::new(&route("relayed.test", &hosts));
    let server = site.start();
    deliver(&server, "relayed.test");
    sink.wait_for(1);
    server.stop();
}

#[test]
fn what_is_to_be_discarded_is_accepted_and_gone() {
    let site = Site::new(&route("@nowhere.test", "\"discard\""));
    let server = site.start();
    deliver(&server, "a.nowhere.test");
    let line = server.log().wait_for("the delivery", |line| line.message() == "delivered");
    assert_eq!(line.text("said"), "2.0.0 discarded, as the route says");
    let shown = site.run(&["status", "--config", "stagepost.toml"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("queue     0 messages"), "{shown}");
    server.stop();
}

/// To another of our servers, which has a certificate that nobody vouches for.
#[test]
fn tls_is_used_as_the_route_wants_it() {
    let domain =
        "[[local_domain]]\nname = \"other.test\"\nmailboxes = \"any\"\nmaildir = \"mail/other\"\n";
    let other = Site::new("");
    other.certify("mx.example.test");
    other.configure_tls("", domain);
    let receiving = other.start();
    for (number, tls) in ["opportunistic", "required"].into_iter().enumerate() {
        let hop = format!("\"{}\"\ntls = \"{tls}\"", receiving.address());
        let site = Site::new(&route("other.test", &hop));
        let server = site.start();
        deliver(&server, "other.test");
        let delivered = |line: &stagepost_tests::log::Line| line.message() == "delivered";
        receiving.log().wait_for_count(tls, number + 1, delivered);
        let mail = other.mail("other/b").concat();
        assert_eq!(String::from_utf8_lossy(&mail).matches("with ESMTPS id ").count(), number + 1);
        server.stop();
    }
    let hop = format!("\"{}\"\ntls = \"verified\"", receiving.address());
    let roots = format!(
        "[delivery]\ntls_roots = \"{}\"\n",
        other.path().join("tls/mx.example.test.crt").display()
    );
    let site = Site::new(&(route("other.test", &hop) + &roots));
    let server = site.start();
    deliver(&server, "other.test");
    // The certificate is not for the address that the route names.
    let line = server.log().wait_for("verified", |line| line.message() == "deferred");
    assert!(line.text("reply").starts_with("4.7.5 "), "{}", line.as_str());
    server.stop();
    receiving.stop();
}
