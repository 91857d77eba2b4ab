//! Where panics end: nothing unwinds out of a call that came from the host.
//! Knows nothing of the call.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls, and turns a panic into its message.
///
/// What the call was changing may be left half changed: the plug-in's own locks are poisoned, and its fault contract
/// applies.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = message(&*payload);
        // Dropping it could panic again, now outside; a leak per panic is the lesser evil.
        mem::forget(payload);
        message
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
    fn a_panic_becomes_its_message() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in the payload's drop");
            }
        }
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| panic!("plain")), Err::<(), _>("plain".into()));
        assert_eq!(catch(|| panic!("with {}", 1)), Err::<(), _>("with 1".into()));
        let bomb = catch(|| std::panic::panic_any(Bomb));
        assert_eq!(bomb, Err::<(), _>("a panic without a message".into()));
    }
}
