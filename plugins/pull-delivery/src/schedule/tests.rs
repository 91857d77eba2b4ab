//! Schedules by a clock of the test's own: single days, and whole years in which the clocks are put forward and back.

use jiff::ToSpan;
use jiff::civil::{DateTime, date};

use super::*;

fn schedule(days: &str, ranges: &str, zone_name: &str, repeat_minutes: u64) -> Schedule {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let days: Vec<_> = words(days).iter().map(|text| day(text).unwrap()).collect();
    let ranges = words(ranges).iter().map(|text| text.parse().unwrap()).collect();
    let repeat = Duration::from_secs(repeat_minutes * 60);
    Schedule::new(&days, ranges, zone(Some(zone_name)).unwrap(), repeat)
}

fn at(zone_name: &str, civil: &str) -> Timestamp {
    let civil: DateTime = civil.parse().unwrap();
    civil.to_zoned(TimeZone::get(zone_name).unwrap()).unwrap().timestamp()
}

/// Every moment at which something is done between two others.
fn moments(schedule: &Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut found = Vec::new();
    let mut clock = from;
    while let Some(next) = schedule.next(clock) {
        assert!(next > clock, "{next} is not behind {clock}");
        if next >= to {
            break;
        }
        found.push(next);
        clock = next;
    }
    found
}

#[test]
fn calls_are_made_when_a_window_opens_and_every_interval_in_it() {
    let zone = "Europe/Berlin";
    let office = schedule("mon tue wed thu fri", "08:00-12:00 13:00-17:00", zone, 90);
    // A Friday.
    for (behind, wanted) in [
        ("2026-11-20 07:59", "2026-11-20 08:00"),
        ("2026-11-20 08:00", "2026-11-20 09:30"),
        ("2026-11-20 10:59", "2026-11-20 11:00"),
        ("2026-11-20 11:00", "2026-11-20 13:00"),
        ("2026-11-20 16:00", "2026-11-23 08:00"),
        ("2026-11-21 12:00", "2026-11-23 08:00"),
    ] {
        assert_eq!(office.next(at(zone, behind)), Some(at(zone, wanted)), "behind {behind}");
    }
    for (moment, open) in [
        ("2026-11-20 08:00", true),
        ("2026-11-20 11:59", true),
        ("2026-11-20 12:00", false),
        ("2026-11-20 16:59", true),
        ("2026-11-20 17:00", false),
        ("2026-11-21 09:00", false),
    ] {
        assert_eq!(office.is_open(at(zone, moment)), open, "{moment}");
    }
}

#[test]
fn a_window_may_go_on_past_midnight() {
    let night = schedule("fri", "22:00-06:00", "UTC", 240);
    let found = moments(&night, at("UTC", "2026-11-19 00:00"), at("UTC", "2026-11-27 00:00"));
    let wanted = ["2026-11-20 22:00", "2026-11-21 02:00"].map(|moment| at("UTC", moment));
    assert_eq!(found, wanted);
    assert!(night.is_open(at("UTC", "2026-11-21 05:59")));
    assert!(!night.is_open(at("UTC", "2026-11-21 06:00")));
    let always = schedule("", "", "UTC", 360);
    assert_eq!(always.next(at("UTC", "2026-11-19 01:00")), Some(at("UTC", "2026-11-19 06:00")));
    let late = schedule("", "18:00-24:00", "UTC", 600);
    assert_eq!(late.next(at("UTC", "2026-11-19 18:00")), Some(at("UTC", "2026-11-20 18:00")));
    assert!(late.is_open(at("UTC", "2026-11-19 23:59")));
}

#[test]
fn what_is_no_schedule_is_refused() {
    assert!(day("monday").is_err() && day("").is_err() && day("MON").is_ok());
    for text in [
        "",
        "8-22",
        "08:00",
        "08:00-25:00",
        "08:60-09:00",
        "24:00-08:00",
        "8:00-9:00",
        "08:00-09:00-10:00",
    ] {
        assert!(text.parse::<Range>().is_err(), "{text:?}");
    }
    for name in ["Europe/Nowhere", "", "CETX"] {
        assert!(zone(Some(name)).is_err(), "{name:?}");
    }
}

/// Where the clocks are put forward, an hour is left out: a window that opens in it opens when it is over.
#[test]
fn an_hour_that_is_left_out_loses_no_call() {
    let zone = "Europe/Berlin";
    let early = schedule("", "02:30-05:00", zone, 60);
    let found = moments(&early, at(zone, "2026-03-29 00:00"), at(zone, "2026-03-30 00:00"));
    // 02:30 is 03:30 on that day, when summer has begun.
    let wanted = ["2026-03-29 03:30", "2026-03-29 04:30"].map(|moment| at(zone, moment));
    assert_eq!(found, wanted);
    let gone = schedule("", "02:00-03:00", zone, 10);
    let found = moments(&gone, at(zone, "2026-03-29 00:00"), at(zone, "2026-03-30 00:00"));
    assert_eq!(found, [], "there is no such time on that day");
}

/// Where they are put back, an hour comes twice: a window that opens in it opens once, and is as much longer.
#[test]
fn an_hour_that_comes_twice_makes_no_call_twice() {
    let zone = "Europe/Berlin";
    let early = schedule("", "02:30-04:00", zone, 60);
    let found = moments(&early, at(zone, "2026-10-25 00:00"), at(zone, "2026-10-26 00:00"));
    let first = at(zone, "2026-10-25 02:30");
    assert_eq!(found, [0, 1, 2].map(|hours| first + hours.hours()));
    assert_eq!(found.last().copied().unwrap(), at(zone, "2026-10-25 03:30"));
}

/// A year, in steps of five minutes, by the clock on the wall of each place: every opening of a window has its call, none is
/// outside of one, and within one they are as far apart as they should be.
#[test]
fn a_year_is_kept_in_every_zone() {
    for zone_name in [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Pacific/Apia",
    ] {
        let schedule = schedule("mon wed fri sun", "08:00-22:00 23:30-01:15", zone_name, 360);
        let zone = TimeZone::get(zone_name).unwrap();
        let start = date(2026, 1, 1).to_zoned(zone.clone()).unwrap().timestamp();
        let end = date(2027, 1, 1).to_zoned(zone.clone()).unwrap().timestamp();
        let calls = moments(&schedule, start, end);
        let mut expected = Vec::new();
        let mut opened: Option<Timestamp> = None;
        // The year may begin in the middle of a window.
        let mut closed = false;
        let mut minute = start;
        while minute < end {
            let civil = minute.to_zoned(zone.clone());
            let (weekday, time) = (civil.weekday().to_monday_one_offset(), civil.time());
            let (on, before) = ([1, 3, 5, 7].contains(&weekday), [2, 4, 6, 1].contains(&weekday));
            let day =
                on && time >= Time::constant(8, 0, 0, 0) && time < Time::constant(22, 0, 0, 0);
            let night = on && time >= Time::constant(23, 30, 0, 0)
                || before && time < Time::constant(1, 15, 0, 0);
            assert_eq!(schedule.is_open(minute), day || night, "{zone_name} {civil}");
            closed |= !(day || night);
            match (closed && (day || night), opened) {
                (true, None) => opened = Some(minute),
                (false, Some(_)) => opened = None,
                _ => {}
            }
            let due = |opened: Timestamp| minute.duration_since(opened).as_secs() % (360 * 60) == 0;
            if opened.is_some_and(due) {
                expected.push(minute);
            }
            minute += 5.minutes();
        }
        let first = expected[0];
        let calls: Vec<_> = calls.into_iter().filter(|call| *call >= first).collect();
        assert_eq!(calls, expected, "{zone_name}");
        assert!(calls.len() > 800, "{zone_name}: {}", calls.len());
    }
}
