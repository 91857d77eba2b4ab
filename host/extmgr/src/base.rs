//! The base table: the host's side of registration, as plug-ins call it.
//! Checks every argument; keeps nothing itself.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

use stagepost_abi as abi;
use stagepost_smtp::{Event, Stage};

use crate::arguments::size_of_u32;
use crate::event;
use crate::host::Host;
use crate::life::{LifeEvent, LifeRegistration};
use crate::registry::{Registration, next_handle};
use crate::release::{Giver, LifeRelease, Release};
use crate::service;

/// The table that every plug-in is given.
pub(crate) static BASE: Table = Table(abi::EmBase {
    size: size_of_u32::<abi::EmBase>(),
    abi_major: abi::EM_ABI_MAJOR,
    abi_minor: abi::EM_ABI_MINOR,
    EMRegister: em_register,
    EMDeregister: em_deregister,
    EMCreateRecursionID: em_create_recursion_id,
    service: service::find,
    reserved: [std::ptr::null(); 4],
});

/// The base table as a static.
pub(crate) struct Table(pub(crate) abi::EmBase);

// SAFETY: the table holds function pointers and NULLs, and is never changed.
unsafe impl Sync for Table {}

/// The last recursion id given out.
static RECURSION_IDS: AtomicU16 = AtomicU16::new(0);

/// Answers a plug-in: the status of what was done, and no panic of ours crosses into its frames.
pub(crate) fn answer(act: impl FnOnce() -> Result<(), abi::STATUS>) -> abi::STATUS {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(())) => abi::NOERROR,
        Ok(Err(status)) => status,
        Err(_) => abi::EM_FAULT,
    }
}

unsafe extern "C" fn em_register(
    host: *mut abi::EmHost,
    event: abi::EID,
    flags: u32,
    handler: abi::EMHANDLER,
    user_data: *mut c_void,
    release: abi::EmRelease,
    recursion_id: u16,
    registration: *mut abi::HEMREGISTRATION,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        let handler = handler.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // Before anything is kept: what is refused must not have begun.
        if !registration.is_aligned() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        let number = event;
        let event = check(plugin, number, flags, recursion_id)?;
        let handle = next_handle();
        let event = match event {
            Registrable::Session(event) => event,
            Registrable::Life(event) => {
                let release = LifeRelease::new(plugin, user_data, release);
                let kept =
                    LifeRegistration { handle, event, number, flags, handler, user_data, release };
                if let Err((status, mut refused)) = plugin.add_life(kept) {
                    // As below.
                    if let Some(release) = refused.release.take() {
                        release.forget();
                    }
                    return Err(status);
                }
                return hand_out_handle(registration, handle);
            }
        };
        let stage = if flags & abi::EM_REG_BEFORE != 0 { Stage::Before } else { Stage::After };
        let giver = Giver { plugin, event, stage, session: 0 };
        let kept = Registration {
            handle,
            plugin,
            event,
            flags,
            recursion_id,
            handler,
            user_data,
            release: Release::new(giver, user_data, release),
            filter: OnceLock::new(),
        };
        if let Err((status, refused)) = plugin.add(Arc::new(kept)) {
            // What is refused stays the plug-in's own: it must not be released.
            let release = Arc::into_inner(refused).and_then(|mut refused| refused.release.take());
            if let Some(release) = release {
                release.forget();
            }
            return Err(status);
        }
        hand_out_handle(registration, handle)
    })
}

fn hand_out_handle(
    place: *mut abi::HEMREGISTRATION,
    handle: abi::HEMREGISTRATION,
) -> Result<(), abi::STATUS> {
    if !place.is_null() {
        // SAFETY: not NULL, aligned as `em_register` has seen, and by the contract a place to write the handle to.
        unsafe { place.write(handle) };
    }
    Ok(())
}

/// What a plug-in can register for.
enum Registrable {
    Session(Event),
    Life(LifeEvent),
}

/// Whether a plug-in may register so; the event that it means.
fn check(
    plugin: &Host,
    event: abi::EID,
    flags: u32,
    recursion_id: u16,
) -> Result<Registrable, abi::STATUS> {
    if recursion_id > RECURSION_IDS.load(Ordering::Relaxed) {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let stages = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
    if flags & stages == 0 || flags & !(stages | abi::EM_REG_SUBMITTED) != 0 {
        return Err(abi::ERR_EM_ILLEGALFLAGS);
    }
    let of_session = event::by_number(event);
    let of_session =
        of_session.map(|(event, bit)| (Registrable::Session(event), bit, event.has_after()));
    let of_life = LifeEvent::by_number(event);
    let of_life = of_life.map(|(event, bit)| (Registrable::Life(event), bit, event.has_after()));
    let (event, stage_bit, has_after) = of_session.or(of_life).ok_or(abi::ERR_EM_ILLEGAL)?;
    let of_message =
        matches!(event, Registrable::Session(Event::Headers | Event::Body | Event::MessageAccept));
    if flags & abi::EM_REG_AFTER != 0 && !has_after
        || flags & abi::EM_REG_SUBMITTED != 0 && !of_message
    {
        return Err(abi::ERR_EM_ILLEGALFLAGS);
    }
    if plugin.descriptor.stages & stage_bit == 0 {
        return Err(abi::ERR_EM_NOTAUTHORIZED);
    }
    if plugin.owes_layout() {
        return Err(abi::EM_ERR_STAGE);
    }
    Ok(event)
}

unsafe extern "C" fn em_deregister(
    host: *mut abi::EmHost,
    registration: abi::HEMREGISTRATION,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        if plugin.remove(registration) { Ok(()) } else { Err(abi::ERR_NOT_FOUND) }
    })
}

unsafe extern "C" fn em_create_recursion_id(
    host: *mut abi::EmHost,
    recursion_id: *mut u16,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        if recursion_id.is_null() || !recursion_id.is_aligned() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        // They are the server's, and one plug-in must leave some to the others.
        if !host.begin_recursion_id() {
            return Err(abi::EM_ERR_LIMIT);
        }
        let next = |last: u16| last.checked_add(1);
        let last = RECURSION_IDS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let last = last.map_err(|_| abi::EM_ERR_LIMIT)?;
        // SAFETY: the contract: a place to write the id to; NULL and what is not aligned were refused above.
        unsafe { recursion_id.write(last + 1) };
        Ok(())
    })
}
