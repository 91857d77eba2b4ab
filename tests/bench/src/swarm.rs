//! Many sending sessions on one thread.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::client::{Client, Fate, Notice, Plan};
use crate::poll::{Interest, Poll};
use crate::script::Script;
use crate::slab::Slab;
use crate::socket;

const TIMER: usize = usize::MAX;

/// Drives sessions and collects what happened to them.
#[derive(Debug)]
pub(crate) struct Swarm<'a> {
    address: SocketAddr,
    script: &'a Script,
    poll: Poll,
    clients: Slab<Client>,
    timer: Option<OwnedFd>,
    ready: Vec<usize>,
    notices: Vec<Notice>,
    input: Box<[u8]>,
    retiring: bool,
    /// A session could not be opened, and its notice is still to be fetched.
    urgent: bool,
}

impl<'a> Swarm<'a> {
    pub(crate) fn new(address: SocketAddr, script: &'a Script) -> io::Result<Self> {
        Ok(Self {
            address,
            script,
            poll: Poll::new()?,
            clients: Slab::new(),
            timer: None,
            ready: Vec::new(),
            notices: Vec::new(),
            input: vec![0; 16 << 10].into_boxed_slice(),
            retiring: false,
            urgent: false,
        })
    }

    /// Returns the number of sessions whose connection is open.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Opens a session. `opened` is when it should have started; failure comes as a notice.
    pub(crate) fn open(&mut self, plan: Plan, opened: Instant) {
        let token = self.clients.next_token();
        let added = socket::connect(self.address)
            .and_then(|socket| self.poll.add(&socket, token).map(|()| socket));
        match added {
            Ok(socket) => self.clients.insert(Client::new(socket, plan, opened)),
            Err(error) => {
                self.urgent = true;
                self.notices.push(Notice::Refused(format!("cannot connect: {error}")));
                self.notices.push(Notice::Vacant { failed: true, ready: false });
            }
        }
    }

    /// Lets `turn` return at this pace at least: finer than a timeout can.
    pub(crate) fn tick_every(&mut self, interval: Duration) -> io::Result<()> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let interval = Timespec::try_from(interval).map_err(io::Error::other)?;
        let pace = Itimerspec { it_interval: interval, it_value: interval };
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &pace)?;
        self.poll.add(&timer, TIMER)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Waits for input, at most for `timeout`, and serves what came.
    pub(crate) fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        // What `open` noticed must not wait for the network.
        let urgent = std::mem::take(&mut self.urgent);
        let timeout = if urgent { Duration::ZERO } else { timeout };
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(timeout, &mut ready)?;
        for &token in &ready {
            match &self.timer {
                Some(timer) if token == TIMER => {
                    socket::read(timer, &mut self.input)?;
                }
                _ => self.serve(token)?,
            }
        }
        self.ready = ready;
        Ok(())
    }

    /// Returns what happened since the last call.
    pub(crate) fn notices(&mut self) -> impl Iterator<Item = Notice> + '_ {
        self.notices.drain(..)
    }

    /// Lets every session finish its message and QUIT, so that the peer is left as it was found.
    pub(crate) fn retire(&mut self, limit: Duration) -> io::Result<()> {
        self.retiring = true;
        let end = Instant::now() + limit;
        for token in self.clients.tokens() {
            let Some(client) = self.clients.get_mut(token) else {
                continue;
            };
            if client.is_idle() && client.quit(self.script, &mut self.notices).is_err() {
                self.remove(token);
            }
        }
        while self.clients.len() > 0 && Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn serve(&mut self, token: usize) -> io::Result<()> {
        // A session may have been removed by an earlier event of the same turn.
        let Some(client) = self.clients.get_mut(token) else {
            return Ok(());
        };
        let waited = client.has_unsent(self.script);
        let outcome =
            serve_client(client, &mut self.input, self.script, self.retiring, &mut self.notices);
        match outcome {
            Ok(Fate::Keep) => {
                let waits = client.has_unsent(self.script);
                if waits != waited {
                    let interest = if waits { Interest::ReadWrite } else { Interest::Read };
                    self.poll.modify(client.socket(), token, interest)?;
                }
            }
            Ok(Fate::Remove) => self.remove(token),
            Err(text) => {
                self.notices.push(Notice::Refused(text));
                self.remove(token);
            }
        }
        Ok(())
    }

    fn remove(&mut self, token: usize) {
        // Closing the only descriptor also takes it out of the poll.
        if let Some(client) = self.clients.remove(token).filter(|client| !client.is_quitting()) {
            self.notices.push(Notice::Vacant { failed: true, ready: client.is_ready() });
        }
    }
}

fn serve_client(
    client: &mut Client,
    buffer: &mut [u8],
    script: &Script,
    retiring: bool,
    notices: &mut Vec<Notice>,
) -> Result<Fate, String> {
    client.flush(script).map_err(|error| format!("cannot send: {error}"))?;
    match socket::read(client.socket(), buffer) {
        Ok(None) => Ok(Fate::Keep),
        Ok(Some(0)) if client.is_quitting() => {
            notices.push(Notice::Closed);
            Ok(Fate::Remove)
        }
        Ok(Some(0)) => Err("the connection was closed".to_owned()),
        Ok(Some(count)) => client.handle_input(&buffer[..count], script, retiring, notices),
        Err(error) => Err(format!("the connection was lost: {error}")),
    }
}
