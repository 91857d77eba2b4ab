//! Rows that no checkpoint has come to: one that goes before leaves nothing behind, neither in memory nor on disk.
//! Knows no table, and not what is in the rows.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use lsm_tree::Slice;

/// Rows beside a table, each in one of the two. Changed by one thread, read by any.
#[derive(Default)]
pub(super) struct Young(RwLock<HashMap<Slice, Slice>>);

impl Young {
    pub(super) fn get(&self, key: &[u8]) -> Option<Slice> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(super) fn insert(&self, key: Slice, value: Slice) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }

    /// Removes a row; whether it was here.
    pub(super) fn remove(&self, key: &[u8]) -> bool {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key).is_some()
    }

    /// Moves all rows elsewhere: nobody who looks here and then there misses one.
    pub(super) fn move_on(&self, mut put: impl FnMut(Slice, Slice)) {
        for (key, value) in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            put(key.clone(), value.clone());
        }
        // Memory for a crowd is not kept.
        let rows = std::mem::take(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
        drop(rows);
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Slice> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}
