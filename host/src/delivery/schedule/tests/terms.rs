//! Messages whose senders have set a time, under a paused clock.

use super::*;

fn scene(plays: &[Play]) -> Scene {
    Scene::new(Script::default().with("a.example", plays))
}

fn attempts(scene: &Scene) -> usize {
    scene.script.begun.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn what_may_not_go_yet_waits_whoever_flushes_it() {
    let scene = scene(&[Play::All(delivered(), 0)]);
    let id = scene.store.add_with("a.example", "HOLDFOR=3600");
    let (_running, _stop) = start(&scene);
    pass(1).await;
    let why = "waits for the time that its sender has set";
    assert_eq!(scene.store.steps(id), Some(vec![Step::Retry(why.into())]));
    let all = Selection::Destinations(Destinations::One(Destination::new("a.example").unwrap()));
    scene.store.move_all(all, Move::Flush { now: now() }).await.unwrap();
    pass(3590).await;
    assert_eq!(attempts(&scene), 0);
    pass(20).await;
    assert_eq!((attempts(&scene), scene.store.steps(id)), (1, Some(vec![Step::Done])));
}

#[tokio::test(start_paused = true)]
async fn what_is_late_comes_back_and_is_tried_no_more() {
    let scene = scene(&[Play::All(deferred(), 0)]);
    let id = scene.store.add_with("a.example", "BY=150;R");
    let (_running, _stop) = start(&scene);
    pass(149).await;
    assert_eq!(told(&scene), []);
    let before = attempts(&scene);
    pass(60).await;
    assert_eq!((attempts(&scene), scene.store.steps(id)), (before, Some(vec![Step::Done])));
    let words = "5.4.7 expired: 4.4.7 the time is over that its sender has set".to_owned();
    assert_eq!(told(&scene), [(id, vec![(0, Action::Failed, words)])]);
}

#[tokio::test(start_paused = true)]
async fn of_what_is_late_its_sender_is_told_and_it_goes_on() {
    let plays = [&[Play::All(deferred(), 0)][..], &[Play::All(delivered(), 0)]].concat();
    let scene = scene(&[vec![plays[0].clone(); 3], vec![plays[1].clone()]].concat());
    let id = scene.store.add_with("a.example", "BY=90;N");
    let (_running, _stop) = start(&scene);
    pass(89).await;
    assert_eq!(told(&scene), []);
    pass(2).await;
    let words = "4.4.7 451 later".to_owned();
    assert_eq!(told(&scene), [(id, vec![(0, Action::Delayed, words)])]);
    pass(3600).await;
    assert_eq!((told(&scene).len(), scene.store.steps(id)), (1, Some(vec![Step::Done])));
}

#[tokio::test(start_paused = true)]
async fn of_what_is_late_only_those_are_told_who_want_to_know_of_delays() {
    for (notify, wanted) in [
        ("", true),
        ("NOTIFY=DELAY", true),
        ("NOTIFY=SUCCESS,FAILURE", false),
        ("NOTIFY=NEVER", false),
    ] {
        let scene = scene(&[Play::All(deferred(), 0), Play::All(deferred(), 0)]);
        scene.store.add_asking("a.example", "BY=30;N", notify);
        let (_running, _stop) = start(&scene);
        pass(31).await;
        assert_eq!((attempts(&scene), told(&scene).len()), (2, usize::from(wanted)), "{notify}");
    }
}

/// Nobody has told yet that the time is over: whoever waited for that would take it for granted that the message came in time.
#[tokio::test(start_paused = true)]
async fn who_waits_to_know_is_told_of_what_came_late() {
    let finding = Finding::new((2, 0, 0), "queued");
    let server =
        RecipientOutcome::Delivered(finding, Onward::Server { tells: true, hurries: true });
    for (parameters, notify, seconds, wanted) in [
        ("BY=30;N", "", 29, None),
        ("BY=30;N", "", 31, Some(Action::Delayed)),
        ("BY=30;NT", "", 31, Some(Action::Relayed)),
        ("BY=30;N", "NOTIFY=SUCCESS", 31, None),
        ("BY=30;N", "NOTIFY=NEVER", 31, None),
        // Whoever sent it on too late has told of that.
        ("BY=-1;N", "", 1, None),
    ] {
        // It takes its time on the way.
        let scene = scene(&[Play::All(server.clone(), seconds)]);
        let id = scene.store.add_asking("a.example", parameters, notify);
        let (_running, _stop) = start(&scene);
        pass(seconds + 2).await;
        assert_eq!(scene.store.steps(id), Some(vec![Step::Done]), "{parameters} {seconds}");
        let told: Vec<Action> = told(&scene).iter().map(|(_, told)| told[0].1).collect();
        assert_eq!(told, Vec::from_iter(wanted), "{parameters} {notify} {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_time_is_told_where_the_promise_ends() {
    let onward = |tells, hurries| {
        let finding = Finding::new((2, 0, 0), "queued");
        Play::All(RecipientOutcome::Delivered(finding, Onward::Server { tells, hurries }), 0)
    };
    for (parameters, play, wanted) in [
        ("BY=90;N", onward(true, true), false),
        ("BY=90;N", onward(true, false), true),
        ("BY=90;NT", onward(true, true), true),
        ("BY=90;RT", onward(true, true), true),
        ("BY=0;N", onward(true, false), false),
        ("BY=0;NT", onward(true, false), true),
        ("BY=90;R", onward(true, true), false),
        ("", onward(true, false), false),
    ] {
        let scene = scene(&[play]);
        let id = scene.store.add_with("a.example", parameters);
        let (_running, _stop) = start(&scene);
        pass(1).await;
        assert_eq!(scene.store.steps(id), Some(vec![Step::Done]), "{parameters}");
        let relayed: Vec<Action> = told(&scene).iter().map(|(_, words)| words[0].1).collect();
        let wanted = if wanted { vec![Action::Relayed] } else { vec![] };
        assert_eq!(relayed, wanted, "{parameters}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_keeps_its_time() {
    let finding = Finding::new((4, 4, 1), "no connection in time");
    let down = crate::delivery::lane::Standing::Down;
    let scene = scene(&[Play::By(RecipientOutcome::Deferred(finding), 1, down)]);
    scene.store.add("a.example", 1, Duration::ZERO);
    let (_running, _stop) = start(&scene);
    pass(2).await;
    let id = scene.store.add_with("a.example", "BY=15;R");
    pass(14).await;
    assert_eq!((told(&scene).len(), attempts(&scene)), (0, 1));
    pass(2).await;
    assert_eq!((scene.store.steps(id), attempts(&scene)), (Some(vec![Step::Done]), 1));
    assert_eq!(told(&scene)[0].1[0].1, Action::Failed);
}
