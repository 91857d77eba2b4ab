//! Servers of others that have a connection for their input and output, one process each: this is the inetd they need.
//! Knows sockets and processes; knows no server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::process::Ended;

/// One that serves whoever connects; dropping it ends that.
pub struct Serving {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves whoever connects with the program that is made for it; timeout(1) should be what ends one that hangs.
    ///
    /// # Panics
    ///
    /// When there is no port to be had.
    pub fn new(program: impl Fn() -> Command + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let closing = Arc::new(AtomicBool::new(false));
        let told = closing.clone();
        let accepting = thread::spawn(move || {
            let mut children = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                children.push(start(&mut program(), stream));
            }
            // How they end their sessions say.
            children.into_iter().for_each(Ended::finish);
        });
        Self { address, closing, accepting: Some(accepting) }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn start(program: &mut Command, stream: TcpStream) -> Ended {
    let stream = OwnedFd::from(stream);
    let output = stream.try_clone().expect("a descriptor");
    Ended(program.stdin(stream).stdout(output).spawn().expect("the program starts"))
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes whoever waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            // Its panic was printed.
            let _ = accepting.join();
        }
    }
}
