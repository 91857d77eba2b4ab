//! A network that breaks TLS off, holds it up or would have it older or larger than it should be: where a route wants TLS, nothing of the
//! message goes without, and the attempt ends.
//! Knows the relay by its public methods, and TLS by its octets.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::{answering, certificate, offering_tls};
use super::*;
use crate::delivery::relay::RelayTimeouts;
use crate::tls::authority::{Authority, Shown};

/// A connection that carries so many octets each way, and breaks then.
struct Cutting {
    stream: TcpStream,
    /// To the client.
    out: usize,
    /// From it.
    back: usize,
    /// How many have been carried each way.
    carried: Arc<[AtomicUsize; 2]>,
}

impl AsyncRead for Cutting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut octet = [0; 1];
        let room = self.back.min(1);
        let mut one = ReadBuf::new(&mut octet[..room]);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut one))?;
        self.back -= one.filled().len();
        self.carried[1].fetch_add(one.filled().len(), Ordering::Relaxed);
        into.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Cutting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = self.out.min(octets.len());
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written =
            std::task::ready!(Pin::new(&mut self.stream).poll_write(context, &octets[..count]))?;
        self.out -= written;
        self.carried[0].fetch_add(written, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What is heard on the next connection in clear text: as far as the server's go-ahead, and what is said in the place of TLS.
async fn up_to_tls(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    for (said, end) in
        [("220 hop\r\n", "EHLO us.test\r\n"), ("250-hop\r\n250 STARTTLS\r\n", "STARTTLS\r\n")]
    {
        stream.write_all(said.as_bytes()).await.unwrap();
        while !heard.ends_with(end.as_bytes()) {
            heard.push(stream.read_u8().await.unwrap());
        }
    }
    stream.write_all(b"220 go\r\n").await.unwrap();
    (stream, heard)
}

/// One connection for each pair, which is cut there, or when its client has said hello under TLS. Gives back how many octets the last one has
/// carried each way.
async fn cutting(
    acceptor: TlsAcceptor,
    cuts: Vec<(usize, usize)>,
) -> (SocketAddr, JoinHandle<(usize, usize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut last = (0, 0);
        for (out, back) in cuts {
            let (stream, heard) = up_to_tls(&listener).await;
            assert_eq!(heard, b"EHLO us.test\r\nSTARTTLS\r\n");
            let carried = Arc::<[AtomicUsize; 2]>::default();
            let cutting = Cutting { stream, out, back, carried: carried.clone() };
            let Ok(mut secured) = acceptor.accept(cutting).await else { continue };
            let mut heard = Vec::new();
            while !heard.ends_with(b"\n")
                && let Ok(octet) = secured.read_u8().await
            {
                heard.push(octet);
            }
            assert!(b"EHLO us.test\r\n".starts_with(&heard), "{heard:?}");
            let carried = [0, 1].map(|way: usize| carried[way].load(Ordering::Relaxed));
            last = (carried[0], carried[1]);
        }
        last
    });
    (address, task)
}

/// Wherever a handshake breaks off, nobody comes again without TLS.
#[tokio::test]
async fn a_handshake_that_is_cut_anywhere_is_no_leave_for_clear_text() {
    let (_, acceptor) = certificate();
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let try_all = async |cuts: Vec<(usize, usize)>| {
        let (address, task) = cutting(acceptor.clone(), cuts.clone()).await;
        let mut sending = relay_to(address);
        sending.tls = TlsPolicy::Required;
        for cut in cuts {
            // A further connection would meet the next cut, or nobody.
            let outcome = sending.deliver(&message, &[0]).await.remove(0);
            assert!(outcome.starts_with("deferred 4."), "{cut:?}: {outcome}");
            let tls = outcome.contains("; wanted by the route (tls = \"required\")");
            assert!(tls || outcome.ends_with("connection closed at EHLO"), "{cut:?}: {outcome}");
        }
        task.await.unwrap()
    };
    let none = usize::MAX;
    let (out, back) = try_all(vec![(none, none)]).await;
    assert!(out > 500 && back > 200, "{out} and {back} octets are no handshake");
    try_all((0..out).map(|out| (out, none)).collect()).await;
    try_all((0..back).map(|back| (none, back)).collect()).await;
}

/// The first octets of an answer to a client that says hello: of TLS 1.1, of TLS 1.0, of SSL 3, and a refusal.
fn old_answers() -> Vec<Vec<u8>> {
    let hello = |minor: u8| {
        let mut hello = vec![0x16, 3, minor.min(1), 0, 42, 2, 0, 0, 38, 3, minor];
        hello.extend([7; 32]);
        // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
        hello.extend([0, 0, 0x2f, 0]);
        hello
    };
    vec![hello(2), hello(1), hello(0), vec![0x15, 3, 1, 0, 2, 2, 70]]
}

#[tokio::test]
async fn no_older_tls_will_do() {
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for answer in old_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sending = relay_to(listener.local_addr().unwrap());
        sending.tls = TlsPolicy::Required;
        let server = async {
            let (mut stream, _) = up_to_tls(&listener).await;
            stream.write_all(&answer).await.unwrap();
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            heard
        };
        let (outcome, heard) = tokio::join!(sending.deliver(&message, &[0]), server);
        assert!(outcome[0].starts_with("deferred 4.7.5 "), "{outcome:?}");
        assert_eq!(heard[..2], [0x16, 3], "TLS and nothing else");
        assert!(!heard.windows(4).any(|four| four == b"MAIL"), "{heard:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_is_held_up_ends() {
    let soon = Duration::from_millis(50);
    let session = SendingTimeouts { command: soon, ..SendingTimeouts::default() };
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    // It is silent, or goes on octet by octet: part of a record that never ends.
    for held in [vec![Stall], vec![Hear("\x16"), Say("\x16\x03\x03\x3f\x7f"), Drip(2)]] {
        let turns = [Say("220 go\r\n")].into_iter().chain(held).collect();
        let (address, heard) = next_hop(vec![answering(turns)]).await;
        let mut sending =
            relay_in_time(address, RelayTimeouts { session, ..RelayTimeouts::default() });
        sending.tls = TlsPolicy::Required;
        let outcome = sending.deliver(&message, &[0]).await.remove(0);
        let why = "timed out waiting for STARTTLS; wanted by the route (tls = \"required\")";
        assert_eq!(outcome, deferred(address, "4.4.2", why));
        heard.abort();
    }
}

/// A message that is cut off under TLS, without the word that ends it (RFC 8446 section 6.1), is no message that was taken, and none that goes
/// again at once.
#[tokio::test]
async fn what_is_cut_off_under_tls_is_not_delivered() {
    let (_, acceptor) = certificate();
    let cases: [(&'static str, bool, &str); 3] = [
        ("A: b\r\n", false, "connection closed at the message"),
        (END, false, "connection closed at the end of the message"),
        (END, true, DELIVERED),
    ];
    for (heard_last, taken, wanted) in cases {
        let mut turns = offering_tls(&acceptor);
        turns.truncate(10);
        turns.push(Hear(heard_last));
        turns.extend(taken.then_some(Say("250 queued\r\n")));
        let (address, heard) = next_hop(vec![turns]).await;
        let mut sending = relay_to(address);
        sending.tls = TlsPolicy::Required;
        // More than fits on the way: it is under way when the connection breaks.
        let body = vec![b'x'; if heard_last == END { 2 } else { 4_000_000 }];
        let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n", &body, b"\r\n"]);
        let outcome = sending.deliver(&message, &[0]).await.remove(0);
        assert!(outcome.contains(wanted), "{outcome}");
        assert!(taken || outcome.starts_with("deferred 4.4.2 "), "{outcome}");
        assert_eq!(heard.await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_chain_without_measure_is_refused() {
    let authority = Authority::new();
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    for (count, policy, good) in [
        (60, TlsPolicy::Required, true),
        (60, TlsPolicy::Verified, false),
        (2000, TlsPolicy::Required, false),
        (2000, TlsPolicy::Verified, false),
    ] {
        let mut shown = authority.server(&["127.0.0.1"], 2100);
        let strange = Shown::alone(&["else.test"], 2100).chain.remove(0);
        shown.chain.extend(std::iter::repeat_n(strange, count));
        let (address, heard) = next_hop(vec![offering_tls(&shown.acceptor())]).await;
        let mut sending = relay_to(address);
        sending.tls = policy;
        let outcome = sending.deliver(&message, &[0]).await.remove(0);
        let refused = outcome.starts_with("deferred 4.7.5 ");
        assert_eq!((outcome == DELIVERED, refused), (good, !good), "{count} {policy:?}: {outcome}");
        drop(sending);
        assert_eq!(heard.await.unwrap().concat().contains("MAIL"), good);
    }
}
