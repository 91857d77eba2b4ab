//! The directory service: users and groups, as the program knows them.

use stagepost_abi as abi;
use stagepost_smtp::Route;

use crate::arguments::{lend, size_of_u32};
use crate::base::answer;
use crate::host::Host;
use crate::hosted::UserDirectory;

pub(super) static TABLE: abi::EmDirectoryService = abi::EmDirectoryService {
    size: size_of_u32::<abi::EmDirectoryService>(),
    reserved: 0,
    user,
    member,
    group,
    route,
};

/// Who knows, and the address that is asked about.
///
/// # Safety
/// `host` is what em_entry was given; `address` is text lent for the call.
unsafe fn asked<'a>(
    host: *mut abi::EmHost,
    address: abi::EmText,
) -> Result<(&'static dyn UserDirectory, &'a str), abi::STATUS> {
    // SAFETY: by the caller's promise.
    let host = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
    // SAFETY: by the caller's promise.
    let address = unsafe { super::text(address) }?;
    let users = host.hosted().users.as_deref().ok_or(abi::ERR_NOT_FOUND)?;
    Ok((users, address))
}

unsafe extern "C" fn user(host: *mut abi::EmHost, address: abi::EmText) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants.
        let (users, address) = unsafe { asked(host, address) }?;
        match users.route(address) {
            Some(Route::Local) => Ok(()),
            Some(_) => Err(abi::ERR_NOT_FOUND),
            None => Err(abi::ERR_MISC_INVALID_ARGS),
        }
    })
}

unsafe extern "C" fn member(
    host: *mut abi::EmHost,
    address: abi::EmText,
    group: abi::EmText,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants, and lends text for the call.
        let ((users, address), group) = unsafe { (asked(host, address)?, super::text(group)?) };
        let groups = users.groups(address).ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        let found = groups.iter().any(|known| known.eq_ignore_ascii_case(group));
        if found { Ok(()) } else { Err(abi::ERR_NOT_FOUND) }
    })
}

unsafe extern "C" fn group(
    host: *mut abi::EmHost,
    address: abi::EmText,
    index: u32,
    group: *mut abi::EmText,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let (users, address) = unsafe { asked(host, address) }?;
        let groups = users.groups(address).ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        let known = usize::try_from(index).ok().and_then(|index| groups.get(index));
        known.map(|name| lend(&**name)).ok_or(abi::ERR_NOT_FOUND)
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(group, find) }
}

unsafe extern "C" fn route(
    host: *mut abi::EmHost,
    address: abi::EmText,
    route: *mut u32,
) -> abi::STATUS {
    let find = || {
        // SAFETY: the contract gives what `asked` wants.
        let (users, address) = unsafe { asked(host, address) }?;
        Ok(match users.route(address).ok_or(abi::ERR_MISC_INVALID_ARGS)? {
            Route::Local => abi::EM_ROUTE_LOCAL,
            Route::UnknownUser => abi::EM_ROUTE_UNKNOWN_USER,
            Route::Relay => abi::EM_ROUTE_RELAY,
            Route::Foreign => abi::EM_ROUTE_FOREIGN,
            Route::Unreachable => abi::EM_ROUTE_UNREACHABLE,
            Route::Unavailable => abi::EM_ROUTE_UNAVAILABLE,
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(route, find) }
}
