//! How often calls in line came to nothing, which is what most of them come to: each thread counts for itself, with a plain
//! addition. Knows places by their numbers; what they stand for is the figures' own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use stagepost_smtp::Event;

/// How many counts there are: one for each event and stage.
pub(crate) const PLACES: usize = Event::ALL.len() * 2;

/// The most threads that count for themselves at once: a bit for each.
const SEATS_MAX: usize = 64;

/// The seats that are taken.
static SEATS: Mutex<u64> = Mutex::new(0);

thread_local! {
    static SEAT: Seat = Seat::take();
}

/// A thread's right to be the only one that writes to its own counts; none: it shares those of the rest.
#[derive(Clone, Copy)]
pub(crate) struct At(usize);

impl At {
    const SHARED: Self = Self(usize::MAX);
}

/// A seat, for as long as its thread lasts.
struct Seat(At);

impl Seat {
    fn take() -> Self {
        let mut taken = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
        let free = taken.trailing_ones() as usize;
        if free >= SEATS_MAX {
            return Self(At::SHARED);
        }
        *taken |= 1 << free;
        Self(At(free))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let At(seat) = self.0;
        if seat < SEATS_MAX {
            // The lock orders this thread's last count before the next one's first.
            *SEATS.lock().unwrap_or_else(PoisonError::into_inner) &= !(1 << seat);
        }
    }
}

/// Where this thread counts.
pub(crate) fn at() -> At {
    // A thread that ends has given its seat up.
    SEAT.try_with(|seat| seat.0).unwrap_or(At::SHARED)
}

/// One thread's counts. On cache lines of their own: threads do not wait for each other.
#[repr(align(128))]
struct Counts([AtomicU64; PLACES]);

impl Default for Counts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

/// The counts of one plug-in.
pub(crate) struct Tally {
    /// By seats: as many as threads can run at once.
    own: Box<[Counts]>,
    /// Of threads without a seat here.
    shared: Counts,
}

impl Default for Tally {
    fn default() -> Self {
        let seats = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let own = std::iter::repeat_with(Counts::default).take(seats.min(SEATS_MAX)).collect();
        Self { own, shared: Counts::default() }
    }
}

impl Tally {
    /// Counts one more.
    #[inline]
    pub(crate) fn add(&self, at: At, place: usize) {
        match self.own.get(at.0) {
            Some(counts) => {
                // Nobody else writes here, so nothing is lost between the two.
                let count = &counts.0[place];
                count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            None => _ = self.shared.0[place].fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The count of this moment.
    pub(crate) fn read(&self, place: usize) -> u64 {
        let all = self.own.iter().chain([&self.shared]);
        all.map(|counts| counts.0[place].load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_and_go_lose_no_count() {
        const THREADS: usize = 200;
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..100).for_each(|_| tally.add(at(), 3)));
            }
        });
        assert_eq!(tally.read(3), THREADS as u64 * 100);
        assert_eq!(tally.read(4), 0);
    }

    #[test]
    fn a_thread_without_a_seat_shares() {
        let tally = Tally { own: Box::default(), shared: Counts::default() };
        for at in [At::SHARED, At(0), At(70)] {
            tally.add(at, 0);
        }
        assert_eq!(tally.read(0), 3);
    }
}
