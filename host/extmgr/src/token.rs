//! Tokens: the numbers by which plug-ins name pending calls.
//! Never reused, so that a stale one is told; never an address, so that a wrong one does no harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stagepost_abi as abi;

use crate::host::Host;
use crate::pending::Pending;

static TABLE: Mutex<Table> = Mutex::new(Table { places: Vec::new(), free: Vec::new() });

/// The pending calls of all plug-ins. A token is a place in the lower half, and how often it was taken in the upper.
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// How often it was taken: 1 or more once it was.
    taken: u32,
    call: Option<Arc<Pending>>,
}

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn token(place: u32, taken: u32) -> abi::EmToken {
    u64::from(taken) << 32 | u64::from(place)
}

fn split(token: abi::EmToken) -> (usize, u32) {
    ((token & 0xffff_ffff) as usize, (token >> 32) as u32)
}

/// Gives a call a token. None: there are more calls than tokens for them.
pub(crate) fn issue(make: impl FnOnce(abi::EmToken) -> Arc<Pending>) -> Option<Arc<Pending>> {
    let mut table = table();
    let place = match table.free.pop() {
        Some(place) => place,
        None => {
            let place = u32::try_from(table.places.len()).ok()?;
            table.places.push(Place { taken: 0, call: None });
            place
        }
    };
    let taken = &mut table.places[place as usize];
    taken.taken += 1;
    let call = make(token(place, taken.taken));
    taken.call = Some(call.clone());
    Some(call)
}

/// Finds the call of a token that is a plug-in's.
///
/// # Errors
/// The status for the plug-in: never given out or another's, or its call has ended.
pub(crate) fn find(plugin: &Host, token: abi::EmToken) -> Result<Arc<Pending>, abi::STATUS> {
    let (place, taken) = split(token);
    let table = table();
    let place = table.places.get(place).ok_or(abi::ERR_NOT_FOUND)?;
    if taken == 0 || taken > place.taken {
        return Err(abi::ERR_NOT_FOUND);
    }
    match &place.call {
        Some(call) if taken == place.taken => {
            if std::ptr::eq(call.plugin(), plugin) {
                Ok(call.clone())
            } else {
                Err(abi::ERR_NOT_FOUND)
            }
        }
        _ => Err(abi::EM_ERR_OVER),
    }
}

/// Ends a token; whoever has it still is told so.
pub(crate) fn end(token: abi::EmToken) {
    let (place, taken) = split(token);
    let mut table = table();
    let ended = &mut table.places[place];
    debug_assert_eq!(ended.taken, taken, "a token is ended once");
    let call = ended.call.take();
    // A place whose count is full would give a token a second time.
    if taken < u32::MAX
        && let Ok(place) = u32::try_from(place)
    {
        table.free.push(place);
    }
    drop(table);
    // Outside the lock: it may be the last reference.
    drop(call);
}
