//! The octets of one connection to a server, whatever carries them.
//! Knows no session.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use stagepost_smtp::Secret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What carries octets both ways.
pub(crate) trait Carrying: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrying for T {}

/// A stream with what is to be written to it.
pub(super) struct Stream {
    carrying: Box<dyn Carrying>,
    unsent: Unsent,
    sent: usize,
    /// What was written may still be on this side.
    unflushed: bool,
}

/// What is to be written.
enum Unsent {
    Plain(Vec<u8>),
    /// Wiped when it goes.
    Secret(Secret),
}

impl Unsent {
    const NOTHING: Self = Self::Plain(Vec::new());

    fn octets(&self) -> &[u8] {
        match self {
            Self::Plain(octets) => octets,
            Self::Secret(octets) => octets.expose(),
        }
    }
}

/// What happened.
pub(super) enum Happened {
    /// So many octets were read; 0: the other side hung up.
    Read(usize),
    /// Some octets were written.
    Written,
    /// Nothing can be written any more.
    Broken,
}

impl Stream {
    pub(super) fn new(carrying: impl Carrying + 'static) -> Self {
        Self { carrying: Box::new(carrying), unsent: Unsent::NOTHING, sent: 0, unflushed: false }
    }

    /// Has these octets written by the next calls of [`Self::next`].
    pub(super) fn send(&mut self, octets: Vec<u8>) {
        self.unsent = Unsent::Plain(octets);
        self.sent = 0;
    }

    /// The same of octets that nobody else is to read.
    pub(super) fn send_secret(&mut self, octets: Secret) {
        self.unsent = Unsent::Secret(octets);
        self.sent = 0;
    }

    /// Hands out what carries the octets, to be put into something else by [`Self::carry_on`].
    pub(super) fn take(&mut self) -> Box<dyn Carrying> {
        std::mem::replace(&mut self.carrying, Box::new(tokio::io::empty()))
    }

    /// The same, and nothing follows.
    pub(super) fn into_carrying(self) -> Box<dyn Carrying> {
        self.carrying
    }

    /// Goes on with this.
    pub(super) fn carry_on(&mut self, carrying: impl Carrying + 'static) {
        *self = Self::new(carrying);
    }

    /// Whether something is still to be written.
    pub(super) fn is_sending(&self) -> bool {
        self.sent < self.unsent.octets().len() || self.unflushed
    }

    /// Waits until something was read or written. Dropped, it has done neither.
    pub(super) async fn next(&mut self, input: &mut [u8]) -> Happened {
        poll_fn(|context| self.poll_next(context, input)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>, input: &mut [u8]) -> Poll<Happened> {
        // Reading first: a refusal in the middle of the message has to be seen before the reset behind it.
        match self.poll_read(context, input) {
            Poll::Ready(read) => return Poll::Ready(Happened::Read(read.unwrap_or(0))),
            Poll::Pending if !self.is_sending() => return Poll::Pending,
            Poll::Pending => {}
        }
        let written = ready!(self.poll_write(context));
        Poll::Ready(written.map_or(Happened::Broken, |()| Happened::Written))
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        input: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut read = ReadBuf::new(input);
        let polled = Pin::new(&mut self.carrying).poll_read(context, &mut read);
        polled.map(|done| done.map(|()| read.filled().len()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sent < self.unsent.octets().len() {
            let rest = &self.unsent.octets()[self.sent..];
            match ready!(Pin::new(&mut self.carrying).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
            self.unflushed = true;
            if self.sent == self.unsent.octets().len() {
                self.unsent = Unsent::NOTHING;
                self.sent = 0;
            }
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.carrying).poll_flush(context))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// What can be read without waiting; none: nothing.
    pub(super) fn read_now(&mut self, input: &mut [u8]) -> Option<usize> {
        // Nobody is to be woken: whoever waits asks again.
        match self.poll_read(&mut Context::from_waker(Waker::noop()), input) {
            Poll::Ready(read) => Some(read.unwrap_or(0)),
            Poll::Pending => None,
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stream")
            .field("unsent", &(self.unsent.octets().len() - self.sent))
            .finish()
    }
}
