//! One lane, told what time it is and how attempts have ended.

use super::*;

const PACE: Pace =
    Pace { at_once_max: 20, at_once_min: 1, per_minute_max: None, per_minute_min: None };
const PAUSES: Pauses = Pauses { first: Duration::from_secs(30), max: Duration::from_secs(600) };

/// A lane and its clock.
struct Rig {
    lane: Lane,
    now: Instant,
}

impl Rig {
    fn new(pace: Pace) -> Self {
        Self { lane: Lane::new(pace, Some(PAUSES)), now: Instant::now() }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// All that may go begins; how many that are.
    fn fill(&mut self) -> u32 {
        let mut begun = 0;
        while let Free { count: 1.., from: None } = self.lane.free(self.now) {
            self.lane.enter(self.now);
            begun += 1;
        }
        begun
    }

    /// So many of those that began at some time end.
    fn end(&mut self, count: u32, begun: Instant, standing: Standing) -> bool {
        let mut recovered = false;
        for _ in 0..count {
            recovered |= self.lane.end(begun, standing, self.now, 1.0);
            self.lane.leave();
        }
        recovered
    }

    /// All that may go begins, and ends a second later; how many that were.
    fn turn(&mut self, standing: Standing) -> u32 {
        let (begun, count) = (self.now, self.fill());
        self.pass(1000);
        self.end(count, begun, standing);
        count
    }
}

#[test]
fn servers_that_do_well_get_more_up_to_the_most() {
    let mut rig = Rig::new(PACE);
    let turns: Vec<u32> = (0..4).map(|_| rig.turn(Standing::Well)).collect();
    assert_eq!(turns, [5, 10, 20, 20]);
}

#[test]
fn what_is_not_used_does_not_grow() {
    let mut rig = Rig::new(PACE);
    for _ in 0..100 {
        rig.lane.enter(rig.now);
        rig.end(1, rig.now, Standing::Well);
    }
    assert_eq!(rig.lane.allowed(rig.now), 5);
}

#[test]
fn a_setback_halves_once_however_many_tell_of_it() {
    let mut rig = Rig::new(PACE);
    while rig.turn(Standing::Well) < 20 {}
    let begun = rig.now;
    assert_eq!(rig.fill(), 20);
    rig.pass(1000);
    rig.end(3, begun, Standing::Busy);
    assert_eq!(rig.lane.allowed(rig.now), 10);
    rig.pass(1000);
    rig.end(17, begun, Standing::Busy);
    assert_eq!(rig.lane.allowed(rig.now), 10);
    // Then by one for all that it holds.
    assert_eq!(rig.turn(Standing::Well), 10);
    assert_eq!(rig.turn(Standing::Well), 10);
    assert_eq!(rig.turn(Standing::Well), 11);
}

#[test]
fn servers_that_want_less_than_the_least_are_given_time() {
    let mut rig = Rig::new(Pace { at_once_min: 2, ..PACE });
    assert_eq!(rig.turn(Standing::Busy), 5);
    assert_eq!(rig.turn(Standing::Busy), 2);
    for wanted_ms in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
        let from = rig.lane.free(rig.now).from;
        assert_eq!(from, Some(rig.now + Duration::from_millis(wanted_ms)), "{wanted_ms}");
        assert_eq!(rig.fill(), 0);
        rig.pass(wanted_ms);
        assert_eq!(rig.turn(Standing::Busy), 2);
    }
    rig.pass(60_000);
    assert_eq!(rig.turn(Standing::Well), 2);
    assert_eq!(rig.lane.free(rig.now).from, None);
}

#[test]
fn a_lane_to_nobody_is_shut_and_one_attempt_finds_out() {
    let mut rig = Rig::new(PACE);
    while rig.turn(Standing::Well) < 20 {}
    let begun = rig.now;
    rig.fill();
    rig.pass(1000);
    rig.end(20, begun, Standing::Down);
    for pause_s in [30, 60, 120, 240, 480, 600, 600] {
        let until = rig.now + Duration::from_secs(pause_s);
        assert_eq!(rig.lane.shut_until(rig.now), Some(until));
        assert_eq!((rig.lane.allowed(rig.now), rig.lane.next_attempt(rig.now)), (0, Some(until)));
        // What comes is put off: there is room for that.
        assert_eq!(rig.lane.free(rig.now), Free { count: 20, from: None });
        rig.pass(pause_s * 1000);
        assert_eq!((rig.lane.shut_until(rig.now), rig.lane.is_failing()), (None, true));
        assert_eq!(rig.turn(Standing::Down), 1);
    }
    rig.pass(600_000);
    let begun = rig.now;
    assert_eq!(rig.fill(), 1);
    assert!(rig.end(1, begun, Standing::Well), "there is somebody again");
    // Fast to the half of what it was, then slowly.
    let turns: Vec<u32> = (0..6).map(|_| rig.turn(Standing::Well)).collect();
    assert_eq!(turns, [2, 4, 8, 10, 11, 12]);
}

#[test]
fn refusals_beside_successes_are_no_reason_to_shut() {
    let mut rig = Rig::new(PACE);
    let begun = rig.now;
    assert_eq!(rig.fill(), 5);
    rig.pass(10);
    rig.end(4, begun, Standing::Well);
    rig.end(1, begun, Standing::Down);
    assert_eq!((rig.lane.shut_until(rig.now), rig.lane.allowed(rig.now)), (None, 4));
}

#[test]
fn servers_that_cant_be_trusted_are_left_alone_unless_other_mail_goes_to_them() {
    let mut rig = Rig::new(PACE);
    let begun = rig.now;
    assert_eq!(rig.fill(), 5);
    rig.pass(10);
    // Mail of another route, say: how much they take is not the question.
    rig.end(1, begun, Standing::Well);
    let allowed = rig.lane.allowed(rig.now);
    rig.end(4, begun, Standing::Untrusted);
    assert_eq!((rig.lane.shut_until(rig.now), rig.lane.allowed(rig.now)), (None, allowed));
    rig.turn(Standing::Untrusted);
    assert!(rig.lane.shut_until(rig.now).is_some() && rig.lane.is_untrusted());
    // Then there is nobody at all, then somebody, then there is nobody again.
    for (standing, untrusted) in
        [(Standing::Down, false), (Standing::Untrusted, true), (Standing::Well, false)]
    {
        rig.pass(600_000);
        rig.turn(standing);
        assert_eq!(rig.lane.is_untrusted(), untrusted, "{standing:?}");
    }
}

#[test]
fn who_wants_it_tried_now_has_it_tried() {
    let mut rig = Rig::new(PACE);
    rig.turn(Standing::Down);
    assert!(rig.lane.shut_until(rig.now).is_some());
    rig.lane.reopen(rig.now);
    assert_eq!(rig.turn(Standing::Down), 1);
    let wanted = rig.now + Duration::from_secs(60);
    assert_eq!(rig.lane.shut_until(rig.now), Some(wanted));
}

#[test]
fn a_rate_is_kept_and_falls_and_rises() {
    let pace = Pace { per_minute_max: Some(60), per_minute_min: Some(6), ..PACE };
    let mut rig = Rig::new(pace);
    let mut begun = 0;
    for _ in 0..600 {
        let (at, count) = (rig.now, rig.fill());
        rig.end(count, at, Standing::Unknown);
        begun += count;
        rig.pass(100);
    }
    assert_eq!(begun, 60);
    for wanted in [30, 15, 7, 6, 6] {
        let at = rig.now;
        rig.lane.enter(rig.now);
        rig.pass(1);
        rig.end(1, at, Standing::Busy);
        assert_eq!(rig.lane.per_minute(), Some(wanted));
    }
    rig.lane.enter(rig.now);
    rig.end(1, rig.now, Standing::Well);
    assert_eq!(rig.lane.per_minute(), Some(7));
}

#[test]
fn a_high_rate_lets_a_second_go_at_once() {
    let pace = Pace { at_once_max: 1000, per_minute_max: Some(6000), ..PACE };
    let mut rig = Rig::new(Pace { at_once_min: 1000, ..pace });
    assert_eq!(rig.fill(), 100);
    let from = rig.lane.free(rig.now).from.unwrap();
    assert_eq!(from, rig.now + Duration::from_millis(10));
    rig.pass(500);
    assert_eq!(rig.fill(), 50);
}

#[test]
fn where_nobody_is_at_the_end_nothing_changes() {
    let mut lane = Lane::new(PACE, None);
    let now = Instant::now();
    for standing in [Standing::Down, Standing::Busy, Standing::Well] {
        lane.enter(now);
        assert!(!lane.end(now, standing, now, 1.0));
        lane.leave();
        assert_eq!(lane.free(now), Free { count: 20, from: None });
    }
}
