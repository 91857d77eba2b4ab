//! Dialogue scripts: what a file says, step by step.
//! Knows no server: a `Player` carries the steps out.

use std::path::Path;
use std::time::Duration;

use stagepost_smtp::{
    BodyFault, Claim, Event, Extensions, Limits, Route, Split, Stage, StartTls, Stored, Verdict,
    Verified, Vrfy,
};

use super::parse::Parser;
use super::pattern::Pattern;

/// A script as read from its file.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file's name.
    pub name: String,
    /// Limits other than the default ones, if the script asks for any.
    pub limits: Option<Limits>,
    /// Other extensions than the default ones, if the script asks for them.
    pub extensions: Option<Extensions>,
    /// What VRFY tells.
    pub vrfy: Vrfy,
    /// What is made of a message that is refused for some.
    pub split: Split,
    /// Whether there is STARTTLS.
    pub starttls: StartTls,
    /// The client may use XCLIENT.
    pub xclient: bool,
    /// Whether clients log in.
    pub auth: LogIn,
    /// The listener is for ATRN.
    pub odmr: bool,
    /// Every question is asked, not only those that the script answers.
    pub all_questions: bool,
    /// What plug-ins claim of the protocol.
    pub claims: Vec<Claim>,
    /// The steps, in order.
    pub steps: Vec<Numbered>,
}

/// Whether and how clients log in: there is one user, `user`, whose password is `pencil`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogIn {
    /// They can't.
    #[default]
    No,
    /// With TLS.
    Offered,
    /// They must, with TLS.
    Required,
    /// Also in clear text.
    Clear,
}

/// A step and where it stands.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The step.
    pub step: Step,
}

/// One thing to do or to expect.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send these octets in one piece.
    Send(Vec<u8>),
    /// Expect a reply line.
    Line(Pattern),
    /// Expect a whole reply with this code, of however many lines.
    Reply(u16),
    /// Expect that the server closes the connection.
    Close,
    /// Close the connection.
    Hangup,
    /// Make the TLS handshake, which succeeds.
    Tls,
    /// Send something else in the place of a TLS handshake; the server closes.
    TlsFails,
    /// Let time pass.
    Time(Duration),
    /// Tell the server to stop.
    Shutdown,
    /// Answer the next question of this kind so.
    Verdict(Stage, Event, Verdict),
    /// Expect that exactly these questions were put since the last such step.
    Asked(Vec<(Stage, Event)>),
    /// Answer so when this recipient's route is asked for.
    Route(String, Route),
    /// Answer so when the next message is to be stored.
    Stored(Stored),
    /// Answer so when somebody is to log in next.
    Verified(Verified),
    /// Answer so when the next octets are lent.
    Taken(BodyFault),
    /// Expect that this message was stored, and no other before it.
    Message(StoredMessage),
    /// Expect that lent octets were called back since the last such step.
    Abandoned,
    /// Expect that the connection was reversed, and mail of these destinations sent over it.
    Reversed(Vec<String>),
    /// Expect that the replies since the last `Send` came in so many writes.
    Writes(usize),
}

/// A message as the store got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// The sender, in angle brackets.
    pub sender: String,
    /// The recipients, in angle brackets.
    pub recipients: Vec<String>,
    /// The parameters as received: of MAIL, then of each recipient. A script that does not name them lets any pass.
    pub parameters: Option<Vec<String>>,
    /// The octets, header and body.
    pub octets: Vec<u8>,
}

/// What a player must be able to do for a script, beyond talking SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A server that offers STARTTLS.
    OfferedTls,
    /// A server that requires it.
    RequiredTls,
    /// A server that takes XCLIENT from its clients.
    Xclient,
    /// A server with the user that scripts know, on such a listener.
    Auth(LogIn),
    /// A listener for ATRN.
    Odmr,
    /// Limits of the script's own.
    Settings,
    /// Answering as plug-ins would.
    Verdicts,
    /// Answering as the router would.
    Routes,
    /// Answering as the store would.
    Store,
    /// Moving the clock.
    Clock,
    /// Stopping the server.
    Shutdown,
}

/// What is wrong with a script file.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It can't be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line says nothing that is understood.
    #[error("{name}:{line}: {what}")]
    Line {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl Script {
    /// Reads a script from its file.
    ///
    /// # Errors
    /// The file can't be read, or the line that is not understood.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScriptError::Read { path: path.display().to_string(), source })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self::parse(&name.to_string_lossy(), &text)
    }

    /// Reads every `*.smtp` in a directory, by name.
    ///
    /// # Errors
    /// As for [`Script::read`].
    pub fn read_all(directory: &Path) -> Result<Vec<Self>, ScriptError> {
        let unreadable =
            |source| ScriptError::Read { path: directory.display().to_string(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "smtp"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Reads a script from text.
    ///
    /// # Errors
    /// The line that is not understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let mut parser = Parser::new(name);
        for (at, line) in text.lines().enumerate() {
            parser.line(line).map_err(|what| ScriptError::Line {
                name: name.to_owned(),
                line: at + 1,
                what,
            })?;
        }
        parser.finish().map_err(|what| ScriptError::Line {
            name: name.to_owned(),
            line: text.lines().count(),
            what,
        })
    }

    /// What a player must be able to do, each need once.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.steps.iter().filter_map(|n| n.step.need()).collect();
        let other_ways = self.vrfy != Vrfy::default() || self.split != Split::default();
        if self.limits.is_some() || self.extensions.is_some() || other_ways {
            needs.push(Need::Settings);
        }
        match self.starttls {
            StartTls::None => {}
            StartTls::Offered => needs.push(Need::OfferedTls),
            StartTls::Required => needs.push(Need::RequiredTls),
        }
        if self.xclient {
            needs.push(Need::Xclient);
        }
        if self.auth != LogIn::No {
            needs.push(Need::Auth(self.auth));
        }
        if self.odmr {
            needs.push(Need::Odmr);
        }
        if self.all_questions || !self.claims.is_empty() {
            needs.push(Need::Verdicts);
        }
        needs.sort_unstable();
        needs.dedup();
        needs
    }
}

impl Step {
    fn need(&self) -> Option<Need> {
        match self {
            Self::Verdict(..) | Self::Asked(_) => Some(Need::Verdicts),
            Self::Route(..) => Some(Need::Routes),
            Self::Stored(_) | Self::Taken(_) | Self::Verified(_) => Some(Need::Store),
            Self::Time(_) => Some(Need::Clock),
            Self::Shutdown => Some(Need::Shutdown),
            Self::Send(_)
            | Self::Line(_)
            | Self::Reply(_)
            | Self::Close
            | Self::Hangup
            | Self::Tls
            | Self::TlsFails
            | Self::Message(_)
            | Self::Abandoned
            | Self::Reversed(_)
            | Self::Writes(_) => None,
        }
    }
}
