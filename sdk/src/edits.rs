//! The sheet of one handler call: what a handler changes, and the verdict it ends with.
//! Knows no session: the host applies the sheet when the handler has returned.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use stagepost_abi::{
    EM_ATTRIBUTE_RELAY_GRANTED, EM_VERDICT_DEFER, EM_VERDICT_REJECT, EmEdits, EmEditsService,
};

use crate::answer::Verdict;
use crate::call::{Refusal, check};
use crate::event::Reply;
use crate::host::Host;
use crate::text::lend;

/// The sheet of a *before* handler. Text is copied by the host.
///
/// A call that is refused changes nothing; `?` makes a [`Fault`](crate::Fault) of it.
pub struct Edits<'a> {
    handle: *mut EmEdits,
    table: &'static EmEditsService,
    host: &'a Host,
    record: PhantomData<&'a mut EmEdits>,
}

// SAFETY: the host takes edits from any thread until the call has ended, one at a time.
unsafe impl Send for Edits<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Edits<'_> {}

impl fmt::Debug for Edits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edits").finish_non_exhaustive()
    }
}

impl<'a> Edits<'a> {
    /// # Safety
    ///
    /// `handle` came with a record of `host` whose call lasts during the lifetime.
    pub(crate) unsafe fn new(handle: *mut EmEdits, host: &'a Host) -> Self {
        Self { handle, table: host.services().edits, host, record: PhantomData }
    }

    pub(crate) fn handle(&self) -> *mut EmEdits {
        self.handle
    }

    pub(crate) fn host(&self) -> &'a Host {
        self.host
    }

    /// Sets an attribute of the session, for every later handler. Needs the edit `attribute`.
    ///
    /// - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a session keeps at most 64 attributes.
    /// - value: at most 1,024 octets.
    pub fn attribute(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let (name, value) = (lend(name.as_bytes()), lend(value.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("attribute", unsafe { (self.table.attribute)(self.handle, name, value) })
    }

    /// Lets this session relay to any destination. Needs the edit `attribute`.
    pub fn grant_relay(&mut self) -> Result<(), Refusal> {
        let (name, value) = (lend(EM_ATTRIBUTE_RELAY_GRANTED.to_bytes()), lend(b"1"));
        // SAFETY: the handle is valid during the lifetime; both texts are static.
        check("grant_relay", unsafe { (self.table.attribute)(self.handle, name, value) })
    }

    /// Adds a header field at the end of the header block. Needs the edit `header`; at MAIL, RCPT, DATA, headers, body and message
    /// accept.
    ///
    /// - name: 1 to 76 printable ASCII octets without ':' and space (RFC 5322 section 2.2).
    /// - value: octets without NUL; a line break is CRLF followed by space or tab, the last CRLF is left out; no line
    ///   over 998 octets.
    pub fn header_add(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), Refusal> {
        let (name, value) = (lend(name.as_bytes()), lend(value.as_ref()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("header_add", unsafe { (self.table.header_add)(self.handle, name, value) })
    }

    /// Keeps the message in the queue, undelivered, until an operator releases it. The chain goes on. Needs the edit
    /// `hold`; when as `header_add`.
    ///
    /// - reason: for the operator, 1 to 256 printable ASCII octets.
    pub fn hold(&mut self, reason: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the reason is lent for the call.
        check("hold", unsafe { (self.table.hold)(self.handle, lend(reason.as_bytes())) })
    }

    /// Lets the message be acknowledged and dropped. The chain goes on. Needs the edit `discard`; when as `header_add`.
    pub fn discard(&mut self) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime.
        check("discard", unsafe { (self.table.discard)(self.handle) })
    }

    /// Puts a header field before the field at a position: 0 is the top, more than there are is the end. Needs the edit
    /// `header`; when as `header_add`. What is asked for before the message is there is done when it is.
    ///
    /// - name, value: as in `header_add`.
    pub fn header_insert(
        &mut self,
        position: u32,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), Refusal> {
        let (name, value) = (lend(name.as_bytes()), lend(value.as_ref()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("header_insert", unsafe {
            (self.table.header_insert)(self.handle, position, name, value)
        })
    }

    /// Replaces the body of a header field; nothing happens when there is no such field. Needs the edit `header`; when as
    /// `header_insert`.
    ///
    /// - name: in any case. index: which of the fields of that name, from 1. value: as in `header_add`.
    pub fn header_change(
        &mut self,
        name: &str,
        index: u32,
        value: impl AsRef<[u8]>,
    ) -> Result<(), Refusal> {
        let (name, value) = (lend(name.as_bytes()), lend(value.as_ref()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("header_change", unsafe {
            (self.table.header_change)(self.handle, name, index, value)
        })
    }

    /// Takes a header field out; nothing happens when there is no such field. Needs the edit `header`; when as
    /// `header_insert`.
    ///
    /// - name, index: as in `header_change`.
    pub fn header_delete(&mut self, name: &str, index: u32) -> Result<(), Refusal> {
        let name = lend(name.as_bytes());
        // SAFETY: the handle is valid during the lifetime; the name is lent for the call.
        check("header_delete", unsafe { (self.table.header_delete)(self.handle, name, index) })
    }

    /// Adds text before that of the body. Needs the edit `body`; at message accept. All that one call gives stands in the
    /// order in which it was given.
    ///
    /// - octets: any but NUL, and CR and LF only as CRLF, though one call may end between the two and the next go on there. A
    ///   last line without CRLF gets one. Of a message that was sent with `BODY=BINARYMIME` any octets, to the letter.
    ///
    /// The empty line that ends the header block is the host's: it stays, or comes when there was none. When the disk has no
    /// room for what is written, the call is at fault, whatever it answers, unless it refuses the message.
    pub fn body_prepend(&mut self, octets: impl AsRef<[u8]>) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the octets are lent for the call.
        check("body_prepend", unsafe {
            (self.table.body_prepend)(self.handle, lend(octets.as_ref()))
        })
    }

    /// Adds text behind that of the body. When and which octets: as `body_prepend`.
    pub fn body_append(&mut self, octets: impl AsRef<[u8]>) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the octets are lent for the call.
        check("body_append", unsafe {
            (self.table.body_append)(self.handle, lend(octets.as_ref()))
        })
    }

    /// Begins a text that takes the place of all text there is in the body, or goes on with it. When and which octets: as
    /// `body_prepend`. Nothing written is a body without text.
    ///
    /// To copy, read on behind the empty line: [`Message::text`](crate::Message::text).
    pub fn body_replace(&mut self) -> Result<BodyWriter<'_>, Refusal> {
        let writer = BodyWriter { handle: self.handle, table: self.table, edits: PhantomData };
        writer.add(b"")?;
        Ok(writer)
    }

    /// Replaces the sender. Needs the edit `sender`; at MAIL, headers and message accept.
    ///
    /// - path: without angle brackets; empty for the null path.
    /// - parameters: those of MAIL, in the place of all those received; empty: those received stay.
    pub fn sender(&mut self, path: &str, parameters: &str) -> Result<(), Refusal> {
        let (path, parameters) = (lend(path.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("sender", unsafe { (self.table.sender)(self.handle, path, parameters) })
    }

    /// Adds a recipient, who needs a route or a grant: without one this plug-in is at fault and the command is answered
    /// 451. One who is there already stays as they are, and whom the client names at a later RCPT is the client's, with its
    /// parameters. Needs the edit `recipient`; at RCPT, DATA, headers and message accept.
    ///
    /// - path: without angle brackets. parameters: those of RCPT; may be empty.
    pub fn recipient_add(&mut self, path: &str, parameters: &str) -> Result<(), Refusal> {
        let (path, parameters) = (lend(path.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("recipient_add", unsafe { (self.table.recipient_add)(self.handle, path, parameters) })
    }

    /// Removes a recipient; nothing happens when they are not there. Who removes the last one is at fault, unless the
    /// message is discarded. Needs the edit `recipient`; at DATA, headers and message accept.
    pub fn recipient_remove(&mut self, path: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the path is lent for the call.
        check("recipient_remove", unsafe {
            (self.table.recipient_remove)(self.handle, lend(path.as_bytes()))
        })
    }

    /// Puts another recipient in the place of one, who needs a route or a grant as any other does. One who is there already is
    /// kept once. Needs the edit `recipient`; at RCPT, DATA, headers and message accept.
    ///
    /// - replaced: `None` at RCPT, for the one in hand; elsewhere who goes, and nothing happens when they are not there.
    /// - path: who comes, without angle brackets.
    /// - parameters: those of RCPT, in the place of all that there are; empty: those stay.
    pub fn recipient_replace(
        &mut self,
        replaced: Option<&str>,
        path: &str,
        parameters: &str,
    ) -> Result<(), Refusal> {
        let replaced = lend(replaced.unwrap_or_default().as_bytes());
        let (path, parameters) = (lend(path.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; all texts are lent for the call.
        check("recipient_replace", unsafe {
            (self.table.recipient_replace)(self.handle, replaced, path, parameters)
        })
    }

    /// Puts another line, without its CRLF, in the place of the command line in hand. Needs the edit `command`; at
    /// COMMAND.
    ///
    /// A plug-in is at fault that replaces the line of DATA, BDAT, STARTTLS, XCLIENT, AUTH or ATRN, or makes one, or gives a
    /// line of HELO, EHLO, MAIL, RCPT, RSET or QUIT another verb; HELO and EHLO pass for one.
    pub fn command_replace(&mut self, line: impl AsRef<[u8]>) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the line is lent for the call.
        check("command_replace", unsafe {
            (self.table.command_replace)(self.handle, lend(line.as_ref()))
        })
    }

    /// Marks the message for later handlers and for whoever looks at the queue; a tag that is there already stays. Needs the
    /// edit `tag`; when as `header_add`.
    ///
    /// - name: 1 to 64 octets of a-z, 0-9, '_', '-', '.'; a message has at most 64 tags.
    pub fn tag(&mut self, name: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the name is lent for the call.
        check("tag", unsafe { (self.table.tag)(self.handle, lend(name.as_bytes())) })
    }

    /// Announces an EHLO keyword in the reply in hand, or puts these parameters behind one that a plug-in announces already.
    /// Needs the edit `keyword`; at EHLO. What is announced must work.
    ///
    /// - keyword, parameters: as in [`Host::claim_keyword`](crate::Host::claim_keyword); not one of the server's.
    pub fn keyword_add(&mut self, keyword: &str, parameters: &str) -> Result<(), Refusal> {
        let (keyword, parameters) = (lend(keyword.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("keyword_add", unsafe { (self.table.keyword_add)(self.handle, keyword, parameters) })
    }

    /// Leaves a keyword out of the reply to EHLO in hand, whoever announces it. Until the next EHLO the server refuses the
    /// verb and the parameters that it announced. Needs the edit `keyword`; at EHLO.
    pub fn keyword_remove(&mut self, keyword: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the text is lent for the call.
        check("keyword_remove", unsafe {
            (self.table.keyword_remove)(self.handle, lend(keyword.as_bytes()))
        })
    }

    /// Names the mail that is sent once the answer is handled and the connection reversed. Needs the edit `queue`; at ATRN.
    ///
    /// - destinations: 1 to 1,000, as [`Queue`](crate::Queue) takes them.
    pub fn reverse(&mut self, destinations: &[&str]) -> Result<(), Refusal> {
        let lines = destinations.join("\n");
        // SAFETY: the handle is valid during the lifetime; the text is lent for the call.
        check("reverse", unsafe { (self.table.reverse)(self.handle, lend(lines.as_bytes())) })
    }

    /// Names the user whom the client is logged in as when the answer is handled. Needs the edit `credentials`; at AUTH.
    ///
    /// - identity: 1 to 255 octets without white space, in the form of SASLprep.
    pub fn identity(&mut self, identity: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the text is lent for the call.
        check("identity", unsafe { (self.table.identity)(self.handle, lend(identity.as_bytes())) })
    }

    /// Says where mail leads in the place of the configuration, for this attempt. Needs the edit `route`; at route. The last one counts.
    ///
    /// - next_hop: as in the configuration: `host:port`, `mx`, `mx:domain` or `discard`, at most 512 octets of printable ASCII.
    pub fn route(&mut self, next_hop: &str) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the text is lent for the call.
        check("route", unsafe { (self.table.route)(self.handle, lend(next_hop.as_bytes())) })
    }

    /// Refuses the message for one of its recipients for good. Needs a verdict; at message accept. A client that has asked for
    /// it is told of each recipient, any other gets the strictest reply for all, unless the operator chose otherwise.
    ///
    /// - path: without angle brackets.
    /// - code: 5yz; enhanced, text: as in [`Answer::reject`](crate::Answer::reject).
    pub fn recipient_reject(
        &mut self,
        path: &str,
        code: u16,
        enhanced: &str,
        text: &str,
    ) -> Result<(), Refusal> {
        self.recipient_verdict(path, EM_VERDICT_REJECT, code, enhanced, text)
    }

    /// Refuses the message for one of its recipients for now. As [`Self::recipient_reject`].
    ///
    /// - code: 4yz, but not 421.
    pub fn recipient_defer(
        &mut self,
        path: &str,
        code: u16,
        enhanced: &str,
        text: &str,
    ) -> Result<(), Refusal> {
        self.recipient_verdict(path, EM_VERDICT_DEFER, code, enhanced, text)
    }

    fn recipient_verdict(
        &mut self,
        path: &str,
        verdict: u32,
        code: u16,
        enhanced: &str,
        text: &str,
    ) -> Result<(), Refusal> {
        let [path, enhanced, text] = [path, enhanced, text].map(|text| lend(text.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; all text is lent for the call.
        check("recipient_verdict", unsafe {
            (self.table.recipient_verdict)(self.handle, path, verdict, code, enhanced, text)
        })
    }

    pub(crate) fn verdict(&mut self, verdict: &Verdict) -> Result<(), Refusal> {
        let (enhanced, text) = (lend(verdict.enhanced.as_bytes()), lend(verdict.text.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        let status = unsafe {
            (self.table.verdict)(self.handle, verdict.kind, verdict.code, enhanced, text)
        };
        check("the verdict", status)
    }
}

/// Writes the text that takes the place of a body's. The host keeps it, in a file when it is long: nobody has all of it in
/// memory. A call of the host's for every write: what writes octet by octet wants a [`BufWriter`](std::io::BufWriter).
pub struct BodyWriter<'a> {
    handle: *mut EmEdits,
    table: &'static EmEditsService,
    edits: PhantomData<&'a mut EmEdits>,
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").finish_non_exhaustive()
    }
}

// SAFETY: as for the edits that it writes to.
unsafe impl Send for BodyWriter<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for BodyWriter<'_> {}

impl BodyWriter<'_> {
    fn add(&self, octets: &[u8]) -> Result<(), Refusal> {
        // SAFETY: the handle is valid during the lifetime; the octets are lent for the call.
        check("body_replace", unsafe { (self.table.body_replace)(self.handle, lend(octets)) })
    }
}

impl io::Write for BodyWriter<'_> {
    /// Adds all octets, or none of them.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.add(octets).map_err(io::Error::other)?;
        Ok(octets.len())
    }

    /// Does nothing: the host has everything already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sheet of an *after* handler: the reply is composed and not sent yet.
pub struct AfterEdits<'a> {
    edits: Edits<'a>,
    reply: Option<Reply<'a>>,
}

impl fmt::Debug for AfterEdits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterEdits").field("reply", &self.reply).finish_non_exhaustive()
    }
}

impl<'a> AfterEdits<'a> {
    pub(crate) fn new(edits: Edits<'a>, reply: Option<Reply<'a>>) -> Self {
        Self { edits, reply }
    }

    /// The reply about to be sent; `None` when there is none.
    pub fn reply(&self) -> Option<&Reply<'a>> {
        self.reply.as_ref()
    }

    /// Replaces the words of the reply; its code, and so its class, stays. Needs the edit `reply_text`.
    ///
    /// - text: printable ASCII, lines separated by LF, at most 64 lines and 4,096 octets.
    pub fn reply_text(&mut self, text: &str) -> Result<(), Refusal> {
        let Edits { handle, table, .. } = self.edits;
        // SAFETY: the handle is valid during the lifetime; the text is lent for the call.
        check("reply_text", unsafe { (table.reply_text)(handle, lend(text.as_bytes())) })
    }

    /// Replaces the code of the reply within its class, and its words. Needs the edit `reply_code`.
    ///
    /// - code: of the reply's class, and not one by which programs know what comes next (220, 221, 235, 3yz, 421); 0: that
    ///   of the reply stays.
    /// - enhanced: "5.1.1" or the like; empty: that of the reply stays. A reply that has none gets none.
    /// - text: as in `reply_text`; empty: that of the reply stays.
    pub fn reply_change(&mut self, code: u16, enhanced: &str, text: &str) -> Result<(), Refusal> {
        let Edits { handle, table, .. } = self.edits;
        let (enhanced, text) = (lend(enhanced.as_bytes()), lend(text.as_bytes()));
        // SAFETY: the handle is valid during the lifetime; both texts are lent for the call.
        check("reply_change", unsafe { (table.reply_change)(handle, code, enhanced, text) })
    }

    /// Sets an attribute of the session, as [`Edits::attribute`] does.
    pub fn attribute(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        self.edits.attribute(name, value)
    }
}
