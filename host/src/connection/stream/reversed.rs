//! The connection of who was our server and has become our client: whatever carries its octets.
//! Knows no session, and nothing of what was said before.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::delivery::Carrying;

/// So much is read ahead of a session at most.
const AHEAD_OCTETS: usize = 16 * 1024;

/// A connection that we have opened ourselves, with what was read of it ahead of its session.
pub(crate) struct Reversed {
    carrying: Box<dyn Carrying>,
    ahead: Vec<u8>,
    /// The other side has closed it, or it broke.
    ended: bool,
}

impl Reversed {
    pub(crate) fn new(carrying: Box<dyn Carrying>) -> Self {
        Self { carrying, ahead: Vec::new(), ended: false }
    }

    /// Drops what can be read without waiting.
    pub(crate) fn drop_input(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while self.poll_ahead(&mut context).is_ready() && !self.ended {
            self.ahead.clear();
        }
        self.ahead.clear();
    }

    pub(super) async fn readable(&mut self) {
        poll_fn(|context| self.poll_ahead(context)).await;
    }

    /// Reads ahead, unless something was.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.ended || !self.ahead.is_empty() {
            return Poll::Ready(());
        }
        let mut room = [0; AHEAD_OCTETS];
        let mut read = ReadBuf::new(&mut room);
        let polled = ready!(Pin::new(&mut self.carrying).poll_read(context, &mut read));
        self.ended = polled.is_err() || read.filled().is_empty();
        self.ahead.extend_from_slice(read.filled());
        Poll::Ready(())
    }

    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.poll_ahead(&mut Context::from_waker(Waker::noop())).is_pending() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let octets = self.ahead.len().min(buffer.len());
        buffer[..octets].copy_from_slice(&self.ahead[..octets]);
        self.ahead.drain(..octets);
        Ok(octets)
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.carrying.write_all(octets).await?;
        self.carrying.flush().await
    }

    /// Says that nothing more comes.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.carrying.shutdown().await
    }
}
