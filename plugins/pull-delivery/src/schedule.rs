//! When calls are made: days, times of a day in a time zone, and how often within them.
//! Knows no clock and no call: it is asked for the next moment behind one.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The most ranges of a day.
pub(crate) const RANGES_MAX: usize = 24;
/// Windows are looked for on so many days: a week, and the day on which one began that goes on past midnight.
const DAYS_LOOKED_AT: usize = 9;

/// Windows of time on some days of the week, and the interval at which something is done within each.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// From Monday on.
    days: [bool; 7],
    /// None: all day long.
    ranges: Vec<Range>,
    zone: TimeZone,
    repeat: SignedDuration,
}

/// From one time of the day to another; up to the same time of the next day where that is not later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    from: Time,
    to: Time,
}

/// A window as it falls on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    opens: Timestamp,
    closes: Timestamp,
}

/// Why a text is no part of a schedule. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScheduleError {
    #[error("{0:?} is no day: write mon, tue, wed, thu, fri, sat or sun")]
    Day(String),
    #[error("{0:?} is no range of time: write two times of a day such as 08:00-22:00")]
    Range(String),
    #[error(
        "{0:?} is no time zone that this system knows: write a name such as Europe/Berlin, or UTC"
    )]
    Zone(String),
}

/// Reads a day of the week.
pub(crate) fn day(text: &str) -> Result<Weekday, ScheduleError> {
    Ok(match &*text.to_ascii_lowercase() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return Err(ScheduleError::Day(text.to_owned())),
    })
}

/// Reads a time zone by its name; none: that of the system.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, ScheduleError> {
    match name {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned())),
    }
}

impl FromStr for Range {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Range(text.to_owned());
        let time = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(hour) || !digits(minute) {
                return None;
            }
            Some((hour.parse::<i8>().ok()?, minute.parse::<i8>().ok()?))
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = time(from).zip(time(to)).ok_or_else(wrong)?;
        // The end of a day is a time to end at alone.
        let to = if to == (24, 0) { (0, 0) } else { to };
        let made = |(hour, minute)| Time::new(hour, minute, 0, 0).map_err(|_| wrong());
        Ok(Self { from: made(from)?, to: made(to)? })
    }
}

impl Schedule {
    /// - days: none: all. ranges: none: all day long. repeat: how often within a window; at least a second.
    pub(crate) fn new(
        days: &[Weekday],
        ranges: Vec<Range>,
        zone: TimeZone,
        repeat: Duration,
    ) -> Self {
        let mut on = [days.is_empty(); 7];
        for day in days {
            on[usize::from(day.to_monday_zero_offset().unsigned_abs())] = true;
        }
        let repeat = SignedDuration::try_from(repeat).unwrap_or(SignedDuration::MAX);
        Self { days: on, ranges, zone, repeat: repeat.max(SignedDuration::from_secs(1)) }
    }

    /// Whether a moment is in one of the windows.
    pub(crate) fn is_open(&self, at: Timestamp) -> bool {
        self.windows_around(at).any(|window| window.opens <= at && at < window.closes)
    }

    /// The next moment behind another at which something is to be done: when a window opens, and every interval from then on
    /// as long as it is open. None: there is none within a week.
    pub(crate) fn next(&self, behind: Timestamp) -> Option<Timestamp> {
        self.windows_around(behind).filter_map(|window| self.next_in(window, behind)).min()
    }

    fn next_in(&self, window: Window, behind: Timestamp) -> Option<Timestamp> {
        if window.opens > behind {
            return (window.opens < window.closes).then_some(window.opens);
        }
        let since = behind.duration_since(window.opens);
        let times = since.as_nanos() / self.repeat.as_nanos() + 1;
        let wait = SignedDuration::try_from_nanos_i128(self.repeat.as_nanos().checked_mul(times)?)?;
        let next = window.opens.checked_add(wait).ok()?;
        (next < window.closes).then_some(next)
    }

    /// The windows that a moment may be in, and those of the week behind it.
    fn windows_around(&self, at: Timestamp) -> impl Iterator<Item = Window> + '_ {
        let today = at.to_zoned(self.zone.clone()).date();
        let first = today.yesterday().unwrap_or(today);
        first.series(jiff::Span::new().days(1)).take(DAYS_LOOKED_AT).flat_map(|date| self.on(date))
    }

    /// The windows that open on a day.
    fn on(&self, date: Date) -> Vec<Window> {
        let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        if !self.days[weekday] {
            return Vec::new();
        }
        let whole = [Range { from: Time::midnight(), to: Time::midnight() }];
        let ranges = if self.ranges.is_empty() { &whole[..] } else { &self.ranges };
        ranges.iter().filter_map(|range| self.window(date, *range)).collect()
    }

    /// A window as it falls on a day. A time that the clocks leave out is that much later, one that they have twice the first of
    /// both; so no window is lost, and none opens twice.
    fn window(&self, date: Date, range: Range) -> Option<Window> {
        let end = if range.to > range.from { date } else { date.tomorrow().ok()? };
        let moment = |date: Date, time: Time| {
            let zoned = date.to_datetime(time).to_zoned(self.zone.clone());
            zoned.ok().map(|zoned| zoned.timestamp())
        };
        Some(Window { opens: moment(date, range.from)?, closes: moment(end, range.to)? })
    }
}

#[cfg(test)]
mod tests;
