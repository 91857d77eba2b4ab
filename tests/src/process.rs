//! Processes of tests, and how they end.
//! Knows nothing of what they do.

use std::process::Child;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, waitid,
};

/// A process that ends when this is dropped, whatever happened. One that leads a group takes all of that with it: whoever is
/// started by timeout(1), which could pass on any signal but the one that nobody survives.
pub struct Ended(pub Child);

impl Ended {
    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("a process id"), signal).expect("it runs");
    }

    /// Waits until the process has ended by itself; what it leaves of its group ends then.
    pub fn finish(self) {
        while self.look(WaitIdOptions::empty()) == Err(Errno::INTR) {}
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().and_then(Pid::from_raw)
    }

    /// Looks whether it has ended, and leaves its number to it; an error when that is given back already.
    fn look(&self, how: WaitIdOptions) -> Result<(), Errno> {
        let pid = self.pid().ok_or(Errno::SRCH)?;
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | how).map(drop)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if self.look(WaitIdOptions::NOHANG).is_ok()
            && let Some(leader) = self.pid().filter(|&pid| getpgid(Some(pid)) == Ok(pid))
        {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::peer;

    /// Starts a program that has started another one; what both of them hold while they live.
    fn started(mut command: Command) -> (Ended, BufReader<std::io::PipeReader>) {
        let (read, write) = std::io::pipe().expect("a pipe");
        let child = Ended(command.stdout(write).spawn().expect("it starts"));
        // It holds the end that is written to.
        drop(command);
        let mut read = BufReader::new(read);
        let mut line = String::new();
        read.read_line(&mut line).expect("text");
        assert_eq!(line, "begun\n");
        (child, read)
    }

    /// Whether nobody holds it any more, soon.
    fn is_let_go(mut held: impl Read + Send + 'static) -> bool {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(held.read_to_end(&mut Vec::new())));
        told.recv_timeout(Duration::from_secs(30)).is_ok_and(|read| read.is_ok())
    }

    #[test]
    fn what_a_process_has_started_ends_with_it() {
        let mut peer = peer::command("sh");
        peer.args(["-c", "sleep 100 & echo begun; wait"]);
        let (child, held) = started(peer);
        drop(child);
        assert!(is_let_go(held));
    }

    #[test]
    fn what_a_process_has_left_ends_with_it() {
        let mut peer = Command::new("sh");
        peer.args(["-c", "sleep 100 & echo begun"]).process_group(0);
        let (child, held) = started(peer);
        child.finish();
        assert!(is_let_go(held));
    }
}
