//! What the two threads of group commit share: a connection that awaits its 250, and the bell that
//! wakes the event loop.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::EventfdFlags;

use super::session::ACCEPTED;
use crate::socket;

/// No message of this connection is being stored.
const FREE: u8 = 0;
/// One is.
const WAITING: u8 = 1;
/// One is, and input that came meanwhile has to be taken up afterwards.
const PARKED: u8 = 2;

/// A connection, as the committer knows it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: OwnedFd,
    token: usize,
    state: AtomicU8,
}

impl Wire {
    pub(crate) fn new(socket: OwnedFd, token: usize) -> Self {
        Self { socket, token, state: AtomicU8::new(FREE) }
    }

    /// Sends all of `octets`; a peer that reads no replies has lost its connection.
    pub(crate) fn send(&self, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() || socket::write(&self.socket, octets)? == octets.len() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the peer reads no replies"))
    }

    pub(crate) fn wait_for_commit(&self) {
        self.state.store(WAITING, Ordering::Release);
    }

    /// Asks to be taken up after the commit. `false`: there is none to wait for.
    pub(crate) fn park(&self) -> bool {
        self.state.compare_exchange(WAITING, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The message is stored: sends its 250.
    pub(crate) fn answer(&self, doorbell: &Doorbell) {
        if self.send(ACCEPTED).is_err() {
            // The event loop notices, and forgets the connection.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        }
        // Only after the 250, or the next reply could overtake it.
        if self.state.swap(FREE, Ordering::AcqRel) == PARKED {
            doorbell.resume(self.token);
        }
    }
}

/// Wakes the event loop, and says why.
#[derive(Debug)]
pub(crate) struct Doorbell {
    event: OwnedFd,
    stopping: AtomicBool,
    resumed: Mutex<Vec<usize>>,
    fault: Mutex<Option<io::Error>>,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            event: rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            stopping: AtomicBool::new(false),
            resumed: Mutex::default(),
            fault: Mutex::default(),
        })
    }

    /// Ends the event loop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.ring();
    }

    /// Ends the event loop because messages cannot be stored.
    pub(crate) fn fail(&self, error: io::Error) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.stop();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn take_fault(&self) -> Option<io::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the connections that were parked and are answered. Silences the bell.
    pub(crate) fn take_resumed(&self) -> io::Result<Vec<usize>> {
        socket::read(&self.event, &mut [0; 8])?;
        Ok(std::mem::take(&mut *self.resumed.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn resume(&self, token: usize) {
        self.resumed.lock().unwrap_or_else(PoisonError::into_inner).push(token);
        self.ring();
    }

    fn ring(&self) {
        // It can only fail when it rings already.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.event.as_fd()
    }
}
