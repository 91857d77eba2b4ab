//! The scheduler under a paused clock: what it starts, when, and what becomes of the recipients.

mod lanes;
mod terms;

use std::sync::Arc;
use std::time::Duration;

use stagepost_queue::{Destination, Destinations, Move, QueueId, Selection, Step};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::memory::{Always, Plain, Play, Scene, Script, now, set_clock};
use super::*;
use crate::delivery::finding::Finding;
use crate::delivery::notification::Action;
use crate::delivery::transport::{Onward, RecipientOutcome};

const HOUR: Duration = Duration::from_secs(3600);

fn delivered() -> RecipientOutcome {
    RecipientOutcome::Delivered(Finding::new((2, 0, 0), "kept"), Onward::End)
}

fn deferred() -> RecipientOutcome {
    RecipientOutcome::Deferred(Finding::new((4, 0, 0), "451 later"))
}

fn failed() -> RecipientOutcome {
    RecipientOutcome::Failed(Finding::new((5, 0, 0), "550 no"))
}

fn scheduler(scene: &Scene) -> (Scheduler, Arc<Lanes>) {
    let store = Arc::clone(&scene.store) as Arc<dyn Store>;
    let transports = Arc::clone(&scene.script) as Arc<dyn Transports>;
    let limits = Limits {
        concurrency_max: scene.concurrency_max as usize,
        attempt_max: Duration::from_secs(600),
        drain_max: Duration::from_secs(30),
    };
    let schedules = Arc::new(Always(scene.retry.clone()));
    let notifier = Arc::clone(&scene.notes) as Arc<dyn Notifies>;
    let wake = scene.store.wake.clone();
    let wake = move || wake.notify_one();
    let roads = Arc::new(Plain(scene.pace));
    let lanes = Arc::new(Lanes::new(roads, scene.concurrency_max, wake).at(now));
    let mut scheduler =
        Scheduler::new(store, transports, schedules, notifier, lanes.clone(), limits);
    Arc::get_mut(&mut scheduler.work).unwrap().now = now;
    (scheduler, lanes)
}

/// A running scheduler and the way to stop it.
fn start(scene: &Scene) -> (JoinHandle<()>, oneshot::Sender<()>) {
    let (running, stop, _) = start_with_lanes(scene);
    (running, stop)
}

/// The same with its lanes.
fn start_with_lanes(scene: &Scene) -> (JoinHandle<()>, oneshot::Sender<()>, Arc<Lanes>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (scheduler, lanes) = scheduler(scene);
    let running = tokio::spawn(scheduler.run(async move {
        let _ = stopped.await;
    }));
    (running, stop, lanes)
}

/// Lets virtual time go by.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn new_work_begins_at_once() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 0)]));
    let (running, stop) = start(&scene);
    pass(1000).await;
    let (id, added) = (scene.store.add("a.example", 2, Duration::ZERO), now());
    pass(1).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done, Step::Done]));
    assert_eq!(scene.script.begun.lock().unwrap()[0], (added, "a.example".to_owned()));
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_noticed() {
    let day = 86_400;
    let plays = [Play::All(deferred(), 0), Play::All(delivered(), 0)];
    let script = ["ahead.example", "back.example", "new.example"]
        .iter()
        .fold(Script::default(), |script, name| script.with(name, &plays));
    let retry = Retry { first: HOUR * 10, max: HOUR * 10, ..Scene::new(Script::default()).retry };
    let scene = Scene { retry, ..Scene::new(script) };
    let ahead = scene.store.add("ahead.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert!(matches!(scene.store.steps(ahead).as_deref(), Some([Step::Retry(_)])));
    // Set ahead: what is due by the new time is tried, though nobody tells of it.
    set_clock(day);
    pass(61).await;
    assert_eq!(scene.store.steps(ahead), Some(vec![Step::Done]));
    // Set back: what comes in is tried at once, and what waits when the clock says so, not before and not again and again.
    let back = scene.store.add("back.example", 1, Duration::ZERO);
    pass(1).await;
    set_clock(-day);
    let new = scene.store.add("new.example", 1, Duration::ZERO);
    pass(HOUR.as_secs() * 30).await;
    assert!(matches!(scene.store.steps(back).as_deref(), Some([Step::Retry(_)])));
    assert_eq!(scene.store.steps(new), Some(vec![Step::Done]));
    pass(HOUR.as_secs() * 40).await;
    assert_eq!(scene.store.steps(back), Some(vec![Step::Done]));
    assert_eq!(scene.script.begun.lock().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_a_time_than_allowed() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 10)]));
    for _ in 0..10 {
        scene.store.add("a.example", 1, Duration::ZERO);
    }
    let (_running, _stop) = start(&scene);
    pass(45).await;
    assert_eq!(scene.store.settled.lock().unwrap().len(), 8);
    pass(10).await;
    assert_eq!(scene.store.settled.lock().unwrap().len(), 10);
    assert_eq!(*scene.script.running_max.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deferred_delivery_is_tried_again_later_each_time() {
    let plays = [Play::All(deferred(), 0), Play::All(deferred(), 0), Play::All(delivered(), 0)];
    let scene = Scene::new(Script::default().with("a.example", &plays));
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Retry("4.0.0 451 later".into())]));
    pass(1000).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
    let begun = scene.script.begun.lock().unwrap().clone();
    let waits: Vec<u64> = begun
        .windows(2)
        .map(|pair| pair[1].0.duration_since(pair[0].0).unwrap().as_secs())
        .collect();
    assert!(matches!(waits[..], [48..=72, 96..=144]), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn each_recipient_has_an_outcome_of_its_own() {
    let plays =
        [Play::Each(vec![failed(), delivered(), deferred()]), Play::Each(vec![delivered()])];
    let scene = Scene::new(Script::default().with("a.example", &plays));
    let id = scene.store.add("a.example", 3, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let wanted = [Step::Done, Step::Done, Step::Retry("4.0.0 451 later".into())];
    assert_eq!(scene.store.steps(id), Some(wanted.to_vec()));
    assert_eq!(told(&scene), [(id, vec![(0, Action::Failed, "5.0.0 550 no".to_owned())])]);
    pass(100).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
}

/// Recipient, what happened, and the finding.
type Words = (u32, Action, String);

/// What senders were told.
fn told(scene: &Scene) -> Vec<(QueueId, Vec<Words>)> {
    let told = scene.notes.told.lock().unwrap();
    let words = |told: &crate::delivery::notification::Told| {
        (told.recipient, told.action, told.finding.to_string())
    };
    told.iter().map(|(id, told)| (*id, told.iter().map(words).collect())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_sender_of_an_expired_message_is_told() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(deferred(), 0)]));
    let id = scene.store.add("a.example", 1, 120 * HOUR);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
    let words = "5.4.7 expired: 4.0.0 451 later".to_owned();
    assert_eq!(told(&scene), [(id, vec![(0, Action::Failed, words)])]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_be_told_of_is_held() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(failed(), 0)]));
    *scene.notes.nobody.lock().unwrap() = true;
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Hold("5.0.0 550 no".into())]));
}

#[tokio::test(start_paused = true)]
async fn a_sender_who_can_not_be_told_yet_is_told_later() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(failed(), 0)]));
    *scene.notes.broken.lock().unwrap() = true;
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let steps = scene.store.steps(id).unwrap();
    assert!(matches!(&steps[..], [Step::Retry(why)] if why.contains("can't be told")), "{steps:?}");
    *scene.notes.broken.lock().unwrap() = false;
    pass(100).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
    assert_eq!(told(&scene).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_told_once_of_a_delay() {
    let mut scene = Scene::new(Script::default().with("a.example", &[Play::All(deferred(), 0)]));
    scene.retry.notice = Some(4 * HOUR);
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(4 * 3600 - 10).await;
    assert_eq!(told(&scene), []);
    pass(20).await;
    let words = "4.0.0 451 later".to_owned();
    assert_eq!(told(&scene), [(id, vec![(0, Action::Delayed, words)])]);
    pass(24 * 3600).await;
    assert_eq!(told(&scene).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_fetched_is_not_tried_and_expires_with_a_notice_before() {
    let mut scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 0)]));
    scene.retry.notice = Some(96 * HOUR);
    scene.retry.parked = true;
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Retry("waits to be fetched".into())]));
    pass(96 * 3600).await;
    let delayed = (0, Action::Delayed, "4.4.7 waits to be fetched".to_owned());
    assert_eq!(told(&scene), [(id, vec![delayed])]);
    pass(24 * 3600).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
    let failed = (0, Action::Failed, "5.4.7 expired: 4.4.7 waits to be fetched".to_owned());
    assert_eq!(told(&scene)[1].1, [failed]);
    assert!(scene.script.begun.lock().unwrap().is_empty(), "nothing was ever tried");
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_message_is_held_and_never_carried() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 0)]));
    *scene.store.corrupt.lock().unwrap() = true;
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let steps = scene.store.steps(id).unwrap();
    assert!(matches!(&steps[..], [Step::Hold(reason)] if reason.contains("damaged")), "{steps:?}");
    assert!(scene.script.begun.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_transport_at_fault_defers_its_own_delivery_only() {
    let script = Script::default()
        .with("panics.example", &[Play::Panic])
        .with("hangs.example", &[Play::All(delivered(), 100_000)])
        .with("answers-for-two.example", &[Play::Each(vec![delivered(), delivered()])])
        .with("sound.example", &[Play::All(delivered(), 0)]);
    let scene = Scene::new(script);
    let faulty = ["panics.example", "answers-for-two.example", "hangs.example"];
    let faulty = faulty.map(|name| scene.store.add(name, 1, Duration::ZERO));
    let sound = scene.store.add("sound.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    assert_eq!(scene.store.steps(sound), Some(vec![Step::Done]));
    pass(600).await;
    for id in faulty {
        let steps = scene.store.steps(id).unwrap();
        assert!(matches!(&steps[..], [Step::Retry(_)]), "{steps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_waits_for_a_broken_store() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 5)]));
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    *scene.store.broken.lock().unwrap() = true;
    pass(60).await;
    assert_eq!(scene.store.steps(id), None);
    *scene.store.broken.lock().unwrap() = false;
    pass(2).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
    assert_eq!(scene.script.begun.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_could_not_be_read_is_asked_again() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 0)]));
    *scene.store.broken.lock().unwrap() = true;
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(10).await;
    *scene.store.broken.lock().unwrap() = false;
    pass(2).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_running_attempts_end_and_starts_no_more() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 20)]));
    let ids: Vec<_> = (0..4).map(|_| scene.store.add("a.example", 1, Duration::ZERO)).collect();
    let (running, stop) = start(&scene);
    pass(5).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    for id in &ids[..2] {
        assert_eq!(scene.store.steps(*id), Some(vec![Step::Done]));
    }
    assert_eq!(scene.store.steps(ids[2]), None);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let scene = Scene::new(Script::default().with("a.example", &[Play::All(delivered(), 500)]));
    let id = scene.store.add("a.example", 1, Duration::ZERO);
    let (running, stop) = start(&scene);
    pass(1).await;
    let stopped_at = now();
    stop.send(()).unwrap();
    running.await.unwrap();
    let waited = now().duration_since(stopped_at).unwrap();
    assert!((30..=31).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(scene.store.steps(id), None);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_gives_up_is_not_tried_and_its_sender_is_told() {
    for nobody in [false, true] {
        // A route whose mail waits to be fetched makes no difference.
        let mut scene = Scene::new(Script::default());
        scene.retry.parked = nobody;
        *scene.notes.nobody.lock().unwrap() = nobody;
        let id = scene.store.give_up("a.example", 2, "no such customer");
        let (_running, _stop) = start(&scene);
        pass(1).await;
        assert!(scene.script.begun.lock().unwrap().is_empty());
        assert_eq!(scene.store.steps(id), Some(vec![Step::Done, Step::Done]));
        let told = scene.notes.told.lock().unwrap();
        let [(of, told)] = &told[..] else { panic!("{told:?}") };
        assert_eq!((*of, told.len(), told[0].action), (id, 2, Action::Failed));
        assert!(told[0].finding.to_string().contains("no such customer"), "{}", told[0].finding);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_stays_until_its_sender_could_be_told() {
    let scene = Scene::new(Script::default());
    *scene.notes.broken.lock().unwrap() = true;
    let id = scene.store.give_up("a.example", 1, "no such customer");
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let steps = scene.store.steps(id).unwrap();
    assert!(matches!(&steps[..], [Step::Retry(_)]), "{steps:?}");
    *scene.notes.broken.lock().unwrap() = false;
    pass(3600).await;
    assert_eq!(scene.store.steps(id), Some(vec![Step::Done]));
}
