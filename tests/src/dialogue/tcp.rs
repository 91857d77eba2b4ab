//! Plays dialogues on a server over TCP.
//! Sees what a client sees: it can't set up verdicts, routes or the clock, and does not look into the store.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use stagepost_smtp::{BodyFault, Event, Route, Stage, Stored, Verdict, Verified};

use super::player::{Mismatch, Player};
use super::script::{LogIn, Need, StoredMessage};
use crate::wire::{Trust, Wire};

/// How long a reply may take before the dialogue has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server that serves as `mx.example.test`, accepts mail for every user of
/// `example.test`, relays nothing and has the default limits.
pub struct TcpServer {
    stream: BufReader<Wire>,
    /// The server offers STARTTLS, or requires it; the certificate that it is to show.
    tls: Option<(Need, Trust)>,
    /// The server takes XCLIENT from us.
    xclient: bool,
    /// Whether clients log in.
    auth: LogIn,
    /// The listener is for ATRN.
    odmr: bool,
}

impl TcpServer {
    /// Connects to a server.
    ///
    /// # Errors
    /// The connection's.
    pub fn connect(server: SocketAddr) -> Result<Self, Mismatch> {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)
            .map_err(|error| Mismatch(format!("{server}: {error}")))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        let stream = BufReader::new(Wire::Plain(stream));
        Ok(Self { stream, tls: None, xclient: false, auth: LogIn::No, odmr: false })
    }

    /// The same with a server that takes XCLIENT from us.
    #[must_use]
    pub fn with_xclient(mut self) -> Self {
        self.xclient = true;
        self
    }

    /// The same with a server where clients log in.
    #[must_use]
    pub fn with_auth(mut self, auth: LogIn) -> Self {
        self.auth = auth;
        self
    }

    /// The same with a listener for ATRN.
    #[must_use]
    pub fn with_odmr(mut self) -> Self {
        self.odmr = true;
        self
    }

    /// The same with a server that has STARTTLS.
    #[must_use]
    pub fn with_tls(mut self, need: Need, trust: Trust) -> Self {
        self.tls = Some((need, trust));
        self
    }
}

fn broken(error: std::io::Error) -> Mismatch {
    Mismatch(error.to_string())
}

impl Player for TcpServer {
    fn can(&self, need: Need) -> bool {
        match need {
            Need::Xclient => self.xclient,
            Need::Odmr => self.odmr,
            Need::Auth(auth) => auth == self.auth,
            need => self.tls.as_ref().is_some_and(|(known, _)| *known == need),
        }
    }

    fn send(&mut self, octets: &[u8]) -> Result<(), Mismatch> {
        self.stream.get_mut().write_all(octets).map_err(broken)
    }

    fn reply_line(&mut self) -> Result<String, Mismatch> {
        let mut line = Vec::new();
        let mut limited = self.stream.by_ref().take(600);
        limited.read_until(b'\n', &mut line).map_err(broken)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let plain = text.strip_suffix("\r\n").map(str::to_owned);
        plain.ok_or_else(|| Mismatch(format!("no reply line: {text:?}")))
    }

    fn expect_close(&mut self) -> Result<(), Mismatch> {
        let mut octet = [0];
        match self.stream.read(&mut octet) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Mismatch(format!("still talking: {:?}…", char::from(octet[0])))),
            // Closed with octets of ours unread.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(broken(error)),
        }
    }

    fn hang_up(&mut self) -> Result<(), Mismatch> {
        self.stream.get_ref().socket().shutdown(Shutdown::Both).map_err(broken)
    }

    fn handshake(&mut self, fails: bool) -> Result<(), Mismatch> {
        if fails {
            self.send(b"no TLS at all\r\n")?;
            // An alert says why, before the end.
            return match self.stream.read_to_end(&mut Vec::new()) {
                Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
                    Err(broken(error))
                }
                _ => Ok(()),
            };
        }
        let Some((_, trust)) = &self.tls else {
            return Err(Mismatch("a server without TLS".into()));
        };
        if !self.stream.buffer().is_empty() {
            return Err(Mismatch("the server has said more before TLS".into()));
        }
        let Wire::Plain(stream) = self.stream.get_ref() else {
            return Err(Mismatch("there is TLS already".into()));
        };
        let wire = Wire::Plain(stream.try_clone().map_err(broken)?);
        self.stream = BufReader::new(wire.secure(trust, "mx.example.test").map_err(broken)?);
        Ok(())
    }

    fn expect_asked(&mut self, _: &[(Stage, Event)]) -> Result<(), Mismatch> {
        Ok(())
    }

    fn expect_message(&mut self, _: &StoredMessage) -> Result<(), Mismatch> {
        Ok(())
    }

    fn expect_abandoned(&mut self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn expect_reversed(&mut self, _: &[String]) -> Result<(), Mismatch> {
        Ok(())
    }

    fn expect_writes(&mut self, _: usize) -> Result<(), Mismatch> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Mismatch> {
        Ok(())
    }

    // `can` refuses every script that would come to these.

    fn pass(&mut self, _: Duration) -> Result<(), Mismatch> {
        Err(Mismatch("a server's clock can't be moved".into()))
    }

    fn shut_down(&mut self) -> Result<(), Mismatch> {
        Err(Mismatch("this server is another's to stop".into()))
    }

    fn verdict(&mut self, _: Stage, _: Event, _: Verdict) {}

    fn route(&mut self, _: &str, _: Route) {}

    fn stored(&mut self, _: Stored) {}

    fn verified(&mut self, _: Verified) {}

    fn taken(&mut self, _: BodyFault) {}
}
