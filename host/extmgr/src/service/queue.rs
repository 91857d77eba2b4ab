//! The queue service: counts and moves mail that waits, by its destination.

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::host::Host;
use crate::mail::{Coming, Door, Finding, MailError, MailFor};
use crate::request::check_may_wait;

/// The most requests of one plug-in that are under way or not read.
pub(crate) const REQUESTS_MAX: usize = 4096;

pub(super) static TABLE: abi::EmQueueService = abi::EmQueueService {
    size: size_of_u32::<abi::EmQueueService>(),
    reserved: 0,
    count_wait,
    hold_wait,
    release_wait,
    flush_wait,
    count,
    hold,
    release,
    flush,
    result,
};

/// One of the things that can be asked for.
enum Asked {
    Count(MailFor),
    Hold(MailFor, String),
    Release(MailFor),
    Flush(MailFor),
}

impl Asked {
    /// Whether a plug-in may ask for it.
    fn check(&self, plugin: &Host) -> Result<(), abi::STATUS> {
        let declared = plugin.descriptor.edits & abi::EM_EDIT_QUEUE != 0;
        if !declared && !matches!(self, Self::Count(_)) {
            return Err(abi::ERR_EM_NOTAUTHORIZED);
        }
        match self {
            Self::Hold(_, reason) if !is_reason(reason) => Err(abi::ERR_MISC_INVALID_ARGS),
            _ => Ok(()),
        }
    }

    fn of(self, door: &Door) -> Coming<Finding> {
        let mail = &door.mail;
        match self {
            Self::Count(of) => {
                let count = mail.count(of);
                Box::pin(async move { count.await.map(Finding::Waiting) })
            }
            Self::Hold(of, reason) => moved(mail.hold(of, reason)),
            Self::Release(of) => moved(mail.release(of)),
            Self::Flush(of) => moved(mail.flush(of)),
        }
    }
}

fn moved(moving: Coming<u64>) -> Coming<Finding> {
    Box::pin(async move { moving.await.map(Finding::Moved) })
}

/// The plug-in behind a handle.
///
/// # Safety
/// `host` is what em_entry was given.
unsafe fn plugin(host: *mut abi::EmHost) -> Result<&'static Host, abi::STATUS> {
    // SAFETY: by the caller's promise.
    unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)
}

/// Writes a result to where the plug-in wants it.
///
/// # Safety
/// `count` is NULL or a place of the plug-in's whose size says how far it goes.
unsafe fn fill(
    count: *mut abi::EmQueueCount,
    find: impl FnOnce() -> Result<Finding, abi::STATUS>,
) -> abi::STATUS {
    answer(|| {
        if count.is_null() || !count.is_aligned() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        // SAFETY: by the caller's promise; the size comes first.
        let size = unsafe { (&raw const (*count).size).read() };
        if size < size_of_u32::<abi::EmQueueCount>() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let (queued, held, octets) = match find()? {
            Finding::Waiting(waiting) => (waiting.queued, waiting.held, waiting.octets),
            Finding::Moved(moved) => (moved, 0, 0),
        };
        // SAFETY: as long as ours at least, by its size.
        unsafe { count.write(abi::EmQueueCount { size, reserved: 0, queued, held, octets }) };
        Ok(())
    })
}

/// Asks and waits.
///
/// # Safety
/// As [`read`] and [`fill`].
unsafe fn ask_and_wait(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    make: impl FnOnce(MailFor) -> Result<Asked, abi::STATUS>,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    let find = || {
        // SAFETY: by the caller's promise.
        let (plugin, asked) = unsafe { read(host, destination, make) }?;
        check_may_wait()?;
        plugin.mail(|door| door.wait(asked.of(door)))
    };
    // SAFETY: by the caller's promise.
    unsafe { fill(count, find) }
}

/// Asks for later.
///
/// # Safety
/// As [`read`]; `request` is NULL or a place of the plug-in's.
unsafe fn ask(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    destination: abi::EmText,
    make: impl FnOnce(MailFor) -> Result<Asked, abi::STATUS>,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    let find = || {
        // SAFETY: by the caller's promise.
        let (plugin, asked) = unsafe { read(host, destination, make) }?;
        plugin.mail(|door| {
            plugin.queue_requests.begin(plugin, token, || {
                let coming = asked.of(door);
                async move { coming.await.map_err(MailError::status) }
            })
        })
    };
    // SAFETY: by the caller's promise.
    unsafe { super::hand_out(request, find) }
}

/// Reads who asks, and for what.
///
/// # Safety
/// `host` is what em_entry was given, and the text is lent for the call.
unsafe fn read(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    make: impl FnOnce(MailFor) -> Result<Asked, abi::STATUS>,
) -> Result<(&'static Host, Asked), abi::STATUS> {
    // SAFETY: by the caller's promise.
    let (plugin, destination) = unsafe { (plugin(host)?, super::text(destination)?) };
    let asked = make(MailFor::parse(destination))?;
    asked.check(plugin)?;
    Ok((plugin, asked))
}

fn is_reason(reason: &str) -> bool {
    let printable = reason.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    (1..=256).contains(&reason.len()) && printable
}

/// A hold with its reason.
///
/// # Safety
/// The text is lent for the call.
unsafe fn holding(of: MailFor, reason: abi::EmText) -> Result<Asked, abi::STATUS> {
    // SAFETY: by the caller's promise.
    Ok(Asked::Hold(of, unsafe { super::text(reason) }?.to_owned()))
}

unsafe extern "C" fn count_wait(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask_and_wait` wants.
    unsafe { ask_and_wait(host, destination, |of| Ok(Asked::Count(of)), count) }
}

unsafe extern "C" fn hold_wait(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    reason: abi::EmText,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask_and_wait` wants, and lends the reason for the call.
    unsafe { ask_and_wait(host, destination, |of| holding(of, reason), count) }
}

unsafe extern "C" fn release_wait(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask_and_wait` wants.
    unsafe { ask_and_wait(host, destination, |of| Ok(Asked::Release(of)), count) }
}

unsafe extern "C" fn flush_wait(
    host: *mut abi::EmHost,
    destination: abi::EmText,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask_and_wait` wants.
    unsafe { ask_and_wait(host, destination, |of| Ok(Asked::Flush(of)), count) }
}

unsafe extern "C" fn count(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    destination: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask` wants.
    unsafe { ask(host, token, destination, |of| Ok(Asked::Count(of)), request) }
}

unsafe extern "C" fn hold(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    destination: abi::EmText,
    reason: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask` wants, and lends the reason for the call.
    unsafe { ask(host, token, destination, |of| holding(of, reason), request) }
}

unsafe extern "C" fn release(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    destination: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask` wants.
    unsafe { ask(host, token, destination, |of| Ok(Asked::Release(of)), request) }
}

unsafe extern "C" fn flush(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    destination: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    // SAFETY: the contract gives what `ask` wants.
    unsafe { ask(host, token, destination, |of| Ok(Asked::Flush(of)), request) }
}

unsafe extern "C" fn result(
    host: *mut abi::EmHost,
    request: abi::EmRequest,
    count: *mut abi::EmQueueCount,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `plugin` wants.
        let requests = unsafe { &plugin(host)?.queue_requests };
        requests.take(request, |found| Ok(*found)).ok_or(abi::ERR_MISC_INVALID_ARGS)?
    };
    // SAFETY: the contract gives what `fill` wants.
    unsafe { fill(count, find) }
}
