//! Sessions of plug-ins with servers: what they want of TLS, and which mail goes over them.
//! Knows the relay by its public methods and by what a next hop hears.

use std::time::SystemTime;

use stagepost_queue::{Destination, Lease};

use super::*;
use crate::delivery::Dial;
use crate::delivery::transport::Transports;

fn relay(further: &str) -> Relay {
    let demands = demands(further, None, None);
    Relay { demands, ..Sending::new(&[], RelayTimeouts::default()).relay }
}

fn dial(address: SocketAddr, tls: TlsPolicy) -> Dial {
    let host = NextHop { host: address.ip().to_string(), port: address.port() };
    Dial { host, tls, implicit: false }
}

#[tokio::test]
async fn a_session_wants_no_less_than_the_routes_to_the_same_server() {
    use TlsPolicy::{None, Opportunistic, Required};
    let route = |address: SocketAddr, tls: &str| {
        format!("[[route]]\ndomain = \"a.test\"\nnext_hop = \"{address}\"\ntls = \"{tls}\"\n")
    };
    for (wanted, route_tls, same, good) in [
        (None, "required", true, false),
        (Opportunistic, "verified", true, false),
        (None, "opportunistic", true, true),
        (Required, "none", true, false),
        // Another port is another server.
        (None, "required", false, true),
    ] {
        let bye = [Hear("QUIT\r\n"), Say("221 bye\r\n"), Wait];
        let (address, heard) = next_hop(vec![script(bye)]).await;
        let named = if same { address } else { SocketAddr::new(address.ip(), 9) };
        let dialled = relay(&route(named, route_tls)).dial(&dial(address, wanted)).await;
        match dialled {
            Ok(line) => {
                assert!(good, "{wanted:?} {route_tls}");
                line.quit().await;
            }
            Err(error) => {
                assert!(!good, "{wanted:?} {route_tls}: {error}");
                let why = ": TLS is required, and the server does not offer it";
                assert_eq!(error.to_string(), format!("{address}{why}"));
            }
        }
        assert_eq!(heard.await.unwrap(), ["EHLO us.test\r\nQUIT\r\n"]);
    }
}

#[tokio::test]
async fn mail_goes_over_a_session_as_its_own_route_has_it() {
    let taken =
        [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Hear("QUIT\r\n"), Wait];
    let (address, heard) = next_hop(vec![script(taken)]).await;
    let relay = relay(
        "[[route]]\ndomain = \"secret.test\"\nnext_hop = \"other.test:25\"\ntls = \"required\"\n\
         [[route]]\ndomain = \"open.test\"\nnext_hop = \"other.test:25\"\n",
    );
    let Ok(line) = relay.dial(&dial(address, TlsPolicy::None)).await else { panic!() };
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let lease = |domain: &str| Lease {
        id: message.id,
        destination: Destination::new(domain).unwrap(),
        recipients: vec![0],
        attempts: 0,
        due: SystemTime::UNIX_EPOCH,
        received_at: SystemTime::UNIX_EPOCH,
        route: None,
        give_up: None,
        token: 1,
    };
    let outcome = line.deliver(&message, &lease("secret.test"), None).await.outcomes.remove(0);
    let why = "the route of the mail wants TLS, and there is none on this connection";
    assert_eq!(outcome.to_string(), deferred(address, "4.7.5", why));
    let outcome = line.deliver(&message, &lease("open.test"), None).await.outcomes.remove(0);
    assert!(matches!(outcome, RecipientOutcome::Delivered(..)), "{outcome}");
    line.quit().await;
    assert_eq!(heard.await.unwrap().concat().matches("MAIL").count(), 1);
}
