//! A gate that handlers wait at.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A gate that handlers wait at, so that a test decides when a call returns.
#[derive(Default)]
pub(super) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(super) fn pass(&self) {
        let mut open = self.0.lock().unwrap();
        // A test that fails does not hang.
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while !*open && std::time::Instant::now() < end {
            open = self.1.wait_timeout(open, Duration::from_secs(1)).unwrap().0;
        }
    }

    pub(super) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}
