//! The admin service: makes verbs, and takes what they answer.

use std::ffi::c_void;

use stagepost_abi as abi;

use crate::admin_verb::{AdminCall, AdminVerb};
use crate::arguments::size_of_u32;
use crate::base::answer as status_of;
use crate::host::Host;
use crate::release::LifeRelease;

pub(super) static TABLE: abi::EmAdminService = abi::EmAdminService {
    size: size_of_u32::<abi::EmAdminService>(),
    reserved: 0,
    verb,
    answer,
    fail,
};

unsafe extern "C" fn verb(
    host: *mut abi::EmHost,
    name: abi::EmText,
    help: abi::EmText,
    handler: abi::EmAdminVerb,
    user_data: *mut c_void,
    release: abi::EmRelease,
) -> abi::STATUS {
    status_of(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: text lent for the call.
        let (name, help) = unsafe { (super::text(name)?, super::text(help)?) };
        let handler = handler.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        let (name, help) = (name.to_owned(), help.to_owned());
        let release = LifeRelease::new(host, user_data, release);
        let verb = AdminVerb { name, help, handler, user_data, release };
        host.add_admin_verb(verb).map_err(|(status, mut refused)| {
            // What is refused stays the plug-in's own: only what is kept is released.
            if let Some(release) = refused.release.take() {
                release.forget();
            }
            status
        })
    })
}

unsafe extern "C" fn answer(call: *mut abi::EmAdminCall, json: abi::EmText) -> abi::STATUS {
    status_of(|| {
        // SAFETY: the contract: the call of the handler that runs on this thread.
        let call = unsafe { AdminCall::from_handle(call) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: text lent for the call.
        call.set_answer(unsafe { super::text(json) }?)
    })
}

unsafe extern "C" fn fail(call: *mut abi::EmAdminCall, message: abi::EmText) -> abi::STATUS {
    status_of(|| {
        // SAFETY: the contract: the call of the handler that runs on this thread.
        let call = unsafe { AdminCall::from_handle(call) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: text lent for the call.
        call.set_failure(unsafe { super::text(message) }?);
        Ok(())
    })
}
