//! What plug-ins keep beyond the process, in a table of the embedded store, and how much that is.
//! Knows how the plug-ins' keys lie beside each other; the table knows the disk.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use stagepost_extmgr::{StateError, StateStore};
use stagepost_queue::local::LocalTable;

/// The table behind `em.state/1`. Its files are made when the first plug-in uses it.
pub(crate) struct PluginState {
    table: LocalTable,
    /// Held through a change, so that what is counted is what is there. The table makes one change at a time anyway.
    changing: Mutex<()>,
}

/// A plug-in's key among those of all: its name, which has no NUL, comes first. The empty key, which no plug-in can have,
/// is that of the octets it keeps: 8 octets, the lowest first.
fn row(plugin: &str, key: &[u8]) -> Vec<u8> {
    [plugin.as_bytes(), b"\0", key].concat()
}

impl PluginState {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { table: LocalTable::new(folder), changing: Mutex::new(()) }
    }

    /// Changes a key's value, and with it the count of what the plug-in keeps.
    fn change(
        &self,
        plugin: &str,
        key: &[u8],
        value: Option<&[u8]>,
        octets_max: u64,
    ) -> Result<(), StateError> {
        let (count_row, key_row) = (row(plugin, b""), row(plugin, key));
        let size = |value: &[u8]| (key.len() + value.len()) as u64;
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.table.get(&count_row).map_err(StateError::new)?;
        let kept = kept.and_then(|count| count.try_into().ok()).map_or(0, u64::from_le_bytes);
        let old = self.table.get(&key_row).map_err(StateError::new)?;
        if value.is_none() && old.is_none() {
            return Ok(());
        }
        let (old, new) = (old.as_deref().map_or(0, size), value.map_or(0, size));
        let keeps = kept.saturating_sub(old).saturating_add(new);
        if keeps > octets_max && new > old {
            return Err(StateError::Full(octets_max));
        }
        let rows = [(&*count_row, Some(&keeps.to_le_bytes()[..])), (&*key_row, value)];
        self.table.change(&rows).map_err(StateError::new)
    }
}

impl StateStore for PluginState {
    fn get(&self, plugin: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.table.get(&row(plugin, key)).map_err(StateError::new)
    }

    fn put(
        &self,
        plugin: &str,
        key: &[u8],
        value: &[u8],
        octets_max: u64,
    ) -> Result<(), StateError> {
        self.change(plugin, key, Some(value), octets_max)
    }

    fn remove(&self, plugin: &str, key: &[u8]) -> Result<(), StateError> {
        self.change(plugin, key, None, u64::MAX)
    }

    fn next(
        &self,
        plugin: &str,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError> {
        // Behind the count in any case: `after` is not before the row of the empty key.
        let found = self.table.next(&row(plugin, prefix), &row(plugin, after));
        let key = |row: Vec<u8>| row[plugin.len() + 1..].to_vec();
        found.map(|row| row.map(key)).map_err(StateError::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plug_ins_do_not_see_each_others_keys() {
        let folder = tempfile::tempdir().unwrap();
        let state = PluginState::new(folder.path().join("state"));
        let put = |plugin, key, value| state.put(plugin, key, value, 100).unwrap();
        put("a", b"x", b"1");
        put("a-b", b"x", b"2");
        put("b", b"y", b"3");
        assert_eq!(state.get("a", b"x").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(state.get("a", b"y").unwrap(), None);
        assert_eq!(state.next("a", b"", b"").unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(state.next("a", b"", b"x").unwrap(), None);
        state.remove("a-b", b"x").unwrap();
        assert_eq!(state.next("a-b", b"", b"").unwrap(), None);
        assert_eq!(state.get("a", b"x").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn what_one_plug_in_keeps_is_bounded_to_the_octet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = PluginState::new(path.clone());
        let full = Err(StateError::Full(10));
        assert_eq!(state.put("a", b"k", &[b'v'; 10], 10), full);
        assert_eq!(state.put("a", b"k", &[b'v'; 9], 10), Ok(()));
        assert_eq!(state.put("b", b"k", &[b'v'; 9], 10), Ok(()), "each has its own");
        assert_eq!(state.put("a", b"l", b"", 10), full);
        assert_eq!(state.put("a", b"k", b"123456", 10), Ok(()));
        state.remove("a", b"never there").unwrap();
        assert_eq!(state.put("a", b"l", b"12", 10), Ok(()));
        drop(state);
        let state = PluginState::new(path);
        assert_eq!(state.put("a", b"m", b"", 10), full, "counted over restarts");
        // Also with a lower bound than what is there, it may become less.
        assert_eq!(state.put("a", b"k", b"12345", 5), Ok(()));
        assert_eq!(state.put("a", b"k", b"54321", 5), Ok(()));
        state.remove("a", b"l").unwrap();
        assert_eq!(state.put("a", b"m", b"123", 10), Ok(()));
        assert_eq!(state.put("a", b"n", b"", 10), full);
    }
}
