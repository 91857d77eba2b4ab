//! A server that says what a test wants, word by word, where a sink would be too well-behaved.
//! Knows lines; what they mean is the test's.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::Client;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server.
pub struct Script {
    address: SocketAddr,
    playing: JoinHandle<()>,
}

/// One connection, from the server's side.
pub struct Speaker {
    stream: BufReader<TcpStream>,
    /// So many octets it may still say, before the line is cut.
    left: usize,
}

impl Script {
    /// Plays for a number of connections, one after the other; each is given its number, from 0.
    ///
    /// # Panics
    ///
    /// When there is no port to be had.
    pub fn play(connections: usize, play: impl Fn(usize, Speaker) + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let playing = thread::spawn(move || {
            for number in 0..connections {
                let (stream, _) = listener.accept().expect("a client");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
                stream.set_nodelay(true).expect("an option can be set");
                play(number, Speaker::over(stream));
            }
        });
        Self { address, playing }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the end of what is played.
    ///
    /// # Panics
    ///
    /// When that has.
    pub fn end(self) {
        if let Err(panic) = self.playing.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Speaker {
    /// One over the connection of a client that has become the server.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream), left: usize::MAX }
    }

    /// Has the line cut behind so many octets that it says from now on.
    pub fn cut_behind(&mut self, octets: usize) {
        self.left = octets;
    }

    /// Says lines, each without its end.
    ///
    /// # Errors
    /// The line is cut, or the client has gone.
    pub fn try_say(&mut self, lines: &str) -> io::Result<()> {
        let octets = lines.replace('\n', "\r\n") + "\r\n";
        let (said, cut) = octets.as_bytes().split_at(octets.len().min(self.left));
        self.stream.get_mut().write_all(said)?;
        self.left -= said.len();
        if cut.is_empty() {
            return Ok(());
        }
        self.stream.get_mut().shutdown(Shutdown::Both)?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Hears a line.
    ///
    /// # Errors
    /// The client has gone.
    pub fn try_hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Says lines, each without its end.
    ///
    /// # Panics
    ///
    /// When nobody is there.
    pub fn say(&mut self, lines: &str) {
        self.try_say(lines).expect("the client reads");
    }

    /// Hears a line; empty when the client has gone.
    pub fn hear(&mut self) -> String {
        self.try_hear().unwrap_or_default()
    }

    /// Hears a line that must be this one, and says something.
    ///
    /// # Panics
    ///
    /// When it is another.
    pub fn answer(&mut self, wanted: &str, lines: &str) {
        assert_eq!(self.hear(), wanted);
        self.say(lines);
    }

    /// Greets, and answers EHLO with keywords.
    pub fn greet(&mut self, keywords: &[&str]) {
        self.say("220 script.test");
        assert!(self.hear().starts_with("EHLO "));
        let mut lines = vec!["script.test"];
        lines.extend(keywords);
        let (last, first) = lines.split_last().expect("a line");
        let reply: String = first.iter().map(|line| format!("250-{line}\n")).collect();
        self.say(&format!("{reply}250 {last}"));
    }

    /// Becomes the client.
    pub fn into_client(self) -> Client {
        Client::over(self.stream)
    }
}
