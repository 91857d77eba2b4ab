//! A place for what others keep for one message while it is on its way in.
//! The session makes it and never looks into it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What others keep for one message. Lasts as long as anybody who was asked about the message. Any thread.
#[derive(Clone, Default)]
pub struct MessageSlots(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl MessageSlots {
    /// What is kept; none: nothing is, or something of another type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }

    /// The same, made when nothing is kept.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl fmt::Debug for MessageSlots {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MessageSlots").field("kept", &self.0.get().is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lasts_as_long_as_anybody_can_reach_it() {
        let (slots, kept) = (MessageSlots::default(), Arc::new(7));
        assert_eq!(slots.get::<Arc<i32>>(), None);
        let late = slots.clone();
        assert_eq!(slots.get_or_make(|| kept.clone()), Some(&kept));
        assert_eq!(late.get_or_make(|| Arc::new(8)), Some(&kept));
        assert_eq!(late.get::<i32>(), None);
        drop(slots);
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(late);
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
