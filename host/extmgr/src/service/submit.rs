//! The submit service: messages that plug-ins make.

use std::ffi::c_char;
use std::sync::Arc;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::dispatch::Dispatch;
use crate::frame::CallSession;
use crate::host::Host;
use crate::mail::{MailError, Submission, Submitter};
use crate::release::Giver;
use crate::request::check_may_wait;

/// The most requests of one plug-in that are under way or not read.
pub(crate) const REQUESTS_MAX: usize = 4096;

pub(super) static TABLE: abi::EmSubmitService = abi::EmSubmitService {
    size: size_of_u32::<abi::EmSubmitService>(),
    reserved: 0,
    begin,
    recipient,
    write_wait,
    commit_wait,
    write,
    commit,
    result,
    abandon,
};

/// The plug-in behind a handle, if it may make messages.
///
/// # Safety
/// `host` is what em_entry was given.
unsafe fn plugin(host: *mut abi::EmHost) -> Result<&'static Host, abi::STATUS> {
    // SAFETY: by the caller's promise.
    let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    if plugin.descriptor.edits & abi::EM_EDIT_SUBMIT == 0 {
        return Err(abi::ERR_EM_NOTAUTHORIZED);
    }
    Ok(plugin)
}

/// Writes an id to where the plug-in wants it.
///
/// # Safety
/// `place` is NULL or a place of the plug-in's.
unsafe fn hand_out_id(place: *mut abi::EmQueueId, id: &str) {
    if place.is_null() {
        return;
    }
    let mut text: [c_char; 32] = [0; 32];
    // The last place stays NUL.
    for (place, octet) in text.iter_mut().take(31).zip(id.bytes()) {
        *place = c_char::from_ne_bytes([octet]);
    }
    // SAFETY: not NULL, and by the caller's promise writable.
    unsafe { place.write(abi::EmQueueId { text }) };
}

unsafe extern "C" fn begin(
    host: *mut abi::EmHost,
    session: *const abi::EmSession,
    sender: abi::EmText,
    parameters: abi::EmText,
    submission: *mut abi::EmSubmission,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract: `host` is what em_entry was given, and text is lent for the call.
        let (plugin, sender, parameters) =
            unsafe { (plugin(host)?, super::text(sender)?, super::text(parameters)?) };
        // SAFETY: the contract: NULL, or the session of a call that has not ended.
        let cause = unsafe { CallSession::from_handle(session) };
        if cause.is_none() && !session.is_null() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let submitter = Submitter {
            plugin: plugin.name.clone(),
            session: cause.map_or(0, |cause| cause.facts.id),
            hops: cause.map_or(0, CallSession::hops),
        };
        let directory = plugin.loaded()?;
        let current = directory.current();
        let asked = match cause {
            Some(cause) => {
                let Giver { plugin, event, stage, .. } = cause.called();
                let led_to_it = cause.context.registry.lead_on(plugin.index, event, stage);
                current.for_submitted(led_to_it, None)
            }
            None => current.for_causeless(plugin.index),
        };
        let dispatch = Dispatch::new(Arc::new(asked));
        plugin.mail(|door| {
            plugin.submissions.add(|| {
                let begun = door.mail.submit(submitter, dispatch, sender, parameters);
                begun.map_err(MailError::status)
            })
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(submission, find) }
}

unsafe extern "C" fn recipient(
    host: *mut abi::EmHost,
    submission: abi::EmSubmission,
    path: abi::EmText,
    parameters: abi::EmText,
    flags: u32,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given, and text is lent for the call.
        let (plugin, path, parameters) =
            unsafe { (plugin(host)?, super::text(path)?, super::text(parameters)?) };
        if flags & !abi::EM_SUBMIT_GRANT != 0 {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let mut taken = plugin.submissions.take(submission)?;
        let added = taken.recipient(path, parameters, flags & abi::EM_SUBMIT_GRANT != 0);
        plugin.submissions.put(submission, Some(taken));
        added.map_err(MailError::status)
    })
}

/// Takes a message in hand, and does work with it that must be begun in any case: without, it would stay in hand.
fn in_hand<T>(
    plugin: &'static Host,
    submission: abi::EmSubmission,
    work: impl FnOnce(&mut Option<Box<dyn Submission>>) -> Result<T, abi::STATUS>,
) -> Result<T, abi::STATUS> {
    let mut taken = Some(plugin.submissions.take(submission)?);
    let begun = work(&mut taken);
    if let Some(left) = taken {
        plugin.submissions.put(submission, Some(left));
    }
    begun
}

unsafe extern "C" fn write_wait(
    host: *mut abi::EmHost,
    submission: abi::EmSubmission,
    octets: abi::EmText,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given, and octets are lent for the call.
        let (plugin, octets) = unsafe { (plugin(host)?, super::octets(octets)?.to_vec()) };
        in_hand(plugin, submission, |taken| {
            check_may_wait()?;
            plugin.mail(|door| {
                let taken = taken.take().ok_or(abi::ERR_MISC_INVALID_ARGS)?;
                door.wait(plugin.submissions.write(submission, taken, octets))
            })
        })
    })
}

unsafe extern "C" fn commit_wait(
    host: *mut abi::EmHost,
    submission: abi::EmSubmission,
    id: *mut abi::EmQueueId,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { plugin(host) }?;
        let committed = in_hand(plugin, submission, |taken| {
            check_may_wait()?;
            plugin.mail(|door| {
                let taken = taken.take().ok_or(abi::ERR_MISC_INVALID_ARGS)?;
                door.wait(plugin.submissions.commit(submission, taken))
            })
        })?;
        // SAFETY: the contract: NULL or a place for an id.
        unsafe { hand_out_id(id, &committed) };
        Ok(())
    })
}

unsafe extern "C" fn write(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    submission: abi::EmSubmission,
    octets: abi::EmText,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract: `host` is what em_entry was given, and octets are lent for the call.
        let (plugin, octets) = unsafe { (plugin(host)?, super::octets(octets)?.to_vec()) };
        in_hand(plugin, submission, |taken| {
            plugin.submit_requests.begin(plugin, token, || {
                let writing =
                    taken.take().map(|it| plugin.submissions.write(submission, it, octets));
                async move {
                    let written = writing.ok_or(abi::ERR_MISC_INVALID_ARGS)?.await;
                    written.map(|()| None).map_err(MailError::status)
                }
            })
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(request, find) }
}

unsafe extern "C" fn commit(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    submission: abi::EmSubmission,
    request: *mut abi::EmRequest,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { plugin(host) }?;
        in_hand(plugin, submission, |taken| {
            plugin.submit_requests.begin(plugin, token, || {
                let committing = taken.take().map(|it| plugin.submissions.commit(submission, it));
                async move {
                    let committed = committing.ok_or(abi::ERR_MISC_INVALID_ARGS)?.await;
                    committed.map(Some).map_err(MailError::status)
                }
            })
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(request, find) }
}

unsafe extern "C" fn result(
    host: *mut abi::EmHost,
    request: abi::EmRequest,
    id: *mut abi::EmQueueId,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { plugin(host) }?;
        let read = |found: &Option<String>| {
            if let Some(committed) = found {
                // SAFETY: the contract: NULL or a place for an id.
                unsafe { hand_out_id(id, committed) };
            }
            Ok(())
        };
        plugin.submit_requests.take(request, read).ok_or(abi::ERR_MISC_INVALID_ARGS)?
    })
}

unsafe extern "C" fn abandon(host: *mut abi::EmHost, submission: abi::EmSubmission) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { plugin(host) }?;
        let taken = plugin.submissions.take(submission)?;
        plugin.submissions.put(submission, None);
        // Outside the lock: it may have a file to remove.
        drop(taken);
        Ok(())
    })
}
