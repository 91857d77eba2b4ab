//! Fills a spool for measurements: `fill SPOOL MESSAGES DESTINATIONS`, messages for `d0.held.test`, `d1.held.test` and so on, which wait.
//! Each is committed as a session does it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{Destination, NewDelivery, NewMessage, Origin, Store, StoreError};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

const USAGE: &str = "usage: fill SPOOL MESSAGES DESTINATIONS";
const WRITERS: usize = 100;
const BODY: &[u8] = b"\r\nHello.\r\n";
/// No message is due before that is over.
const WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let messages = arguments.next().ok_or(USAGE)?.parse()?;
    let destinations = arguments.next().ok_or(USAGE)?.parse()?;
    tokio::runtime::Runtime::new()?.block_on(fill(path, messages, destinations))
}

async fn fill(path: PathBuf, messages: usize, destinations: usize) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let store = LocalStore::open(LocalOptions { path, free_space_min: 0, faults: None })?;
    let store = Arc::new(store);
    let writer = |writer: usize| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in (writer..messages).step_by(WRITERS) {
                put(&store, number % destinations).await?;
            }
            Ok::<_, StoreError>(())
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    for writer in writers {
        writer.await??;
    }
    store.close().await;
    println!("{messages} messages committed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

async fn put(store: &LocalStore, destination: usize) -> Result<(), StoreError> {
    let mut incoming = store.receive()?;
    incoming.header().extend_from_slice(b"Subject: a message\r\n");
    incoming.body(BODY).await?;
    incoming.commit(message(&format!("d{destination}.held.test"))).await?;
    Ok(())
}

fn message(domain: &str) -> NewMessage {
    let address = |text: &str| Address::parse(text).expect("a sound address");
    let now = SystemTime::now();
    let recipient = Recipient { address: address(&format!("u@{domain}")), parameters: "".into() };
    NewMessage {
        envelope: Envelope {
            sender: ReversePath::Address(address("a@client.test")),
            parameters: "".into(),
            body: BodyKind::SevenBit,
            recipients: vec![recipient],
        },
        deliveries: vec![NewDelivery {
            destination: Destination::new(domain).expect("a sound name"),
            queue: None,
            recipients: vec![0],
            due: now + WAIT,
        }],
        received_at: now,
        hold: None,
        origin: Origin::default(),
        ledger: Vec::new(),
    }
}
