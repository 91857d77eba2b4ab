//! What one call is lent: the record and everything it points to, at one place that does not move while anybody may look.
//! Behind the contract's `EMRECORD`, `EmSession`, `EmEdits` and `EmMessage`; calls nobody.

use std::cell::{Cell, OnceCell, UnsafeCell};
use std::ffi::c_void;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Class, Draft, Facts, Stage};
use tokio::time::Instant;

use crate::arguments::{Arguments, lend_reply, size_of_u32};
use crate::context::Context;
use crate::event;
use crate::host::Host;
use crate::lookup::Lookups;
use crate::pending::Site;
use crate::release::Giver;
use crate::sheet::{Sheet, Written};

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
    ask: &'a Ask,
    plugin: Callee,
}

/// Who is called. Changed only between two calls, when nobody may look.
type Callee = Cell<&'static Host>;

/// The sheet of one call. `EmEdits *` points to one of these.
pub(crate) struct CallSheet<'a> {
    mark: Mark,
    plugin: Callee,
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
    /// How many servers the message of this call came through: its Received fields, and this one if a plug-in made it.
    pub(crate) fn hops(&self) -> usize {
        let header = self.ask.message.as_ref().map_or(&[][..], Draft::header);
        let is_trace = |line: &&[u8]| {
            line.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"received:"))
        };
        let traces = header.split(|octet| *octet == b'\n').filter(is_trace).count();
        // A client's message has this server's field only when it goes on.
        traces + usize::from(self.context.registry.is_for_submitted())
    }

    /// Who is called, and at what.
    pub(crate) fn called(&self) -> Giver {
        let (event, stage) = (self.ask.question.event(), self.ask.stage);
        Giver { plugin: self.plugin.get(), event, stage, session: self.facts.id }
    }
}

impl<'a> CallSheet<'a> {
    /// The sheet, for one edit.
    pub(crate) fn write(&self) -> MutexGuard<'_, Sheet<'a>> {
        let fresh = || Sheet::new(self.plugin.get(), self.ask, self.context.registry.claims());
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
        self.plugin.get()
    }
}

/// Everything that one call is lent. Its members point to each other, so it is filled in where it stays. The calls that a
/// question makes one after another may share one, as long as none of them writes to the sheet.
pub(crate) struct Frame<'a> {
    session: CallSession<'a>,
    sheet: CallSheet<'a>,
    message: Option<CallMessage<'a>>,
    reply: Option<abi::EmReply>,
    /// Made of the members above: what a plug-in reads.
    arguments: OnceCell<Arguments>,
    /// The same with the secret that a question may have, for plug-ins that may see it. Rare, so it is elsewhere.
    trusted: OnceCell<Box<Arguments>>,
    record: UnsafeCell<MaybeUninit<abi::EMRECORD>>,
    _pinned: PhantomPinned,
}

impl<'a> Frame<'a> {
    /// What a handler is lent for a question.
    #[inline]
    pub(crate) fn new(
        plugin: &'static Host,
        ask: &'a Ask,
        context: &'a Context,
        blocks_until: Option<Instant>,
    ) -> Self {
        Self {
            session: CallSession {
                mark: Mark(AtomicU64::new(SESSION)),
                facts: &ask.facts,
                context,
                ask,
                plugin: Cell::new(plugin),
            },
            sheet: CallSheet {
                mark: Mark(AtomicU64::new(SHEET)),
                plugin: Cell::new(plugin),
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
            arguments: OnceCell::new(),
            trusted: OnceCell::new(),
            record: UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// Lets the call go pending.
    pub(crate) fn may_pend(&mut self, site: &'a Site) {
        self.sheet.site = Some(site);
    }

    /// Fills the record in for a handler. It and all it points to are valid as long as the frame, and what the frame borrows;
    /// for that handler until this is asked for the next one's.
    #[inline]
    pub(crate) fn lend(
        self: Pin<&Self>,
        plugin: &'static Host,
        user_data: *mut c_void,
    ) -> *const abi::EMRECORD {
        let frame = self.get_ref();
        frame.session.plugin.set(plugin);
        frame.sheet.plugin.set(plugin);
        let ask = frame.sheet.ask;
        let trusted =
            ask.secret.is_some() && plugin.descriptor.edits & abi::EM_EDIT_CREDENTIALS != 0;
        let arguments = match trusted {
            true => frame.trusted.get_or_init(|| Box::new(frame.arguments(true))),
            false => frame.arguments.get_or_init(|| frame.arguments(false)),
        };
        let record = abi::EMRECORD {
            EId: event::number(ask.question.event()),
            NotificationType: match ask.stage {
                Stage::Before => abi::EM_BEFORE,
                Stage::After => abi::EM_AFTER,
            },
            Status: status_of(ask),
            Size: const { size_of_u32::<abi::EMRECORD>() as u16 },
            Event: arguments.as_ptr(),
            UserData: user_data,
        };
        let place = frame.record.get().cast::<abi::EMRECORD>();
        // SAFETY: a place of our own, to which there are pointers and no references; whoever was called before is done
        // with it.
        unsafe { place.write(record) };
        place
    }

    fn arguments(&self, trusted: bool) -> Arguments {
        let message = self.message.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let head = abi::EmEvent {
            size: 0,
            reserved: 0,
            session: (&raw const self.session).cast(),
            // The contract's setters take it without const; the host changes it only behind its lock.
            edits: (&raw const self.sheet).cast_mut().cast(),
            reply: self.reply.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
        };
        Arguments::new(self.sheet.ask, head, message.cast(), trusted)
    }

    /// Whether nobody has written to the sheet.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        self.sheet.sheet.get().is_none()
    }

    /// Whether an edit of the message can be asked for in this call.
    pub(crate) fn may_change_message(&self) -> bool {
        let ask = self.sheet.ask;
        Sheet::may_change_message(self.sheet.plugin.get(), ask.question.event(), ask.stage)
    }

    /// Takes what was written to the sheet; none: nobody has written to it.
    #[inline]
    pub(crate) fn take(&self) -> Option<Written> {
        self.sheet.sheet.get()?;
        Some(self.sheet.write().take())
    }
}

/// The record's Status: whether the core's work went well.
fn status_of(ask: &Ask) -> abi::STATUS {
    match ask.reply.as_ref().map(|reply| reply.class()) {
        None | Some(Class::Positive | Class::Intermediate) => abi::NOERROR,
        Some(Class::Transient | Class::Permanent) => abi::EM_VERDICT,
    }
}
