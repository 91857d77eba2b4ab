//! A message before it is stored: its header block, and its body piece by piece.
//! Knows no field and no encoding: octets are octets.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use stagepost_abi::{EmMessage, EmMessageService, EmText};

use crate::answer::Fault;
use crate::call::{Reason, Refusal, check};
use crate::guard::guard;
use crate::text::octets;

/// The message of a [`MessageAccept`](crate::MessageAccept), or as much of it as [`Headers`](crate::Headers) shows. The header block and the whole body, one behind the other,
/// are the message as it would be stored now, without the server's own trace fields.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    handle: *const EmMessage,
    table: &'static EmMessageService,
    record: PhantomData<&'a EmMessage>,
}

// SAFETY: the host lets a message be read from any thread until the call has ended; that a piece of the body is lent only
// until the next one is asked for is guarded in `Body`.
unsafe impl Send for Message<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Message<'_> {}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").finish_non_exhaustive()
    }
}

impl<'a> Message<'a> {
    /// # Safety
    ///
    /// `handle` is NULL or came with a record whose handler runs during `'a`, and `table` is of the same host.
    pub(crate) unsafe fn new(handle: *const EmMessage, table: &'static EmMessageService) -> Self {
        Self { handle, table, record: PhantomData }
    }

    /// The header block: whole lines, each ended by CRLF, without the empty line that ends the block. Edits of earlier
    /// handlers are in it, those of this call are not.
    ///
    /// # Errors
    /// [`Reason::NotHere`] in an *after* handler.
    pub fn header(&self) -> Result<&'a [u8], Fault> {
        self.lent("the header", |value| {
            // SAFETY: the handle is valid during 'a, and the value has room for what is written.
            unsafe { (self.table.header)(self.handle, value) }
        })
    }

    /// The body, from its beginning. It is what follows the header block and begins with the empty line between the two.
    pub fn body(&self) -> Body<'a> {
        Body { message: *self, offset: 0, piece: Vec::new(), taken: 0, ended: false }
    }

    /// The text of the body: what stands behind the empty line, which is what
    /// [`Edits::body_replace`](crate::Edits::body_replace) takes the place of.
    pub fn text(&self) -> Body<'a> {
        Body { offset: 2, ..self.body() }
    }

    /// What the host lends.
    fn lent(
        &self,
        call: &'static str,
        ask: impl FnOnce(*mut EmText) -> u16,
    ) -> Result<&'a [u8], Fault> {
        if self.handle.is_null() {
            return Err(Refusal { call, reason: Reason::NotHere }.into());
        }
        let mut value = MaybeUninit::<EmText>::uninit();
        check(call, ask(value.as_mut_ptr()))?;
        // SAFETY: written on success. Octets of the header are valid as long as the record; who asks for octets of the
        // body copies them before the next call.
        Ok(unsafe { octets(value.assume_init()) }?)
    }
}

/// Reads the body of a message. Octets come in pieces of up to 64 KiB, and none are left out: read on until there are none.
pub struct Body<'a> {
    message: Message<'a>,
    /// Where the next piece begins.
    offset: u64,
    /// Copied, since the host lends a piece only until another is asked for, perhaps by another reader.
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Body<'_> {
    fn next_piece(&mut self) -> Result<(), Fault> {
        let (message, offset) = (self.message, self.offset);
        // Another reader of this message may be on another thread.
        let guard = guard(message.handle.addr());
        let piece = message.lent("the body", |value| {
            // SAFETY: the handle is valid during 'a, and the value has room for what is written.
            unsafe { (message.table.body)(message.handle, offset, value) }
        })?;
        self.piece.clear();
        self.piece.extend_from_slice(piece);
        drop(guard);
        self.taken = 0;
        self.offset += self.piece.len() as u64;
        self.ended = self.piece.is_empty();
        Ok(())
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.piece.len() && !self.ended {
            self.next_piece().map_err(|Fault(reason)| io::Error::other(reason))?;
        }
        Ok(&self.piece[self.taken..])
    }

    fn consume(&mut self, octets: usize) {
        self.taken = self.piece.len().min(self.taken + octets);
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let octets = self.fill_buf()?.read(into)?;
        self.consume(octets);
        Ok(octets)
    }
}
