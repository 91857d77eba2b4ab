//! Descriptors of clients' sockets: kept low on listeners that are marked so, for add-ins that look for their client among the first 4,096,
//! and out of their way on others. Knows no listener and no client.

use std::io;
use std::os::fd::AsRawFd;

use rustix::io::fcntl_dupfd_cloexec;
use tokio::net::TcpStream;

/// The first descriptor that such add-ins do not look at.
const LOW_END: i32 = 4096;

/// Where the descriptors of a listener's clients may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descriptors {
    /// Anywhere: no listener needs low ones.
    Any,
    /// Below 4096, or there is no session.
    Low,
    /// From 4096 on, as far as the system has any: they leave the low ones to others.
    High,
}

impl Descriptors {
    /// For a listener that needs low ones or not, beside others of which some do or none.
    pub(crate) fn of(low: bool, any_low: bool) -> Self {
        match (low, any_low) {
            (true, _) => Self::Low,
            (false, true) => Self::High,
            (false, false) => Self::Any,
        }
    }

    /// Whether a client's socket may be where it is. The system gives the lowest descriptor that is free, so one that is not low means
    /// that none is.
    pub(crate) fn allow(self, stream: &TcpStream) -> bool {
        self != Self::Low || stream.as_raw_fd() < LOW_END
    }

    /// Puts a client's socket where it belongs.
    ///
    /// # Errors
    /// What the system says to a socket that has another descriptor.
    pub(crate) fn place(self, stream: TcpStream) -> io::Result<TcpStream> {
        if self != Self::High || stream.as_raw_fd() >= LOW_END {
            return Ok(stream);
        }
        match fcntl_dupfd_cloexec(&stream, LOW_END) {
            Ok(high) => TcpStream::from_std(std::net::TcpStream::from(high)),
            // The limit of this process is not above them: then there is no better place.
            Err(_) => Ok(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[tokio::test]
    async fn sockets_are_put_where_they_belong() {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let high = Descriptors::of(false, true);
        let client = high.place(TcpStream::connect(address).await.unwrap()).unwrap();
        assert!(client.as_raw_fd() >= LOW_END, "wanted a limit above {LOW_END}");
        assert!(!Descriptors::of(true, true).allow(&client));
        assert!(high.allow(&client) && Descriptors::of(false, false).allow(&client));
        let low = Descriptors::of(true, true);
        let client = low.place(TcpStream::connect(address).await.unwrap()).unwrap();
        assert!(client.as_raw_fd() < LOW_END && low.allow(&client));
    }
}
