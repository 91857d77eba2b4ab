//! The directory service of the fake host: one user, two groups.

use stagepost_abi::*;

use super::{read, text, write};

pub(super) static DIRECTORY: EmDirectoryService = EmDirectoryService {
    size: size_of::<EmDirectoryService>() as u32,
    reserved: 0,
    user: directory_user,
    member: directory_member,
    group: directory_group,
    route: directory_route,
    fetch: directory_fetch,
    wait: directory_wait,
};

unsafe extern "C" fn directory_user(_: *mut EmHost, address: EmText) -> STATUS {
    match read(address).as_str() {
        "alice@here" => NOERROR,
        address if address.contains('@') => ERR_NOT_FOUND,
        _ => ERR_MISC_INVALID_ARGS,
    }
}

unsafe extern "C" fn directory_member(_: *mut EmHost, _: EmText, group: EmText) -> STATUS {
    if read(group) == "staff" { NOERROR } else { ERR_NOT_FOUND }
}

unsafe extern "C" fn directory_group(
    _: *mut EmHost,
    _: EmText,
    index: u32,
    group: *mut EmText,
) -> STATUS {
    write(group, ["staff", "all"].get(index as usize).map(|name| text(name.as_bytes())))
}

unsafe extern "C" fn directory_route(_: *mut EmHost, address: EmText, route: *mut u32) -> STATUS {
    let known = match read(address).as_str() {
        "alice@here" => EM_ROUTE_LOCAL,
        address if address.ends_with("@here") => EM_ROUTE_UNKNOWN_USER,
        // Newer than the SDK.
        "x@new" => 99,
        address if address.contains('@') => EM_ROUTE_FOREIGN,
        _ => return ERR_MISC_INVALID_ARGS,
    };
    write(route, Some(known))
}

unsafe extern "C" fn directory_fetch(
    _: *mut EmHost,
    _: EmToken,
    address: EmText,
    what: u32,
) -> STATUS {
    // SAFETY: as this function's own caller.
    unsafe { directory_wait(std::ptr::null_mut(), address, what) }
}

unsafe extern "C" fn directory_wait(_: *mut EmHost, address: EmText, what: u32) -> STATUS {
    let known = what == EM_DIRECTORY_ROUTE || what == EM_DIRECTORY_GROUPS;
    if known && read(address).contains('@') { NOERROR } else { ERR_MISC_INVALID_ARGS }
}
