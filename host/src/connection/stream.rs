//! The octets of one connection, in clear text or through TLS.
//! Knows no session: what is read and written is for others to say.

mod reversed;

use std::io::{self, BufRead};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

pub(crate) use self::reversed::Reversed;

/// How long a client may take to take the end of TLS.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection as its session sees it. What TLS needs is there only when it is on.
pub(crate) enum Stream {
    /// In clear text.
    Plain(TcpStream),
    /// Through TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// Of who was our server and has become our client.
    Reversed(Box<Reversed>),
    /// Gone: a handshake has failed.
    Gone,
}

impl Stream {
    /// Waits until there may be something to read.
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.readable().await,
            Self::Tls(stream) => {
                let (stream, tls) = stream.get_mut();
                // What a record had in it that was not read yet is in no socket any more.
                match tls.reader().fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        stream.readable().await
                    }
                    _ => Ok(()),
                }
            }
            Self::Reversed(stream) => {
                stream.readable().await;
                Ok(())
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads what is there. `WouldBlock`: nothing, or not a whole record of TLS.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = ReadBuf::new(buffer);
        // Nobody is to be woken: `readable` waits for more.
        let mut context = Context::from_waker(Waker::noop());
        let polled = match self {
            // Unlike `try_read`, it knows that what did not fill the buffer was all: no second call that finds nothing.
            Self::Plain(stream) => Pin::new(stream).poll_read(&mut context, &mut read),
            Self::Tls(stream) => Pin::new(stream).poll_read(&mut context, &mut read),
            Self::Reversed(stream) => return stream.try_read(buffer),
            Self::Gone => Poll::Ready(Ok(())),
        };
        match polled {
            Poll::Ready(done) => done.map(|()| read.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes everything. False when the client is gone, or does not take it within `limit`.
    pub(crate) async fn send(&mut self, octets: &[u8], limit: Duration) -> bool {
        match self {
            Self::Plain(stream) => {
                let rest = match stream.try_write(octets) {
                    Ok(written) if written == octets.len() => return true,
                    Ok(written) => &octets[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => octets,
                    Err(_) => return false,
                };
                matches!(timeout(limit, stream.write_all(rest)).await, Ok(Ok(())))
            }
            Self::Tls(stream) => {
                let written = async {
                    stream.write_all(octets).await?;
                    stream.flush().await
                };
                matches!(timeout(limit, written).await, Ok(Ok(())))
            }
            Self::Reversed(stream) => {
                matches!(timeout(limit, stream.send(octets)).await, Ok(Ok(())))
            }
            Self::Gone => false,
        }
    }

    /// Resolves when the connection is broken in both directions.
    pub(crate) async fn broken(&mut self) {
        let Some(stream) = self.socket() else {
            return match self {
                Self::Gone => {}
                _ => std::future::pending().await,
            };
        };
        match stream.ready(Interest::ERROR).await {
            Ok(ready) if !ready.is_error() => std::future::pending().await,
            _ => {}
        }
    }

    /// Says that nothing more comes. The socket, if there still is a connection.
    pub(crate) async fn end(self) -> Option<TcpStream> {
        match self {
            Self::Plain(mut stream) => stream.shutdown().await.is_ok().then_some(stream),
            Self::Tls(mut stream) => {
                let ended = timeout(END_TIMEOUT, stream.shutdown()).await;
                matches!(ended, Ok(Ok(()))).then(|| stream.into_inner().0)
            }
            Self::Reversed(mut stream) => {
                // What it makes of that is its own affair: nothing waits behind the last reply.
                let _ = timeout(END_TIMEOUT, stream.end()).await;
                None
            }
            Self::Gone => None,
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            // Of what carries it nothing is known: a break is seen when something is read.
            Self::Reversed(_) | Self::Gone => None,
        }
    }
}
