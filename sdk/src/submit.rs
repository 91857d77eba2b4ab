//! New messages, made by the plug-in.
//! Knows no queue: a message that is committed is on disk, and goes out like any other.

use std::ffi::CStr;
use std::fmt;
use std::ptr;

use stagepost_abi::{
    EM_SUBMIT_GRANT, EmHost, EmQueueId, EmRequest, EmSubmission, EmSubmitService, NOERROR, STATUS,
};

use crate::call::{Refusal, check};
use crate::pending::Pending;
use crate::request::Asking;
use crate::session::Session;
use crate::text::lend;

/// A message that is being made. Any thread; dropping it gives it up.
///
/// First the recipients, then the octets, header block, empty line and body, lines ended by CRLF, in pieces of any size;
/// then the commit. What ends in `_wait` waits for the disk: for handlers of class blocking and threads of the plug-in's own.
/// The others are for [`AsyncPlugin`](crate::AsyncPlugin), in the handler whose `call` they are given.
#[must_use = "a message that is not committed is given up"]
pub struct Submission {
    host: *mut EmHost,
    table: &'static EmSubmitService,
    /// 0 once it is committed.
    number: EmSubmission,
}

// SAFETY: the handle is opaque and valid until the process ends; all functions of the table are [any-thread].
unsafe impl Send for Submission {}
// SAFETY: as for Send; what changes it takes it mutably or by value.
unsafe impl Sync for Submission {}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Submission {
    /// # Safety
    ///
    /// `host` was given to em_entry, and `table` was found with it; `cause` is a session of the same host.
    pub(crate) unsafe fn begin(
        host: *mut EmHost,
        table: &'static EmSubmitService,
        cause: Option<&Session<'_>>,
        sender: &str,
        parameters: &str,
    ) -> Result<Self, Refusal> {
        let session = cause.map_or(ptr::null(), Session::handle);
        let (sender, parameters) = (lend(sender.as_bytes()), lend(parameters.as_bytes()));
        let mut number = 0;
        // SAFETY: host and table belong together; the session is valid as long as it is borrowed; the texts are lent for
        // the call, and there is room for the number.
        let status = unsafe { (table.begin)(host, session, sender, parameters, &raw mut number) };
        check("submit", status)?;
        Ok(Self { host, table, number })
    }

    /// Adds a recipient, who needs a route: [`Reason::NoRoute`](crate::Reason::NoRoute) without, and the message goes on
    /// without them.
    ///
    /// - path: without angle brackets. parameters: those of RCPT; may be empty.
    pub fn recipient(&mut self, path: &str, parameters: &str) -> Result<(), Refusal> {
        self.add(path, parameters, 0)
    }

    /// Adds a recipient who may be of a foreign domain: the plug-in vouches for them.
    pub fn recipient_granted(&mut self, path: &str, parameters: &str) -> Result<(), Refusal> {
        self.add(path, parameters, EM_SUBMIT_GRANT)
    }

    fn add(&mut self, path: &str, parameters: &str, flags: u32) -> Result<(), Refusal> {
        let (path, parameters) = (lend(path.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: host and table belong together; the texts are lent for the call.
        let status =
            unsafe { (self.table.recipient)(self.host, self.number, path, parameters, flags) };
        check("a recipient", status)
    }

    /// Writes octets.
    ///
    /// # Errors
    /// [`Reason::Unreadable`](crate::Reason::Unreadable): the queue can't keep them; the message is lost.
    pub fn write_wait(&mut self, octets: impl AsRef<[u8]>) -> Result<(), Refusal> {
        // SAFETY: host and table belong together; the octets are lent for the call.
        let status =
            unsafe { (self.table.write_wait)(self.host, self.number, lend(octets.as_ref())) };
        check("writing", status)
    }

    /// Makes the message durable; its id in the queue.
    ///
    /// # Errors
    /// [`Reason::Refused`](crate::Reason::Refused): the message is refused, and the server's log says why.
    /// [`Reason::Unreadable`](crate::Reason::Unreadable): the queue is not available. The message is given up.
    pub fn commit_wait(mut self) -> Result<String, Refusal> {
        let mut id = empty();
        // SAFETY: host and table belong together, and there is room for the id.
        let status = unsafe { (self.table.commit_wait)(self.host, self.number, &raw mut id) };
        self.number = 0;
        check("the commit", status)?;
        Ok(read(&id))
    }

    /// As [`write_wait`](Self::write_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn write(&mut self, call: &Pending, octets: impl AsRef<[u8]>) -> Result<(), Refusal> {
        self.begin_write(call, octets.as_ref()).await.map(drop)
    }

    /// As [`commit_wait`](Self::commit_wait), without a thread that waits.
    ///
    /// # Errors
    /// Those.
    pub async fn commit(mut self, call: &Pending) -> Result<String, Refusal> {
        self.begin_commit(call).await
    }

    fn begin_write(&self, call: &Pending, octets: &[u8]) -> Asking<Results, String> {
        let ask = |token, request| {
            // SAFETY: host and table belong together; the octets are lent for the call; a token may be any number.
            unsafe { (self.table.write)(self.host, token, self.number, lend(octets), request) }
        };
        Asking::begin("writing", call, ask, self.results(), Results::read)
    }

    fn begin_commit(&mut self, call: &Pending) -> Asking<Results, String> {
        let mut begun = false;
        let ask = |token, request| {
            // SAFETY: host and table belong together; a token may be any number.
            let status = unsafe { (self.table.commit)(self.host, token, self.number, request) };
            begun = status == NOERROR;
            status
        };
        let asking = Asking::begin("the commit", call, ask, self.results(), Results::read);
        if begun {
            self.number = 0;
        }
        asking
    }

    fn results(&self) -> Results {
        Results { host: self.host, table: self.table }
    }
}

/// Where the results of a plug-in's requests are.
struct Results {
    host: *mut EmHost,
    table: &'static EmSubmitService,
}

// SAFETY: the handle is opaque and valid until the process ends; all functions of the table are [any-thread].
unsafe impl Send for Results {}

impl Results {
    /// The id that a request came to; empty behind a write.
    fn read(&self, request: EmRequest) -> Result<String, STATUS> {
        let mut id = empty();
        // SAFETY: host and table belong together; a request may be any number, and there is room for the id.
        match unsafe { (self.table.result)(self.host, request, &raw mut id) } {
            NOERROR => Ok(read(&id)),
            status => Err(status),
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        if self.number != 0 {
            // SAFETY: host and table belong together. One that is lost already is told, and nothing comes of it.
            let _: STATUS = unsafe { (self.table.abandon)(self.host, self.number) };
        }
    }
}

const fn empty() -> EmQueueId {
    EmQueueId { text: [0; 32] }
}

fn read(id: &EmQueueId) -> String {
    // SAFETY: made by `empty` with NULs, and the host leaves the last one.
    unsafe { CStr::from_ptr(id.text.as_ptr()) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handlers are polled on any thread, so what they wait for must be fit for that. That it compiles is the test.
    #[allow(dead_code, reason = "compiled, not run")]
    fn handlers_can_wait_for_it(mut message: Submission, call: &Pending) {
        fn is_send(_: impl Send) {}
        is_send(message.write(call, "octets"));
        is_send(message.commit(call));
    }
}
