//! The filter service: narrows a registration while its plug-in is loaded.

use std::mem::{MaybeUninit, offset_of};
use std::ptr::copy_nonoverlapping;

use stagepost_abi as abi;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::filter::{Filter, FilterError, FilterText};
use crate::host::Host;

pub(super) static TABLE: abi::EmFilterService =
    abi::EmFilterService { size: size_of_u32::<abi::EmFilterService>(), reserved: 0, narrow };

unsafe extern "C" fn narrow(
    host: *mut abi::EmHost,
    registration: abi::HEMREGISTRATION,
    filter: *const abi::EmFilter,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: NULL or a filter of at least the size that it states.
        let filter = unsafe { read(filter) }?;
        // SAFETY: the contract: text lent for the call.
        let text = unsafe {
            FilterText {
                networks: super::text(filter.networks)?,
                listeners: super::text(filter.listeners)?,
                sender_domains: super::text(filter.sender_domains)?,
                recipient_domains: super::text(filter.recipient_domains)?,
                tls: match filter.tls {
                    abi::EM_FILTER_TLS_ANY => None,
                    abi::EM_FILTER_TLS_ON => Some(true),
                    abi::EM_FILTER_TLS_OFF => Some(false),
                    _ => return Err(abi::ERR_MISC_INVALID_ARGS),
                },
                authenticated: match filter.authenticated {
                    abi::EM_FILTER_AUTHENTICATED_ANY => None,
                    abi::EM_FILTER_AUTHENTICATED_YES => Some(true),
                    abi::EM_FILTER_AUTHENTICATED_NO => Some(false),
                    _ => return Err(abi::ERR_MISC_INVALID_ARGS),
                },
            }
        };
        let filter = Filter::parse(text).map_err(|error| {
            tracing::error!(plugin = &*plugin.name, "a filter is refused: {error}");
            match error {
                FilterError::Items { .. } => abi::EM_ERR_LIMIT,
                FilterError::Item { .. } => abi::ERR_MISC_INVALID_ARGS,
            }
        })?;
        plugin.narrow(registration, filter)
    })
}

/// The filter as this host knows it.
///
/// # Safety
/// `filter` is NULL or readable for the size that it states, its first member.
unsafe fn read(filter: *const abi::EmFilter) -> Result<abi::EmFilter, abi::STATUS> {
    if filter.is_null() || !filter.is_aligned() {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    // SAFETY: not NULL; the size comes first in every version.
    let size = unsafe { (&raw const (*filter).size).read() };
    // The first version ended before `tls`. Of a longer one, what this host does not know must not be set.
    let (known, first) = (size_of::<abi::EmFilter>(), offset_of!(abi::EmFilter, tls));
    let size = size as usize;
    if size != first && size < known {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let beyond = size.saturating_sub(known);
    if beyond > 4_096 {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let is_set = beyond > 0 && {
        // SAFETY: readable by the caller's promise.
        let rest = unsafe { std::slice::from_raw_parts(filter.add(1).cast::<u8>(), beyond) };
        rest.iter().any(|octet| *octet != 0)
    };
    if is_set {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let mut whole = MaybeUninit::<abi::EmFilter>::zeroed();
    // SAFETY: readable for that many octets by the caller's promise, and there is room for them.
    unsafe { copy_nonoverlapping(filter.cast::<u8>(), whole.as_mut_ptr().cast(), size.min(known)) };
    // SAFETY: numbers and pointers, all of which may be zero.
    let filter = unsafe { whole.assume_init() };
    if filter.reserved == 0 { Ok(filter) } else { Err(abi::ERR_MISC_INVALID_ARGS) }
}
