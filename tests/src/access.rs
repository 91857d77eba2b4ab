//! A server with access-control, and clients with whatever address: its listener believes a proxy on loopback.
//! Knows no rule.

use std::path::PathBuf;

use crate::client::Client;
use crate::name_server::NameServer;
use crate::plugin::build_rust;
use crate::server::{Server, Site, plugin_section};

/// A server with the plug-in and this section, whose listener believes a proxy on loopback.
pub fn server(site: &Site, names: &NameServer, section: &str) -> Server {
    let file: PathBuf = build_rust("access-control");
    let plugin = plugin_section("access-control", &file, section);
    let fields = "proxy_from = [\"127.0.0.0/8\"]\n";
    // Everything foreign can be reached, so that nothing but a grant is missing.
    let route = "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:1\"\n";
    site.configure_listener(fields, &format!("{}{route}{plugin}", names.section()));
    site.start()
}

/// A client with this address; the greeting is not read.
pub fn from(server: &Server, address: &str) -> Client {
    let mut client = Client::connect(server.address());
    let version = if address.contains(':') { "TCP6" } else { "TCP4" };
    let local = if address.contains(':') { "2001:db8::25" } else { "192.0.2.25" };
    client.send(format!("PROXY {version} {address} {local} 4000 25\r\n").as_bytes());
    client
}

/// A client that has said EHLO.
pub fn greeted(server: &Server, address: &str) -> Client {
    let mut client = from(server, address);
    client.expect(220);
    client.say("EHLO client.test", 250);
    client
}

/// What MAIL and RCPT are answered.
pub fn mail(server: &Server, address: &str, sender: &str, recipient: &str) -> (String, String) {
    let mut client = greeted(server, address);
    let mail = client.ask(&format!("MAIL FROM:<{sender}>")).to_string();
    let rcpt = client.ask(&format!("RCPT TO:<{recipient}>")).to_string();
    (mail, rcpt)
}
