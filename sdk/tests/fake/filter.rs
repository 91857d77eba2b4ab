//! The filter service of the fake host.

use stagepost_abi::*;

use super::{fake, read};

pub(super) static FILTER: EmFilterService =
    EmFilterService { size: size_of::<EmFilterService>() as u32, reserved: 0, narrow };

/// Takes a filter when the plug-in is registered for it; refuses networks that are a word.
unsafe extern "C" fn narrow(
    host: *mut EmHost,
    registration: HEMREGISTRATION,
    filter: *const EmFilter,
) -> STATUS {
    let fake = fake(host);
    if registration as usize != fake.registrations.lock().unwrap().len() {
        return ERR_NOT_FOUND;
    }
    // SAFETY: the SDK lends a whole filter for the call.
    let filter = unsafe { filter.read() };
    let networks = read(filter.networks);
    if networks.contains("word") {
        return ERR_MISC_INVALID_ARGS;
    }
    fake.log.lock().unwrap().push(format!(
        "narrow {registration} networks {networks:?} listeners {:?} senders {:?} recipients {:?} tls {}",
        read(filter.listeners),
        read(filter.sender_domains),
        read(filter.recipient_domains),
        filter.tls
    ));
    NOERROR
}
