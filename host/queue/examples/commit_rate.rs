//! Prints how many durable messages a second the queue takes, and how many syncs that needs.
//!
//! `cargo run --release -p stagepost-queue --example commit_rate -- [FOLDER] [SECONDS]`

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use stagepost_queue::local::{Faults, LocalOptions, LocalStore, Operation};
use stagepost_queue::{Destination, NewDelivery, NewMessage, Origin, Store, StoreError};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

/// Counts batches.
#[derive(Default)]
struct Batches(AtomicU64);

impl Faults for Batches {
    fn before(&self, operation: Operation) -> io::Result<()> {
        if operation == Operation::JournalSync {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder: Option<PathBuf> = arguments.next().map(Into::into);
    let seconds = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let mut own = None;
    let folder = match folder {
        Some(folder) => folder,
        None => own.insert(tempfile::tempdir()?).path().to_owned(),
    };
    println!(
        "{:>8} {:>8} {:>12} {:>10} {:>14}",
        "writers", "octets", "messages/s", "syncs/s", "messages/sync"
    );
    for (writers, octets) in [(1, 4096), (20, 4096), (100, 4096), (20, 51_200), (20, 1_000_000)] {
        let batches = Arc::new(Batches::default());
        let options = LocalOptions {
            path: folder.join(format!("{writers}-{octets}")),
            free_space_min: 0,
            faults: Some(Arc::clone(&batches) as Arc<dyn Faults>),
        };
        let store = Arc::new(LocalStore::open(options)?);
        let begun = Instant::now();
        let end = begun + Duration::from_secs_f64(seconds);
        let writer = |_| tokio::spawn(write(Arc::clone(&store), octets, end));
        let writers_running: Vec<_> = (0..writers).map(writer).collect();
        let mut messages = 0;
        for writer in writers_running {
            messages += writer.await??;
        }
        let (elapsed, syncs) = (begun.elapsed().as_secs_f64(), batches.0.load(Ordering::Relaxed));
        store.close().await;
        println!(
            "{writers:>8} {octets:>8} {:>12.0} {:>10.0} {:>14.1}",
            messages as f64 / elapsed,
            syncs as f64 / elapsed,
            messages as f64 / syncs.max(1) as f64,
        );
    }
    Ok(())
}

/// Commits one message after the other; how many.
async fn write(store: Arc<LocalStore>, octets: usize, end: Instant) -> Result<u64, StoreError> {
    let body = vec![b'x'; octets];
    let mut messages = 0;
    while Instant::now() < end {
        let mut incoming = store.receive()?;
        incoming.header().extend_from_slice(b"Subject: a message\r\n");
        incoming.body(&body).await?;
        incoming.commit(message()).await?;
        messages += 1;
    }
    Ok(messages)
}

fn message() -> NewMessage {
    let address = |text| Address::parse(text).expect("a sound address");
    let now = SystemTime::now();
    NewMessage {
        envelope: Envelope {
            sender: ReversePath::Address(address("sender@example.test")),
            parameters: "".into(),
            body: BodyKind::SevenBit,
            recipients: vec![Recipient {
                address: address("user@a.example"),
                parameters: "".into(),
            }],
        },
        deliveries: vec![NewDelivery {
            destination: Destination::new("a.example").expect("a sound name"),
            queue: None,
            recipients: vec![0],
            due: now,
        }],
        received_at: now,
        hold: None,
        origin: Origin::default(),
        ledger: Vec::new(),
    }
}
