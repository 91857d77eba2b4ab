//! Listening sockets on the real server: its own, shared, and passed by whoever starts it; and what a service manager is told.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site};

const HEAD: &str =
    "hostname = \"mx.example.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n";
const TAIL: &str =
    "[[local_domain]]\nname = \"example.test\"\nmailboxes = \"any\"\nmaildir = \"mail\"\n";
const MESSAGE: &str = "From: a@client.test\r\nSubject: first\r\n\r\nHello.\r\n";

/// A site with these listeners.
fn site(listeners: &str) -> Site {
    let site = Site::new("");
    site.write_config(&format!("{HEAD}{listeners}{TAIL}"));
    site
}

fn passed(names: &[&str]) -> String {
    let section = |name: &&str| format!("[[listen]]\nname = \"{name}\"\nsocket = \"{name}\"\n");
    names.iter().map(section).collect()
}

fn greeted(address: SocketAddr) -> Client {
    let mut client = Client::connect(address);
    client.expect(220);
    client.say("EHLO client.example.test", 250);
    client
}

#[test]
fn passed_sockets_belong_to_the_listeners_that_name_them() {
    let site = site(&passed(&["one", "two"]));
    let sockets =
        vec![TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let addresses: Vec<_> = sockets.iter().map(|one| one.local_addr().unwrap()).collect();
    // In the other order than the configuration has.
    let server = Server::start_passing(&site, sockets, "two:one");
    assert_eq!(server.listener("two"), addresses[0]);
    assert_eq!(server.listener("one"), addresses[1]);
    for address in addresses {
        let mut client = greeted(address);
        client.say("QUIT", 221);
        client.expect_close();
    }
    server.stop();
}

#[test]
fn a_listener_has_all_sockets_of_its_name() {
    let site = site(&passed(&["mx"]));
    let sockets =
        vec![TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    let addresses: Vec<_> = sockets.iter().map(|one| one.local_addr().unwrap()).collect();
    let server = Server::start_passing(&site, sockets, "mx:mx");
    for address in addresses {
        greeted(address).say("QUIT", 221);
    }
    server.stop();
}

/// A socket for both kinds of addresses shows IPv4 clients in the form of IPv6; nobody else is to see that.
#[test]
fn ipv4_clients_of_a_socket_for_both_have_their_own_addresses() {
    let Ok(socket) = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        // Without IPv6 there is no such socket.
        return;
    };
    let port = socket.local_addr().unwrap().port();
    let site = site(&passed(&["mx"]));
    let server = Server::start_passing(&site, vec![socket], "mx");
    for address in ["127.0.0.1", "::1"] {
        let mut client = greeted(SocketAddr::new(address.parse().unwrap(), port));
        assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    }
    server.log().wait_for_count("both", 2, |line| line.message() == "delivered");
    let mail: Vec<_> =
        site.mail("b").iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect();
    for literal in ["([127.0.0.1])", "([IPv6:::1])"] {
        assert_eq!(mail.iter().filter(|mail| mail.contains(literal)).count(), 1, "{mail:?}");
    }
    server.stop();
}

#[test]
fn sockets_that_nobody_passed_or_nobody_wants_are_told() {
    let site = site(&passed(&["mx"]));
    let (code, said) = site.refused();
    assert_eq!(code, Some(1), "{said}");
    let wanted = "error: listener mx: no socket called \"mx\" was passed";
    assert!(said.lines().any(|line| line == wanted), "{said}");
    assert!(said.contains("FileDescriptorName=mx"), "{said}");
}

#[test]
fn two_servers_share_a_port_if_both_say_so() {
    let listener = |port: u16, reuse: bool| {
        format!("[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:{port}\"\nreuse_port = {reuse}\n")
    };
    let first = site(&listener(0, true));
    let server = first.start();
    let port = server.address().port();
    let (code, said) = site(&listener(port, false)).refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Address already in use"), "{said}");
    let second = site(&listener(port, true));
    let other = second.start();
    assert_eq!(other.address(), server.address());
    greeted(server.address()).say("QUIT", 221);
    other.stop();
    // The one that is left has all of it.
    greeted(server.address()).say("QUIT", 221);
    server.stop();
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop() {
    let site = site("[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n");
    let path = site.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut buffer = [0; 256];
        let octets = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..octets]).into_owned()
    };
    let mut command = site.command(&["run", "--config", "stagepost.toml"]);
    command.env("NOTIFY_SOCKET", &path);
    let server = Server::start(command);
    assert_eq!(next(), "READY=1\n");
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    let reloading = next();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next(), "READY=1\n");
    server.ask_to_stop();
    assert_eq!(next(), "STOPPING=1\n");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
}
