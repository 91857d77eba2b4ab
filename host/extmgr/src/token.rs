//! Tokens: the numbers by which plug-ins name pending calls.
//! Never reused, so that a stale one is told; never an address, so that a wrong one does no harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stagepost_abi as abi;

use crate::host::Host;
use crate::load::PLUGINS_MAX;
use crate::pending::Pending;

static TABLE: Mutex<Table> = Mutex::new(Table { places: Vec::new(), free: Vec::new() });

/// How many bits of a token tell the place.
const PLACE_BITS: u32 = 24;

/// The pending calls of all plug-ins. A token is a place in its lowest bits, then whose it is, in one octet, and in the upper
/// half how often the place was taken.
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

fn token(place: u32, plugin: &Host, taken: u32) -> abi::EmToken {
    u64::from(taken) << 32 | u64::from(owner(plugin)) << PLACE_BITS | u64::from(place)
}

/// A plug-in as tokens name it.
fn owner(plugin: &Host) -> u8 {
    const { assert!(PLUGINS_MAX <= 256) };
    (plugin.index & 0xff) as u8
}

/// The place, the owner, and how often the place was taken.
fn split(token: abi::EmToken) -> (usize, u8, u32) {
    let place = token & ((1 << PLACE_BITS) - 1);
    (place as usize, (token >> PLACE_BITS) as u8, (token >> 32) as u32)
}

/// Gives a call a token. None: there are more calls than tokens for them.
pub(crate) fn issue(
    plugin: &Host,
    make: impl FnOnce(abi::EmToken) -> Arc<Pending>,
) -> Option<Arc<Pending>> {
    let mut table = table();
    let place = match table.free.pop() {
        Some(place) => place,
        None => {
            let free = |place: &u32| *place < 1 << PLACE_BITS;
            let place = u32::try_from(table.places.len()).ok().filter(free)?;
            table.places.push(Place { taken: 0, call: None });
            place
        }
    };
    let taken = &mut table.places[place as usize];
    taken.taken += 1;
    let call = make(token(place, plugin, taken.taken));
    taken.call = Some(call.clone());
    Some(call)
}

/// Finds the call of a token that is a plug-in's.
///
/// # Errors
/// The status for the plug-in: never given out or another's, or its call has ended.
pub(crate) fn find(plugin: &Host, token: abi::EmToken) -> Result<Arc<Pending>, abi::STATUS> {
    let (place, owned_by, taken) = split(token);
    let table = table();
    let place = table.places.get(place).ok_or(abi::ERR_NOT_FOUND)?;
    if owned_by != owner(plugin) || taken == 0 || taken > place.taken {
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
    let (place, _, taken) = split(token);
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
