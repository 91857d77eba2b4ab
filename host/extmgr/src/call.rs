//! One call of one handler: the record is made, the handler called, its sheet taken.
//! The only function that enters a plug-in's handler; what the answer means is decided in the chain.

use std::cell::Cell;
use std::time::{Duration, Instant};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Class, Decision, Draft, Edit, Facts, Stage};

use crate::arguments::{Arguments, lend_reply, size_of_u32};
use crate::context::Context;
use crate::event;
use crate::registry::Registration;
use crate::sheet::Sheet;

/// What a handler left behind.
pub(crate) struct Outcome {
    pub(crate) status: abi::STATUS,
    pub(crate) verdict: Option<Decision>,
    pub(crate) edits: Vec<Edit>,
    /// How long the handler took, when that was measured: where it may be asked how a message came to be changed.
    pub(crate) spent: Option<Duration>,
}

/// Marks a `CallSession` while its handler runs, so that a pointer kept beyond that, or a wrong one, is mostly told.
const MAGIC: u64 = 0x5354_4147_4553_4553;

/// The session as one call sees it. `EmSession *` points to one of these while the handler runs.
pub(crate) struct CallSession<'a> {
    magic: u64,
    pub(crate) facts: &'a Facts,
    pub(crate) context: &'a Context,
    /// The place of the plug-in that is called.
    pub(crate) plugin: usize,
}

impl CallSession<'_> {
    /// The session behind a handle that came from a plug-in.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of a `CallSession`'s size, and is used only while the handler that
    /// was given it runs.
    pub(crate) unsafe fn from_handle<'a>(
        handle: *const abi::EmSession,
    ) -> Option<&'a CallSession<'a>> {
        let session = handle.cast::<CallSession<'a>>();
        if !session.is_aligned() {
            return None;
        }
        // SAFETY: by the caller's promise.
        let session = unsafe { session.as_ref() }?;
        (session.magic == MAGIC).then_some(session)
    }

    fn revoke(&mut self) {
        // SAFETY: a place of our own. Volatile, since nothing that the compiler knows of reads it any more.
        unsafe { (&raw mut self.magic).write_volatile(0) };
    }
}

/// Marks a `CallMessage` while its handler runs, as the other two are.
const MESSAGE_MAGIC: u64 = 0x5354_4147_454d_5347;

/// The message as one call sees it. `EmMessage *` points to one of these while the handler runs.
pub(crate) struct CallMessage<'a> {
    magic: u64,
    pub(crate) draft: &'a Draft,
    /// The session's id.
    pub(crate) session: u64,
    /// Where a piece of a body is that had to be read from a file.
    pub(crate) buffer: Cell<Vec<u8>>,
}

impl<'a> CallMessage<'a> {
    fn new(draft: &'a Draft, session: u64) -> Self {
        Self { magic: MESSAGE_MAGIC, draft, session, buffer: Cell::default() }
    }

    /// The message behind a handle that came from a plug-in.
    ///
    /// # Safety
    /// `handle` is NULL or points to readable memory of a `CallMessage`'s size, and is used only while the handler that
    /// was given it runs, on its thread.
    pub(crate) unsafe fn from_handle<'h>(
        handle: *const abi::EmMessage,
    ) -> Option<&'h CallMessage<'h>> {
        let message = handle.cast::<CallMessage<'h>>();
        if !message.is_aligned() {
            return None;
        }
        // SAFETY: by the caller's promise.
        let message = unsafe { message.as_ref() }?;
        (message.magic == MESSAGE_MAGIC).then_some(message)
    }

    fn revoke(&mut self) {
        // SAFETY: a place of our own. Volatile, since nothing that the compiler knows of reads it any more.
        unsafe { (&raw mut self.magic).write_volatile(0) };
    }
}

/// Calls a handler. Everything it is lent lives on this stack or in `ask` and `context`, which the caller keeps.
pub(crate) fn invoke(registration: &Registration, ask: &Ask, context: &Context) -> Outcome {
    let plugin = registration.plugin;
    let mut sheet = Sheet::new(plugin, registration.event, ask.stage, &ask.facts);
    let mut session =
        CallSession { magic: MAGIC, facts: &ask.facts, context, plugin: plugin.index };
    let reply = ask.reply.as_ref().map(lend_reply);
    let mut message = ask.message.as_ref().map(|draft| CallMessage::new(draft, ask.facts.id));
    let head = abi::EmEvent {
        size: 0,
        reserved: 0,
        session: (&raw mut session).cast_const().cast(),
        edits: (&raw mut sheet).cast(),
        reply: reply.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
    };
    let readable = message
        .as_mut()
        .map_or(std::ptr::null(), |message| std::ptr::from_mut(message).cast_const().cast());
    let arguments = Arguments::new(ask, head, readable);
    let record = abi::EMRECORD {
        EId: event::number(registration.event),
        NotificationType: match ask.stage {
            Stage::Before => abi::EM_BEFORE,
            Stage::After => abi::EM_AFTER,
        },
        Status: status_of(ask),
        Size: const { size_of_u32::<abi::EMRECORD>() as u16 },
        Event: arguments.as_ptr(),
        UserData: registration.user_data,
    };
    let begun = sheet.may_change_message().then(Instant::now);
    // SAFETY: the handler came from EMRegister, so it has this signature; its file stays mapped for ever. The record and
    // all it points to outlive the call. The sheet is reached only through the handle while the handler runs.
    let status = unsafe { (registration.handler)(&raw const record) };
    let spent = begun.map(|begun| begun.elapsed());
    session.revoke();
    sheet.revoke();
    if let Some(message) = &mut message {
        message.revoke();
    }
    let (verdict, edits) = (sheet.verdict.take(), std::mem::take(&mut sheet.edits));
    Outcome { status, verdict, edits, spent }
}

/// The record's Status: whether the core's work went well.
fn status_of(ask: &Ask) -> abi::STATUS {
    match ask.reply.as_ref().map(|reply| reply.class()) {
        None | Some(Class::Positive | Class::Intermediate) => abi::NOERROR,
        Some(Class::Transient | Class::Permanent) => abi::EM_VERDICT,
    }
}
