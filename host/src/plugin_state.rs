//! What plug-ins keep beyond the process, in a table of the embedded store.
//! Knows how the plug-ins' keys lie beside each other; the table knows the disk.

use std::path::PathBuf;

use stagepost_extmgr::{StateError, StateStore};
use stagepost_queue::local::LocalTable;

/// The table behind `em.state/1`. Its files are made when the first plug-in uses it.
pub(crate) struct PluginState(LocalTable);

impl PluginState {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self(LocalTable::new(folder))
    }
}

/// A plug-in's key among those of all: its name, which has no NUL, comes first.
fn row(plugin: &str, key: &[u8]) -> Vec<u8> {
    [plugin.as_bytes(), b"\0", key].concat()
}

impl StateStore for PluginState {
    fn get(&self, plugin: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(&row(plugin, key)).map_err(StateError::new)
    }

    fn put(&self, plugin: &str, key: &[u8], value: &[u8]) -> Result<(), StateError> {
        self.0.put(&row(plugin, key), value).map_err(StateError::new)
    }

    fn remove(&self, plugin: &str, key: &[u8]) -> Result<(), StateError> {
        self.0.remove(&row(plugin, key)).map_err(StateError::new)
    }

    fn next(
        &self,
        plugin: &str,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError> {
        let found = self.0.next(&row(plugin, prefix), &row(plugin, after));
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
        state.put("a", b"x", b"1").unwrap();
        state.put("a-b", b"x", b"2").unwrap();
        state.put("b", b"y", b"3").unwrap();
        assert_eq!(state.get("a", b"x").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(state.get("a", b"y").unwrap(), None);
        assert_eq!(state.next("a", b"", b"").unwrap().as_deref(), Some(&b"x"[..]));
        assert_eq!(state.next("a", b"", b"x").unwrap(), None);
        state.remove("a-b", b"x").unwrap();
        assert_eq!(state.next("a-b", b"", b"").unwrap(), None);
        assert_eq!(state.get("a", b"x").unwrap().as_deref(), Some(&b"1"[..]));
    }
}
