//! The least that handing a call to another thread and waiting for it can cost: two threads that wake each other, and the
//! system's part in it. Knows no plug-in; what it shows is the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::latency::Latencies;

/// Whose turn it is.
const OURS: u8 = 0;
const THEIRS: u8 = 1;
const NOBODYS: u8 = 2;

/// How long each of so many hand-offs takes, there and back.
pub(crate) fn measure(times: u32) -> Latencies {
    let turn = Arc::new(AtomicU8::new(OURS));
    let (theirs, us) = (turn.clone(), thread::current());
    let other = thread::spawn(move || {
        while wait(&theirs, OURS) == THEIRS {
            give(&theirs, OURS, &us);
        }
    });
    let mut latencies = Latencies::default();
    for _ in 0..times {
        let began = Instant::now();
        give(&turn, THEIRS, other.thread());
        wait(&turn, THEIRS);
        latencies.push(began.elapsed());
    }
    give(&turn, NOBODYS, other.thread());
    // It has done nothing that could fail.
    let _ = other.join();
    latencies
}

fn give(turn: &AtomicU8, to: u8, thread: &Thread) {
    turn.store(to, Ordering::Release);
    thread.unpark();
}

/// Waits as long as it is somebody's turn; whose it is then.
fn wait(turn: &AtomicU8, while_it_is: u8) -> u8 {
    loop {
        match turn.load(Ordering::Acquire) {
            same if same == while_it_is => thread::park(),
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_hand_off_is_measured() {
        let [p50, p99] = super::measure(100).percentiles_us([50, 99]);
        assert!(p50 > Some(0.0) && p99 >= p50, "{p50:?} {p99:?}");
    }
}
