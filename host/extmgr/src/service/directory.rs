//! The directory service: users and groups, as the program knows them.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use stagepost_abi as abi;
use stagepost_smtp::Route;
use tokio::runtime::Handle;

use crate::arguments::{lend, size_of_u32};
use crate::base::answer;
use crate::host::Host;
use crate::hosted::{DirectoryPart, Said, UserDirectory};
use crate::request::check_may_wait;

/// How long a thread may be blocked by `wait`: beyond what any directory takes.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) static TABLE: abi::EmDirectoryService = abi::EmDirectoryService {
    size: size_of_u32::<abi::EmDirectoryService>(),
    reserved: 0,
    user,
    member,
    group,
    route,
    fetch,
    wait,
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

/// What was said, or the status for the plug-in.
fn said<T>(said: Said<T>) -> Result<T, abi::STATUS> {
    match said {
        Said::Known(known) => Ok(known),
        Said::NotFetched => Err(abi::EM_PENDING),
        Said::Trouble => Err(abi::EM_ERR_IO),
        Said::NoAddress => Err(abi::ERR_MISC_INVALID_ARGS),
    }
}

/// What a plug-in wants fetched.
///
/// # Errors
/// The status for the plug-in: nothing, or what there is not.
pub(crate) fn part(what: u32) -> Result<DirectoryPart, abi::STATUS> {
    let known = abi::EM_DIRECTORY_ROUTE | abi::EM_DIRECTORY_GROUPS;
    if what == 0 || what & !known != 0 {
        return Err(abi::ERR_MISC_INVALID_ARGS);
    }
    let wanted = |part: u32| what & part != 0;
    Ok(DirectoryPart {
        route: wanted(abi::EM_DIRECTORY_ROUTE),
        groups: wanted(abi::EM_DIRECTORY_GROUPS),
    })
}

unsafe extern "C" fn user(host: *mut abi::EmHost, address: abi::EmText) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants.
        let (users, address) = unsafe { asked(host, address) }?;
        match said(users.route(address))? {
            Route::Local => Ok(()),
            Route::Unavailable => Err(abi::EM_ERR_IO),
            _ => Err(abi::ERR_NOT_FOUND),
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
        let groups: Arc<[&str]> = said(users.groups(address))?;
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
        let groups = said(users.groups(address))?;
        let known = usize::try_from(index).ok().and_then(|index| groups.get(index).copied());
        known.map(lend).ok_or(abi::ERR_NOT_FOUND)
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
        Ok(match said(users.route(address))? {
            Route::Local => abi::EM_ROUTE_LOCAL,
            Route::UnknownUser => abi::EM_ROUTE_UNKNOWN_USER,
            Route::Relay => abi::EM_ROUTE_RELAY,
            Route::Foreign => abi::EM_ROUTE_FOREIGN,
            Route::Unreachable => abi::EM_ROUTE_UNREACHABLE,
            Route::Unavailable => abi::EM_ROUTE_UNAVAILABLE,
            Route::Ambiguous => abi::EM_ROUTE_AMBIGUOUS,
        })
    };
    // SAFETY: the contract gives what `hand_out` wants.
    unsafe { super::hand_out(route, find) }
}

unsafe extern "C" fn fetch(
    host: *mut abi::EmHost,
    token: abi::EmToken,
    address: abi::EmText,
    what: u32,
) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what both want.
        let (pending, (users, address)) =
            unsafe { (super::pending::asked(host, token)?, asked(host, address)?) };
        pending.fetch(users, address, part(what)?)
    })
}

unsafe extern "C" fn wait(host: *mut abi::EmHost, address: abi::EmText, what: u32) -> abi::STATUS {
    answer(|| {
        // SAFETY: the contract gives what `asked` wants.
        let (users, address) = unsafe { asked(host, address) }?;
        let part = part(what)?;
        check_may_wait()?;
        let Some(fetching) = users.fetch(address, part) else { return Ok(()) };
        let runtime = Handle::try_current().map_err(|_| abi::EM_ERR_STAGE)?;
        let (tell, told) = mpsc::channel();
        // A thread that waits so needs nothing of the runtime but that it goes on.
        drop(runtime.spawn(async move {
            fetching.await;
            // Whoever waited may have gone.
            let _ = tell.send(());
        }));
        told.recv_timeout(WAIT_MAX).map_err(|_| abi::EM_ERR_OVER)
    })
}
