//! Random operations in random order: indexes, counters and files agree at every restart and at the end.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::audit::audit;
use super::lanes::Narrow;
use super::spool::{
    Spool, destination, flush, hold, hold_all, in_queue, lease, lease_as, message, past, queue,
    release, release_all, remove,
};
use crate::local::Operation;
use crate::{
    Destination, Destinations, Lease, Move, QueueId, QueueName, Queues, Selection, Settlement,
    Step, Store, StoreError,
};

const NAMES: [&str; 4] = ["a.example", "b.a.example", "b.example", "[192.0.2.1]"];
const QUEUES: [Option<&str>; 3] = [None, Some("branch"), Some("b")];

/// Which mail is meant.
#[derive(Clone, Debug)]
enum Which {
    One(usize),
    Below(usize),
    Queue(usize),
}

fn which() -> impl Strategy<Value = Which> {
    let name = 0usize..NAMES.len();
    prop_oneof![
        name.clone().prop_map(Which::One),
        name.prop_map(Which::Below),
        (1usize..QUEUES.len()).prop_map(Which::Queue),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Queue { names: usize, octets: usize, queue: usize, hold: bool, later: bool },
    Lease { max: usize, per_destination_max: usize },
    Settle { which: prop::sample::Index, steps: [u8; 4] },
    Flush { which: Which },
    HoldAll { which: Which },
    ReleaseAll { which: Which },
    GiveUpAll { which: Which },
    RequeueAll { which: Which, queue: usize },
    RemoveAll { which: Which },
    OfSender { what: u8 },
    Release { which: prop::sample::Index },
    Hold { which: prop::sample::Index },
    Remove { which: prop::sample::Index },
    FailedSync,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let octets = prop_oneof![8 => 0usize..5000, 1 => 65_000usize..150_000];
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (1usize..=4, octets, 0..QUEUES.len(), prop::bool::weighted(0.1), prop::bool::weighted(0.3))
            .prop_map(|(names, octets, queue, hold, later)| Act::Queue { names, octets, queue, hold, later }),
        3 => (1usize..6, 1usize..4).prop_map(|(max, per_destination_max)| Act::Lease { max, per_destination_max }),
        6 => (index(), any::<[u8; 4]>()).prop_map(|(which, steps)| Act::Settle { which, steps }),
        1 => which().prop_map(|which| Act::Flush { which }),
        1 => which().prop_map(|which| Act::HoldAll { which }),
        2 => which().prop_map(|which| Act::ReleaseAll { which }),
        1 => which().prop_map(|which| Act::GiveUpAll { which }),
        1 => (which(), 0..QUEUES.len()).prop_map(|(which, queue)| Act::RequeueAll { which, queue }),
        1 => which().prop_map(|which| Act::RemoveAll { which }),
        1 => any::<u8>().prop_map(|what| Act::OfSender { what }),
        1 => index().prop_map(|which| Act::Release { which }),
        1 => index().prop_map(|which| Act::Hold { which }),
        1 => index().prop_map(|which| Act::Remove { which }),
        1 => Just(Act::FailedSync),
        1 => Just(Act::Restart),
    ]
}

fn chosen(which: Which) -> Destinations {
    match which {
        Which::One(name) => Destinations::One(destination(NAMES[name])),
        Which::Below(name) => Destinations::Below(destination(NAMES[name])),
        Which::Queue(name) => Destinations::Queue(QueueName::new(QUEUES[name].unwrap()).unwrap()),
    }
}

/// Everything is in this queue.
#[derive(Debug)]
struct Named(usize);

impl Queues for Named {
    fn queue_of(&self, _: &Destination) -> Option<QueueName> {
        QUEUES[self.0].map(|name| QueueName::new(name).unwrap())
    }
}

struct Run {
    spool: Spool,
    ids: Vec<QueueId>,
    leases: Vec<Lease>,
}

impl Run {
    async fn act(mut self, act: Act) -> Self {
        let store = &self.spool.store;
        match act {
            Act::Queue { names, octets, queue: name, hold, later } => {
                let mut message = in_queue(QUEUES[name], &NAMES[..names]);
                message.hold = hold.then(|| "looks odd".into());
                for delivery in &mut message.deliveries {
                    delivery.due += Duration::from_secs(if later { 3600 } else { 0 });
                }
                self.ids.push(queue(store, octets, message).await.unwrap());
            }
            Act::Lease { max, per_destination_max } => {
                let leases = lease(store, max, per_destination_max).await;
                for new in &leases {
                    let same =
                        |old: &&Lease| (old.id, &old.destination) == (new.id, &new.destination);
                    assert!(!self.leases.iter().any(|old| same(&old)), "{new:?} leased twice");
                }
                self.leases.extend(leases);
            }
            Act::Settle { which, steps } if !self.leases.is_empty() => {
                let lease = self.leases.swap_remove(which.index(self.leases.len()));
                let step = |step: &u8| match step % 4 {
                    0 | 1 => Step::Done,
                    2 => Step::Retry("451 later".into()),
                    _ => Step::Hold("550 no".into()),
                };
                let recipients =
                    steps.iter().cycle().map(step).take(lease.recipients.len()).collect();
                store.finish(&lease, Settlement { recipients, next_due: past(1) }).await.unwrap();
            }
            Act::Flush { which } => {
                flush(store, chosen(which), SystemTime::now()).await.unwrap();
            }
            Act::HoldAll { which } => {
                let which = chosen(which);
                hold_all(store, which.clone(), "all of it").await.unwrap();
                assert_eq!(store.count(which).await.unwrap().queued, 0);
            }
            Act::ReleaseAll { which } => {
                let which = chosen(which);
                release_all(store, which.clone(), past(1)).await.unwrap();
                assert_eq!(store.count(which).await.unwrap().held, 0);
            }
            Act::GiveUpAll { which } => {
                let which = chosen(which);
                let give_up = Move::GiveUp { reason: "no more".into(), now: past(1) };
                store.move_all(Selection::Destinations(which.clone()), give_up).await.unwrap();
                assert_eq!(store.count(which).await.unwrap().held, 0);
            }
            Act::RequeueAll { which, queue } => {
                let which = chosen(which);
                let requeue =
                    Move::Requeue { route: None, queues: Arc::new(Named(queue)), now: past(1) };
                store.move_all(Selection::Destinations(which), requeue).await.unwrap();
            }
            Act::RemoveAll { which } => {
                let which = chosen(which);
                let selection = Selection::Destinations(which.clone());
                store.move_all(selection, Move::Remove).await.unwrap();
                assert_eq!(store.count(which).await.unwrap(), crate::Count::default());
            }
            Act::OfSender { what } => {
                let what = match what % 4 {
                    0 => Move::Flush { now: past(1) },
                    1 => Move::Hold { reason: "who is it".into() },
                    2 => Move::Release { now: past(1) },
                    _ => Move::Remove,
                };
                let all = Selection::SendersBelow(destination("test"));
                store.move_all(all, what).await.unwrap();
            }
            Act::Release { which } if !self.ids.is_empty() => {
                let id = self.ids[which.index(self.ids.len())];
                let _ = release(store, id, past(1)).await;
            }
            Act::Hold { which } if !self.ids.is_empty() => {
                let id = self.ids[which.index(self.ids.len())];
                let _ = hold(store, id, "an operator's reason").await;
            }
            Act::Remove { which } if !self.ids.is_empty() => {
                let id = self.ids.swap_remove(which.index(self.ids.len()));
                let _ = remove(store, id).await;
                assert!(matches!(remove(store, id).await, Err(StoreError::Missing(_))));
            }
            Act::FailedSync => self.fail_a_sync().await,
            Act::Restart => {
                self.spool = self.spool.restart().await;
                self.leases.clear();
                audit(&self.spool).await;
            }
            Act::Settle { .. } | Act::Release { .. } | Act::Hold { .. } | Act::Remove { .. } => {}
        }
        self
    }

    /// A message is refused, and the store reopens when it is asked again.
    async fn fail_a_sync(&self) {
        let spool = &self.spool;
        spool.disk.fail(Operation::JournalSync, ErrorKind::Other);
        queue(&spool.store, 100, message(&NAMES)).await.unwrap_err();
        spool.disk.heal();
        while spool.store.summary().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything that is left goes out, and nothing is left.
    async fn drain(self) {
        let (store, far) = (&self.spool.store, SystemTime::now() + Duration::from_secs(7200));
        for id in &self.ids {
            let _ = release(store, *id, past(1)).await;
        }
        let mut leases = self.leases;
        loop {
            let request = crate::LeaseRequest {
                now: far,
                max: 3,
                lanes: Narrow::lanes(2),
                duration: Duration::from_secs(60),
            };
            leases.extend(lease_as(store, request).await);
            if leases.is_empty() {
                break;
            }
            for lease in std::mem::take(&mut leases) {
                let recipients = vec![Step::Done; lease.recipients.len()];
                store.finish(&lease, Settlement { recipients, next_due: far }).await.unwrap();
            }
        }
        audit(&self.spool).await;
        assert_eq!(store.summary().await.unwrap(), crate::Summary::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn everything_agrees_after_random_operations(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run { spool: Spool::new(), ids: Vec::new(), leases: Vec::new() };
            for act in acts {
                run = run.act(act).await;
            }
            audit(&run.spool).await;
            run.drain().await;
        });
    }
}
