//! What a queue costs that holds many messages: `many_messages FOLDER [MESSAGES]`, 100,000 unless told.
//! Fills a spool, kills nothing and hides nothing: each message is committed as a session does it. Then it opens the spool again, counts and flushes, and
//! commits as many messages into the full queue as into an empty one beside it, turn by turn: calls and octets written and time for each. Under strace the
//! lines that it prints say which calls belong to what.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{
    Destination, Destinations, Move, NewDelivery, NewMessage, Origin, QueueName, Selection, Store,
    StoreError,
};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

const MESSAGES_DEFAULT: usize = 100_000;
const WRITERS: usize = 100;
const BODY_OCTETS: usize = 4096;
/// Messages go to so many destinations.
const DESTINATIONS: usize = 1000;
/// More than the journal holds.
const WARM_UP_MESSAGES: usize = 60_000;
/// Messages committed one by one.
const ALONE_MESSAGES: usize = 1000;
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
    look(&store).await?;
    let other = open(&empty)?;
    warm_up(&other).await?;
    alone("none", &other).await?;
    alone("many", &store).await?;
    beside(&store, &other, messages).await
}

/// Counts and flushes in the full queue.
async fn look(store: &LocalStore) -> Result<(), Box<dyn Error>> {
    let one = Destinations::One(destination(7));
    for (name, which) in [
        ("one destination", one.clone()),
        ("@example", Destinations::Below(Destination::new("example")?)),
        ("#branch", Destinations::Queue(QueueName::new("branch")?)),
    ] {
        let begun = Instant::now();
        let counted = store.count(which).await?;
        println!("{} of {name} counted in {:.2} ms", counted.queued, milliseconds(begun));
    }
    let flush = |now| Move::Flush { now };
    let of_one = Selection::Destinations(one);
    let begun = Instant::now();
    let moved = store.move_all(of_one.clone(), flush(SystemTime::now())).await?;
    println!("one destination, due already, flushed in {:.2} ms: {moved}", milliseconds(begun));
    // Held and released, all of it is due much later: the next flush has something to do.
    store.move_all(of_one.clone(), Move::Hold { reason: "closed".into() }).await?;
    let later = SystemTime::now() + Duration::from_secs(3600);
    store.move_all(of_one.clone(), Move::Release { now: later }).await?;
    let begun = Instant::now();
    let moved = store.move_all(of_one, flush(SystemTime::now())).await?;
    println!("one destination flushed in {:.2} ms: {moved}", milliseconds(begun));
    let nobody = ReversePath::Address(Address::parse("nobody@example.test")?);
    let begun = Instant::now();
    let moved = store.move_all(Selection::Sender(nobody), flush(SystemTime::now())).await?;
    println!("a sender who sent nothing flushed in {:.2} ms: {moved}", milliseconds(begun));
    Ok(())
}

/// Fills the journal of a queue and leaves nothing in it: a journal that grows writes zeros, which the other's no longer does.
async fn warm_up(store: &Arc<LocalStore>) -> Result<(), Box<dyn Error>> {
    commit(store, WARM_UP_MESSAGES).await?;
    let all = Selection::SendersBelow(Destination::new("example.test")?);
    let begun = Instant::now();
    let moved = store.move_all(all, Move::Remove).await?;
    println!("{moved} messages of a sender removed in {:.0} ms", milliseconds(begun));
    Ok(())
}

/// Commits messages one after the other: each is a group of its own, so that the counts are exact.
async fn alone(queued: &str, store: &Arc<LocalStore>) -> Result<(), Box<dyn Error>> {
    println!("{queued} queued, {ALONE_MESSAGES} messages one by one");
    let (calls, octets) = written()?;
    for number in 0..ALONE_MESSAGES {
        put(store, number).await?;
    }
    let (calls, octets) = (written()?.0 - calls, written()?.1 - octets);
    let each = |count: u64| count as f64 / ALONE_MESSAGES as f64;
    println!("for each: write calls {:.2}, octets {:.0}", each(calls), each(octets));
    Ok(())
}

/// Compares the full queue with an empty one.
async fn beside(
    store: &Arc<LocalStore>,
    other: &Arc<LocalStore>,
    messages: usize,
) -> Result<(), Box<dyn Error>> {
    let (mut times, mut octets) = (Vec::new(), [0, 0]);
    for _ in 0..TURNS {
        let (at_none, none_octets) = commit(other, TURN_MESSAGES).await?;
        let (at_many, many_octets) = commit(store, TURN_MESSAGES).await?;
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
    let (begun, before) = (Instant::now(), written()?.1);
    let writer = |writer: usize| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in (writer..messages).step_by(WRITERS) {
                put(&store, number).await?;
            }
            Ok::<_, StoreError>(())
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    for writer in writers {
        writer.await??;
    }
    Ok((begun.elapsed(), written()?.1 - before))
}

async fn put(store: &LocalStore, number: usize) -> Result<(), StoreError> {
    let mut incoming = store.receive()?;
    incoming.header().extend_from_slice(b"Subject: a message\r\n");
    incoming.body(&[b'x'; BODY_OCTETS]).await?;
    incoming.commit(message(number)).await?;
    Ok(())
}

/// How often this process has handed something to the system for writing, and how many octets, to the disk or not.
fn written() -> Result<(u64, u64), Box<dyn Error>> {
    let figures = std::fs::read_to_string("/proc/self/io")?;
    let figure = |name| {
        let line = figures.lines().find_map(|line| line.strip_prefix(name));
        Ok::<u64, Box<dyn Error>>(line.ok_or("the system does not count what is written")?.parse()?)
    };
    Ok((figure("syscw: ")?, figure("wchar: ")?))
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
            queue: (number % DESTINATIONS == 7)
                .then(|| QueueName::new("branch").expect("a sound name")),
            recipients: vec![0],
            due: now,
        }],
        received_at: now,
        hold: None,
        origin: Origin::default(),
        ledger: Vec::new(),
    }
}
