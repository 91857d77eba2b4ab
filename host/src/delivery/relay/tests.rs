//! Deliveries to scripted next hops on the loopback interface.
//! Knows the relay by its public methods and by what a next hop hears.

mod conversation;
mod cut;
mod dane;
mod dialled;
mod hostile;
mod reported;
mod requiring;
mod sts;
mod tls;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use stagepost_smtp::{Credentials, OwnName, Protocol, Secret, SendingTls};

use super::*;
use crate::config::{NextHop, Settings};
use crate::delivery::demand::Unmet;
use crate::delivery::octets::sample::message;
use crate::delivery::servers::{Endpoint, Server};
use crate::delivery::transport::RecipientOutcome;
use crate::router::Router;
use crate::sts::Sts;
use crate::tls::Identity;

/// What a next hop does on one connection.
enum Turn {
    Say(&'static str),
    /// Read up to these octets.
    Hear(&'static str),
    /// Read until the other side hangs up.
    Wait,
    /// Read no more, and keep the connection.
    Stall,
    /// Say this until the other side hangs up.
    Flood(&'static str),
    /// Say this octet again and again until the other side hangs up, each by itself and with time between.
    Drip(u8),
    /// Make a TLS handshake with this certificate.
    Secure(TlsAcceptor),
    /// The same, and end TLS; what follows is in clear text.
    Betray(TlsAcceptor),
}
use Turn::{Betray, Drip, Flood, Hear, Say, Secure, Stall, Wait};

const HELLO: [Turn; 3] = [
    Say("220 hop\r\n"),
    Hear("EHLO us.test\r\n"),
    Say("250-hop\r\n250-SIZE 100000000\r\n250 PIPELINING\r\n"),
];
const END: &str = "\r\n.\r\n";
const DELIVERED: &str = "delivered";

/// A relay and where it is to send.
struct Sending {
    relay: Relay,
    hosts: Vec<NextHop>,
    protocol: Protocol,
    tls: TlsPolicy,
    login: Option<Credentials>,
}

/// TLS with these further settings.
fn outbound(further: &str) -> OutboundTls {
    OutboundTls::load(&settings(further), false).unwrap()
}

fn settings(further: &str) -> Settings {
    let text = format!(
        "hostname = \"us.test\"\n[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n{further}"
    );
    crate::config::from_text(&text).unwrap()
}

/// What decides what must hold of servers, with these further settings.
fn demands(further: &str, names: Option<Arc<dyn Names>>, sts: Option<Arc<Sts>>) -> Demands {
    Demands::new(Arc::new(Router::new(&settings(further))), names, sts)
}

impl Sending {
    fn new(hosts: &[(&str, u16)], timeouts: RelayTimeouts) -> Self {
        let dns = crate::config::Dns {
            servers: vec!["127.0.0.1:9".parse().unwrap()],
            timeout: Duration::from_millis(1),
            ..crate::config::Dns::default()
        };
        let resolver = Arc::new(crate::dns::Dns::new(&dns).unwrap());
        let host = |&(host, port): &(&str, u16)| NextHop { host: host.to_owned(), port };
        let name = OwnName::parse("us.test").unwrap();
        Self {
            relay: Relay::new(resolver, demands("", None, None), name, 25, outbound(""), timeouts),
            hosts: hosts.iter().map(host).collect(),
            protocol: Protocol::Smtp,
            tls: TlsPolicy::default(),
            login: None,
        }
    }

    async fn carry(&self, message: &StoredMessage, recipients: &[u32]) -> Carried {
        let hop = Hop {
            servers: Servers::Hosts(&self.hosts),
            protocol: self.protocol,
            tls: self.tls,
            login: self.login.as_ref(),
        };
        self.relay.deliver(hop, message, recipients).await
    }

    /// The outcomes in words; of a delivery only that it is one.
    async fn deliver(&self, message: &StoredMessage, recipients: &[u32]) -> Vec<String> {
        let outcomes = self.carry(message, recipients).await.outcomes;
        let words = |outcome: &RecipientOutcome| match outcome {
            RecipientOutcome::Delivered(..) => DELIVERED.to_owned(),
            other => other.to_string(),
        };
        outcomes.iter().map(words).collect()
    }
}

/// Plays one script per connection, in order; then accepts no more. Gives back what was heard on each.
async fn next_hop(scripts: Vec<Vec<Turn>>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut heard = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            heard.push(play(stream, script).await);
        }
        heard
    });
    (address, task)
}

async fn play(stream: TcpStream, script: Vec<Turn>) -> String {
    let mut stream: Box<dyn Carrying> = Box::new(stream);
    let mut heard = Vec::new();
    for turn in script {
        match turn {
            Say(text) => {
                // The other side may have had enough.
                if stream.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
            }
            Hear(text) => {
                while !heard.ends_with(text.as_bytes()) {
                    heard.push(stream.read_u8().await.unwrap());
                }
            }
            Wait => {
                // A reset is a way to hang up, too.
                let _ = stream.read_to_end(&mut heard).await;
            }
            Stall => std::future::pending().await,
            Secure(acceptor) => match acceptor.accept(stream).await {
                Ok(secured) => stream = Box::new(secured),
                // The client does not like the certificate.
                Err(_) => return String::from_utf8(heard).unwrap() + "<no handshake>",
            },
            Betray(acceptor) => {
                let Ok(mut secured) = acceptor.accept(stream).await else {
                    return "<no handshake>".to_owned();
                };
                secured.shutdown().await.unwrap();
                stream = secured.into_inner().0;
            }
            Flood(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Drip(octet) => {
                while stream.write_all(&[octet]).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

fn script(parts: impl IntoIterator<Item = Turn>) -> Vec<Turn> {
    HELLO.into_iter().chain(parts).collect()
}

fn relay_to(address: SocketAddr) -> Sending {
    Sending::new(&[(&address.ip().to_string(), address.port())], RelayTimeouts::default())
}

fn relay_in_time(address: SocketAddr, timeouts: RelayTimeouts) -> Sending {
    Sending { relay: Sending::new(&[], timeouts).relay, ..relay_to(address) }
}

fn deferred(address: SocketAddr, status: &str, text: &str) -> String {
    format!("deferred {status} {address}: {text}")
}

const GO: &str = "250 ok\r\n250 ok\r\n354 go\r\n";
