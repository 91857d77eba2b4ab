//! What one call is lent: the record and everything it points to, at one place that does not move while anybody may look.
//! Behind the contract's `EMRECORD`, `EmSession`, `EmEdits` and `EmMessage`; calls nobody.

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Class, Decision, Draft, Edit, Facts, Stage};
use tokio::time::Instant;

use crate::arguments::{Arguments, lend_reply, size_of_u32};
use crate::context::Context;
use crate::event;
use crate::host::Host;
use crate::lookup::Lookups;
use crate::pending::Site;
use crate::registry::Registration;
use crate::release::Giver;
use crate::sheet::Sheet;

/// Marks what a handle of the contract points to as long as the call lasts, so that a wrong pointer, or one kept
/// beyond that, is told while nothing else is at its place. A later call's passes for it there.
struct Mark(AtomicU64);

impl Mark {
    /// Whether it is there, and the one wanted.
    fn is(&self, wanted: u64) -> bool {
        self.0.load(Ordering::Relaxed) == wanted
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: a place of our own. Volatile, since nothing that the compiler knows of reads it any more.
        unsafe { (&raw mut self.0).cast::<u64>().write_volatile(0) };
    }
}

const SESSION: u64 = 0x5354_4147_4553_4553;
const SHEET: u64 = 0x5354_4147_4553_4854;
const MESSAGE: u64 = 0x5354_4147_454d_5347;

/// The session as one call sees it. `EmSession *` points to one of these.
pub(crate) struct CallSession<'a> {
    mark: Mark,
    pub(crate) facts: &'a Facts,
    pub(crate) context: &'a Context,
    /// The message that the call is about, if it is about one.
    draft: Option<&'a Draft>,
    /// Who is called, and at what.
    pub(crate) called: Giver,
}

/// The sheet of one call. `EmEdits *` points to one of these.
pub(crate) struct CallSheet<'a> {
    mark: Mark,
    plugin: &'static Host,
    ask: &'a Ask,
    context: &'a Context,
    /// Made by the first edit, since most calls have none. Locked for every edit: a pending call's sheet takes them from
    /// any thread.
    sheet: OnceLock<Mutex<Sheet<'a>>>,
    /// Where a token is taken, if the call may go pending.
    pub(crate) site: Option<&'a Site>,
    /// On a thread that may block: until when.
    blocks_until: Option<Instant>,
    /// Those that were waited for.
    pub(crate) lookups: Lookups,
}

/// The message as one call sees it. `EmMessage *` points to one of these.
pub(crate) struct CallMessage<'a> {
    mark: Mark,
    pub(crate) draft: &'a Draft,
    /// The session's id.
    pub(crate) session: u64,
    /// Where a piece of a body is that had to be read from a file.
    pub(crate) buffer: Mutex<Vec<u8>>,
}

/// Makes the functions that take a handle of the contract for what it points to.
macro_rules! handles {
    ($($type:ident $handle:ident $mark:ident)*) => {$(
        impl $type<'_> {
            /// What is behind a handle that came from a plug-in.
            ///
            /// # Safety
            /// `handle` is NULL or points to readable memory of this type's size, and the result is used only until the
            /// call has ended that the handle came with.
            pub(crate) unsafe fn from_handle<'h>(
                handle: *const abi::$handle,
            ) -> Option<&'h $type<'h>> {
                let found = handle.cast::<$type<'h>>();
                if !found.is_aligned() {
                    return None;
                }
                // SAFETY: by the caller's promise.
                let found = unsafe { found.as_ref() }?;
                found.mark.is($mark).then_some(found)
            }
        }
    )*};
}

handles! {
    CallSession EmSession SESSION
    CallSheet EmEdits SHEET
    CallMessage EmMessage MESSAGE
}

impl CallSession<'_> {
    /// How many servers the message of this call came through: its Received fields.
    pub(crate) fn hops(&self) -> usize {
        let header = self.draft.map_or(&[][..], Draft::header);
        let is_trace = |line: &&[u8]| {
            line.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"received:"))
        };
        header.split(|octet| *octet == b'\n').filter(is_trace).count()
    }
}

impl<'a> CallSheet<'a> {
    /// The sheet, for one edit.
    pub(crate) fn write(&self) -> MutexGuard<'_, Sheet<'a>> {
        let fresh = || Sheet::new(self.plugin, self.ask, self.context.registry.claims());
        let sheet = self.sheet.get_or_init(|| Mutex::new(fresh()));
        sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when the call may block its thread.
    ///
    /// # Errors
    /// The status for the plug-in: not at all.
    pub(crate) fn may_block_until(&self) -> Result<Instant, abi::STATUS> {
        let until = self.blocks_until.ok_or(abi::EM_ERR_STAGE)?;
        // The deadline of a pending call may have been put off.
        Ok(self.site.and_then(Site::pending).map_or(until, |pending| pending.deadline()))
    }

    pub(crate) fn plugin(&self) -> &'static Host {
        self.plugin
    }
}

/// Everything that one call is lent. Its members point to each other, so it is filled in where it stays.
pub(crate) struct Frame<'a> {
    session: CallSession<'a>,
    sheet: CallSheet<'a>,
    message: Option<CallMessage<'a>>,
    reply: Option<abi::EmReply>,
    /// Made of the members above: what a plug-in reads.
    lent: UnsafeCell<Option<Lent>>,
    _pinned: PhantomPinned,
}

struct Lent {
    arguments: Arguments,
    record: abi::EMRECORD,
}

impl<'a> Frame<'a> {
    /// What a handler is lent for a question.
    #[inline]
    pub(crate) fn new(
        registration: &Registration,
        ask: &'a Ask,
        context: &'a Context,
        blocks_until: Option<Instant>,
    ) -> Self {
        let plugin = registration.plugin;
        Self {
            session: CallSession {
                mark: Mark(AtomicU64::new(SESSION)),
                facts: &ask.facts,
                context,
                draft: ask.message.as_ref(),
                called: Giver {
                    plugin,
                    event: registration.event,
                    stage: ask.stage,
                    session: ask.facts.id,
                },
            },
            sheet: CallSheet {
                mark: Mark(AtomicU64::new(SHEET)),
                plugin,
                ask,
                context,
                sheet: OnceLock::new(),
                site: None,
                blocks_until,
                lookups: Lookups::default(),
            },
            message: ask.message.as_ref().map(|draft| CallMessage {
                mark: Mark(AtomicU64::new(MESSAGE)),
                draft,
                session: ask.facts.id,
                buffer: Mutex::default(),
            }),
            reply: ask.reply.as_ref().map(lend_reply),
            lent: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Lets the call go pending.
    pub(crate) fn may_pend(&mut self, site: &'a Site) {
        self.sheet.site = Some(site);
    }

    /// Fills the record in. It and all it points to are valid as long as the frame, and what the frame borrows.
    #[inline]
    pub(crate) fn record(
        self: Pin<&Self>,
        registration: &Registration,
        ask: &'a Ask,
    ) -> *const abi::EMRECORD {
        let frame = self.get_ref();
        let message = frame.message.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let head = abi::EmEvent {
            size: 0,
            reserved: 0,
            session: (&raw const frame.session).cast(),
            // The contract's setters take it without const; the host changes it only behind its lock.
            edits: (&raw const frame.sheet).cast_mut().cast(),
            reply: frame.reply.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
        };
        let arguments = Arguments::new(ask, head, message.cast());
        // SAFETY: called once for a frame, before anybody has a pointer into `lent`.
        let lent = unsafe { &mut *frame.lent.get() };
        debug_assert!(lent.is_none(), "a frame is filled in once");
        let record = abi::EMRECORD {
            EId: event::number(registration.event),
            NotificationType: match ask.stage {
                Stage::Before => abi::EM_BEFORE,
                Stage::After => abi::EM_AFTER,
            },
            Status: status_of(ask),
            Size: const { size_of_u32::<abi::EMRECORD>() as u16 },
            Event: std::ptr::null(),
            UserData: registration.user_data,
        };
        let lent = lent.insert(Lent { arguments, record });
        lent.record.Event = lent.arguments.as_ptr();
        &raw const lent.record
    }

    /// Whether an edit of the message can be asked for in this call.
    pub(crate) fn may_change_message(&self) -> bool {
        Sheet::may_change_message(self.sheet.plugin, self.sheet.ask)
    }

    /// Takes what was written to the sheet; none: nobody has written to it.
    #[inline]
    pub(crate) fn take(&self) -> Option<(Option<Decision>, Vec<Edit>)> {
        self.sheet.sheet.get()?;
        let mut sheet = self.sheet.write();
        Some((sheet.verdict.take(), sheet.take_edits()))
    }
}

/// The record's Status: whether the core's work went well.
fn status_of(ask: &Ask) -> abi::STATUS {
    match ask.reply.as_ref().map(|reply| reply.class()) {
        None | Some(Class::Positive | Class::Intermediate) => abi::NOERROR,
        Some(Class::Transient | Class::Permanent) => abi::EM_VERDICT,
    }
}
