//! The events that plug-ins are asked about, before and after, and who is interested in which.
//! Knows neither what an event tells nor who asks.

/// Whether the core has yet to do its own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The core has not acted; the answer may change or stop what it does.
    Before,
    /// The core has acted and composed its reply, which is not sent yet.
    After,
}

/// The kinds of question, in the order of a session's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// A client has connected.
    Connect,
    /// A command line was received.
    Command,
    /// HELO or EHLO.
    Ehlo,
    /// STARTTLS: the client wants the rest of the session to be protected.
    StartTls,
    /// AUTH: the client wants to log in.
    Auth,
    /// MAIL: a transaction begins.
    Mail,
    /// RCPT: one recipient.
    Rcpt,
    /// DATA, or the first BDAT of a message: the message is about to be sent.
    Data,
    /// The header block of the message was received.
    Headers,
    /// Some of the body of the message was received.
    Body,
    /// The whole message was received.
    MessageAccept,
    /// ETRN: a client asks for its mail.
    Etrn,
    /// ATRN: a client wants its mail over this connection.
    Atrn,
    /// VRFY or EXPN: a client asks who is here.
    Vrfy,
    /// RSET: the transaction is dropped.
    Rset,
    /// A command that a plug-in claims.
    Verb,
    /// QUIT: the client leaves.
    Quit,
    /// The client was silent for too long. Before only.
    Timeout,
    /// The session is over.
    Disconnect,
    /// A message is about to be queued.
    Queue,
    /// An attempt to deliver begins: where does it lead?
    Route,
    /// An attempt to deliver is made.
    Deliver,
    /// A sender is about to be told what became of a message.
    Bounce,
    /// A message has grown too old to be tried again.
    Expire,
}

impl Event {
    /// Every event, in order.
    pub const ALL: [Self; 24] = [
        Self::Connect,
        Self::Command,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Headers,
        Self::Body,
        Self::MessageAccept,
        Self::Etrn,
        Self::Atrn,
        Self::Vrfy,
        Self::Rset,
        Self::Verb,
        Self::Quit,
        Self::Timeout,
        Self::Disconnect,
        Self::Queue,
        Self::Route,
        Self::Deliver,
        Self::Bounce,
        Self::Expire,
    ];

    /// The event's name in logs, in the configuration and in dialogue scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Command => "command",
            Self::Ehlo => "ehlo",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::MessageAccept => "message-accept",
            Self::Etrn => "etrn",
            Self::Atrn => "atrn",
            Self::Vrfy => "vrfy",
            Self::Rset => "rset",
            Self::Verb => "verb",
            Self::Quit => "quit",
            Self::Timeout => "timeout",
            Self::Disconnect => "disconnect",
            Self::Queue => "queue",
            Self::Route => "route",
            Self::Deliver => "deliver",
            Self::Bounce => "bounce",
            Self::Expire => "expire",
        }
    }

    /// Whether it is about a message alone: no client waits for a reply to it.
    pub fn is_behind_session(self) -> bool {
        matches!(self, Self::Queue | Self::Route | Self::Deliver | Self::Bounce | Self::Expire)
    }

    /// Whether the core does something between before and after; where it does not, there is no after.
    pub fn has_after(self) -> bool {
        !matches!(self, Self::Headers | Self::Body | Self::Timeout)
    }
}

impl Stage {
    /// The stage's name in logs and in dialogue scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

const _: () = assert!(Event::ALL.len() * 2 <= u64::BITS as usize, "an interest has a bit for each");

/// The events and stages that somebody registered for: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest(u64);

impl Interest {
    /// Nobody registered for anything.
    pub const NONE: Self = Self(0);
    /// Somebody registered for everything.
    pub const ALL: Self = Self(u64::MAX);

    /// Adds an event and stage.
    #[must_use]
    pub fn with(self, event: Event, stage: Stage) -> Self {
        Self(self.0 | Self::bit(event, stage))
    }

    /// Takes an event out, before and after.
    #[must_use]
    pub fn without(self, event: Event) -> Self {
        Self(self.0 & !(Self::bit(event, Stage::Before) | Self::bit(event, Stage::After)))
    }

    /// Whether somebody registered for this event and stage: one bit test.
    pub fn contains(self, event: Event, stage: Stage) -> bool {
        self.0 & Self::bit(event, stage) != 0
    }

    fn bit(event: Event, stage: Stage) -> u64 {
        1 << ((event as u8) * 2 + u8::from(stage == Stage::After))
    }
}
