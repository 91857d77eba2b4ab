//! Where panics end: nothing unwinds out of a call that came from the host.
//! Knows nothing of the call.

use std::any::Any;
use std::cell::RefCell;
use std::fmt::{self, Display};
use std::mem;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic that was caught. Displayed as what follows "panicked".
#[derive(Debug)]
pub(crate) struct Panic {
    place: Option<String>,
    message: String,
}

impl Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, " at {place}: {}", self.message),
            None => write!(f, ": {}", self.message),
        }
    }
}

/// Has panics tell their place to `catch`, besides what they did before.
///
/// A shared object has a panic hook of its own, so this reaches the plug-in and nobody else.
pub(crate) fn remember_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            // A thread that is ending has no place to keep it any more.
            let _ = PLACE.try_with(|kept| kept.replace(place));
            before(info);
        }));
    });
}

/// Calls, and catches a panic.
///
/// What the call was changing may be left half changed: the plug-in's own locks are poisoned, and its fault contract
/// applies.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = message(&*payload);
        // Dropping it could panic again, now outside; a leak per panic is the lesser evil.
        mem::forget(payload);
        Panic { place: PLACE.try_with(RefCell::take).ok().flatten(), message }
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_place_and_message() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in the payload's drop");
            }
        }
        let caught = |call: fn()| catch(call).unwrap_err();
        assert_eq!(caught(|| panic!("plain")).to_string(), ": plain");
        remember_places();
        assert_eq!(catch(|| 1).unwrap(), 1);
        let line = line!() + 1;
        let panic = caught(|| panic!("with {}", 1));
        assert_eq!(panic.to_string(), format!(" at {}:{line}:31: with 1", file!()));
        assert_eq!(caught(|| panic::panic_any(Bomb)).message, "a panic without a message");
    }
}
