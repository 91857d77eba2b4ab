//! The layout service: compares a Rust plug-in's view of the contract with the host's.

use std::ffi::c_void;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::host::Host;

pub(super) static TABLE: abi::EmLayoutService =
    abi::EmLayoutService { size: size_of_u32::<abi::EmLayoutService>(), reserved: 0, check };

unsafe extern "C" fn check(host: *mut abi::EmHost, offer: *const c_void) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        if offer.is_null() {
            return Err(abi::ERR_MISC_INVALID_ARGS);
        }
        // SAFETY: the contract: a stagepost_layout::Offer of the plug-in's, which stays mapped for ever.
        unsafe { stagepost_layout::compare(offer) }.map_err(|error| {
            tracing::error!(plugin = &*plugin.name, "layout of the contract: {error}");
            abi::EM_ERR_LAYOUT
        })?;
        plugin.layout_fits();
        Ok(())
    })
}
