//! A throttle for a log line that strangers can cause at will: one a second, which tells how many were left out.
//! Knows no clock and no line.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing is let through after a line.
const PAUSE: Duration = Duration::from_secs(1);

/// The throttle of one kind of line. Any thread.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

/// A line that may be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How many were left out since the one before; none where none was.
    pub(crate) left_out: Option<u64>,
}

impl Throttle {
    /// Whether a line may be written at `now`.
    pub(crate) fn line(&self, now: Instant) -> Option<Line> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
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
}
