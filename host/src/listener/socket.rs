//! The sockets that listeners accept from: opened as configured, or passed by whoever starts the server.
//! Knows no connection: a socket is ready here, and served elsewhere.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::{Listener, ListenerSocket};

/// What a passed socket is called that was given no name (sd_listen_fds_with_names(3)).
const NAMELESS: &str = "unknown";

/// For who fetches mail: after such a silence the other end is asked whether it is there, and so often from then on.
const LINE_SILENT: Duration = Duration::from_secs(30);
const LINE_ASKED: Duration = Duration::from_secs(10);
/// So long after it was last heard of the connection is over.
const LINE_DEAD: Duration = Duration::from_secs(60);

/// Why there is no socket to accept from. The operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// An address can't be had.
    #[error("error: listener {name}: {address}: {source}\n  = help: {remedy}")]
    Open {
        /// The listener.
        name: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Nothing of this name was passed.
    #[error(
        "error: listener {name}: no socket called {socket:?} was passed\n  = help: start the server by a socket unit with FileDescriptorName={socket}, or write address in place of socket"
    )]
    Missing {
        /// The listener.
        name: String,
        /// The name of the socket.
        socket: String,
    },
    /// What was passed is for nobody: its clients would wait for ever.
    #[error(
        "error: a socket called {socket:?} was passed, and no listener takes it\n  = help: add [[listen]] with socket = {socket:?}, or remove it from the socket unit"
    )]
    Unclaimed {
        /// Its name.
        socket: String,
    },
    /// What was passed is for both families, where add-ins look for their clients.
    #[error(
        "error: listener {name}: the socket passed as {socket:?} has IPv4 clients under IPv6 addresses, so that add-ins would look for them in vain (low_descriptors)\n  = help: write BindIPv6Only=ipv6-only in the socket unit, and a ListenStream= of its own for IPv4"
    )]
    Both {
        /// The listener.
        name: String,
        /// The name of the socket.
        socket: String,
    },
    /// What was passed is not a socket to accept from.
    #[error(
        "error: the socket passed as {socket:?}: {source}\n  = help: write ListenStream= with an address and port, and Accept=no, in the socket unit"
    )]
    Unfit {
        /// Its name.
        socket: String,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// Sockets that were passed and are not taken yet, each with its name.
#[derive(Debug, Default)]
pub(crate) struct Passed(Vec<(String, std::net::TcpListener)>);

impl Passed {
    /// Takes what was passed to this process (sd_listen_fds(3)). Only once, and before there is any other thread: it takes
    /// the variables that tell of it out of the environment.
    ///
    /// # Errors
    /// What is no socket to accept from.
    pub(crate) fn take() -> Result<Self, SocketError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|name| !name.is_empty());
        let mut found = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..found.len() {
            let name = names.next().unwrap_or(NAMELESS).to_owned();
            let taken = found.take_tcp_listener(index).and_then(|socket| {
                let socket = socket.ok_or(io::ErrorKind::NotFound)?;
                if SockRef::from(&socket).is_listener()? {
                    Ok(socket)
                } else {
                    Err(io::Error::other("it does not listen"))
                }
            });
            match taken {
                Ok(socket) => sockets.push((name, socket)),
                Err(source) => return Err(SocketError::Unfit { socket: name, source }),
            }
        }
        Ok(Self(sockets))
    }

    /// Everything of one name.
    fn named(&mut self, wanted: &str) -> Vec<std::net::TcpListener> {
        self.0.extract_if(.., |(name, _)| name == wanted).map(|(_, socket)| socket).collect()
    }

    /// Whether all of it was asked for.
    ///
    /// # Errors
    /// The first that was not.
    pub(crate) fn used_up(self) -> Result<(), SocketError> {
        match self.0.into_iter().next() {
            Some((socket, _)) => Err(SocketError::Unclaimed { socket }),
            None => Ok(()),
        }
    }
}

/// The sockets of a listener: one of its own, or those that were passed for it. `development`: it is the built-in
/// configuration's.
///
/// # Errors
/// What can't be had.
pub(crate) fn of(
    config: &Listener,
    passed: &mut Passed,
    development: bool,
) -> Result<Vec<std::net::TcpListener>, SocketError> {
    match &config.socket {
        ListenerSocket::Own(address) => {
            open(config, *address).map(|socket| vec![socket]).map_err(|source| SocketError::Open {
                name: config.name.clone(),
                address: *address,
                remedy: remedy(&source, development),
                source,
            })
        }
        ListenerSocket::Passed(socket) => {
            let sockets = passed.named(socket);
            if sockets.is_empty() {
                let name = config.name.clone();
                return Err(SocketError::Missing { name, socket: socket.clone() });
            }
            for one in &sockets {
                let unfit = |source| SocketError::Unfit { socket: socket.clone(), source };
                if config.low_descriptors && is_for_both(one).map_err(unfit)? {
                    let name = config.name.clone();
                    return Err(SocketError::Both { name, socket: socket.clone() });
                }
                adopt(config, one).map_err(unfit)?;
            }
            Ok(sockets)
        }
    }
}

/// Whether IPv4 clients come to it as well, under addresses such as ::ffff:192.0.2.1.
fn is_for_both(socket: &std::net::TcpListener) -> io::Result<bool> {
    Ok(socket.local_addr()?.is_ipv6() && !SockRef::from(socket).only_v6()?)
}

fn open(config: &Listener, address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 clients are to be seen with their own addresses.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if config.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    let socket = socket.into();
    adopt(config, &socket)?;
    Ok(socket)
}

/// Has a bound socket listen. One that does already only learns how many may wait.
fn adopt(config: &Listener, socket: &std::net::TcpListener) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = SockRef::from(socket);
    // Replies are small and each is waited for. Connections have it from their listener: no call for each.
    socket.set_tcp_nodelay(true)?;
    if config.purpose.is_odmr() {
        notice_dead_lines(&socket)?;
    }
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))
}

/// Has connections ended of whose other end nothing is heard any more. Those who fetch their mail do it over lines that go without a
/// word, and are to be let in again when they call anew: they have one connection at a time.
fn notice_dead_lines(socket: &SockRef<'_>) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(LINE_SILENT).with_interval(LINE_ASKED);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(LINE_DEAD))
}

fn remedy(error: &io::Error, development: bool) -> &'static str {
    match error.kind() {
        _ if development => "stop what uses it, or run with --config FILE",
        io::ErrorKind::PermissionDenied => {
            "choose a port from 1024, or let the server have ports below (CAP_NET_BIND_SERVICE), or have a socket unit open it"
        }
        io::ErrorKind::AddrNotAvailable => "choose an address that this machine has",
        _ => "choose another address or port, or stop what uses it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_is_told_with_a_remedy_that_fits() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!(
            "hostname = \"a.test\"\nlisten = [{{ name = \"mx\", address = \"{address}\" }}]"
        );
        let settings = crate::config::from_text(&text).unwrap();
        for (development, remedy) in [
            (false, "choose another address or port, or stop what uses it"),
            (true, "stop what uses it, or run with --config FILE"),
        ] {
            let had = of(&settings.listeners[0], &mut Passed::default(), development);
            let said = had.map(|_| ()).unwrap_err().to_string();
            assert_eq!(said.matches(&address.to_string()).count(), 1, "{said}");
            assert!(said.ends_with(&format!("\n  = help: {remedy}")), "{said}");
        }
    }

    /// Whoever fetches mail is let in again soon after their line has gone without a word.
    #[test]
    fn connections_of_those_who_fetch_mail_are_asked_whether_they_are_there() {
        let text = "hostname = \"a.test\"\n[[listen]]\nname = \"odmr\"\naddress = \"127.0.0.1:0\"\n\
            purpose = \"odmr\"\nrequire_tls = false\nauth = \"none\"\n\
            [[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\n";
        let settings = crate::config::from_text(text).unwrap();
        for (config, wanted) in settings.listeners.iter().zip([Some(LINE_DEAD), None]) {
            let socket = of(config, &mut Passed::default(), false).unwrap().remove(0);
            socket.set_nonblocking(false).unwrap();
            let _client = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
            let (accepted, _) = socket.accept().unwrap();
            let accepted = SockRef::from(&accepted);
            assert_eq!(accepted.tcp_user_timeout().unwrap(), wanted);
            assert_eq!(accepted.keepalive().unwrap(), wanted.is_some());
        }
    }

    #[test]
    fn what_is_passed_and_what_is_wanted_must_be_the_same() {
        let text = "hostname = \"a.test\"\nlisten = [{ name = \"mx\", socket = \"s\" }]";
        let settings = crate::config::from_text(text).unwrap();
        let socket = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let passed = |names: &[&str]| {
            Passed(names.iter().map(|name| ((*name).to_owned(), socket())).collect())
        };
        for (names, wanted) in [
            (&["s"][..], Ok(1)),
            (&["s", "s"], Ok(2)),
            (&["t"], Err("listener mx: no socket called \"s\"")),
            (&["s", "t"], Err("a socket called \"t\" was passed, and no listener")),
        ] {
            let mut passed = passed(names);
            let had = of(&settings.listeners[0], &mut passed, false)
                .and_then(|sockets| passed.used_up().map(|()| sockets.len()));
            match (had, wanted) {
                (Ok(had), Ok(wanted)) => assert_eq!(had, wanted, "{names:?}"),
                (Err(error), Err(wanted)) => {
                    assert!(error.to_string().contains(wanted), "{names:?}: {error}");
                }
                (had, wanted) => panic!("{names:?}: {had:?}, wanted {wanted:?}"),
            }
        }
    }
}
