//! Lanes as the scheduler goes by them, under a paused clock.

use std::time::SystemTime;

use super::*;
use crate::config::Pace;
use crate::delivery::lane::Standing;

/// A server that takes so many seconds for each message.
fn takes(seconds: u64) -> Play {
    Play::By(delivered(), seconds, Standing::Well)
}

/// Nobody answers for so many seconds.
fn silent(seconds: u64) -> Play {
    let finding = Finding::new((4, 4, 1), "no connection in time");
    Play::By(RecipientOutcome::Deferred(finding), seconds, Standing::Down)
}

/// Somebody answers at once, and can't be trusted.
fn untrusted() -> Play {
    let finding = Finding::new((4, 7, 5), "the TLS handshake failed: expired");
    Play::By(RecipientOutcome::Deferred(finding), 0, Standing::Untrusted)
}

fn scene(concurrency_max: u32, at_once_max: u32, plays: &[(&str, &[Play])]) -> Scene {
    let script =
        plays.iter().fold(Script::default(), |script, (name, plays)| script.with(name, plays));
    let pace = Pace { at_once_max, ..Pace::default() };
    Scene { concurrency_max, pace, ..Scene::new(script) }
}

fn add(scene: &Scene, name: &str, count: usize) -> Vec<QueueId> {
    (0..count).map(|_| scene.store.add(name, 1, Duration::ZERO)).collect()
}

/// When attempts to a destination began.
fn begun(scene: &Scene, name: &str) -> Vec<SystemTime> {
    let begun = scene.script.begun.lock().unwrap();
    begun.iter().filter(|(_, to)| to == name).map(|(at, _)| *at).collect()
}

fn is_done(scene: &Scene, id: QueueId) -> bool {
    scene.store.steps(id) == Some(vec![Step::Done])
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_dead_holds_no_worker_that_others_need() {
    let plays = [("dead.example", &[silent(30)][..]), ("quick.example", &[takes(1)])];
    let scene = scene(8, 8, &plays);
    let dead = add(&scene, "dead.example", 200);
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let quick = add(&scene, "quick.example", 40);
    pass(30).await;
    assert!(quick.iter().all(|id| is_done(&scene, *id)));
    // All were looked at, and told why they wait.
    pass(60).await;
    let why = |id: &QueueId| scene.store.steps(*id).unwrap();
    let said = "no connection in time";
    assert!(dead.iter().all(|id| matches!(&why(id)[..], [Step::Retry(it)] if it.contains(said))));
    assert!(
        dead.iter().any(|id| matches!(&why(id)[..], [Step::Retry(it)] if it.contains("not tried")))
    );
    pass(3600).await;
    // A burst when nothing was known, then one at a time: after 30 s, 1 min, 2, 4, 8, 10 min and so on.
    let attempts = begun(&scene, "dead.example").len();
    assert!((8..=16).contains(&attempts), "{attempts} attempts in an hour for 200 messages");
}

#[tokio::test(start_paused = true)]
async fn all_goes_on_when_there_is_somebody_again() {
    let plays = [silent(5), silent(5), silent(5), silent(5), silent(5), silent(5), takes(1)];
    let scene = scene(20, 20, &[("a.example", &plays)]);
    let ids = add(&scene, "a.example", 100);
    let (_running, _stop) = start(&scene);
    // The second probe finds somebody; the messages' own next attempts would be minutes away.
    pass(150).await;
    let done = ids.iter().filter(|id| is_done(&scene, **id)).count();
    assert_eq!(done, 100);
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_nothing_of_tls_goes_where_nobody_can_be_trusted() {
    let scene = scene(8, 8, &[("a.example", &[untrusted(), takes(0), untrusted()])]);
    add(&scene, "a.example", 1);
    let (_running, _stop, lanes) = start_with_lanes(&scene);
    pass(1).await;
    let others = add(&scene, "a.example", 20);
    let report = scene.store.add_headed("a.example", "TLS-Required: No\r\n");
    pass(1).await;
    assert!(is_done(&scene, report), "a report about broken TLS does not get through");
    // That says nothing of them: the others still wait.
    assert_eq!(begun(&scene, "a.example").len(), 2);
    let why = "not tried, since TLS was not as it must be shortly before: 4.7.5 the TLS handshake failed: expired";
    for id in others {
        let steps = scene.store.steps(id).unwrap();
        assert!(matches!(&steps[..], [Step::Retry(said)] if said.contains(why)), "{steps:?}");
    }
    let report = lanes.report(&Destination::new("a.example").unwrap());
    assert_eq!((report.failing, report.allowed), (true, 0));
    // One after the other finds out: 30 s, 1 min, 2, 4, 8, 10 min and so on.
    pass(3600).await;
    let attempts = begun(&scene, "a.example").len();
    assert!((7..=16).contains(&attempts), "{attempts} attempts in an hour for 20 messages");
}

#[tokio::test(start_paused = true)]
async fn slow_destinations_leave_workers_to_others() {
    let slow = &[takes(1000)][..];
    let plays = [("s1.example", slow), ("s2.example", slow), ("s3.example", slow)];
    let quick = [("q1.example", &[takes(0)][..]), ("q2.example", &[takes(0)])];
    let scene = scene(10, 10, &[&plays[..], &quick[..]].concat());
    for (name, _) in plays {
        add(&scene, name, 100);
    }
    let (_running, _stop) = start(&scene);
    for _ in 0..20 {
        pass(97).await;
        for (name, _) in quick {
            let id = add(&scene, name, 1)[0];
            let added = now();
            pass(1).await;
            assert_eq!(begun(&scene, name).last(), Some(&added), "at once");
            assert!(is_done(&scene, id));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_dead_destinations_do_not_take_turns_to_hold_all_workers() {
    let names: Vec<String> = (0..60).map(|n| format!("dead{n}.example")).collect();
    let mut plays: Vec<(&str, &[Play])> = Vec::new();
    let (dead, quick) = ([silent(120)], [takes(0)]);
    plays.extend(names.iter().map(|name| (name.as_str(), &dead[..])));
    plays.push(("quick.example", &quick));
    let scene = scene(8, 8, &plays);
    for name in &names {
        add(&scene, name, 3);
    }
    let (_running, _stop) = start(&scene);
    // Until something is known of each.
    pass(3600).await;
    for _ in 0..50 {
        pass(61).await;
        add(&scene, "quick.example", 1);
        let added = now();
        pass(1).await;
        assert_eq!(begun(&scene, "quick.example").last(), Some(&added));
    }
}

#[tokio::test(start_paused = true)]
async fn destinations_with_the_same_servers_share_their_room() {
    let names: Vec<String> = (0..30).map(|n| format!("d{n}.shared.example")).collect();
    let play = [takes(10)];
    let plays: Vec<_> = names.iter().map(|name| (name.as_str(), &play[..])).collect();
    let scene = scene(100, 3, &plays);
    for name in &names {
        add(&scene, name, 1);
    }
    let (_running, _stop) = start(&scene);
    pass(95).await;
    assert_eq!(*scene.script.running_max.lock().unwrap(), 3);
    assert_eq!(scene.store.settled.lock().unwrap().len(), 27);
}

#[tokio::test(start_paused = true)]
async fn who_orders_mail_to_be_tried_has_it_tried_at_once() {
    let scene = scene(8, 8, &[("a.example", &[silent(1)]), ("b.example", &[silent(1)])]);
    add(&scene, "a.example", 1);
    add(&scene, "b.example", 1);
    let (_running, _stop, lanes) = start_with_lanes(&scene);
    pass(10).await;
    let one = |name| Selection::Destinations(Destinations::One(Destination::new(name).unwrap()));
    let flush = Move::Flush { now: now() };
    lanes.ordered(&one("a.example"), &flush);
    for name in ["a.example", "b.example"] {
        scene.store.move_all(one(name), flush.clone()).await.unwrap();
    }
    let ordered = now();
    pass(5).await;
    assert_eq!(begun(&scene, "a.example").last(), Some(&ordered));
    assert_eq!(begun(&scene, "b.example").len(), 1, "nobody has asked for that");
    let below = Destinations::Below(Destination::new("example").unwrap());
    lanes.ordered(&Selection::Destinations(below), &flush);
    scene.store.move_all(one("b.example"), flush).await.unwrap();
    pass(5).await;
    assert_eq!(begun(&scene, "b.example").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn mail_that_an_operator_has_put_on_another_route_goes_by_its_lane() {
    let mut plays = vec![silent(5); 3];
    plays.push(takes(1));
    let scene = scene(8, 3, &[("a.example", &plays)]);
    add(&scene, "a.example", 3);
    let (_running, _stop) = start(&scene);
    pass(10).await;
    let rerouted = scene.store.reroute("a.example", "elsewhere");
    pass(5).await;
    assert!(is_done(&scene, rerouted));
}

#[tokio::test(start_paused = true)]
async fn the_sender_of_what_is_put_off_is_told_of_its_delay_and_its_end() {
    let mut scene = scene(8, 8, &[("a.example", &[silent(1)])]);
    scene.retry.notice = Some(4 * HOUR);
    let first = scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(2).await;
    let late = scene.store.add("a.example", 1, 4 * HOUR - Duration::from_secs(5));
    let expired = scene.store.add("a.example", 1, 120 * HOUR);
    pass(10).await;
    assert_eq!(begun(&scene, "a.example").len(), 1);
    let mut told = told(&scene);
    told.retain(|(id, _)| *id != first);
    told.sort_by_key(|(id, _)| *id);
    let actions: Vec<_> = told.iter().map(|(id, words)| (*id, words[0].1)).collect();
    assert_eq!(actions, [(late, Action::Delayed), (expired, Action::Failed)]);
    assert!(told[1].1[0].2.contains("expired: 4.4.1 not tried"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_spreads_what_waits() {
    let mut scene = scene(8, 8, &[("a.example", &[takes(0)])]);
    scene.pace.per_minute_max = Some(60);
    scene.pace.per_minute_min = Some(6);
    add(&scene, "a.example", 20);
    let (_running, _stop) = start(&scene);
    pass(30).await;
    let begun = begun(&scene, "a.example");
    assert_eq!(begun.len(), 20);
    for pair in begun.windows(2) {
        let between = pair[1].duration_since(pair[0]).unwrap();
        assert!((990..=1010).contains(&between.as_millis()), "{between:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn how_a_lane_stands_can_be_seen() {
    let scene = scene(8, 8, &[("a.example", &[silent(5)]), ("b.example", &[takes(5)])]);
    let (_running, _stop, lanes) = start_with_lanes(&scene);
    add(&scene, "a.example", 1);
    add(&scene, "b.example", 2);
    pass(1).await;
    let report = |name| lanes.report(&Destination::new(name).unwrap());
    let b = report("b.example");
    assert_eq!((b.running, b.allowed, b.failing, b.next_attempt), (2, 5, false, None));
    assert_eq!(b.last, None);
    pass(5).await;
    let a = report("a.example");
    let (at, said) = a.last.unwrap();
    assert_eq!((a.running, a.allowed, a.failing), (0, 0, true));
    assert_eq!(&*said, "4.4.1 no connection in time");
    let pause = a.next_attempt.unwrap().duration_since(at).unwrap().as_secs();
    assert!((24..=36).contains(&pause), "{pause}");
    let (counts, failing) = lanes.counts();
    assert_eq!((counts.well, counts.busy, counts.down, failing), (2, 0, 1, 1));
    assert_eq!(report("never.example").allowed, 5);
}
