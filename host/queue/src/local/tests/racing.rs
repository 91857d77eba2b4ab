//! Operators, deliveries, fetching and new mail at once: nobody gets a message twice, none is lost, and all rows agree.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::audit::audit;
use super::lanes::Narrow;
use super::spool::{Spool, destination, lease_as, message, past, queue};
use crate::{
    Destination, Destinations, FetchRequest, Lease, LeaseRequest, Move, QueueId, QueueName, Queues,
    Selection, Settlement, Step, Store, StoreError, Summary,
};

const NAMES: [&str; 3] = ["a.example", "b.a.example", "c.test"];
const WRITERS: usize = 4;
const MESSAGES: usize = 60;

/// What all of them share.
struct Scene {
    spool: Spool,
    ids: Mutex<Vec<QueueId>>,
    /// Settled as done, by delivery.
    done: Mutex<HashMap<(QueueId, Destination), u32>>,
    writing: AtomicBool,
    chance: AtomicU64,
}

impl Scene {
    fn store(&self) -> &dyn Store {
        &self.spool.store
    }

    /// Any number below this one.
    fn any(&self, below: usize) -> usize {
        let drawn = self.chance.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (drawn >> 33) as usize % below
    }

    async fn write(&self) {
        for _ in 0..MESSAGES {
            let names = &NAMES[..=self.any(NAMES.len())];
            let octets = if self.any(10) == 0 { 70_000 } else { 500 };
            let id = queue(self.store(), octets, message(names)).await.unwrap();
            self.ids.lock().unwrap().push(id);
        }
    }

    async fn settle(&self, lease: Lease, step: Step) {
        let recipients = vec![step.clone(); lease.recipients.len()];
        let settlement = Settlement { recipients, next_due: past(0) };
        self.store().finish(&lease, settlement).await.unwrap();
        if step == Step::Done {
            *self.done.lock().unwrap().entry((lease.id, lease.destination)).or_default() += 1;
        }
    }

    /// Delivers, and puts off or holds some.
    async fn deliver(&self, lanes: Arc<Narrow>) {
        while self.writing.load(Ordering::Relaxed) {
            let request = LeaseRequest {
                now: SystemTime::now(),
                max: 5,
                lanes: lanes.clone(),
                duration: Duration::from_secs(60),
            };
            for lease in lease_as(self.store(), request).await {
                tokio::task::yield_now().await;
                lanes.leave(&lease.destination);
                let step = match self.any(6) {
                    0 => Step::Retry("451 later".into()),
                    1 => Step::Hold("odd".into()),
                    _ => Step::Done,
                };
                self.settle(lease, step).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Comes for mail.
    async fn fetch(&self) {
        while self.writing.load(Ordering::Relaxed) {
            let of = Destinations::Below(destination("a.example"));
            let duration = Duration::from_secs(60);
            let request = FetchRequest { of, after: None, max: 2, duration };
            for lease in self.store().fetch(request).await.unwrap().leases {
                self.settle(lease, Step::Done).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Orders this and that.
    async fn order(&self) {
        let queues: Arc<dyn Queues> = Arc::new(Branch);
        while self.writing.load(Ordering::Relaxed) {
            let now = SystemTime::now();
            let what = match self.any(6) {
                0 => Move::Hold { reason: "wait".into() },
                1 => Move::Release { now },
                2 => Move::Requeue { route: Some("*".into()), queues: queues.clone(), now },
                3 => Move::GiveUp { reason: "enough".into(), now },
                4 if self.any(4) == 0 => Move::Remove,
                _ => Move::Flush { now },
            };
            match self.store().move_all(self.meant(), what).await {
                // Somebody else was quicker.
                Ok(_) | Err(StoreError::Missing(_)) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    fn meant(&self) -> Selection {
        let name = destination(NAMES[self.any(NAMES.len())]);
        let one = {
            let ids = self.ids.lock().unwrap();
            (!ids.is_empty()).then(|| ids[self.any(ids.len())])
        };
        match (self.any(5), one) {
            (0, _) => Selection::Destinations(Destinations::One(name)),
            (1, _) => Selection::Destinations(Destinations::Below(name)),
            (2, Some(id)) => Selection::Message(id),
            (3, _) => {
                let branch = QueueName::new("branch").unwrap();
                Selection::Destinations(Destinations::Queue(branch))
            }
            _ => Selection::SendersBelow(destination("example.test")),
        }
    }
}

/// Everything that is requeued is in one queue.
#[derive(Debug)]
struct Branch;

impl Queues for Branch {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        QueueName::new("branch").ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_at_once_each_delivery_is_made_once() {
    let scene = Arc::new(Scene {
        spool: Spool::new(),
        ids: Mutex::default(),
        done: Mutex::default(),
        writing: AtomicBool::new(true),
        chance: AtomicU64::new(1),
    });
    let lanes = Narrow::lanes(8);
    let (mut writers, mut others) = (JoinSet::new(), JoinSet::new());
    for number in 0..WRITERS {
        let (writer, other, lanes) = (scene.clone(), scene.clone(), lanes.clone());
        writers.spawn(async move { writer.write().await });
        others.spawn(async move {
            match number {
                0 | 1 => other.deliver(lanes).await,
                2 => other.order().await,
                _ => other.fetch().await,
            }
        });
        if number == 2 {
            // Another operator is of another mind.
            let other = scene.clone();
            others.spawn(async move { other.order().await });
        }
    }
    writers.join_all().await;
    scene.writing.store(false, Ordering::Relaxed);
    others.join_all().await;
    audit(&scene.spool).await;

    // What is left goes out, and then nothing is left.
    let all = || Selection::Destinations(Destinations::All);
    scene.store().move_all(all(), Move::Release { now: past(0) }).await.unwrap();
    scene.store().move_all(all(), Move::Flush { now: past(0) }).await.unwrap();
    loop {
        let lanes = Narrow::lanes(100);
        let duration = Duration::from_secs(60);
        let request = LeaseRequest { now: SystemTime::now(), max: 100, lanes, duration };
        let leases = lease_as(scene.store(), request).await;
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            scene.settle(lease, Step::Done).await;
        }
    }
    assert_eq!(scene.store().summary().await.unwrap(), Summary::default());
    audit(&scene.spool).await;
    let done = scene.done.lock().unwrap();
    assert!(done.values().all(|times| *times == 1), "something was delivered twice");
    assert!(done.len() > MESSAGES, "{} deliveries prove nothing", done.len());
}
