//! What a queue costs that holds many messages: `many_messages FOLDER [MESSAGES]`, 100,000 unless told.
//! Fills a spool, kills nothing and hides nothing: each message is committed as a session does it. Then it opens the spool again, and commits as many
//! messages into the full queue as into an empty one beside it, turn by turn: octets written and time for each.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{
    Destination, Destinations, Move, NewDelivery, NewMessage, Origin, Selection, Store, StoreError,
};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

const MESSAGES_DEFAULT: usize = 100_000;
const WRITERS: usize = 100;
const BODY_OCTETS: usize = 4096;
/// Messages go to so many destinations.
const DESTINATIONS: usize = 1000;
/// Messages of one turn of the comparison, and turns.
const TURN_MESSAGES: usize = 5_000;
const TURNS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: many_messages FOLDER [MESSAGES]")?);
    let messages = arguments.next().map_or(Ok(MESSAGES_DEFAULT), |text| text.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    tokio::runtime::Runtime::new()?.block_on(run(folder.path(), messages))
}

async fn run(folder: &Path, messages: usize) -> Result<(), Box<dyn Error>> {
    let (full, empty) = (folder.join("full"), folder.join("empty"));
    let store = open(&full)?;
    let (taken, _) = commit(&store, messages).await?;
    println!("{messages} messages committed in {:.1} s", taken.as_secs_f64());
    store.close().await;
    drop(store);

    let begun = Instant::now();
    let store = open(&full)?;
    println!("opened again in {:.2} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let one = Destinations::One(destination(7));
    let counted = store.count(one.clone()).await?;
    println!("{} of one destination counted in {:.2} ms", counted.queued, milliseconds(begun));
    let begun = Instant::now();
    // They are due: looked through, and nothing to move.
    let flush = Move::Flush { now: SystemTime::now() };
    store.move_all(Selection::Destinations(one), flush).await?;
    println!("flushed in {:.2} ms", milliseconds(begun));

    let other = open(&empty)?;
    let (mut times, mut octets) = (Vec::new(), [0, 0]);
    for _ in 0..TURNS {
        let (at_none, none_octets) = commit(&other, TURN_MESSAGES).await?;
        let (at_many, many_octets) = commit(&store, TURN_MESSAGES).await?;
        times.push(at_many.as_secs_f64() / at_none.as_secs_f64());
        octets = [octets[0] + none_octets, octets[1] + many_octets];
    }
    times.sort_by(f64::total_cmp);
    let each = |octets: u64| octets as f64 / (TURNS * TURN_MESSAGES) as f64;
    println!(
        "{messages} queued beside none: time × {:.2} ({:.2} to {:.2}), octets written for each {:.0} and {:.0}",
        times[TURNS / 2],
        times[0],
        times[TURNS - 1],
        each(octets[1]),
        each(octets[0]),
    );
    Ok(())
}

fn open(path: &Path) -> Result<Arc<LocalStore>, Box<dyn Error>> {
    let options = LocalOptions { path: path.to_owned(), free_space_min: 0, faults: None };
    Ok(Arc::new(LocalStore::open(options)?))
}

/// Commits so many messages by many writers at once; the time it took, and the octets that this process wrote.
async fn commit(
    store: &Arc<LocalStore>,
    messages: usize,
) -> Result<(Duration, u64), Box<dyn Error>> {
    let (begun, before) = (Instant::now(), octets_written()?);
    let writer = |writer: usize| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in (writer..messages).step_by(WRITERS) {
                let mut incoming = store.receive()?;
                incoming.header().extend_from_slice(b"Subject: a message\r\n");
                incoming.body(&[b'x'; BODY_OCTETS]).await?;
                incoming.commit(message(number)).await?;
            }
            Ok::<_, StoreError>(())
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    for writer in writers {
        writer.await??;
    }
    Ok((begun.elapsed(), octets_written()? - before))
}

/// What this process has handed to the system for writing, to the disk or not.
fn octets_written() -> Result<u64, Box<dyn Error>> {
    let figures = std::fs::read_to_string("/proc/self/io")?;
    let line = figures.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("the system does not count what is written")?.parse()?)
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

fn destination(number: usize) -> Destination {
    let name = format!("d{}.example", number % DESTINATIONS);
    Destination::new(&name).expect("a sound name")
}

fn message(number: usize) -> NewMessage {
    let address = |text| Address::parse(text).expect("a sound address");
    let now = SystemTime::now();
    let recipient = Recipient { address: address("user@a.example"), parameters: "".into() };
    NewMessage {
        envelope: Envelope {
            sender: ReversePath::Address(address("sender@example.test")),
            parameters: "".into(),
            body: BodyKind::SevenBit,
            recipients: vec![recipient],
        },
        deliveries: vec![NewDelivery {
            destination: destination(number),
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
