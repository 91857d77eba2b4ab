//! A throttle for a log line that strangers can cause at will: one a second, or a few, and the next tells how many were left out.
//! Knows no clock and no line.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long lines are counted.
const PAUSE: Duration = Duration::from_secs(1);

/// The throttle of one kind of line. Any thread.
#[derive(Debug)]
pub(crate) struct Throttle {
    lines_max: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::lines(1)
    }
}

/// A line that may be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How many were left out since the one before; none where none was.
    pub(crate) left_out: Option<u64>,
}

impl Throttle {
    /// One that lets so many lines through in a second.
    pub(crate) fn lines(lines_max: u32) -> Self {
        Self { lines_max, state: Mutex::default() }
    }

    /// Whether a line may be written at `now`.
    pub(crate) fn line(&self, now: Instant) -> Option<Line> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= PAUSE) {
            (state.begun, state.lines) = (Some(now), 0);
        }
        if state.lines >= self.lines_max {
            state.left_out += 1;
            return None;
        }
        state.lines += 1;
        let left_out = std::mem::take(&mut state.left_out);
        Some(Line { left_out: (left_out > 0).then_some(left_out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_tells_of_the_others() {
        let throttle = Throttle::default();
        let begun = Instant::now();
        let cases = [
            (0, Some(None)),
            (0, None),
            (1, None),
            (999, None),
            (1000, Some(Some(3))),
            (1999, None),
            (2500, Some(Some(1))),
            (9000, Some(None)),
            // Threads may come with their moments out of order.
            (8000, None),
            (10_000, Some(Some(1))),
        ];
        for (ms, wanted) in cases {
            let line = throttle.line(begun + Duration::from_millis(ms));
            assert_eq!(line.map(|line| line.left_out), wanted, "at {ms} ms");
        }
    }

    #[test]
    fn some_lines_come_more_often() {
        let throttle = Throttle::lines(3);
        let begun = Instant::now();
        let written = |ms| throttle.line(begun + Duration::from_millis(ms));
        assert_eq!([0, 400, 999].map(|ms| written(ms).is_some()), [true; 3]);
        assert_eq!((written(999), written(999)), (None, None));
        assert_eq!(written(1000), Some(Line { left_out: Some(2) }));
        assert_eq!(written(1000), Some(Line { left_out: None }));
    }
}
