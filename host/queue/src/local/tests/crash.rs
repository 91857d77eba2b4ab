//! Kill -9 at random moments: what was acknowledged is there and intact, what was settled is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::audit::audit;
use super::spool::{Spool, assert_intact, lease, message, open, queue};
use crate::{QueueId, Settlement, Step, Store, StoreError};

/// Names the spool to the process that is to be killed.
const SPOOL: &str = "STAGEPOST_QUEUE_CRASH_SPOOL";
const ROUNDS: u64 = 8;

/// What the killed process said before it died.
#[derive(Default)]
struct Said {
    acknowledged: BTreeMap<QueueId, usize>,
    /// A settlement was begun: gone or there.
    settling: BTreeSet<QueueId>,
    settled: BTreeSet<QueueId>,
}

#[test]
fn acknowledged_messages_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for round in 0..ROUNDS {
        // Where in its work the process is hit differs with the moment, which nobody controls.
        said.run_and_kill(folder.path(), 20 + round * 60);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(said.check(folder.path()));
    }
    assert!(
        said.acknowledged.len() > 300 && said.settled.len() > 20,
        "too little happened to prove anything"
    );
}

impl Said {
    /// Runs a process that says what it does, and kills it after so many lines.
    fn run_and_kill(&mut self, path: &Path, lines: u64) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "local::tests::crash::process_that_is_killed", "--nocapture"])
            .env(SPOOL, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < lines {
            let line = output.next().expect("the process ended by itself").unwrap();
            seen += u64::from(self.hear(&line));
        }
        kill(&mut child);
        // What was written to the pipe before the end counts as said.
        for line in output {
            self.hear(&line.unwrap());
        }
    }

    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let id = |text: &str| text.parse::<QueueId>().unwrap();
        match words[..] {
            ["+", of, octets, "."] => {
                self.acknowledged.insert(id(of), octets.parse().unwrap()).is_none()
            }
            ["?", of, "."] => self.settling.insert(id(of)),
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
            } else if !self.settling.contains(id) || spool.store.read(*id).await.is_ok() {
                assert_intact(&spool.store, *id, *octets).await;
            }
        }
        audit(&spool).await;
        spool.store.close().await;
    }
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Does nothing unless it was started to be killed: then it queues and settles until that happens.
#[test]
fn process_that_is_killed() {
    let Ok(path) = std::env::var(SPOOL) else {
        return;
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(open(Path::new(&path)));
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..16 {
            tasks.spawn(write(Arc::clone(&store), writer));
        }
        tasks.spawn(deliver(Arc::clone(&store)));
        // A parent that died leaves nobody to kill this process: it ends by itself.
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
}

async fn write(store: Arc<dyn Store>, writer: usize) {
    for sent in 0.. {
        let octets = if (writer + sent).is_multiple_of(10) { 100_000 } else { 2000 };
        let id = queue(&*store, octets, message(&["a.example"])).await.unwrap();
        say(&format!("+ {id} {octets} .\n"));
    }
}

async fn deliver(store: Arc<dyn Store>) {
    loop {
        for lease in lease(&*store, 1, 10).await {
            say(&format!("? {} .\n", lease.id));
            let settlement =
                Settlement { recipients: vec![Step::Done], next_due: SystemTime::now() };
            store.finish(&lease, settlement).await.unwrap();
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
