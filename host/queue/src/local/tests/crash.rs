//! Kill -9 at random moments and at every fault point: what was acknowledged is there and intact, what was settled is gone, and
//! what is delivered twice was never settled.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::audit::audit;
use super::spool::{Spool, assert_intact, destination, lease, message, queue};
use crate::local::{Faults, LocalOptions, LocalStore, Operation};
use crate::{
    Destination, Destinations, Move, QueueId, QueueName, Queues, Selection, Settlement, Step,
    Store, StoreError,
};

/// Names the spool to the process that is to be killed.
const SPOOL: &str = "STAGEPOST_QUEUE_CRASH_SPOOL";
/// The fault point at which it kills itself, and how often it passes that before.
const POINT: &str = "STAGEPOST_QUEUE_CRASH_POINT";
/// Each time with a new spool, once for every fault point.
const SPOOLS: u64 = 6;
/// So many deliveries are tried at once.
const LEASES_MAX: usize = 10;

/// A process that has said so much passes its fault point no more. Where much is brought and little delivered, the body files of
/// the few that go are removed late.
const LINES_MAX: u64 = 20_000;

/// Where a crash is told to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// Wherever it is: it is killed from outside.
    Anywhere,
    /// Before an operation on the disk: of whoever brings a message, of the committer, of whoever removes what is gone.
    Before(Operation),
    /// Between a delivery and its settlement.
    Delivered,
    /// Between the settlement and whoever waits for it.
    Settled,
}

const POINTS: [Point; 11] = [
    Point::Anywhere,
    Point::Before(Operation::SegmentWrite),
    Point::Before(Operation::BodyWrite),
    Point::Before(Operation::BodySync),
    Point::Before(Operation::DirectorySync),
    Point::Before(Operation::JournalWrite),
    Point::Before(Operation::JournalSync),
    Point::Before(Operation::Checkpoint),
    Point::Before(Operation::BodyRemove),
    Point::Delivered,
    Point::Settled,
];

/// What the killed processes said before they died.
#[derive(Default)]
struct Said {
    acknowledged: BTreeMap<QueueId, usize>,
    /// Delivered, as far as the next hop knows: how often.
    delivered: BTreeMap<QueueId, usize>,
    settled: BTreeSet<QueueId>,
    /// Deliveries that a crash made happen again.
    duplicates: usize,
}

#[test]
fn acknowledged_messages_survive_kill_9() {
    let mut died_at = BTreeSet::new();
    let (mut acknowledged, mut settled, mut duplicates) = (0, 0, 0);
    for turn in 0..SPOOLS {
        let folder = tempfile::tempdir().unwrap();
        let mut said = Said::default();
        for point in POINTS {
            if said.run_and_kill(folder.path(), point, turn) {
                died_at.insert(format!("{point:?}"));
            }
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(said.check(folder.path()));
        }
        acknowledged += said.acknowledged.len();
        settled += said.settled.len();
        duplicates += said.duplicates;
    }
    println!("{acknowledged} acknowledged, {settled} settled, {duplicates} delivered twice");
    assert_eq!(died_at.len(), POINTS.len() - 1, "it died at {died_at:?} only");
    // Only what was being delivered when a process died can be delivered again.
    assert!(duplicates <= LEASES_MAX * POINTS.len() * SPOOLS as usize);
    assert!(acknowledged > 500 && settled > 100, "too little happened to prove anything");
}

impl Said {
    /// Runs a process that says what it does until it dies: by itself at a fault point, or by our hand after so many lines.
    /// Whether it did so by itself.
    fn run_and_kill(&mut self, path: &Path, point: Point, turn: u64) -> bool {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "local::tests::crash::process_that_is_killed", "--nocapture"])
            .env(SPOOL, path)
            .stdout(Stdio::piped());
        // Some are passed often, some seldom; where in the process's life it dies differs from turn to turn.
        let passes = match point {
            Point::Anywhere | Point::Before(Operation::SegmentWrite) => 0,
            Point::Before(Operation::JournalWrite | Operation::JournalSync)
            | Point::Delivered
            | Point::Settled => turn * 7,
            Point::Before(_) => turn,
        };
        command.env(POINT, format!("{point:?} {passes}"));
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = if point == Point::Anywhere { 20 + turn * 50 } else { LINES_MAX };
        let mut seen = 0;
        let mut by_itself = true;
        // What was written to the pipe before the end counts as said.
        for line in output {
            seen += u64::from(self.hear(&line.unwrap()));
            if seen == lines {
                kill(&mut child);
                by_itself = false;
            }
        }
        kill(&mut child);
        // A journal that has all of its segments gets no more.
        let expected = !matches!(point, Point::Anywhere | Point::Before(Operation::SegmentWrite));
        assert!(by_itself || !expected, "it did not die at {point:?}");
        by_itself
    }

    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let id = |text: &str| text.parse::<QueueId>().unwrap();
        match words[..] {
            ["+", of, octets, "."] => {
                self.acknowledged.insert(id(of), octets.parse().unwrap()).is_none()
            }
            ["?", of, "."] => {
                let of = id(of);
                assert!(
                    !self.settled.contains(&of),
                    "{of} is delivered again, though it was settled"
                );
                let times = self.delivered.entry(of).or_default();
                *times += 1;
                self.duplicates += usize::from(*times > 1);
                true
            }
            ["-", of, "."] => self.settled.insert(id(of)),
            _ => false,
        }
    }

    async fn check(&self, path: &Path) {
        let spool = Spool::at(path);
        for (id, octets) in &self.acknowledged {
            if self.settled.contains(id) {
                let read = spool.store.read(*id).await;
                assert!(matches!(read, Err(StoreError::Missing(_))), "{id} was settled: {read:?}");
            } else if !self.delivered.contains_key(id) || spool.store.read(*id).await.is_ok() {
                assert_intact(&spool.store, *id, *octets).await;
            }
        }
        audit(&spool).await;
        spool.store.close().await;
    }
}

fn kill(child: &mut Child) {
    // It may be dead already.
    let _ = child.kill();
    child.wait().unwrap();
}

/// Kills the process when a fault point was passed so often.
struct Death {
    point: String,
    passes: AtomicU64,
}

impl Death {
    fn pass(&self, point: Point) {
        if format!("{point:?}") == self.point && self.passes.fetch_sub(1, Ordering::Relaxed) == 0 {
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}

impl Faults for Death {
    fn before(&self, operation: Operation) -> io::Result<()> {
        self.pass(Point::Before(operation));
        Ok(())
    }
}

/// Does nothing unless it was started to be killed: then it queues and settles until that happens.
#[test]
fn process_that_is_killed() {
    let Ok(path) = std::env::var(SPOOL) else {
        return;
    };
    let point = std::env::var(POINT).unwrap();
    let (point, passes) = point.split_once(' ').unwrap();
    let passes = AtomicU64::new(passes.parse().unwrap());
    let death = Arc::new(Death { point: point.to_owned(), passes });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let faults = Some(Arc::clone(&death) as Arc<dyn Faults>);
        let options = LocalOptions { path: path.into(), free_space_min: 0, faults };
        let store: Arc<dyn Store> = Arc::new(LocalStore::open(options).unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..16 {
            tasks.spawn(write(Arc::clone(&store), writer));
        }
        tasks.spawn(order(Arc::clone(&store)));
        tasks.spawn(deliver(store, death));
        // A parent that died leaves nobody to kill this process: it ends by itself.
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

async fn write(store: Arc<dyn Store>, writer: usize) {
    for sent in 0.. {
        let octets = if (writer + sent).is_multiple_of(10) { 100_000 } else { 2000 };
        // Some are ordered about.
        let name = if writer == 3 { "b.example" } else { "a.example" };
        let id = queue(&*store, octets, message(&[name])).await.unwrap();
        say(&format!("+ {id} {octets} .\n"));
    }
}

/// An operator who can't make up their mind.
async fn order(store: Arc<dyn Store>) {
    let all = || Selection::Destinations(Destinations::One(destination("b.example")));
    let queues: Arc<dyn Queues> = Arc::new(Branch);
    loop {
        let now = SystemTime::now();
        for what in [
            Move::Hold { reason: "wait".into() },
            Move::Requeue { route: Some("*".into()), queues: Arc::clone(&queues), now },
            Move::Release { now },
        ] {
            store.move_all(all(), what).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Everything is in one queue.
#[derive(Debug)]
struct Branch;

impl Queues for Branch {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        QueueName::new("branch").ok()
    }
}

async fn deliver(store: Arc<dyn Store>, death: Arc<Death>) {
    loop {
        let leased = lease(&*store, LEASES_MAX, LEASES_MAX).await;
        for lease in &leased {
            say(&format!("? {} .\n", lease.id));
        }
        for lease in leased {
            let settlement =
                Settlement { recipients: vec![Step::Done], next_due: SystemTime::now() };
            death.pass(Point::Delivered);
            store.finish(&lease, settlement).await.unwrap();
            death.pass(Point::Settled);
            say(&format!("- {} .\n", lease.id));
        }
        tokio::task::yield_now().await;
    }
}

/// One line in one write, past whatever keeps the output of tests.
fn say(line: &str) {
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}
