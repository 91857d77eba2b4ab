//! The events as a Rust handler sees them: each struct of the contract, read once and checked.
//! Knows neither handler nor stage. All text is valid until the handler returns.

mod part;

use stagepost_abi::{
    EmAtrn, EmAuth, EmBody, EmBounce, EmCommand, EmConnect, EmData, EmDeliver, EmDisconnect,
    EmEhlo, EmEtrn, EmExpire, EmHeaders, EmMail, EmMessageAccept, EmQueue, EmQuit, EmRcpt, EmReply,
    EmRoute, EmRset, EmStartTls, EmTimeout, EmVerb, EmVrfy,
};

pub use self::part::{AuthResult, Awaited, Chunk, DisconnectReason, EtrnKind, Password, VrfyVerb};
use crate::message::Message;
use crate::result::Results;
use crate::session::Session;
use crate::text::{Broken, octets, octets_if_any, text};

/// An event that is read from its struct.
pub(crate) trait Event<'a>: Sized {
    /// The struct of the contract.
    type Raw: 'a;

    /// # Safety
    ///
    /// What `raw` points to is valid during `'a`.
    unsafe fn read(raw: &'a Self::Raw, session: Session<'a>) -> Result<Self, Broken>;
}

/// Declares an event with its members, and how each is read from its struct.
macro_rules! event {
    (
        $(#[$docs:meta])*
        $name:ident from $raw:ident($source:ident, $of:ident) {
            $($(#[$member_docs:meta])* $member:ident: $type:ty = $value:expr,)*
        }
    ) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $name<'a> {
            /// The session that it happens in.
            pub session: Session<'a>,
            $($(#[$member_docs])* pub $member: $type,)*
        }

        impl<'a> Event<'a> for $name<'a> {
            type Raw = $raw;

            #[allow(unused_unsafe, reason = "not every event has text")]
            unsafe fn read($source: &'a $raw, $of: Session<'a>) -> Result<Self, Broken> {
                // Not every event has members of its own.
                let _ = $source;
                // SAFETY: text in the struct is valid as long as the struct, by the caller's promise.
                Ok(unsafe { Self { session: $of, $($member: $value,)* } })
            }
        }
    };
}

event! {
    /// A client has connected. Between before and after lies the composing of the greeting.
    ///
    /// A verdict before it: reject is the greeting, with code 554, and every command but QUIT is refused; defer and
    /// disconnect are sent, with code 421 or 554, and the connection is closed; handled is a fault.
    Connect from EmConnect(raw, session) {
        /// The client's address, exactly as inet_ntop prints it.
        remote_ip: &'a str = text(raw.remote_ip)?,
        /// The client's port.
        remote_port: u16 = raw.remote_port,
        /// The address it connected to.
        local_ip: &'a str = text(raw.local_ip)?,
        /// Our port.
        local_port: u16 = raw.local_port,
        /// The name of the listener in the configuration.
        listener: &'a str = text(raw.listener)?,
    }
}

event! {
    /// A command line was received and not parsed yet. Between lies the whole command.
    ///
    /// Handled before it is a fault on HELO, EHLO, MAIL, RCPT, DATA, BDAT, RSET, QUIT, STARTTLS, XCLIENT, AUTH and ATRN.
    Command from EmCommand(raw, session) {
        /// The octets of the line as received, or as an earlier handler replaced it, without its CRLF.
        line: &'a [u8] = octets(raw.line)?,
    }
}

event! {
    /// HELO or EHLO. Between lies the accepting of the name and the start of a fresh session state. Handled is a fault.
    Ehlo from EmEhlo(raw, session) {
        /// The name the client gives itself: a domain or an address literal.
        name: &'a str = text(raw.name)?,
        /// Whether the client said EHLO.
        extended: bool = raw.extended != 0,
        /// The keywords, one a line, each with its parameters: those that would be announced, *after* those that are. None
        /// for HELO.
        keywords: &'a str = text(raw.keywords)?,
    }
}

event! {
    /// STARTTLS: the client wants the rest of the session to be protected. Between lies the TLS handshake, with the 220 before
    /// it. Handled is a fault.
    ///
    /// *After* comes when the handshake has succeeded; there is no reply. The session begins anew: no HELO name, and of the
    /// attributes those alone that were set at connect. What the slot keeps stays.
    StartTls from EmStartTls(raw, session) {}
}

event! {
    /// AUTH: the client wants to log in. Between lies the check of its credentials. Not called for an exchange that ends before it is
    /// known who wants to log in.
    ///
    /// Before it, handled logs the client in as [`Edits::identity`](crate::Edits::identity) says; it is a fault without that, and
    /// with SCRAM. Reject counts as a failed login.
    Auth from EmAuth(raw, session) {
        /// The mechanism in capitals: `PLAIN`, `LOGIN`, `SCRAM-SHA-256` or `SCRAM-SHA-256-PLUS`.
        mechanism: &'a str = text(raw.mechanism)?,
        /// Who the client says that it is, as SASLprep has it.
        identity: &'a str = text(raw.identity)?,
        /// On whose behalf it wants to act, in the same form; empty: its own.
        authorization: &'a str = text(raw.authorization)?,
        /// The password, of PLAIN and LOGIN *before*, for a plug-in that declares `CREDENTIALS`.
        password: Option<Password<'a>> = Password::of(octets_if_any(raw.password)?),
        /// How it has ended; `None` *before*.
        result: Option<AuthResult> = AuthResult::of(raw.result),
    }
}

event! {
    /// MAIL: a transaction begins. Between lies its start. Handled is a fault.
    Mail from EmMail(raw, session) {
        /// The sender as received, or as an earlier handler replaced it, without angle brackets; empty for the null path.
        sender: &'a str = text(raw.sender)?,
        /// The parameters as received, without the space before them; empty when there are none.
        parameters: &'a str = text(raw.parameters)?,
    }
}

event! {
    /// RCPT: a recipient is named. Between lies the check for a route or a grant. Handled is a fault.
    Rcpt from EmRcpt(raw, session) {
        /// The recipient as received, or as an earlier handler replaced it, without angle brackets.
        recipient: &'a str = text(raw.recipient)?,
        /// The parameters as received, without the space before them; empty when there are none.
        parameters: &'a str = text(raw.parameters)?,
    }
}

event! {
    /// DATA, or the first BDAT of a message: the message is about to be sent. Between lies the 354, or the reading of the
    /// chunk. Handled is a fault.
    Data from EmData(raw, session) {
        /// With BDAT: the first chunk. None: with DATA.
        chunk: Option<Chunk> = Chunk::of(raw),
    }
}

event! {
    /// The header block of the message is complete; none of the body is shown yet. Before only.
    ///
    /// Reject and defer: the rest of the message is read and dropped, and the reply comes behind its end. Handled is a fault.
    Headers from EmHeaders(raw, session) {
        /// The message, of which the header block can be read; its body is empty here.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// Some of the body was received and is not kept yet. Before only. The next octets are not read from the client before
    /// all handlers have answered.
    ///
    /// Reject and defer: as at [`Headers`], and no further chunk of this message is offered to anybody. Handled is a fault.
    BodyChunk from EmBody(raw, session) {
        /// Octets of the body, transparency dots removed: 32 to 64 KiB, of the last chunk 0 to 64 KiB. All chunks, one
        /// behind the other, are the body as [`Message::body`] reads it: it begins with the empty line. A chunk may end
        /// anywhere, in the middle of a word, of a line end or of a character.
        octets: &'a [u8] = octets(raw.octets)?,
        /// How many octets of the body came before them.
        offset: u64 = raw.offset,
        /// Whether they are the last of the message. One that its client gives up, or that is refused, has no last chunk.
        last: bool = raw.last != 0,
    }
}

event! {
    /// The whole message was received. Between lies the storing of the message.
    ///
    /// Handled before it: the plug-in has taken the message over; it is acknowledged and not stored.
    MessageAccept from EmMessageAccept(raw, session) {
        /// Octets of the message as received, transparency dots removed.
        octets: u64 = raw.octets,
        /// The message, to be read *before*; *after* it refuses to be.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// ETRN: the client asks for mail waiting for a node (RFC 1985). Between lies the queue run.
    Etrn from EmEtrn(raw, session) {
        /// The node, without `@` or `#`.
        node: &'a str = text(raw.node)?,
        /// What the node is.
        kind: EtrnKind = EtrnKind::of(raw.kind),
    }
}

event! {
    /// ATRN: the client, which has logged in, wants its mail over this connection, which is reversed for it (RFC 2645).
    ///
    /// Handled before it with [`Edits::reverse`](crate::Edits::reverse): 250, and what waits for those destinations is sent. It is a
    /// fault without.
    Atrn from EmAtrn(raw, session) {
        /// Whose mail, as received: domains, one a line; empty: all that is its.
        domains: &'a str = text(raw.domains)?,
    }
}

event! {
    /// VRFY or EXPN: the client asks who is here. Between lies the core's own answer, which tells nothing.
    Vrfy from EmVrfy(raw, session) {
        /// What the client asks about, as received; never empty.
        argument: &'a str = text(raw.argument)?,
        /// With which command it asks.
        verb: VrfyVerb = VrfyVerb::of(raw.verb),
    }
}

event! {
    /// A command that a plug-in claims. Nothing lies between: the claimant answers handled.
    Verb from EmVerb(raw, session) {
        /// The verb, in capitals.
        verb: &'a str = text(raw.verb)?,
        /// What follows the verb, as received; may be empty.
        argument: &'a str = text(raw.argument)?,
    }
}

event! {
    /// RSET: the client drops the transaction. Between lies the dropping of it. Handled is a fault.
    Rset from EmRset(raw, session) {}
}

event! {
    /// QUIT: the client leaves. Between lies the 221. The connection is closed behind the reply, whatever the answer;
    /// handled is a fault.
    Quit from EmQuit(raw, session) {}
}

event! {
    /// The client was silent for too long. The connection is closed behind the reply, whatever the answer; handled is a
    /// fault. There is no after.
    Timeout from EmTimeout(raw, session) {
        /// What was waited for.
        awaited: Awaited = Awaited::of(raw.awaited),
    }
}

event! {
    /// The session is over. Called exactly once, before and after, for each session for which connect was called.
    Disconnect from EmDisconnect(raw, session) {
        /// Why it ended.
        reason: DisconnectReason = DisconnectReason::of(raw.reason),
    }
}

event! {
    /// A message is about to be queued. Between lies the commit.
    ///
    /// Before it, handled takes the message over: it is acknowledged and not stored. Reject and defer are the client's reply. *After* it
    /// is on disk.
    Enqueue from EmQueue(raw, session) {
        /// The message's id in the queue.
        id: &'a str = text(raw.id)?,
        /// Octets of header block and body.
        octets: u64 = raw.octets,
        /// The message, to be read *before*; *after* it refuses to be.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// An attempt to deliver begins: where does it lead? Between lies the choice. Behind the session, as the next ones.
    ///
    /// Before it, [`Edits::route`](crate::Edits::route) chooses another way; reject has the recipients fail, defer puts the attempt off;
    /// handled is a fault.
    Routing from EmRoute(raw, session) {
        /// The message's id in the queue.
        id: &'a str = text(raw.id)?,
        /// The domain or address literal that it is queued under, in lower case.
        destination: &'a str = text(raw.destination)?,
        /// Where it leads, as the configuration writes it; empty: nowhere.
        next_hop: &'a str = text(raw.next_hop)?,
        /// How often it was tried before.
        attempts: u32 = raw.attempts,
        /// Seconds since the message was taken over.
        age_s: u64 = raw.age_s,
        /// The message, of which the header block can be read.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// An attempt to deliver is made. Between lies the conversation with the server, or the writing into mailboxes.
    ///
    /// Before it, handled says that the plug-in has delivered the message to every recipient of the attempt; reject and defer as at
    /// [`Routing`].
    Delivery from EmDeliver(raw, session) {
        /// The message's id in the queue.
        id: &'a str = text(raw.id)?,
        /// The domain or address literal that it is queued under, in lower case.
        destination: &'a str = text(raw.destination)?,
        /// Where it leads.
        next_hop: &'a str = text(raw.next_hop)?,
        /// How often it was tried before.
        attempts: u32 = raw.attempts,
        /// Seconds since the message was taken over.
        age_s: u64 = raw.age_s,
        /// *After*: what became of each recipient; none *before*.
        results: Results<'a> = Results::new(raw.results, raw.results_count)?,
        /// The message, of which the header block can be read.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// A sender is about to be told what became of a message. Between lies the queueing of the notification.
    ///
    /// Before it, handled or reject have nobody told, and the recipients are done with; defer has them tried again; the header fields are
    /// those of the notification.
    Bounce from EmBounce(raw, session) {
        /// The id in the queue of the message that it is about.
        id: &'a str = text(raw.id)?,
        /// *After*: the id of the notification; empty: there is none.
        notification: &'a str = text(raw.notification)?,
        /// Who is told.
        to: &'a str = text(raw.to)?,
        /// What is told, of each recipient that it concerns.
        results: Results<'a> = Results::new(raw.results, raw.results_count)?,
        /// The message that it is about, of which the header block can be read.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

event! {
    /// A message could not be delivered for so long that it is not tried any more. Between lies the giving up.
    ///
    /// Before it, defer has it tried again, and asked about again when that fails; handled drops it without a word.
    Expiry from EmExpire(raw, session) {
        /// The message's id in the queue.
        id: &'a str = text(raw.id)?,
        /// The domain or address literal that it is queued under, in lower case.
        destination: &'a str = text(raw.destination)?,
        /// How often it was tried, this attempt included.
        attempts: u32 = raw.attempts,
        /// Seconds since the message was taken over.
        age_s: u64 = raw.age_s,
        /// The message, of which the header block can be read.
        message: Message<'a> = Message::new(raw.message, session.messages()),
    }
}

impl<'a> Mail<'a> {
    /// The value of one of its parameters, by keyword in any case, as received; empty for one without a value.
    pub fn parameter(&self, keyword: &str) -> Option<&'a str> {
        parameter(self.parameters, keyword)
    }
}

impl<'a> Rcpt<'a> {
    /// The value of one of its parameters, as [`Mail::parameter`] finds it.
    pub fn parameter(&self, keyword: &str) -> Option<&'a str> {
        parameter(self.parameters, keyword)
    }
}

fn parameter<'a>(parameters: &'a str, keyword: &str) -> Option<&'a str> {
    parameters.split(' ').filter(|word| !word.is_empty()).find_map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        name.eq_ignore_ascii_case(keyword).then_some(value)
    })
}

/// The reply about to be sent, in an *after* handler.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reply<'a> {
    /// Three digits.
    pub code: u16,
    /// The enhanced code (RFC 3463): class, subject and detail.
    pub enhanced: Option<(u8, u16, u16)>,
    /// The words; lines are separated by LF.
    pub text: &'a str,
}

impl<'a> Reply<'a> {
    /// # Safety
    ///
    /// `raw` is NULL, or what it points to is valid during `'a`, as far as its size says.
    pub(crate) unsafe fn read(raw: *const EmReply) -> Result<Option<Self>, Broken> {
        if raw.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, and every struct of the contract starts with its size.
        let found = unsafe { (&raw const (*raw).size).read() };
        let wanted = size_of::<EmReply>();
        if (found as usize) < wanted {
            return Err(Broken::Size { wanted, found });
        }
        // SAFETY: as long as ours at least, and valid during 'a.
        let raw: &'a EmReply = unsafe { &*raw };
        let enhanced = (raw.enhanced_class != 0).then_some((
            raw.enhanced_class,
            raw.enhanced_subject,
            raw.enhanced_detail,
        ));
        // SAFETY: the text is valid as long as the reply.
        let text = unsafe { text(raw.text) }?;
        Ok(Some(Self { code: raw.code, enhanced, text }))
    }
}
