//! The event loop: one thread, every connection.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Mode;
use super::committer::Committer;
use super::log::Log;
use super::session::{ACCEPTED, GREETING, Session, Stop};
use super::wire::{Doorbell, Wire};
use crate::fault::Fault;
use crate::poll::Poll;
use crate::slab::Slab;
use crate::socket;

const LISTENER: usize = usize::MAX;
const DOORBELL: usize = usize::MAX - 1;

#[derive(Debug)]
pub(crate) struct Receiver {
    poll: Poll,
    listener: OwnedFd,
    address: SocketAddr,
    connections: Slab<Connection>,
    store: Store,
    doorbell: Arc<Doorbell>,
    /// Replies to what one read brought, sent at once.
    replies: Vec<u8>,
    /// Messages, as far as they are counted.
    received: u64,
}

#[derive(Debug)]
enum Store {
    Nowhere,
    Each(Log),
    Group(Committer),
}

#[derive(Debug)]
struct Connection {
    wire: Arc<Wire>,
    session: Session,
    /// Input behind a message that is being stored.
    held: Vec<u8>,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    Close,
}

impl Receiver {
    pub(crate) fn open(
        mode: Mode,
        listen: SocketAddr,
        spool: &Path,
        spool_max: u64,
    ) -> Result<Self, Fault> {
        let system = || Fault::system("set up the event loop");
        let doorbell = Arc::new(Doorbell::new().map_err(system())?);
        let log = || {
            Log::create(spool, spool_max)
                .map_err(Fault::system(format!("create {}", spool.display())))
        };
        let store = match mode {
            Mode::None => Store::Nowhere,
            Mode::Each => Store::Each(log()?),
            Mode::Group => {
                let committer = Committer::start(log()?, Arc::clone(&doorbell));
                Store::Group(committer.map_err(Fault::system("start a thread"))?)
            }
        };
        let (listener, address) =
            socket::listen(listen).map_err(Fault::system(format!("listen on {listen}")))?;
        let poll = Poll::new().map_err(system())?;
        poll.add(&listener, LISTENER).map_err(system())?;
        poll.add(&*doorbell, DOORBELL).map_err(system())?;
        let connections = Slab::new();
        let replies = Vec::new();
        Ok(Self { poll, listener, address, connections, store, doorbell, replies, received: 0 })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    #[cfg(test)]
    pub(crate) fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.doorbell)
    }

    /// Serves until the time is over, or the bell says stop.
    ///
    /// - counters: told how many messages have come, as smtp-sink does it, after each turn that brought some.
    pub(crate) fn run(
        mut self,
        limit: Duration,
        mut counters: Option<&mut dyn Write>,
    ) -> Result<(), Fault> {
        let (end, mut told) = (Instant::now() + limit, 0);
        let mut ready = Vec::new();
        let mut input = vec![0; 64 << 10];
        while !self.doorbell.is_stopping() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.poll.wait(left, &mut ready).map_err(Fault::system("wait for connections"))?;
            for &token in &ready {
                match token {
                    LISTENER => self.accept()?,
                    DOORBELL => self.resume()?,
                    _ => self.serve(token, &mut input)?,
                }
            }
            if let Some(counters) = counters.as_mut().filter(|_| self.received > told) {
                told = self.received;
                let written = write!(counters, "mesg={told}\r").and_then(|()| counters.flush());
                written.map_err(Fault::system("write the counters"))?;
            }
        }
        match self.doorbell.take_fault() {
            Some(error) => Err(Fault::system("store messages")(error)),
            None => Ok(()),
        }
    }

    fn accept(&mut self) -> Result<(), Fault> {
        let keep = !matches!(self.store, Store::Nowhere);
        let failed = || Fault::system(format!("accept a connection on {}", self.address));
        while let Some(socket) = socket::accept(&self.listener).map_err(failed())? {
            let wire = Wire::new(socket, self.connections.next_token());
            // Who is gone before the greeting was never here.
            if wire.send(GREETING).is_ok() {
                let token = self.connections.next_token();
                self.poll.add(&wire.socket, token).map_err(failed())?;
                let session = Session::new(keep);
                self.connections.insert(Connection {
                    wire: Arc::new(wire),
                    session,
                    held: Vec::new(),
                });
            }
        }
        Ok(())
    }

    fn serve(&mut self, token: usize, buffer: &mut [u8]) -> Result<(), Fault> {
        // It may have been closed by an earlier event of the same turn.
        let Some(connection) = self.connections.get_mut(token) else {
            return Ok(());
        };
        if connection.wire.park() {
            // More input before the 250: out of the poll, which would report it again and again.
            return self.leave_poll(token);
        }
        let fate = match socket::read(&connection.wire.socket, buffer) {
            Ok(None) => Fate::Keep,
            Ok(Some(0)) | Err(_) => Fate::Close,
            Ok(Some(count)) => self.handle_input(token, &buffer[..count])?,
        };
        self.settle(token, fate);
        Ok(())
    }

    /// Takes up connections whose message is stored and answered.
    fn resume(&mut self) -> Result<(), Fault> {
        let failed = || Fault::system("take up a connection");
        for token in self.doorbell.take_resumed().map_err(failed())? {
            let Some(connection) = self.connections.get_mut(token) else {
                continue;
            };
            self.poll.add(&connection.wire.socket, token).map_err(failed())?;
            let held = std::mem::take(&mut connection.held);
            let fate = self.handle_input(token, &held)?;
            self.settle(token, fate);
        }
        Ok(())
    }

    fn handle_input(&mut self, token: usize, mut input: &[u8]) -> Result<Fate, Fault> {
        let Some(connection) = self.connections.get_mut(token) else {
            return Ok(Fate::Keep);
        };
        let Connection { wire, session, held } = connection;
        self.replies.clear();
        loop {
            match session.handle_input(&mut input, &mut self.replies) {
                Stop::Drained => return Ok(send(wire, &self.replies)),
                Stop::Quit => {
                    send(wire, &self.replies);
                    return Ok(Fate::Close);
                }
                Stop::Message => {}
            }
            match &mut self.store {
                Store::Nowhere => self.replies.extend_from_slice(ACCEPTED),
                Store::Each(log) => {
                    log.append(&session.message).map_err(Fault::system("store a message"))?;
                    self.replies.extend_from_slice(ACCEPTED);
                }
                Store::Group(committer) => {
                    if send(wire, &self.replies) == Fate::Close {
                        return Ok(Fate::Close);
                    }
                    self.replies.clear();
                    wire.wait_for_commit();
                    committer.submit(wire, &session.message);
                }
            }
            session.message.clear();
            self.received += 1;
            if !input.is_empty() && wire.park() {
                held.extend_from_slice(input);
                return self.leave_poll(token).map(|()| Fate::Keep);
            }
        }
    }

    fn leave_poll(&mut self, token: usize) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(token) else {
            return Ok(());
        };
        self.poll.delete(&connection.wire.socket).map_err(Fault::system("put a connection aside"))
    }

    fn settle(&mut self, token: usize, fate: Fate) {
        if fate == Fate::Keep {
            return;
        }
        let Some(connection) = self.connections.remove(token) else {
            return;
        };
        // Closing takes it out of the poll, unless the committer still holds it.
        if Arc::strong_count(&connection.wire) > 1 {
            let _ = self.poll.delete(&connection.wire.socket);
        }
    }
}

fn send(wire: &Wire, replies: &[u8]) -> Fate {
    match wire.send(replies) {
        Ok(()) => Fate::Keep,
        Err(_) => Fate::Close,
    }
}
