//! What add-ins have registered for, and the chain of one event and stage.
//! Knows no event's meaning; a handler is a pointer that is called elsewhere.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use crate::linker::Handler;
use crate::status::{ERR_EM_ILLEGAL, ERR_EM_ILLEGALFLAGS, ERR_EM_TOOMANYADDINS, ERR_NOT_FOUND};

pub(crate) const CONNECT: u16 = 224;
pub(crate) const COMMAND: u16 = 225;
pub(crate) const MESSAGE_ACCEPT: u16 = 226;
pub(crate) const DISCONNECT: u16 = 227;
pub(crate) const TERMINATE: u16 = 69;

/// The highest number of an event.
const EVENT_MAX: u16 = 257;
/// The most registrations: table-driven add-ins make two for each event.
const REGISTRATIONS_MAX: usize = 16_384;

pub(crate) const BEFORE: u16 = 0;
pub(crate) const AFTER: u16 = 1;

/// One registration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) id: u32,
    /// The add-in, by its place in the list.
    pub(crate) add_in: usize,
    event: u16,
    flags: u32,
    pub(crate) handler: Handler,
}

impl Registration {
    /// The flag of a stage: EM_REG_BEFORE or EM_REG_AFTER.
    fn is_for(&self, event: u16, stage: u16) -> bool {
        self.event == event && self.flags & (1 << stage) != 0
    }
}

/// All registrations.
#[derive(Default)]
pub(crate) struct Registry(RwLock<Registrations>);

#[derive(Default)]
struct Registrations {
    /// In the order of the add-ins, and of one in the order in which it made them.
    all: Vec<Registration>,
    last_id: u32,
}

impl Registry {
    /// Keeps a registration; its name, or the status that refuses it.
    pub(crate) fn add(
        &self,
        add_in: usize,
        event: u16,
        flags: u32,
        handler: Handler,
    ) -> Result<u32, u16> {
        if flags == 0 || flags & !3 != 0 {
            return Err(ERR_EM_ILLEGALFLAGS);
        }
        if event == 0 || event > EVENT_MAX {
            return Err(ERR_EM_ILLEGAL);
        }
        let mut registrations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if registrations.all.len() >= REGISTRATIONS_MAX {
            return Err(ERR_EM_TOOMANYADDINS);
        }
        registrations.last_id += 1;
        let id = registrations.last_id;
        let place = registrations.all.partition_point(|known| known.add_in <= add_in);
        registrations.all.insert(place, Registration { id, add_in, event, flags, handler });
        Ok(id)
    }

    pub(crate) fn remove(&self, id: u32) -> Result<(), u16> {
        let mut registrations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = registrations.all.iter().position(|known| known.id == id);
        registrations.all.remove(place.ok_or(ERR_NOT_FOUND)?);
        Ok(())
    }

    /// Whether a registration is still there.
    pub(crate) fn has(&self, id: u32) -> bool {
        let registrations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        registrations.all.iter().any(|known| known.id == id)
    }

    /// Drops what an add-in has registered for.
    pub(crate) fn remove_all(&self, add_in: usize) {
        let mut registrations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        registrations.all.retain(|known| known.add_in != add_in);
    }

    /// Who is asked, in order.
    pub(crate) fn chain(&self, event: u16, stage: u16) -> Vec<Registration> {
        let registrations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        registrations.all.iter().filter(|one| one.is_for(event, stage)).copied().collect()
    }

    /// The events that an add-in has registered for and that never happen here.
    pub(crate) fn idle(&self, add_in: usize) -> BTreeSet<u16> {
        let registrations = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let own = registrations.all.iter().filter(|one| one.add_in == add_in).map(|one| one.event);
        own.filter(|event| !(CONNECT..=DISCONNECT).contains(event) && *event != TERMINATE).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use super::*;

    extern "C" fn never(_: *mut c_void) -> u16 {
        unreachable!("nobody calls it")
    }

    #[test]
    fn chains_go_by_add_in_and_then_by_registration() {
        let registry = Registry::default();
        let add = |add_in, event, flags| registry.add(add_in, event, flags, never).unwrap();
        let (late, early, both) = (add(1, CONNECT, 1), add(0, CONNECT, 1), add(0, CONNECT, 3));
        add(0, 13, 1);
        let ids =
            |stage| registry.chain(CONNECT, stage).iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!((ids(BEFORE), ids(AFTER)), (vec![early, both, late], vec![both]));
        assert_eq!(registry.idle(0), [13].into());
        assert!(registry.has(early) && !registry.has(0));
        assert_eq!((registry.remove(early), registry.remove(early)), (Ok(()), Err(ERR_NOT_FOUND)));
        assert!(!registry.has(early));
        registry.remove_all(0);
        assert_eq!((ids(BEFORE), ids(AFTER)), (vec![late], vec![]));
        for (event, flags, wanted) in [
            (CONNECT, 0, ERR_EM_ILLEGALFLAGS),
            (CONNECT, 4, ERR_EM_ILLEGALFLAGS),
            (0, 1, ERR_EM_ILLEGAL),
            (258, 1, ERR_EM_ILLEGAL),
        ] {
            assert_eq!(registry.add(0, event, flags, never), Err(wanted), "{event} {flags}");
        }
    }
}
