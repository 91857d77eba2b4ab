//! A line that breaks anywhere: each message comes whole, once, now or with the next call.
//! Knows the customer's side of a reversed connection, and a cutter that ends it after so many octets.

use std::time::Duration;

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{Destination, NewDelivery, NewMessage, Origin};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::delivery::notification::Notifier;
use crate::directory::Directory;
use crate::router::Router;
use crate::stopping;

struct Scene {
    store: Arc<LocalStore>,
    fetching: Fetching,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("spool");
        let options = LocalOptions { path, free_space_min: 0, faults: None };
        let store = Arc::new(LocalStore::open(options).unwrap());
        let text = "hostname = \"mx.us.test\"\n[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n\
            [[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n";
        let settings = crate::config::from_text(text).unwrap();
        let router = Arc::new(Router::new(&settings));
        let directory = Directory::load(&settings, router.clone()).unwrap();
        let notifier = Notifier::new(store.clone(), directory, "mx.us.test", None);
        let limits = Limits {
            concurrency_max: 10,
            attempt_max: Duration::from_secs(60),
            drain_max: Duration::from_secs(1),
        };
        let name = OwnName::parse("mx.us.test").unwrap();
        let demands = Demands::new(router.clone(), None, None);
        let notifier = Arc::new(notifier);
        let fetching = Fetching::new(store.clone(), router, notifier, limits, name, demands);
        Self { store, fetching, _folder: folder }
    }

    async fn add(&self, subject: &str) {
        let sender = ReversePath::Address(Address::parse("a@client.test").unwrap());
        self.add_asking(subject, sender, "").await;
    }

    /// Queues a message with such parameters of MAIL.
    async fn add_asking(&self, subject: &str, sender: ReversePath, parameters: &str) {
        let mut incoming = self.store.receive().unwrap();
        incoming.header().extend_from_slice(format!("Subject: {subject}\r\n").as_bytes());
        incoming.body(b"\r\nHello.\r\n.dot\r\n").await.unwrap();
        let now = SystemTime::now();
        let recipient = Address::parse("b@branch.test").unwrap();
        let message = NewMessage {
            envelope: Envelope {
                sender,
                parameters: parameters.into(),
                body: BodyKind::SevenBit,
                recipients: vec![Recipient { address: recipient, parameters: "".into() }],
            },
            deliveries: vec![NewDelivery {
                destination: branch(),
                queue: None,
                recipients: vec![0],
                due: now + Duration::from_secs(3600),
            }],
            received_at: now,
            hold: None,
            origin: Origin::default(),
            ledger: Vec::new(),
        };
        incoming.commit(message).await.unwrap();
    }

    /// One call of a customer whose line ends after so many octets; the subjects of what it has taken, and whether the call
    /// came to its end.
    async fn call(&self, octets: usize) -> (Vec<String>, bool, Fetched) {
        self.call_offering(octets, false, "").await
    }

    /// The same of a customer who has come with TLS, or without, and offers this besides.
    async fn call_offering(
        &self,
        octets: usize,
        secured: bool,
        offer: &'static str,
    ) -> (Vec<String>, bool, Fetched) {
        let (ours, theirs) = tokio::io::duplex(64);
        let (_stop, stopping) = stopping::channel();
        let mut customer = Customer { line: theirs, left: octets, offer, taken: Vec::new() };
        let of = vec![Destinations::One(branch())];
        let called = async {
            let whole = customer.serve().await.is_some();
            // The line is cut.
            let Customer { taken, .. } = customer;
            (taken, whole)
        };
        let sending = self.fetching.send(ours, secured, "branch".into(), of, &stopping);
        let (fetched, (taken, whole)) = tokio::join!(sending, called);
        (taken, whole, fetched)
    }
}

fn branch() -> Destination {
    Destination::new("branch.test").unwrap()
}

/// A server of the customer's, of few words.
struct Customer {
    line: DuplexStream,
    left: usize,
    /// A line of what it offers.
    offer: &'static str,
    /// What it has acknowledged, to the last octet.
    taken: Vec<String>,
}

impl Customer {
    /// None: the line is cut.
    async fn serve(&mut self) -> Option<()> {
        self.say("220 branch.test\r\n").await?;
        loop {
            let line = self.hear().await?;
            match line.get(..4).unwrap_or_default() {
                "EHLO" => {
                    let offer = self.offer;
                    self.say(&format!("250-branch.test\r\n{offer}250 PIPELINING\r\n")).await?;
                }
                "DATA" => {
                    self.say("354 go on\r\n").await?;
                    let mut lines = vec![self.hear().await?];
                    while lines.last().is_none_or(|line| line != ".") {
                        lines.push(self.hear().await?);
                    }
                    let [subject, body @ ..] = &lines[..] else { panic!("{lines:?}") };
                    assert_eq!(body, ["", "Hello.", "..dot", "."]);
                    let subject = subject.clone();
                    self.say("250 kept\r\n").await?;
                    self.taken.push(subject);
                }
                "QUIT" => return self.say("221 bye\r\n").await,
                _ => self.say("250 ok\r\n").await?,
            }
        }
    }

    async fn say(&mut self, text: &str) -> Option<()> {
        for octet in text.bytes() {
            self.pass()?;
            self.line.write_u8(octet).await.ok()?;
        }
        Some(())
    }

    async fn hear(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            self.pass()?;
            line.push(self.line.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r\n")?).into_owned())
    }

    fn pass(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

#[tokio::test]
async fn a_line_cut_at_every_octet_loses_and_repeats_nothing() {
    let scene = Scene::new();
    for octets in 0.. {
        let wanted = ["one", "two"].map(|part| format!("{part} {octets}"));
        for subject in &wanted {
            scene.add(subject).await;
        }
        let (mut taken, whole, fetched) = scene.call(octets).await;
        let done = u64::try_from(taken.len()).unwrap();
        assert_eq!(fetched.done, done, "{octets}: {taken:?}");
        let (rest, _, fetched) = scene.call(usize::MAX).await;
        assert!(!fetched.broken_off && fetched.done == fetched.tried, "{octets}: {fetched:?}");
        taken.extend(rest);
        taken.sort();
        assert_eq!(taken, wanted.map(|subject| format!("Subject: {subject}")), "{octets}");
        assert_eq!(scene.store.summary().await.unwrap().messages, 0, "{octets}");
        if whole {
            assert!(octets > 300, "it was a session");
            break;
        }
    }
}

#[tokio::test]
async fn what_requires_tls_waits_for_who_comes_with_tls_and_promises_the_same() {
    const PROMISE: &str = "250-REQUIRETLS\r\n";
    let scene = Scene::new();
    let sender = || ReversePath::Address(Address::parse("a@client.test").unwrap());
    scene.add_asking("kept", sender(), "REQUIRETLS").await;
    scene.add_asking("told", ReversePath::Null, "REQUIRETLS").await;
    for (secured, offer, wanted) in [
        // What has no sender is not lost (RFC 8689 section 5).
        (false, PROMISE, &["Subject: told"][..]),
        (true, "", &[]),
        (true, PROMISE, &["Subject: kept"]),
    ] {
        let (taken, whole, _) = scene.call_offering(usize::MAX, secured, offer).await;
        assert!(whole, "{secured} {offer}");
        assert_eq!(taken, wanted, "{secured} {offer}");
    }
    assert_eq!(scene.store.summary().await.unwrap().messages, 0);
}

#[tokio::test]
async fn nothing_more_is_sent_once_the_server_is_to_stop() {
    let scene = Scene::new();
    scene.add("one").await;
    let (ours, theirs) = tokio::io::duplex(64);
    let (stop, stopping) = stopping::channel();
    stop.now();
    let mut customer = Customer { line: theirs, left: usize::MAX, offer: "", taken: Vec::new() };
    let of = vec![Destinations::One(branch())];
    let sending = scene.fetching.send(ours, true, "branch".into(), of, &stopping);
    let (fetched, whole) = tokio::join!(sending, customer.serve());
    assert!(whole.is_some() && customer.taken.is_empty());
    assert_eq!(fetched, Fetched { tried: 0, done: 0, broken_off: true });
}
