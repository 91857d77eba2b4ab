//! Processes of tests, and how they end.
//! Knows nothing of what they do.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

/// A process that ends when this is dropped, whatever happened.
pub struct Ended(pub Child);

impl Ended {
    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("it runs");
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
