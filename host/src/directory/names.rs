//! Names of groups that plug-ins keep what they are handed of: each is there once, and stays as long as the process.
//! Knows no group.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The most names. Each stays for ever, so whoever makes up new ones without end comes to one.
pub(super) const NAMES_MAX: usize = 100_000;

/// Names that last. Cheap to clone; any thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<Mutex<HashSet<&'static str>>>);

impl Names {
    /// The same name, for ever; none: there are too many.
    pub(super) fn lasting(&self, name: &str) -> Option<&'static str> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Some(known);
        }
        if names.len() >= NAMES_MAX {
            return None;
        }
        let lasting: &'static str = Box::leak(name.into());
        names.insert(lasting);
        Some(lasting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lasts_once() {
        let names = Names::default();
        let first = names.lasting("staff").unwrap();
        assert!(std::ptr::eq(first, names.clone().lasting(&String::from("staff")).unwrap()));
        for number in 1..NAMES_MAX {
            assert!(names.lasting(&number.to_string()).is_some());
        }
        assert_eq!(names.lasting("one more"), None);
        assert_eq!(names.lasting("staff"), Some("staff"));
    }
}
